"""Media types: what is read is written again, and Accept is ranked."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiodata_django.core.query import media
from aiodata_django.core.query.media import (
    PLAN_OPTIONS,
    MediaType,
    PlanOptions,
    parse_accept,
    parse_media_type,
)

KNOWN = (
    media.JSON,
    media.CSV,
    media.GEOJSON,
    media.OPENAPI,
    media.TEXT,
    media.XML,
    media.OCTETS,
    media.FORM,
    media.ANY,
)
OBJECT = MediaType("application/vnd.pgrst.object+json")
OBJECT_STRIPPED = MediaType("application/vnd.pgrst.object+json", nulls_stripped=True)
types = st.sampled_from((*KNOWN, OBJECT, OBJECT_STRIPPED, media.ARRAY_STRIPPED))
plans = st.builds(
    lambda of, form, options: MediaType(
        of.name,
        of.is_other,
        of.nulls_stripped,
        PlanOptions(form, tuple(o for o in PLAN_OPTIONS if o in options)),
    ),
    types,
    st.sampled_from(("text", "json")),
    st.sets(st.sampled_from(PLAN_OPTIONS)),
)


@given(types | plans)
def test_a_media_type_is_read_back(of):
    assert parse_media_type(of.mime) == of
    assert parse_media_type(of.mime.replace("; ", ";")) == of


@given(st.text(max_size=30))
def test_whatever_is_sent_is_some_type(text):
    parsed = parse_media_type(text)
    assert parsed.mime == text or not parsed.is_other


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("APPLICATION/JSON", media.JSON),
        ("application/json; charset=utf-8", media.JSON),
        ("text/csv;version=1", media.CSV),
        ("application/vnd.pgrst.object", OBJECT),
        ("application/vnd.pgrst.object+json; nulls=stripped", OBJECT_STRIPPED),
        ("application/vnd.pgrst.array+json", media.JSON),  # nothing sets it apart from plain JSON
        ("application/vnd.pgrst.array+json;nulls=stripped", media.ARRAY_STRIPPED),
        ("image/png", MediaType("image/png", is_other=True)),
        ("", MediaType("", is_other=True)),
    ],
)
def test_types(text, expected):
    assert parse_media_type(text) == expected


def test_a_plan_is_for_json_unless_said():
    assert parse_media_type("application/vnd.pgrst.plan") == MediaType(
        media.JSON.name, plan=PlanOptions("text")
    )
    parsed = parse_media_type('application/vnd.pgrst.plan+json; for="text/csv"; options=buffers|analyze|nope')
    assert parsed == MediaType(media.CSV.name, plan=PlanOptions("json", ("analyze", "buffers")))


@pytest.mark.parametrize(
    ("accept", "names"),
    [
        ("*/*", ["*/*"]),
        ("text/csv, application/json", ["text/csv", "application/json"]),
        ("*/*, text/csv", ["text/csv", "*/*"]),
        ("text/csv;q=0.5, application/json", ["application/json", "text/csv"]),
        ("text/csv;q=.5, application/json", ["text/csv", "application/json"]),  # a number begins with a digit
        ("text/csv;q=1e-1, application/json;q=0.5x", ["application/json", "text/csv"]),
        ("text/csv;q=0.5, application/json;q=0.9, */*;q=0.1", ["application/json", "text/csv", "*/*"]),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
            ["text/html", "application/xhtml+xml", "application/xml", "*/*"]),
    ],
)  # fmt: skip
def test_accept_is_ranked_by_quality_then_by_how_much_it_says(accept, names):
    assert [accepted.name for accepted in parse_accept(accept)] == names


@given(st.lists(st.tuples(types, st.integers(0, 9)), min_size=1, max_size=5))
def test_a_better_quality_never_comes_later(asked):
    header = ", ".join(f"{of.mime};q=0.{quality}" for of, quality in asked)
    order = [of for of, _ in sorted(asked, key=lambda pair: -pair[1])]
    best = max(quality for _, quality in asked)
    assert len(parse_accept(header)) == len(order)
    assert parse_accept(header)[0] in [of for of, quality in asked if quality == best]


@given(st.text(max_size=40))
def test_no_accept_header_is_refused(text):
    assert len(parse_accept(text)) == text.count(",") + 1
