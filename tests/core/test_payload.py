"""Bodies: any bytes give a payload or PGRST102, and a payload says what PostgreSQL will find in them."""

from __future__ import annotations

import csv
import io
import json
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiodata_django.core.errors import RequestError
from aiodata_django.core.query import media
from aiodata_django.core.query.payload import Payload, read_payload

TYPES = (media.JSON, media.CSV, media.FORM, media.TEXT, media.XML, media.OCTETS, media.GEOJSON, media.ANY)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts
documents = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=10,
)
objects = st.dictionaries(texts, documents, max_size=4)


def read(body, content_type=media.JSON, *, columns=None, is_call=False, uneven_rows=False) -> Payload:
    return read_payload(body, content_type, columns=columns, is_call=is_call, uneven_rows=uneven_rows)


def attempted(*arguments, **options) -> Payload | RequestError:
    try:
        return read(*arguments, **options)
    except RequestError as error:
        return error


@given(st.binary(max_size=60), st.sampled_from(TYPES), st.booleans(), st.booleans())
def test_any_body_gives_a_payload_or_pgrst102(body, content_type, is_call, uneven):
    found = attempted(body, content_type, is_call=is_call, uneven_rows=uneven)
    if isinstance(found, RequestError):
        assert (found.status, found.code) == (400, "PGRST102")
    else:
        assert isinstance(found.body, bytes)
        assert list(found.columns) == sorted(set(found.columns))


@given(documents, st.booleans())
def test_any_json_gives_a_payload_or_pgrst102(document, uneven):
    body = json.dumps(document, ensure_ascii=False).encode()
    payload = attempted(body, uneven_rows=uneven)
    if isinstance(payload, RequestError):
        assert payload.message == "All object keys must match"
        assert isinstance(document, list)
    elif isinstance(document, dict):
        assert payload == Payload(body, tuple(sorted(document)), is_object=True)
    elif isinstance(document, list) and document:
        keys = [set(row) for row in document]
        assert payload.body == body
        assert set(payload.columns) == set().union(*keys)
        assert payload.uneven == any(key != keys[0] for key in keys)
        assert uneven or not payload.uneven
    else:
        assert payload == Payload(b"[]")


@given(objects, st.text(" \t\r\n", max_size=5), st.text(" \t\r\n", max_size=5))
def test_white_space_around_json_means_nothing(row, before, after):
    body = (before + json.dumps(row) + after).encode()
    assert read(body) == Payload(body, tuple(sorted(row)), is_object=True)


@given(st.lists(texts, max_size=4), st.binary(max_size=20))
def test_columns_take_the_place_of_keys_and_nobody_reads_the_body(columns, body):
    payload = read(body, columns=columns)
    assert (payload.body, payload.columns) == (body, tuple(sorted(set(columns))))


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[1, 2", b'{"a": 1}}', b"[" * 5000, b'{"a":' * 5000, b'{"a": "\xff"}', b"nan", b"'a'"],
)
def test_what_is_no_json(body):
    with pytest.raises(RequestError, match="Empty or invalid json"):
        read(body)


def test_a_call_without_a_body_has_no_arguments():
    assert read(b"", is_call=True) == Payload(b"{}", (), is_object=True)


@given(
    st.lists(texts, min_size=1, max_size=4, unique=True),
    st.lists(st.lists(texts, min_size=1, max_size=6), max_size=4),
)
def test_csv_becomes_json(header, lines):
    out = io.StringIO()
    writer = csv.writer(out, quoting=csv.QUOTE_ALL)
    writer.writerows([header, *lines])
    payload = attempted(out.getvalue().encode(), media.CSV)
    if isinstance(payload, RequestError):
        assert payload.message == "All lines must have same number of fields"
        assert any(len(line) < len(header) for line in lines)
        return
    rows = json.loads(payload.body)
    wanted = [
        {name: None if text == "NULL" else text for name, text in zip(header, line, strict=False)}
        for line in lines
        if line != [""]
    ]
    assert rows == wanted
    assert payload.columns == (tuple(sorted(wanted[0])) if wanted else ())


@given(st.lists(st.tuples(texts, texts), max_size=5))
def test_a_form_is_one_row_to_a_table_and_arguments_to_a_function(fields):
    fields = [(name, value) for name, value in fields if name]
    body = urlencode(fields).encode()
    row = read(body, media.FORM)
    assert (json.loads(row.body), row.is_object) == (dict(fields), True)
    assert row.columns == tuple(sorted(dict(fields)))
    call = read(body, media.FORM, is_call=True)
    assert (call.arguments, call.columns) == (tuple(fields), row.columns)


@pytest.mark.parametrize("content_type", [media.TEXT, media.XML, media.OCTETS])
def test_raw_bodies_are_for_functions_alone(content_type):
    assert read(b"\x00raw", content_type, is_call=True) == Payload(b"\x00raw")
    with pytest.raises(RequestError, match=f"Content-Type not acceptable: {content_type.mime}"):
        read(b"raw", content_type)
