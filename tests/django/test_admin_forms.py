"""The admin's forms: what may be typed, what is said of what may not, what an untouched form does."""

from __future__ import annotations

import datetime as dt

import pytest
from django.contrib.admin.models import LogEntry

from .pages import form_data, model, pet, sql, url

pytestmark = [pytest.mark.django_db(databases=["default", "aiodata"]), pytest.mark.usefixtures("schema")]


def test_a_new_row_is_added(client):
    data = form_data(client.get(url("pets", "add"))) | {"type": "Dog", "breed": "Poodle", "name": "Rex"}
    assert client.post(url("pets", "add"), data | {"color": "7"}).status_code == 302
    assert sql("select * from api.pets") == [("Dog", "Poodle", "Rex", 7, False)]
    entry = LogEntry.objects.get()
    assert entry.object_id == "Dog,Poodle,Rex"
    assert entry.get_edited_object() == model("pets").objects.get()
    assert client.get(entry.get_admin_url()).status_code == 200


def test_a_row_is_not_added_twice(client):
    pet(color=1)
    page = client.post(url("pets", "add"), {"type": "Dog", "breed": "Poodle", "name": "Rex", "color": "2"})
    assert page.status_code == 200
    assert "already exists" in page.text
    assert sql("select color from api.pets") == [(1,)]


def rows_of(cases) -> list[dict[str, str]]:
    """Rows that hold all the cases' texts, each in its column; few, because pages take their time."""
    rows: list[dict[str, str]] = []
    for column, text, _ in cases:
        row = next((row for row in rows if column not in row), None)
        if row is None:
            rows.append(row := {})
        row[column] = text
    return rows


def test_an_untouched_form_changes_nothing(client):
    """Saving forms of values that are hard to show, without having touched them."""
    from .test_fields import ARRAYS, SCALARS

    for table, cases in (("scalars", SCALARS), ("arrays", ARRAYS)):
        for row in rows_of(cases):
            values = ", ".join(["%s"] * len(row))
            sql(f"insert into api.{table} ({', '.join(row)}) values ({values})", *row.values())
    sql("insert into api.scalars (c_numeric, c_float8) values ('NaN', 'NaN')")
    sql("insert into api.defaults (label) values ('  x ')")
    for table in ("scalars", "arrays", "defaults"):
        before = sql(f"select t::text, ctid::text from api.{table} t order by id")
        for row in model(table).objects.all():
            page = client.get(url(table, "change", row.pk))
            answer = client.post(page.request["PATH_INFO"], form_data(page))
            assert answer.status_code == 302, (row.__dict__, answer.context["errors"])
        assert sql(f"select t::text, ctid::text from api.{table} t order by id") == before


TYPED = [
    ("c_int4", "5", "5"),
    ("c_text", " a\r\nb ", " a\nb "),
    ("c_date", "infinity", "infinity"),
    ("c_numeric", "NaN", "NaN"),
    ("c_float8", "-inf", "-Infinity"),
    ("c_json", '{"a": 1}', '{"a": 1}'),
    ("c_interval", "1 mon", "1 mon"),
    ("c_inet", "10.0.0.1/8", "10.0.0.1/8"),
    ("c_mood", "sad", "sad"),
    ("c_int4range", "[1,5]", "[1,6)"),
    ("c_tstzrange", "[2024-01-01 00:00+00,)", '["2024-01-01 00:00:00+00",)'),
    ("c_point", "(1,2)", "(1,2)"),
]


@pytest.mark.parametrize(("column", "typed", "stored"), TYPED)
def test_values_can_be_typed(client, column, typed, stored):
    row = model("scalars").objects.create()
    page = client.get(url("scalars", "change", row.pk))
    answer = client.post(page.request["PATH_INFO"], form_data(page) | {column: typed})
    assert answer.status_code == 302, answer.context["errors"]
    assert sql(f"select {column}::text from api.scalars") == [(stored,)]


def test_a_moment_can_be_typed(client):
    row = model("scalars").objects.create()
    page = client.get(url("scalars", "change", row.pk))
    data = {"c_timestamptz_0": "2024-05-06", "c_timestamptz_1": "07:08:09.5", "c_timestamp_0": "-infinity"}
    assert client.post(page.request["PATH_INFO"], form_data(page) | data).status_code == 302
    row.refresh_from_db()
    assert row.c_timestamptz == dt.datetime(2024, 5, 6, 7, 8, 9, 500000, tzinfo=dt.UTC)
    assert row.c_timestamp == "-infinity"


def test_an_array_is_typed_as_json(client):
    row = model("arrays").objects.create()
    page = client.get(url("arrays", "change", row.pk))
    data = {"a_int": "[[1, null], [3, 4]]", "a_text": '["a,b", null]'}
    assert client.post(page.request["PATH_INFO"], form_data(page) | data).status_code == 302
    assert sql("select a_int::text, a_text::text from api.arrays") == [("{{1,NULL},{3,4}}", '{"a,b",NULL}')]


@pytest.mark.parametrize(
    ("column", "typed", "complaint"),
    [
        ("c_int4", "x", "Enter a whole number"),
        ("c_date", "soon", "Enter a valid date"),
        ("c_int4range", "5", "Enter a range"),
        ("c_inet", "x", "invalid input syntax for type inet"),
        ("c_posint", "-1", "violates check constraint"),
        ("c_numeric_ps", "1e30", "digits"),
    ],
)
def test_a_wrong_value_is_an_error_in_the_form(client, column, typed, complaint):
    row = model("scalars").objects.create(c_name="before")
    page = client.get(url("scalars", "change", row.pk))
    answer = client.post(page.request["PATH_INFO"], form_data(page) | {column: typed, "c_name": "after"})
    assert answer.status_code == 200
    assert complaint in answer.text
    assert "after" in answer.text
    assert sql("select c_name from api.scalars") == [("before",)]


def test_a_new_row_takes_postgresqls_defaults(client):
    page = client.get(url("defaults", "add"))
    data = form_data(page)
    assert data["label"] == "new"
    assert "n" not in data
    assert "doubled" not in data
    assert client.post(page.request["PATH_INFO"], data).status_code == 302
    assert sql(
        "select flag, label, until::text, span::text, doubled = n * 2, id is null from api.defaults"
    ) == [(False, "new", "infinity", "1 mon 2 days", True, False)]
