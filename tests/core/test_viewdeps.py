"""Reading pg_node_tree text and following view columns down to tables."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiodata_django.core.viewdeps import (
    Node,
    NodeTreeError,
    Origin,
    Source,
    parse_node_tree,
    resolve_views,
    target_list,
    view_sources,
)


def escaped(text):
    """As PostgreSQL's outToken writes a string."""
    if text == "":
        return '""'
    first = "\\" if text[0] in '<"' or text[0].isdigit() or text[0] in "+-" else ""
    return first + "".join("\\" + char if char in " \n\t(){}\\" else char for char in text)


def written(value):
    """As PostgreSQL's outNode writes a value."""
    if value is None:
        return "<>"
    if isinstance(value, str):
        return escaped(value)
    if isinstance(value, list):
        return "(" + " ".join(map(written, value)) + ")"
    if isinstance(value, tuple):
        return " ".join(map(written, value))
    fields = "".join(f" :{name} {written(own)}" for name, own in value.fields.items())
    return "{" + value.label + fields + "}"


names = st.text("abcdefgh_", min_size=1)
atoms = st.none() | st.text(st.characters(exclude_characters="\x00", exclude_categories=("Cs",)))
constants = st.lists(st.text("0123456789[]-", min_size=1), min_size=2).map(tuple)


def nodes(values):
    return st.builds(Node, names.map(str.upper), st.dictionaries(names, values | constants, max_size=3))


values = st.recursive(atoms, lambda inner: st.lists(inner, max_size=3) | nodes(inner), max_leaves=8)


@given(values)
def test_what_postgresql_writes_is_read_back(value):
    assert parse_node_tree(written(value)) == value


@given(st.text())
def test_any_other_text_is_refused_or_read_but_never_breaks(text):
    with suppress(NodeTreeError):
        parse_node_tree(text)


@pytest.mark.parametrize(
    "text", ["", "(", "{", "(a", "{A :b c", ")", "(}", "{A)", "a b", "{}", "{A b}", "{(a)}"]
)
def test_broken_trees_are_named_so(text):
    with pytest.raises(NodeTreeError):
        parse_node_tree(text)


def test_nesting_deeper_than_the_interpreter_allows_calls():
    deep = "(" * 20_000 + ")" * 20_000
    depth, value = 0, parse_node_tree(deep)
    while value:
        depth, value = depth + 1, value[0]
    assert depth == 19_999


@given(
    st.dictionaries(names, values, max_size=2),
    values,
    st.dictionaries(names.map(str.upper), values, max_size=2),
)
def test_the_target_list_is_that_of_the_outer_query(before, targets, after):
    query = Node("QUERY", {**before, "targetList": targets, **after})
    assert target_list(written([query])) == targets


def test_a_query_in_an_expression_does_not_pass_for_the_outer_one():
    inner = Node("QUERY", {"targetList": ["inner"]})
    query = Node("QUERY", {"cteList": [Node("CTE", {"query": inner})], "targetList": ["outer"]})
    assert target_list(written([query])) == ["outer"]
    assert target_list(written([Node("QUERY", {"cteList": [inner]})])) is None


def entry(resno, table, column, junk="false"):
    fields = {"resno": str(resno), "resorigtbl": str(table), "resorigcol": str(column), "resjunk": junk}
    return Node("TARGETENTRY", {"expr": None, **fields})


def action(*entries):
    return written([Node("QUERY", {"targetList": list(entries) or None})])


def test_expressions_and_junk_columns_show_nothing():
    text = action(entry(1, 70, 2), entry(2, 0, 0), entry(3, 70, 1, junk="true"))
    assert view_sources(text) == (Source(1, Origin(70, 2)),)
    assert view_sources(action()) == ()


def test_views_are_looked_through_to_their_tables():
    shown = resolve_views({1: action(entry(1, 2, 2)), 2: action(entry(1, 9, 4), entry(2, 9, 3))})
    assert shown[1] == {Origin(2, 2): (1,), Origin(9, 3): (1,)}
    assert shown[2] == {Origin(9, 4): (1,), Origin(9, 3): (2,)}


def test_a_column_shown_twice_is_found_twice_in_column_order():
    shown = resolve_views({1: action(entry(1, 9, 4), entry(2, 9, 4))})
    assert shown[1] == {Origin(9, 4): (1, 2)}


def test_views_that_read_one_another_end():
    shown = resolve_views({1: action(entry(1, 2, 1)), 2: action(entry(1, 1, 1)), 3: action(entry(1, 3, 1))})
    assert shown[1] == {Origin(2, 1): (1,), Origin(1, 1): (1,)}
    assert shown[3] == {Origin(3, 1): (1,)}
