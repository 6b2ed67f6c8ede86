"""The grammar: what was written in it is read back; what is not in it gets PostgREST's error."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiodata_django.core.errors import RequestError
from aiodata_django.core.query import grammar
from aiodata_django.core.query.syntax import Field, Filter, JsonStep, Logic, Operation, OrderTerm, SelectField

from . import query_texts as texts


@given(st.lists(texts.select_items, max_size=4))
def test_a_select_is_read_back(items):
    text = ",".join(written for _, written in items)
    assert grammar.parse_select(text) == tuple(tree for tree, _ in items)


@given(texts.filters())
def test_a_filter_is_read_back(pair):
    tree, text = pair
    assert grammar.parse_filter(text) == tree


@given(st.lists(texts.names(), max_size=2), texts.logic_roots)
def test_a_logic_tree_is_read_back(embeds, pair):
    tree, text = pair
    head, _, rest = text.partition("(")
    name = ".".join([*(written for _, written in embeds), head.strip()])
    assert grammar.parse_logic(name, "(" + rest) == (tuple(name for name, _ in embeds), tree)


@given(st.lists(texts.order_terms(), min_size=1, max_size=3))
def test_an_order_is_read_back(terms):
    assert grammar.parse_order(",".join(text for _, text in terms)) == tuple(tree for tree, _ in terms)


@given(st.lists(texts.names(), min_size=1, max_size=3))
def test_column_lists_are_read_back(columns):
    text = ",".join(text for _, text in columns)
    assert (
        grammar.parse_columns(text) == grammar.parse_on_conflict(text) == tuple(name for name, _ in columns)
    )


@given(st.lists(texts.names(), max_size=3), texts.fields())
def test_the_name_of_a_parameter_is_read_back(embeds, pair):
    field, text = pair
    path = ".".join([*(text for _, text in embeds), text])
    assert grammar.parse_tree_path(path) == (tuple(name for name, _ in embeds), field)


PARSERS = (
    grammar.parse_select,
    grammar.parse_filter,
    grammar.parse_order,
    grammar.parse_columns,
    grammar.parse_on_conflict,
    grammar.parse_tree_path,
    lambda text: grammar.parse_logic("or", text),
    lambda text: grammar.parse_logic(text, "(a.eq.1)"),
)

ALPHABET = 'abi.:,()!->*"\\{}not eqindesc0'


@given(st.sampled_from(PARSERS), st.text(max_size=30) | st.text(ALPHABET, max_size=30))
def test_any_other_text_is_refused_as_one(parse, text):
    refusal = refused(parse, text)
    if refusal is not None:
        assert (refusal.status, refusal.code) == (400, "PGRST100")
        assert refusal.message.startswith('"failed to parse ')
        assert refusal.details


def refused(parse, text) -> RequestError | None:
    try:
        parse(text)
    except RequestError as error:
        return error
    return None


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("data->0", Field("data", (JsonStep("+0", is_index=True),))),
        ("data->-1", Field("data", (JsonStep("-1", is_index=True),))),
        ("data->>key", Field("data", (JsonStep("key", as_text=True),))),
        ("data->a b->c", Field("data", (JsonStep("a b"), JsonStep("c")))),
        ("data->a-b", Field("data", (JsonStep("a-b"),))),
        ("data->1a", Field("data", (JsonStep("1a"),))),
        (' a ', Field("a")),
        ("a b", Field("a b")),
        ("é", Field("é")),
    ],
)  # fmt: skip
def test_fields(text, tree):
    assert grammar.parse_select(text) == (SelectField(tree),)


def test_an_index_before_a_bracket_is_a_key():
    # So says the grammar PostgREST has: what may follow an index does not list the closing bracket.
    (relation,) = grammar.parse_select("rel(data->0)")
    assert relation.items == (SelectField(Field("data", (JsonStep("0"),))),)


def test_a_name_that_begins_like_an_operator_is_a_name():
    tree = grammar.parse_logic("or", "(or_x.eq.1,and_y.eq.2,not_z.eq.3)")[1]
    assert [child.field.name for child in tree.children] == ["or_x", "and_y", "not_z"]


def test_array_literals_keep_their_commas_in_trees():
    _, tree = grammar.parse_logic("and", "(tags.cs.{a,b},id.eq.1)")
    assert tree == Logic(
        "and", (Filter(Field("tags"), Operation("cs", "{a,b}")), Filter(Field("id"), Operation("eq", "1")))
    )


def test_what_follows_a_logic_tree_is_not_looked_at():
    assert grammar.parse_logic("or", "(a.eq.1))),") == grammar.parse_logic("or", "(a.eq.1)")


def test_what_follows_a_list_is_not_looked_at():
    assert grammar.parse_filter("in.(1,2)abc")[1].elements == ("1", "2")


@pytest.mark.parametrize(
    ("text", "value"), [("not.eq.not.eq.1", "not.eq.1"), ("not.eq.", ""), ("not.eq.a\nb", "a\nb")]
)
def test_a_value_is_everything_behind_the_operator(text, value):
    assert grammar.parse_filter(text) == (True, Operation("eq", value))


def test_orders_of_related_columns():
    assert grammar.parse_order("rel(a).desc,b") == (
        OrderTerm(Field("a"), True, None, "rel"),
        OrderTerm(Field("b")),
    )


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (grammar.parse_select, "a(" * 5000 + "b" + ")" * 5000),
        (grammar.parse_select, "...a(" * 5000),
        (lambda text: grammar.parse_logic("and", text), "(and" * 5000 + "(a.eq.1)" + ")" * 5000),
        (grammar.parse_select, "a," * grammar.MOST_COLUMNS + "a"),
        (grammar.parse_order, "a," * grammar.MOST_COLUMNS + "a"),
        (grammar.parse_columns, "a," * grammar.MOST_COLUMNS + "a"),
        (grammar.parse_on_conflict, "a," * grammar.MOST_COLUMNS + "a"),
    ],
)
def test_what_would_take_too_long_is_refused(parse, text):
    with pytest.raises(RequestError) as caught:
        parse(text)
    assert (caught.value.status, caught.value.code) == (400, "AIOD105")


def test_as_many_columns_as_a_row_can_have_are_read():
    assert len(grammar.parse_columns(",".join(["a"] * grammar.MOST_COLUMNS))) == grammar.MOST_COLUMNS


def test_what_is_read_of_short_texts_is_kept_and_of_long_ones_is_not():
    short, long = "a,b", ",".join(f"column_{number}" for number in range(1000))
    assert grammar.parse_select(short) is grammar.parse_select(short)
    assert grammar.parse_select(long) is not grammar.parse_select(long)
    assert grammar.parse_select(long) == grammar.parse_select(long)
