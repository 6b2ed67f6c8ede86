"""Values of every type, read and written through the built models."""

from __future__ import annotations

import datetime as dt
import ipaddress
import uuid
from decimal import Decimal
from typing import Any

import pytest
from django.db import connections
from psycopg.types.range import Range

from aiodata_django import registry

pytestmark = [pytest.mark.django_db(databases=["default", "aiodata"]), pytest.mark.usefixtures("schema")]
UTC = dt.UTC

SCALARS: list[tuple[str, str, Any]] = [
    ("c_int2", "-32768", -32768),
    ("c_int4", "2147483647", 2147483647),
    ("c_int8", "9223372036854775807", 9223372036854775807),
    ("c_bool", "true", True),
    ("c_text", " two\r\nlines\t☃ ' \\ %s ", " two\r\nlines\t☃ ' \\ %s "),
    ("c_text", "", ""),
    ("c_varchar", " x ", " x "),
    ("c_bpchar", "ab", "ab"),
    ("c_uuid", "0f5f2a5e-4d7a-4f3e-9d3a-1c2b3a4d5e6f", uuid.UUID("0f5f2a5e-4d7a-4f3e-9d3a-1c2b3a4d5e6f")),
    ("c_date", "2024-02-29", dt.date(2024, 2, 29)),
    ("c_date", "infinity", "infinity"),
    ("c_date", "0044-03-15 BC", "0044-03-15 BC"),
    ("c_date", "12024-01-01", "12024-01-01"),
    ("c_time", "23:59:59.123456", dt.time(23, 59, 59, 123456)),
    ("c_time", "24:00:00", "24:00:00"),
    ("c_timetz", "12:30:00+05:45", "12:30:00+05:45"),
    ("c_timestamp", "2024-01-02 03:04:05.000006", dt.datetime(2024, 1, 2, 3, 4, 5, 6)),
    ("c_timestamp", "-infinity", "-infinity"),
    ("c_timestamptz", "2024-01-02 03:04:05.6+02", dt.datetime(2024, 1, 2, 1, 4, 5, 600000, tzinfo=UTC)),
    ("c_timestamptz", "infinity", "infinity"),
    ("c_timestamptz", "0044-03-15 12:00+00 BC", "0044-03-15T12:00:00+00:00 BC"),
    ("c_float4", "1.1", 1.1),
    ("c_float8", "-Infinity", float("-inf")),
    ("c_numeric", "123456789012345678901234567890.12345", Decimal("123456789012345678901234567890.12345")),
    ("c_numeric", "Infinity", Decimal("Infinity")),
    ("c_numeric_ps", "12.30", Decimal("12.30")),
    ("c_interval", "1 mon 2 days 03:00:00", "1 mon 2 days 03:00:00"),
    ("c_json", '{"b": [1, null], "a": 1.5}', {"b": [1, None], "a": 1.5}),
    ("c_jsonb", '{"a": {"b": [true]}}', {"a": {"b": [True]}}),
    ("c_bytea", "\\x00ff", b"\x00\xff"),
    ("c_mood", 'it\'s "happy"', 'it\'s "happy"'),
    ("c_citext", "CaSe", "CaSe"),
    ("c_hstore", '"a"=>"1", "b"=>NULL', '"a"=>"1", "b"=>NULL'),
    ("c_inet", "10.0.0.1/8", "10.0.0.1/8"),
    ("c_cidr", "10.0.0.0/8", "10.0.0.0/8"),
    ("c_macaddr", "08:00:2b:01:02:03", "08:00:2b:01:02:03"),
    ("c_money", "$1,234.50", "$1,234.50"),
    ("c_point", "(1,2.5)", "(1,2.5)"),
    ("c_bit", "1010", "1010"),
    ("c_varbit", "10101", "10101"),
    ("c_tsvector", "'cat':1 'fat':2", "'cat':1 'fat':2"),
    ("c_pg_lsn", "16/B374D848", "16/B374D848"),
    ("c_jsonpath", '$."a"[*]', '$."a"[*]'),
    ("c_point3", "(1,2,3)", "(1,2,3)"),
    ("c_regclass", "api.pets", "api.pets"),
    ("c_oid", "4294967295", "4294967295"),
    ("c_posint", "7", 7),
    ("c_weird", "odd", "odd"),
    ("c_name", "n", "n"),
    ("c_char", "c", "c"),
    ("c_int4range", "[1,10)", Range(1, 10, "[)")),
    ("c_int4range", "empty", Range(empty=True)),
    ("c_int8range", "(,5)", Range(None, 5, "()")),
    ("c_numrange", "[1.5,Infinity]", Range(Decimal("1.5"), Decimal("Infinity"), "[]")),
    ("c_daterange", "[2024-01-01,infinity)", Range(dt.date(2024, 1, 1), "infinity", "[)")),
    ("c_tsrange", '["2024-01-01 10:00:00",)', Range(dt.datetime(2024, 1, 1, 10), None, "[)")),
    (
        "c_tstzrange",
        '["2024-01-01 10:00:00+00",)',
        Range(dt.datetime(2024, 1, 1, 10, tzinfo=UTC), None, "[)"),
    ),
    ("c_int4multirange", "{[1,3),[5,7)}", "{[1,3),[5,7)}"),
]

ARRAYS: list[tuple[str, str, Any]] = [
    ("a_int", "{{1,2},{NULL,4}}", [[1, 2], [None, 4]]),
    ("a_int", "{}", []),
    ("a_text", '{"a,b",NULL,"","q\\"\\\\"}', ["a,b", None, "", 'q"\\']),
    ("a_numeric", "{1.10,Infinity}", [Decimal("1.10"), Decimal("Infinity")]),
    ("a_float8", "{0.1,-Infinity}", [0.1, float("-inf")]),
    ("a_bool", "{t,f,NULL}", [True, False, None]),
    ("a_uuid", "{0f5f2a5e-4d7a-4f3e-9d3a-1c2b3a4d5e6f}", [uuid.UUID("0f5f2a5e-4d7a-4f3e-9d3a-1c2b3a4d5e6f")]),
    ("a_date", "{2024-01-01,infinity}", [dt.date(2024, 1, 1), "infinity"]),
    ("a_timestamptz", '{"2024-01-01 00:00:00+00"}', [dt.datetime(2024, 1, 1, tzinfo=UTC)]),
    ("a_mood", "{sad,NULL,ok}", ["sad", None, "ok"]),
    ("a_inet", "{10.0.0.1}", ["10.0.0.1"]),
    ("a_interval", '{"1 mon 2 days"}', ["1 mon 2 days"]),
    ("a_jsonb", '{"{\\"a\\": [1, 2]}"}', '{"{\\"a\\": [1, 2]}"}'),
    ("a_point3", '{"(1,2,3)"}', '{"(1,2,3)"}'),
    ("a_bytea", '{"\\\\x00ff"}', '{"\\\\x00ff"}'),
]


def cursor() -> Any:
    return connections["aiodata"].cursor()


def text_of(table: str, column: str) -> str:
    with cursor() as c:
        c.execute(f"select {column}::text from api.{table}")
        return str(c.fetchone()[0])


@pytest.mark.parametrize(
    ("table", "column", "text", "value"),
    [("scalars", *case) for case in SCALARS] + [("arrays", *case) for case in ARRAYS],
)
def test_a_value_is_read_and_written_back_as_it_was(table, column, text, value):
    model = registry.model("api", table)
    with cursor() as c:
        c.execute(f"insert into api.{table} ({column}) values (%s)", [text])
    before = text_of(table, column)
    row = model.objects.get()
    read = getattr(row, column)
    assert (bytes(read) if isinstance(read, memoryview) else read) == value
    assert type(read) is type(value) or isinstance(read, memoryview)

    row.save()
    assert text_of(table, column) == before

    row.delete()
    model.objects.create(**{column: value})
    assert text_of(table, column) == before

    model.objects.update(**{column: value})
    assert text_of(table, column) == before


@pytest.mark.parametrize(("table", "cases"), [("scalars", SCALARS), ("arrays", ARRAYS)])
def test_null_is_none_in_every_column(table, cases):
    model = registry.model("api", table)
    row = model.objects.create()
    read = model.objects.get(pk=row.pk)
    assert {getattr(read, column) for column, *_ in cases} == {None}


@pytest.mark.parametrize(("column", "text", "value"), SCALARS)
def test_rows_are_found_by_a_value_where_postgresql_can_compare_it(column, text, value):
    model = registry.model("api", "scalars")
    with cursor() as c:
        c.execute(f"insert into api.scalars ({column}) values (%s)", [text])
    field = model._meta.get_field(column)
    assert model.objects.filter(**{f"{column}__isnull": False}).exists()
    if getattr(field, "comparable", True) and column != "c_float4":  # 1.1 is no float4
        assert model.objects.filter(**{column: value}).exists()
        assert model.objects.order_by(column).exists()


def test_not_a_number_is_a_number():
    model = registry.model("api", "scalars")
    model.objects.create(c_numeric=Decimal("NaN"), c_float8=float("nan"))
    row = model.objects.get()
    assert row.c_numeric.is_nan()
    assert row.c_float8 != row.c_float8


def test_a_null_in_json_stays_apart_from_a_text():
    model = registry.model("api", "scalars")
    model.objects.create(c_jsonb="null", c_json="x")
    row = model.objects.get()
    assert (row.c_jsonb, row.c_json) == ("null", "x")


def test_defaults_are_postgresqls_and_known_after_the_insert():
    model = registry.model("api", "defaults")
    row = model.objects.create()
    assert isinstance(row.pk, uuid.UUID)
    assert row.flag is False
    assert row.label == "new"
    assert row.until == "infinity"
    assert row.span == "1 mon 2 days"
    assert row.made.tzinfo is not None
    assert row.doubled == row.n * 2


def test_generated_columns_are_never_written():
    model = registry.model("api", "defaults")
    row = model.objects.create(label="a")
    row.label = "b"
    row.save()
    assert model.objects.get(pk=row.pk).label == "b"


def test_bulk_operations_keep_types():
    model = registry.model("api", "scalars")
    rows = model.objects.bulk_create(
        [model(c_inet=f"10.0.0.{n}", c_mood="sad", c_date="infinity") for n in range(3)]
    )
    for row in rows:
        row.c_mood, row.c_inet, row.c_numeric = "ok", "::1", Decimal("NaN")
    model.objects.bulk_update(rows, ["c_mood", "c_inet", "c_numeric"])
    assert set(model.objects.values_list("c_mood", "c_inet", "c_date")) == {("ok", "::1", "infinity")}


def test_subqueries_compare_values_and_not_their_text():
    model = registry.model("api", "scalars")
    model.objects.create(c_timestamptz=dt.datetime(2024, 1, 1, tzinfo=UTC), c_inet="10.0.0.1")
    for column in ("c_timestamptz", "c_inet"):
        assert model.objects.filter(**{f"{column}__in": model.objects.values(column)}).count() == 1


def test_text_columns_compare_as_their_type():
    model = registry.model("api", "scalars")
    model.objects.create(c_inet=str(ipaddress.ip_address("10.0.0.10")), c_interval="1 mon")
    assert model.objects.filter(c_interval="30 days").exists()
    assert model.objects.filter(c_inet="10.0.0.10/32").exists()
