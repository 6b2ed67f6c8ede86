"""Errors become answers: status, headers and body as PostgREST gives them."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiodata_django.core.errors import AuthError, DatabaseError, RequestError
from aiodata_django.core.query.refusal import refuse

safe = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


def database_error(code, message="m", details=None, hint=None):
    return DatabaseError(400, code, message, details=details, hint=hint)


def refused(error, *, authenticated=False):
    return refuse(error, authenticated=authenticated)


@pytest.mark.parametrize(
    ("code", "message", "status"),
    [
        ("08006", "m", 503),
        ("0L000", "m", 403),
        ("0P000", "m", 403),
        ("21000", "more than one row returned by a subquery", 500),
        ("21000", "DELETE requires a WHERE clause", 400),
        ("22023", 'role "x" does not exist', 401),
        ("22023", "other", 400),
        ("22P02", "m", 400),
        ("23503", "m", 409),
        ("23505", "m", 409),
        ("23502", "m", 400),
        ("25006", "m", 405),
        ("25P02", "m", 500),
        ("28000", "m", 403),
        ("2D000", "m", 500),
        ("38000", "m", 500),
        ("40001", "m", 500),
        ("42501", "m", 401),
        ("42883", "function f() does not exist", 404),
        ("42883", "function xmlagg(text) does not exist", 406),
        ("42P01", "m", 404),
        ("42P17", "m", 500),
        ("42703", "m", 400),
        ("53300", "m", 503),
        ("53400", "m", 500),
        ("54001", "m", 500),
        ("55P03", "m", 500),
        ("57014", "m", 500),
        ("57P01", "m", 503),
        ("58030", "m", 500),
        ("F0000", "m", 500),
        ("HV000", "m", 500),
        ("P0001", "m", 400),
        ("P0002", "m", 500),
        ("XX000", "m", 500),
        ("ZZ999", "m", 400),
        ("PT404", "m", 404),
        ("PT40A", "m", 500),
        ("PT000", "m", 500),
    ],
)
def test_the_status_of_an_sqlstate(code, message, status):
    answer = refused(database_error(code, message))
    assert answer.status == status
    assert ("Proxy-Status", f"PostgREST; error={code}") in answer.headers
    assert json.loads(answer.body) == {"code": code, "details": None, "hint": None, "message": message}


def test_a_known_caller_is_forbidden_and_an_unknown_one_asked_who_they_are():
    known = refused(database_error("42501"), authenticated=True)
    unknown = refused(database_error("42501"))
    assert (known.status, dict(known.headers).get("WWW-Authenticate")) == (403, None)
    assert (unknown.status, dict(unknown.headers)["WWW-Authenticate"]) == (401, "Bearer")


def test_headers_of_an_error_are_its_own():
    error = AuthError(401, "PGRST301", "m", headers=[("WWW-Authenticate", "Bearer x")])
    assert [value for name, value in refused(error).headers if name == "WWW-Authenticate"] == ["Bearer x"]


@given(safe, st.none() | safe, st.none() | safe)
def test_the_length_told_is_that_of_the_body(message, details, hint):
    error = RequestError(400, "PGRST100", message, details=details, hint=hint)
    answer = refused(error)
    assert dict(answer.headers)["Content-Length"] == str(len(answer.body))


# ---------------------------------------------------------------- RAISE SQLSTATE 'PGRST'

MESSAGE = {"code": "own", "message": "m"}
DETAIL = {"status": 418, "headers": {}}


def raised(message, detail):
    return refused(database_error("PGRST", message, detail))


def test_a_function_says_everything_itself():
    message = json.dumps(MESSAGE | {"details": "d", "hint": "h"})
    detail = json.dumps(
        {"status": 418, "status_text": "Teapot", "headers": {"X-A": "é", "content-type": "a/b"}}
    )
    answer = raised(message, detail)
    assert (answer.status, answer.reason) == (418, "Teapot")
    assert json.loads(answer.body) == {"code": "own", "message": "m", "details": "d", "hint": "h"}
    names = [name.lower() for name, _ in answer.headers]
    assert names.count("content-type") == 1
    assert {("X-A", "é"), ("content-type", "a/b"), ("Proxy-Status", "PostgREST; error=own")} <= set(
        answer.headers
    )


@pytest.mark.parametrize(
    "change",
    [{"code": 1}, {"message": None}, {"details": 1}, {"hint": []}, {"code": "a\r\nb"}],
)
def test_a_message_that_is_none(change):
    answer = raised(json.dumps(MESSAGE | change), json.dumps(DETAIL))
    assert (answer.status, json.loads(answer.body)["code"]) == (500, "PGRST121")
    assert json.loads(answer.body)["details"].startswith("Invalid JSON value for MESSAGE: ")


@pytest.mark.parametrize(
    "change",
    [
        {"status": "418"},
        {"status": 41.8},
        {"status": True},
        {"status": 100},
        {"status": 1000},
        {"headers": []},
        {"headers": {"X": 1}},
        {"headers": {"X Y": "a"}},
        {"headers": {"X": "a\nSet-Cookie: b"}},
        {"status_text": 1},
    ],
)
def test_a_detail_that_is_none(change):
    answer = raised(json.dumps(MESSAGE), json.dumps(DETAIL | change))
    assert (answer.status, json.loads(answer.body)["code"]) == (500, "PGRST121")
    assert json.loads(answer.body)["details"].startswith("Invalid JSON value for DETAIL: ")


@given(st.text(max_size=30), st.none() | st.text(max_size=30))
def test_whatever_is_raised_there_is_an_answer(message, detail):
    assert refused(database_error("PGRST", message, detail)).status == 500


@given(st.from_regex(r"[0-9A-Z]{5}", fullmatch=True), st.text(max_size=10), st.booleans())
def test_every_sqlstate_has_a_status(code, message, authenticated):
    answer = refused(
        database_error(code, message.encode(errors="replace").decode()), authenticated=authenticated
    )
    assert 200 <= answer.status <= 999
