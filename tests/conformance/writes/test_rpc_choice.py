"""Which function a call means, and which methods may call it."""

from __future__ import annotations

import pytest

from tests.conformance.serving import error

CHOICES = (
    "Try renaming the parameters or the function itself in the database"
    " so function overloading can be resolved"
)


def missing(name, shown, searched, hint=None):
    return error(
        "PGRST202",
        f"Could not find the function api.{name}{shown} in the schema cache",
        details=f"Searched for the function api.{name}{searched},"
        " but no matches were found in the schema cache.",
        hint=hint,
    )


@pytest.mark.parametrize(
    ("request_", "body", "expected"),
    [
        (
            "GET /rpc/hell",
            None,
            missing(
                "hell",
                " without parameters",
                " without parameters",
                "Perhaps you meant to call the function api.hello",
            ),
        ),
        ("GET /rpc/zzz", None, missing("zzz", " without parameters", " without parameters")),
        (
            "GET /rpc/hello?nam=x",
            None,
            missing(
                "hello",
                "(nam)",
                " with parameter nam",
                "Perhaps you meant to call the function api.hello(name)",
            ),
        ),
        (
            "GET /rpc/add?a=1&b=2&c=3",
            None,
            missing(
                "add",
                "(a, b, c)",
                " with parameters a, b, c",
                "Perhaps you meant to call the function api.add(a, b)",
            ),
        ),
        (
            "POST /rpc/hello",
            {"nam": "x"},
            missing(
                "hello",
                "(nam)",
                " with parameter nam or with a single unnamed json/jsonb parameter",
                "Perhaps you meant to call the function api.hello(name)",
            ),
        ),
        (
            "POST /rpc/hello",
            {},
            missing(
                "hello",
                " without parameters",
                " without parameters or with a single unnamed json/jsonb parameter",
            ),
        ),
    ],
)
def test_no_such_function(api, request_, body, expected):
    answer = api(request_, body)
    assert (answer.status, answer.json) == (404, expected)


@pytest.mark.parametrize(
    ("content_type", "kind"),
    [("text/plain", "text"), ("text/xml", "xml"), ("application/octet-stream", "bytea")],
)
def test_no_function_that_takes_such_a_body(api, content_type, kind):
    answer = api("POST /rpc/add", "x", content_type=content_type)
    assert (answer.status, answer.json) == (
        404,
        missing("add", "", f" with a single unnamed {kind} parameter"),
    )


def test_functions_that_names_cannot_tell_apart(api):
    answer = api("GET /rpc/ambiguous?a=1")
    message = (
        "Could not choose the best candidate function between:"
        " api.ambiguous(a => integer), api.ambiguous(a => text)"
    )
    assert (answer.status, answer.json) == (300, error("PGRST203", message, hint=CHOICES))


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_methods_that_call_nothing(api, method):
    answer = api(f"{method} /rpc/hello", {})
    assert (answer.status, answer.json) == (405, error("PGRST101", f"Cannot use the {method} method on RPC"))


@pytest.mark.parametrize(
    ("call", "allowed"),
    [
        ("sizes", "OPTIONS,GET,HEAD,POST"),
        ("totals", "OPTIONS,GET,HEAD,POST"),
        ("clear_lines", "OPTIONS,POST"),
    ],
)
def test_options_tell_what_the_volatility_allows(api, call, allowed):
    answer = api(f"OPTIONS /rpc/{call}")
    assert (answer.status, answer.headers["allow"]) == (200, allowed)


def test_options_of_a_call_negotiate_as_the_call_would(api):
    answer = api("OPTIONS /rpc/sizes", accept="text/nothing")
    assert (answer.status, answer.json["code"]) == (406, "PGRST107")


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"accept": "text/none"}, 406, "PGRST107"),
        ({"prefer": "handling=strict,odd"}, 400, "PGRST122"),
    ],
)
def test_options_are_refused_what_a_call_is(api, headers, status, code):
    answer = api("OPTIONS /rpc/sizes", **headers)
    assert (answer.status, answer.json["code"]) == (status, code)
