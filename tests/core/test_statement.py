"""Statements: values are put in place of slots, and only there."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from aiodata_django.core.query.fragment import Sql, concat, ident, join, param
from aiodata_django.core.query.statement import Slot, Slots, Statement
from aiodata_django.core.query.syntax import Field, Filter, Logic, Operation
from aiodata_django.core.query.values import Values, array_literal, set_aside

texts = st.text(max_size=8)


@given(st.lists(texts, min_size=1, max_size=5), st.data())
def test_slots_are_filled_in_the_order_of_the_text(values, data):
    order = data.draw(st.lists(st.integers(0, len(values) - 1), max_size=6))
    statement = join(", ", (param(Slot(index)) for index in order)).statement()
    query = statement.bind(values)
    assert query.sql.decode() == ", ".join(f"${n}" for n in range(1, len(order) + 1))
    assert query.params == [values[index].encode("utf-8", "surrogatepass") for index in order]


def test_conversions_are_applied_to_the_value():
    statement = Statement(
        b"", (Slot(0, lambda value: value.upper()), Slots((0, 1), "+".join), b"raw", "text", None)
    )
    assert statement.bind(["a", "b"]).params == [b"A", b"a+b", b"raw", b"text", None]


@given(st.lists(texts, max_size=5))
def test_a_name_can_never_pass_for_a_parameter(names):
    sql = concat(*(ident(name) for name in names), param("x"))
    statement = sql.statement()
    assert statement.params == ("x",)
    assert statement.sql.count(b"$1") - sum(name.split("\0")[0].count("$1") for name in names) == 1


@given(st.lists(texts.filter(lambda text: "\0" not in text), max_size=5))
def test_array_literals_are_read_back_by_their_rules(elements):
    literal = array_literal(elements)
    if elements == [""]:
        assert literal == "{}"
        return
    assert _read(literal) == elements


def _read(literal):
    found, position = [], 1
    while literal[position] != "}":
        assert literal[position] == '"'
        position, text = position + 1, ""
        while literal[position] != '"':
            position += literal[position] == "\\"
            text += literal[position]
            position += 1
        found.append(text)
        position += 1 + (literal[position + 1] == ",")
    return found


def test_operands_are_set_aside_and_keywords_stay():
    tree = Logic(
        "and",
        (
            Filter(Field("a"), Operation("eq", "1")),
            Filter(Field("b"), Operation("is", "null")),
            Logic(
                "or", (Filter(Field("c"), Operation("in", elements=("x", "y")), negated=True),), negated=True
            ),
        ),
    )
    values = Values()
    kept = set_aside(tree, values)
    assert list(values) == ["1", '{"x","y"}']
    assert isinstance(kept, Logic)
    first, second, third = kept.children
    assert (first.operation.operand, second.operation.operand) == (Slot(0), "null")
    assert third.children[0].operation.operand == Slot(1)


def test_fragments_add_up():
    assert Sql("a", ("x",)) + "b" + Sql("c", ("y",)) == Sql("abc", ("x", "y"))
    assert "a" + Sql("b") == Sql("ab")
