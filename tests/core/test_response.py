"""Answers: what status, headers and body come of what the database said."""

from __future__ import annotations

import asyncio
import json
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiodata_django.core.errors import ApiError
from aiodata_django.core.query import outcomes, response
from aiodata_django.core.query.outcomes import Outcome
from aiodata_django.core.query.ranges import ALL, RowRange
from aiodata_django.core.query.request import Dialect
from aiodata_django.core.query.response import Context
from aiodata_django.core.query.statement import Rows

from .workshop import http, prepared

FULL = "return=representation"


def answered(request, outcome, *, dialect=Dialect.REST, top_range=ALL, body="{}", **headers):
    sent = http(request, body, **headers)
    ready = prepared(sent, dialect)
    return response.respond(ready.plan, outcome, Context(sent, top_range, ready.fixed))


def headers_of(answer):
    return {name.lower(): value for name, value in answer.headers}


# ---------------------------------------------------------------- decoding


def test_the_row_of_a_read_has_no_location():
    plan = prepared(http("GET /parts")).plan
    row = (b"7", b"2", b"[]", None, None, None)
    assert outcomes.decode(Rows((), [row]), plan) == Outcome(page_total=2, total=7, body=b"[]")


def test_the_row_of_a_write_may_have_one():
    plan = prepared(http("POST /parts", '{"sku": "a"}', prefer="return=headers-only")).plan
    row = (None, b"1", b'[["sku", "eq.a"]]', None, b"[]", b"202", b"1")
    outcome = outcomes.decode(Rows((), [row]), plan)
    assert outcome == Outcome(1, None, (("sku", "eq.a"),), b"", b"[]", b"202", 1)


@pytest.mark.parametrize(("request_", "total"), [("GET /rpc/add?a=1", 0), ("DELETE /parts", None)])
def test_no_row_at_all_is_no_fault(request_, total):
    assert outcomes.decode(Rows((), []), prepared(http(request_)).plan) == Outcome(total=total)


# ---------------------------------------------------------------- statuses


@pytest.mark.parametrize(
    ("request_", "headers", "outcome", "status"),
    [
        ("POST /parts", {}, Outcome(1), 201),
        ("POST /parts", {"prefer": "resolution=merge-duplicates"}, Outcome(1, inserted=1), 201),
        ("POST /parts", {"prefer": "resolution=merge-duplicates"}, Outcome(1, inserted=0), 200),
        ("POST /parts", {"prefer": "resolution=merge-duplicates"}, Outcome(2, inserted=-1), 200),
        ("POST /parts", {"prefer": "resolution=merge-duplicates"}, Outcome(0), 200),
        ("POST /parts", {"prefer": "resolution=ignore-duplicates"}, Outcome(0), 201),
        ("PATCH /parts", {}, Outcome(1), 204),
        ("PATCH /parts", {"prefer": FULL}, Outcome(0), 200),
        ("DELETE /parts", {}, Outcome(1), 204),
        ("DELETE /parts", {"prefer": FULL}, Outcome(1), 200),
        ("PUT /parts?sku=eq.a", {}, Outcome(1, inserted=1), 204),
        ("PUT /parts?sku=eq.a", {"prefer": FULL}, Outcome(1, inserted=1), 201),
        ("PUT /parts?sku=eq.a", {"prefer": FULL}, Outcome(1, inserted=0), 200),
        ("GET /parts", {}, Outcome(3), 200),
        ("GET /parts", {"prefer": "count=exact"}, Outcome(3, total=9), 206),
        ("GET /parts", {"prefer": "count=exact"}, Outcome(3, total=3), 200),
        ("POST /rpc/write", {}, Outcome(1), 204),
        ("GET /rpc/add?a=1", {}, Outcome(1), 200),
        ("POST /parts", {}, Outcome(1, status=b"202"), 202),
    ],
)
def test_statuses(request_, headers, outcome, status):
    assert answered(request_, outcome, **headers).status == status


def test_past_the_end():
    answer = answered("GET /parts?offset=9", Outcome(0, total=3), top_range=RowRange(9), prefer="count=exact")
    assert (answer.status, headers_of(answer)["content-range"]) == (416, "*/3")
    assert json.loads(answer.body) == {
        "code": "PGRST103",
        "details": "An offset of 9 was requested, but there are only 3 rows.",
        "hint": None,
        "message": "Requested range not satisfiable",
    }


# ---------------------------------------------------------------- headers and bodies


@pytest.mark.parametrize(
    "request_", ["PATCH /parts", "DELETE /parts", "PUT /parts?sku=eq.a", "POST /rpc/write"]
)
def test_no_content_has_no_type_and_no_length(request_):
    answer = answered(request_, Outcome(1, body=b"[]"))
    assert (answer.status, answer.body) == (204, b"")
    assert not {"content-type", "content-length"} & headers_of(answer).keys()


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=10))
def test_a_location_can_be_sent_and_read_back(value):
    outcome = Outcome(1, location=(("sku", "eq." + value),))
    location = headers_of(answered("POST /parts", outcome, prefer="return=headers-only"))["location"]
    assert location.isascii()
    assert parse_qsl(urlsplit(location).query, keep_blank_values=True) == [("sku", "eq." + value)]


def test_query_returns_rows_by_habit():
    answer = answered("POST /parts", Outcome(1, body=b"[1]"), dialect=Dialect.QUERY)
    assert (answer.status, answer.body) == (201, b"[1]")
    assert headers_of(answer)["content-type"] == "application/json; charset=utf-8"
    assert answered("POST /parts", Outcome(1, body=b"[1]")).body == b""


@pytest.mark.parametrize(
    ("request_", "applied"),
    [
        (
            "POST /parts",
            "resolution=merge-duplicates, missing=default, return=minimal, count=exact, tx=commit",
        ),
        ("POST /entries", "missing=default, return=minimal, count=exact, tx=commit"),
        (
            "POST /entries?on_conflict=line",
            "resolution=merge-duplicates, missing=default, return=minimal, count=exact, tx=commit",
        ),
        ("PATCH /parts", "missing=default, return=minimal, count=exact, tx=commit"),
        ("DELETE /parts", "return=minimal, count=exact, tx=commit"),
        ("PUT /parts?sku=eq.a", "return=minimal, count=exact, tx=commit"),
        ("GET /parts", "count=exact, tx=commit"),
        ("GET /rpc/find?minimum=1", "count=exact, tx=commit"),
    ],
)
def test_each_kind_of_request_tells_the_preferences_that_mean_something(request_, applied):
    every = (
        "resolution=merge-duplicates, missing=default, return=minimal, count=exact, tx=commit, max-affected=3"
    )
    answer = answered(request_, Outcome(1, total=1, inserted=1), prefer=every)
    assert headers_of(answer)["preference-applied"] == applied


def test_headers_of_a_function_take_the_place_of_ours():
    own = b'[{"content-type": "a/b"}, {"X": "1"}, {"Set-Cookie": "a"}, {"Set-Cookie": "b"}]'
    answer = answered("GET /rpc/add?a=1", Outcome(1, headers=own))
    assert [value for name, value in answer.headers if name.lower() == "content-type"] == ["a/b"]
    assert [value for name, value in answer.headers if name == "Set-Cookie"] == ["a", "b"]


@given(st.binary(max_size=30))
def test_settings_of_a_function_that_cannot_be_sent_are_refused(text):
    for outcome in (Outcome(1, headers=text), Outcome(1, status=text)):
        try:
            answer = answered("GET /rpc/add?a=1", outcome)
        except ApiError as error:
            refused = (error.status, error.code)
        else:
            refused = None
            assert 200 <= answer.status <= 999
        assert refused in (None, (500, "PGRST111"), (500, "PGRST112"))


# ---------------------------------------------------------------- whether results stand


@pytest.mark.parametrize(
    ("request_", "headers", "rows", "code"),
    [
        ("GET /parts", {"accept": "application/vnd.pgrst.object+json"}, 1, None),
        ("GET /parts", {"accept": "application/vnd.pgrst.object+json"}, 2, "PGRST116"),
        ("PATCH /parts", {"accept": "application/vnd.pgrst.object"}, 0, "PGRST116"),
        ("PUT /parts?sku=eq.a", {}, 1, None),
        ("PUT /parts?sku=eq.a", {}, 0, "PGRST115"),
        ("DELETE /parts", {"prefer": "handling=strict,max-affected=1"}, 1, None),
        ("DELETE /parts", {"prefer": "handling=strict,max-affected=1"}, 2, "PGRST124"),
        ("DELETE /parts", {"prefer": "max-affected=1"}, 2, None),
        ("POST /parts", {"prefer": "handling=strict,max-affected=1"}, 2, None),
        ("GET /parts", {"prefer": "handling=strict,max-affected=1"}, 2, None),
        ("GET /rpc/find?minimum=1", {"prefer": "handling=strict,max-affected=1"}, 2, "PGRST124"),
        ("GET /parts", {"accept": 'application/vnd.pgrst.plan; for="application/vnd.pgrst.object"'}, 2, None),
    ],
)
def test_whether_results_stand(request_, headers, rows, code):
    plan = prepared(http(request_, "{}", **headers)).plan
    found = outcomes.objection(plan, Outcome(rows)) if outcomes.inspects_results(plan) else None
    assert (found and found.code) == code


# ---------------------------------------------------------------- streams


@given(st.lists(st.integers(0, 99), max_size=12), st.integers(1, 5))
def test_a_stream_says_what_a_whole_answer_would(rows, size):
    texts = [(str(row).encode(),) for row in rows] + [(b"[null, null]",)]

    async def chunks():
        for start in range(0, len(texts), size):
            yield texts[start : start + size]

    async def collected():
        return b"".join([piece async for piece in outcomes.stream_rows(chunks())])

    assert json.loads(asyncio.run(collected())) == rows
    assert json.loads(outcomes.decode_rows(texts).body) == rows
