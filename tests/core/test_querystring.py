"""Query strings in pieces: decoded names and values, their roles, and the canonical form."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiodata_django.core.query.grammar import parse_filter
from aiodata_django.core.query.querystring import (
    Role,
    canonical,
    decode_segment,
    parse_form,
    parse_query,
    role_of,
    split_filter,
    split_path,
)

from . import query_texts as texts

PAIRS = st.lists(st.tuples(st.text(min_size=1, max_size=6), st.text(max_size=6)), max_size=5)


def encoded(pairs) -> str:
    return "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in pairs)


@given(PAIRS)
def test_parameters_are_decoded_in_order(pairs):
    assert [(p.name, p.value) for p in parse_query(encoded(pairs))] == pairs


@given(PAIRS)
def test_forms_are_decoded_in_order(pairs):
    assert parse_form(encoded(pairs).encode()) == pairs


@given(st.text(max_size=40))
def test_no_query_string_is_refused(text):
    for parameter in parse_query(text):
        assert parameter.role is role_of(parameter.name)


@pytest.mark.parametrize(
    ("query", "pairs"),
    [
        ("a=1&b=2", [("a", "1"), ("b", "2")]),
        ("a=1;b=2", [("a", "1"), ("b", "2")]),
        ("a=1&&b=2&", [("a", "1"), ("b", "2")]),
        ("a=x+y%20z", [("a", "x y z")]),
        ("a=1=2", [("a", "1=2")]),
        ("a=", [("a", "")]),
        ("a", []),  # without a value it is no parameter
        ("%C3%A9=%C3%A9", [("é", "é")]),
        ("a=%zz", [("a", "%zz")]),
        ("a=%ff", [("a", "\ufffd")]),
    ],
)
def test_pieces(query, pairs):
    assert [(p.name, p.value) for p in parse_query(query)] == pairs


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("select", Role.SELECT),
        ("columns", Role.COLUMNS),
        ("on_conflict", Role.ON_CONFLICT),
        ("order", Role.ORDER),
        ("rel.order", Role.ORDER),
        ("limit", Role.LIMIT),
        ("rel.nested.limit", Role.LIMIT),
        ("offset", Role.OFFSET),
        ("and", Role.LOGIC),
        ("not.or", Role.LOGIC),
        ("rel.not.and", Role.LOGIC),
        ("id", Role.FILTER),
        ("rel.select", Role.FILTER),  # only the root has a select
        ("orders", Role.FILTER),
    ],
)
def test_the_name_decides_the_role(name, role):
    assert role_of(name) is role


@given(texts.filters())
def test_where_a_value_begins_is_where_the_grammar_says(pair):
    (_, operation), text = pair
    split = split_filter(text)
    if split:
        assert text[split:] == operation.operand
        assert parse_filter(text[:split])[1].operator == operation.operator
    else:
        assert operation.operator in ("in", "is")


@pytest.mark.parametrize(
    "text", ["", "eq", "eqq.1", "5", "in.(1)", "is.null", "not.in.(1)", "EQ.1", "not.not.eq.1"]
)
def test_texts_that_need_the_whole_grammar(text):
    assert split_filter(text) == 0


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("a=1&c=3&b=2&d", "a=1&b=2&c=3&d="),
        ("b=1&a=1", "a=1&b=1"),
        ("a=2&b=1&a=1", "a=2,1&b=1"),
        ("select=id,name", "select=id%2Cname"),
        ("a=x+y", "a=x%20y"),
        ("", ""),
    ],
)
def test_canonical_forms(query, text):
    assert canonical(query) == text


@given(st.lists(st.tuples(st.text("abc", min_size=1), st.text("xyz ,", max_size=4)), max_size=5))
def test_the_canonical_form_does_not_depend_on_the_order_of_names(pairs):
    by_name = sorted(pairs, key=lambda pair: pair[0])
    assert canonical(encoded(pairs)) == canonical(encoded(by_name))


@given(st.lists(st.text(min_size=1, max_size=6), min_size=1, max_size=4))
def test_segments_are_decoded_after_they_are_split(segments):
    path = "/" + "/".join(quote(segment, safe="") for segment in segments)
    assert list(split_path(path)) == segments


def test_segments_may_hold_slashes():
    assert list(split_path("/a%2Fb/c")) == ["a/b", "c"]
    assert list(split_path("/")) == []
    assert list(split_path("/a/")) == ["a", ""]
    assert decode_segment("%E2%82%AC") == "€"
