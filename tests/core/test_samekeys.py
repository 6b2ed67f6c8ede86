"""The quick look at the keys of many rows never says yes where the slow one says no."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiodata_django.core.errors import RequestError
from aiodata_django.core.query import media
from aiodata_django.core.query.payload import read_payload
from aiodata_django.core.query.samekeys import LEAST, common_keys

keys = st.text(st.characters(exclude_categories=["Cs"]), max_size=3)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | keys,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(keys, inner, max_size=2),
    max_leaves=4,
)


@given(st.lists(st.dictionaries(keys, values, max_size=3) | values, max_size=4), st.booleans())
def test_a_yes_is_true(rows, ascii_only):
    found = common_keys(json.dumps(rows, ensure_ascii=ascii_only).encode())
    if found is not None:
        assert all(isinstance(row, dict) and row.keys() == set(found) for row in rows)


@given(st.lists(keys, min_size=1, max_size=4, unique=True), st.integers(1, 4))
def test_rows_of_the_same_plain_keys_are_told_in_any_order(names, count):
    rows = [dict.fromkeys(names if n % 2 else names[::-1], n) for n in range(count)]
    found = common_keys(json.dumps(rows).encode())
    odd = any(set(name) & {'"', "\\", *map(chr, range(32))} for name in names)
    assert (found is None and odd) or set(found) == set(names)


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{", b"[{", b"[{}]", b"[1]", b'{"a": 1}', b'[{"a": 1}', b'[{"a": 1}, {}]', b'[{"a": 1}, 2]',
     b'[{"a": 1}, {"a": 1, "b": 2}]', b'[{"a": NaN}]', b'["{", {"a": 1}]', b'[{"a": 1}] x', b'[[{"a": 1}]]',
     b'[{"a": 1e999}]', b'[{"a": [' + b"[" * 5000 + b"]}]"],
)  # fmt: skip
def test_nothing_is_said_of_all_else(body):
    assert common_keys(body) is None


def rows(count: int, **more: object) -> list[dict[str, object]]:
    return [{"id": n, "name": f"item {n}", "tags": [n]} | more for n in range(count)]


@pytest.mark.parametrize(
    ("last", "message"),
    [
        ({"id": 1, "name": "x"}, "All object keys must match"),
        ({"id": 1, "name": "x", "tags": [], "more": 1}, "All object keys must match"),
        (1, "All object keys must match"),
    ],
)
def test_one_row_unlike_thousands_is_found(last, message):
    body = json.dumps([*rows(2000), last]).encode()
    assert len(body) > LEAST
    with pytest.raises(RequestError, match=message):
        read_payload(body, media.JSON, columns=None, is_call=False, uneven_rows=False)


@pytest.mark.parametrize("tail", [b"", b"]]", b"} "])
def test_a_long_body_that_breaks_off_is_no_json(tail):
    body = json.dumps(rows(2000)).encode()[:-1] + tail
    with pytest.raises(RequestError, match="Empty or invalid json"):
        read_payload(body, media.JSON, columns=None, is_call=False, uneven_rows=False)


def test_numbers_beyond_a_float_are_postgresqls_business():
    body = json.dumps(rows(2000)).replace('"id": 1999', '"id": 1e999').encode()
    payload = read_payload(body, media.JSON, columns=None, is_call=False, uneven_rows=False)
    assert (payload.columns, payload.body) == (("id", "name", "tags"), body)
