"""Python values as URL text, as JSON, and as the copy holds them."""

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from urllib.parse import unquote
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiodata_django.client.values import body_of, cached_form, segment, table_path, text_of

ID = UUID("6d5a1a54-5c3c-4a5e-9b4f-0c3a7a1c2b3d")


class Mood(Enum):
    HAPPY = "happy"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("text", "text"),
        ("", ""),
        (7, "7"),
        (True, "true"),
        (1.5, "1.5"),
        (float("-inf"), "-Infinity"),
        (Decimal("12.50"), "12.50"),
        (ID, str(ID)),
        (date(2024, 2, 29), "2024-02-29"),
        (datetime(2024, 2, 29, 12, tzinfo=UTC), "2024-02-29T12:00:00+00:00"),
        (timedelta(days=1, seconds=2), "1 days 2 seconds 0 microseconds"),
        (b"\x00\xff", "\\x00ff"),
        (Mood.HAPPY, "happy"),
        (["a", 'b"c', None, [1]], '{"a","b\\"c",NULL,{"1"}}'),
        ({"a": [1]}, '{"a":[1]}'),
    ],
)
def test_values_have_the_text_that_postgresql_reads(value, text):
    assert text_of(value) == text


def test_a_null_has_no_text():
    with pytest.raises(TypeError, match="is_"):
        segment(None)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_segment_carries_any_text(text):
    encoded = segment(text)
    assert unquote(encoded) == text
    assert not set(encoded) & set("/?#& ")
    assert encoded not in (".", "..")


def test_each_part_of_a_key_is_a_segment_of_its_own():
    assert (
        table_path("/query", "pets", ("a/b", "", "..", "50%", "ü", 7))
        == "/query/pets/a%2Fb//%2E%2E/50%25/%C3%BC/7"
    )


def test_bodies_keep_what_json_has_no_form_for():
    values = {
        "bytes": b"\x01",
        "nan": float("nan"),
        "infinity": [Decimal("Infinity")],
        "price": Decimal("12.50"),
        "id": ID,
        "day": date(2024, 2, 29),
        "mood": Mood.HAPPY,
    }
    assert body_of(values) == (
        b'{"bytes":"\\\\x01","nan":"NaN","infinity":["Infinity"],"price":12.50,'
        b'"id":"6d5a1a54-5c3c-4a5e-9b4f-0c3a7a1c2b3d","day":"2024-02-29","mood":"happy"}'
    )


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(json_values)
def test_json_values_pass_unchanged(value):
    assert json.loads(body_of(value)) == value


def test_keys_are_looked_up_in_the_form_the_copy_has():
    moment = datetime(2024, 2, 29, 12, 0, 0, 500000, tzinfo=UTC)
    assert cached_form((ID, date(2024, 2, 29), moment, 7, "x")) == (
        str(ID),
        "2024-02-29",
        "2024-02-29T12:00:00.5+00:00",
        7,
        "x",
    )
