"""Entries and the reading of rows: names that are no attributes, odd values, pieces cut anywhere."""

import json
import subprocess
import sys
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiodata_django.core.state.entry import EntryType, RowReader, asdict, decode, encode, entry

PETS = EntryType([("type", "text"), ("name", "text"), ("color", "int4"), ("groomed", "bool")])


def test_an_entry_is_read_by_attribute_item_and_iteration():
    (pet,) = PETS.rows(b'[{"type":"Dog","name":"Rex","color":7,"groomed":false}]')
    assert (pet.type, pet["color"], pet.groomed) == ("Dog", 7, False)
    assert list(pet) == ["type", "name", "color", "groomed"]
    assert len(pet) == 4
    assert repr(pet) == "Entry(type='Dog', name='Rex', color=7, groomed=False)"


def test_an_unknown_name_is_an_attribute_error_or_a_key_error():
    pet = PETS.row({"type": "Dog"})
    with pytest.raises(AttributeError):
        pet.owner  # noqa: B018
    for name in ("owner", "__class__", "column_fields"):
        with pytest.raises(KeyError):
            pet[name]


def test_an_entry_cannot_be_changed():
    pet = PETS.row({"type": "Dog"})
    with pytest.raises(AttributeError):
        pet.type = "Cat"
    with pytest.raises(TypeError):
        pet["type"] = "Cat"


def test_entries_of_different_origin_are_equal_by_columns_and_values():
    values = {"type": "Dog", "name": "Rex", "color": 7, "groomed": False}
    assert PETS.row(values) == entry(values)
    assert not PETS.row(values) != entry(values)  # noqa: SIM202 - it is another method
    assert hash(PETS.row(values)) == hash(entry(values))
    assert PETS.row(values) != entry({**values, "color": 8})
    assert entry({"a": 1}) != entry({"b": 1})
    assert entry({"a": 1}) != {"a": 1}


def test_every_column_name_can_be_read():
    names = [
        "my column",
        "class",
        "__iter__",
        "__x",
        "column_fields",
        "column_0",
        "self",
        "Ünïcode",
        "a-b",
        "1",
    ]
    rows = EntryType([(name, "text") for name in names])
    row = rows.row(json.dumps({name: f"value of {name}" for name in names}).encode())
    for name in names:
        assert row[name] == f"value of {name}"
    assert getattr(row, "my column") == "value of my column"
    assert list(row) == names


@pytest.mark.parametrize(
    ("typname", "text", "value"),
    [
        ("int8", "9223372036854775807", 9223372036854775807),
        ("numeric", "12.50", Decimal("12.50")),
        (
            "numeric",
            "123456789012345678901234567890.123456789",
            Decimal("123456789012345678901234567890.123456789"),
        ),
        ("numeric", "12", 12),
        ("numeric", '"NaN"', "NaN"),
        ("numeric", '"-Infinity"', "-Infinity"),
        ("float8", "1.5", 1.5),
        ("float8", "1e+300", 1e300),
        ("float8", '"NaN"', "NaN"),
        ("float4", '"Infinity"', "Infinity"),
        ("_numeric", '[1.50,"NaN",null]', [Decimal("1.50"), "NaN", None]),
        ("_float8", '[[1.5],["Infinity"]]', [[1.5], ["Infinity"]]),
        ("_int4", "[[1,2],[3,null]]", [[1, 2], [3, None]]),
        ("timestamptz", '"infinity"', "infinity"),
        ("jsonb", '{"a":[1.5,{"b":1e400}],"c":12345678901234567890}', None),
        ("json", "1.5", 1.5),
        ("json", '"text"', "text"),
        ("hstore", '{"a":null}', {"a": None}),
        ("mood", '"happy"', "happy"),
        ("posint", "5", 5),
        ("price", "1.10", Decimal("1.10")),
    ],
)
def test_values_keep_their_json_type_and_every_digit(typname, text, value):
    if value is None:
        value = {"a": [1.5, {"b": Decimal("1e400")}], "c": 12345678901234567890}
    row = EntryType([("value", typname)]).row(f'{{"value":{text}}}'.encode())
    assert row.value == value
    assert type(row.value) is type(value)


def test_a_value_of_another_type_than_described_is_taken_as_it_comes():
    rows = EntryType([("id", "int4"), ("price", "numeric"), ("rate", "float8")])
    assert [asdict(row) for row in rows.rows(b'[{"id":"x","price":1.50,"rate":{"a":1.5},"more":1},{}]')] == [
        {"id": "x", "price": Decimal("1.50"), "rate": {"a": 1.5}},
        {"id": None, "price": None, "rate": None},
    ]


def test_values_are_encoded_as_numbers_dates_and_objects():
    assert encode([Decimal("12.50"), entry({"a b": 1})]) == b'[12.50,{"a b":1}]'


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(json_values)
def test_decoding_agrees_with_the_standard_library(value):
    assert decode(json.dumps(value).encode()) == value


row_values = st.fixed_dictionaries(
    {"id": st.integers(), "text": st.text(), "doc": json_values | st.just([{"id": 1}, {"id": 2}])}
)


@given(
    st.lists(row_values, max_size=8),
    st.sampled_from([(",", ":"), (", ", ": "), (",\n ", ":")]),
    st.integers(1, 64),
    st.integers(1, 64),
)
def test_rows_come_out_whole_wherever_the_text_is_cut(rows, separators, cut, piece):
    text = json.dumps(rows, separators=separators, ensure_ascii=False).encode()
    kind = EntryType([("id", "int8"), ("text", "text"), ("doc", "jsonb")])
    reader = RowReader(kind.rows, piece=piece)
    read = []
    for start in range(0, len(text), cut):
        read += reader.feed(text[start : start + cut])
    read += reader.close()
    assert [asdict(row) for row in read] == rows


def test_rows_are_read_before_the_text_ends():
    rows = [
        {"type": "Dog", "name": f"}},{{ {number}", "color": number, "groomed": True} for number in range(999)
    ]
    reader = RowReader(PETS.rows, piece=1000)
    text = json.dumps(rows).encode()
    read = reader.feed(text[:50_000])
    assert 400 < len(read) < 999
    assert [asdict(row) for row in read + reader.feed(text[50_000:]) + reader.close()] == rows


@pytest.mark.parametrize("text", [b'[{"type":"Dog"}', b'{"message":"no"}', b"", b'[{"type":"Dog"},'])
def test_text_that_is_no_whole_array_is_refused(text):
    reader = RowReader(PETS.rows, piece=4)
    reader.feed(text)
    with pytest.raises(ValueError):
        reader.close()


def test_the_core_of_the_client_needs_neither_django_nor_asyncio():
    code = "import sys, aiodata_django.core.state.cache; print({'django', 'asyncio'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
