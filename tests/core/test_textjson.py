"""Array and record literals parse to what was written (tests/feed proves that the JSON is PostgreSQL's)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiodata_django.core.changes.textjson import Renderers, TypeShape, parse_array, parse_record

words = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8)
items = st.lists(st.one_of(st.none(), words), min_size=1, max_size=5)


def quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def array_literal(values: list, delimiter: str = ",") -> str:
    parts = [
        array_literal(v, delimiter) if isinstance(v, list) else "NULL" if v is None else quoted(v)
        for v in values
    ]
    return "{" + delimiter.join(parts) + "}"


@given(items, st.sampled_from(",;"))
def test_arrays_parse_to_their_elements(values: list, delimiter: str) -> None:
    assert parse_array(array_literal(values, delimiter), delimiter) == values


@given(st.lists(items, min_size=1, max_size=3))
def test_arrays_of_arrays_nest(values: list) -> None:
    assert parse_array("[0:1]=" + array_literal(values)) == values


def test_bare_elements_are_text_but_null() -> None:
    assert parse_array("{a b,NULL,1.5,\\{}") == ["a b", None, "1.5", "{"]
    assert parse_array("{}") == []


@given(st.lists(st.one_of(st.none(), words), min_size=2, max_size=5))
def test_records_parse_to_their_fields(values: list) -> None:
    def field(value: str | None) -> str:
        return "" if value is None else '"' + value.replace("\\", "\\\\").replace('"', '""') + '"'

    assert parse_record("(" + ",".join(map(field, values)) + ")") == values


@pytest.mark.parametrize("text", ["", "{", "}", "{a", "{a}}", '{"a}', "{{a}", "a"])
def test_what_is_no_array_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_array(text)


@pytest.mark.parametrize("text", ["", "(", "a", "(a", '("a)', "(a))"])
def test_what_is_no_record_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_record(text)


@given(st.text(max_size=40))
def test_garbage_never_hangs_or_crashes_the_parsers(text: str) -> None:
    for parse in (parse_array, parse_record):
        try:
            assert isinstance(parse(text), list)
        except ValueError:
            continue


def test_a_type_with_its_own_cast_to_json_is_left_to_postgresql() -> None:
    shapes = {
        90001: TypeShape(90001, "hstore", json_cast=True),
        90002: TypeShape(90002, "_hstore", element=90001),
        90003: TypeShape(90003, "holder", fields=(("h", 90001),)),
        90004: TypeShape(90004, "tags", base=90002),
    }
    renderers = Renderers(shapes)
    assert [renderers.of(oid) for oid in shapes] == [None, None, None, None]
