"""The combinators: which alternative is taken, and Parsec's rules for what an error says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiodata_django.core.query import parsec as p
from aiodata_django.core.query.parsecerrors import show


def failure(parser, text):
    with pytest.raises(p.ParseFailure) as caught:
        p.parse(parser, text)
    return caught.value.line, caught.value.column, caught.value.details


ab = p.seq(p.char("a"), p.char("b"))


def test_an_alternative_is_taken_only_when_nothing_was_consumed():
    assert failure(p.choice(ab, p.string("ac")), "ac") == (1, 2, """unexpected "c" expecting "b\"""")
    assert p.parse(p.choice(p.attempt(ab), p.string("ac")), "ac") == "ac"


def test_expectations_at_one_place_are_merged():
    assert failure(p.choice(p.char("a"), p.char("b"), p.digit), "x") == (
        1,
        1,
        """unexpected "x" expecting "a", "b" or digit""",
    )


def test_the_error_further_along_wins():
    parser = p.choice(p.attempt(p.seq(p.string("ab"), p.char("c"))), p.attempt(ab))
    assert p.parse(parser, "abx") == ("a", "b")
    parser = p.choice(p.attempt(p.seq(p.string("ab"), p.char("c"))), p.char("x"))
    assert failure(parser, "abd") == (1, 3, """unexpected "d" expecting "c\"""")


def test_a_label_names_what_failed_without_consuming():
    assert failure(p.label(p.many1(p.digit), "a number"), "x") == (
        1,
        1,
        """unexpected "x" expecting a number""",
    )
    assert failure(p.label(ab, "the pair"), "ac") == (1, 2, """unexpected "c" expecting "b\"""")


def test_the_end_of_input_is_told():
    assert failure(ab, "a") == (1, 2, """unexpected end of input expecting "b\"""")
    assert failure(p.seq(p.char("a"), p.eof), "ab") == (1, 2, "unexpected 'b' expecting end of input")


def test_a_partly_matched_string_fails_where_it_began():
    assert failure(p.string("asc"), "abc") == (1, 1, """unexpected "b" expecting "asc\"""")


def test_not_followed_by_stands_behind_what_was_read():
    parser = p.seq(p.char("-"), p.not_followed_by(p.char(">")))
    assert failure(parser, "->") == (1, 3, "unexpected '>'")


def test_many_forgets_what_its_elements_expected():
    assert failure(p.seq(p.many(p.char("a")), p.char("b")), "aac") == (
        1,
        3,
        """unexpected "c" expecting "a" or "b\"""",
    )


def test_separators_may_not_trail():
    parser = p.sep_by1(p.digit, p.char(","))
    assert p.parse(parser, "1,2x") == ["1", "2"]
    assert failure(parser, "1,") == (1, 3, "unexpected end of input expecting digit")


def test_looking_ahead_takes_nothing():
    assert p.parse(p.seq(p.look_ahead(p.char("a")), p.char("a")), "a") == ("a", "a")


@pytest.mark.parametrize(
    ("text", "line", "column"), [("aaax", 1, 4), ("a\nax", 2, 2), ("\tx", 1, 9), ("a\tx", 1, 9)]
)
def test_lines_and_columns_count_as_parsec_counts(text, line, column):
    parser = p.seq(p.many(p.one_of("a\n\t")), p.eof)
    assert failure(parser, text)[:2] == (line, column)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a", '"a"'),
        ('"', '"\\""'),
        ("\\", '"\\\\"'),
        ("\n", '"\\n"'),
        ("é", '"\\233"'),
        ("€", '"\\8364"'),
        ("\0\x1f\x7f", r'"\NUL\US\DEL"'),
        ("é1", r'"\233\&1"'),
        ("éa", r'"\233a"'),
        ("\x0eH", r'"\SO\&H"'),
        ("\\1", r'"\\1"'),
    ],
)
def test_literals_are_shown_as_haskell_shows_them(text, shown):
    assert show(text) == shown


@given(st.text(max_size=20), st.text(max_size=20))
def test_strings_match_exactly_themselves(wanted, text):
    reply = p.string(wanted)(text, 0)
    assert reply.ok == text.startswith(wanted)
    assert reply.position == (len(wanted) if reply.ok else 0)


@given(st.text("abc,", max_size=20))
def test_repetition_consumes_what_it_returns(text):
    values = p.parse(p.many(p.one_of("abc")), text)
    assert text.startswith("".join(values))
    assert len(values) == len(text) or text[len(values)] == ","


@given(st.text(max_size=8), st.text("ab\\\"'\n", max_size=4), st.booleans())
def test_runs_are_what_many_single_characters_are(text, without, begins):
    prefix = p.string("a") if begins else p.pure(None)
    one = p.none_of(without)
    pairs = [
        (p.fmap("".join, p.many(one)), p.text_without(without)),
        (p.fmap("".join, p.many1(one)), p.text1_without(without)),
    ]
    for slow, quick in pairs:
        for parser_of in (lambda q: p.seq(prefix, q), lambda q: p.seq(p.option(None, p.attempt(q)), p.eof)):
            assert parser_of(quick)(text, 0) == parser_of(slow)(text, 0)
