"""What a called function knows of its request, and what it may set or raise of the answer."""

from __future__ import annotations

import json

import jwt
import pytest

from tests.conformance.serving import error
from tests.live import SECRET

JSON = "application/json; charset=utf-8"


# ---------------------------------------------------------------- what a function knows


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("request.method", "GET"),
        ("request.path", "/rpc/setting"),
        ("role", "anon"),
        ("search_path", '"api", "public"'),
        ("no.such", None),
    ],
)
def test_settings_of_the_request(api, name, value):
    assert api(f"GET /rpc/setting?name={name}").json == value


def test_headers_cookies_and_claims(api):
    assert api("GET /rpc/header?name=x-some", x_some="é").json == "é"
    assert api("GET /rpc/header?name=x-some", x_some="é 漢".encode()).json == "é 漢"
    assert api("GET /rpc/cookie?name=b", cookie="b=é".encode()).json == "é"
    assert api("GET /rpc/header?name=cookie", cookie="a=1").json is None
    assert api("GET /rpc/cookie?name=b", cookie="a=1; b=two;c=3").json == "two"
    assert api("GET /rpc/claim?name=role").json == "anon"
    assert api("GET /rpc/claim?name=role", role="auth").json == "auth"


def test_settings_do_not_outlive_a_request(api):
    api("POST /rpc/setting", {"name": "role"}, role="auth")
    assert api("GET /rpc/setting?name=role").json == "anon"


def test_a_time_zone_for_one_request(api):
    assert api("GET /rpc/setting?name=timezone", prefer="timezone=Asia/Tokyo").json == "Asia/Tokyo"
    answer = api("GET /rpc/setting?name=timezone", prefer="timezone=+05:30")
    assert answer.headers["preference-applied"] == "timezone=+05:30"
    answer = api("GET /rpc/setting?name=timezone", prefer="timezone=Mars/Base")
    message = 'invalid value for parameter "TimeZone": "Mars/Base"'
    assert (answer.status, answer.json) == (400, error("22023", message))


# ---------------------------------------------------------------- what a function answers


def test_a_function_sets_headers_and_status(api):
    headers = json.dumps([{"X-One": "1"}, {"Content-Type": "app/own"}, {"cache-control": "no-store"}])
    answer = api("POST /rpc/respond", {"headers": headers, "status": "418"})
    assert (answer.status, answer.json) == (418, "done")
    assert answer.headers["x-one"] == "1"
    assert answer.headers["content-type"] == "app/own"
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (402, "Payment Required"),
        (413, "Request Entity Too Large"),
        (416, "Requested Range Not Satisfiable"),
        (418, "I'm a teapot"),
        (422, "Unprocessable Entity"),
    ],
)
def test_a_status_has_the_name_that_postgrest_has_for_it(api, status, reason):
    answer = api("POST /rpc/respond", {"headers": "", "status": str(status)})
    assert (answer.status, answer.reason) == (status, reason)


@pytest.mark.parametrize("status", [299, 600, 999])
def test_a_function_sets_a_status_that_has_no_name(api, status):
    answer = api("POST /rpc/respond", {"headers": "", "status": str(status)})
    assert (answer.status, answer.reason, answer.json) == (status, "", "done")


@pytest.mark.parametrize(
    "headers",
    [
        '{"X": "1"}',
        '[{"X": 1}]',
        '[{"X": "1", "Y": "2"}]',
        "nonsense",
        '["X"]',
        '[{"X": "a\\r\\nY: b"}]',
        '[{"X Y": "a"}]',
        '[{"X": "a\\u0001"}]',
        '[{"X": "\\u007f"}]',
    ],
)
def test_headers_that_cannot_be_sent(api, headers):
    answer = api("POST /rpc/respond", {"headers": headers, "status": ""})
    shape = "a JSON array composed of objects with a single key and a string value"
    assert (answer.status, answer.json) == (500, error("PGRST111", f"response.headers guc must be {shape}"))


def test_headers_with_tabs_and_other_letters_are_sent(api):
    answer = api("POST /rpc/respond", {"headers": json.dumps([{"X": "a\té"}, {"Y": ""}]), "status": ""})
    assert (answer.status, answer.headers["x"].encode("latin-1").decode()) == (200, "a\té")
    assert answer.headers["y"] == ""


def test_where_the_body_ends_is_not_for_a_function_to_say(api):
    own = [{"Content-Length": "3"}, {"transfer-encoding": "gzip"}, {"X-Own": "1"}]
    answer = api("POST /rpc/respond", {"headers": json.dumps(own), "status": ""})
    assert (answer.json, answer.headers["content-length"], answer.headers["x-own"]) == ("done", "6", "1")
    assert "transfer-encoding" not in answer.headers
    message, detail = {"code": "own", "message": "m"}, {"status": 402, "headers": {"Content-Length": "3"}}
    answer = api("POST /rpc/full_control", {"message": json.dumps(message), "detail": json.dumps(detail)})
    assert (answer.status, answer.json) == (402, error("own", "m"))


@pytest.mark.parametrize("status", [204, 304])
def test_what_has_no_content_ends_with_its_headers(api, status):
    detail = json.dumps({"status": status, "headers": {"X-One": "1"}})
    message = json.dumps({"code": "own", "message": "m"})
    for call, body in [
        ("respond", {"headers": '[{"X-One": "1"}]', "status": str(status)}),
        ("full_control", {"message": message, "detail": detail}),
    ]:
        head, rest = api.as_sent(f"POST /rpc/{call}", body)
        assert head.startswith(f"HTTP/1.1 {status} ")
        assert "x-one: 1" in head.lower()
        assert "content-length" not in head.lower()
        assert rest == b""


@pytest.mark.parametrize("status", ["fine", "-1", "0", "99", "1000", "123456789012"])
def test_statuses_that_cannot_be_sent(api, status):
    answer = api("POST /rpc/respond", {"headers": "", "status": status})
    message = "response.status guc must be a valid status code"
    assert (answer.status, answer.json) == (500, error("PGRST112", message))


def test_errors_that_are_statuses(api):
    answer = api("POST /rpc/payment", {})
    assert (answer.status, answer.reason) == (402, "Payment required")
    assert answer.json == error("PT402", "Payment required", details="Quota used up", hint="Upgrade")
    assert answer.headers["proxy-status"] == "PostgREST; error=PT402"
    answer = api("POST /rpc/payment_bad", {})
    assert (answer.status, answer.json) == (500, error("PT40A", "Odd"))


def test_errors_that_say_everything(api):
    message = json.dumps({"code": "own", "message": "m", "details": "d", "hint": "h"})
    detail = {"status": 429, "headers": {"Retry-After": "7", "X-Ä".encode().hex(): "é"}}
    answer = api("POST /rpc/full_control", {"message": message, "detail": json.dumps(detail)})
    assert (answer.status, answer.json) == (429, error("own", "m", details="d", hint="h"))
    assert answer.reason == "Too Many Requests"
    assert answer.headers["retry-after"] == "7"
    assert answer.headers["proxy-status"] == "PostgREST; error=own"
    for text, told in [("Slow down", "Slow down"), ("Slow\r\nX-Own: 1", "Too Many Requests")]:
        detail["status_text"] = text
        answer = api("POST /rpc/full_control", {"message": message, "detail": json.dumps(detail)})
        assert (answer.status, answer.reason) == (429, told)
        assert "x-own" not in answer.headers


MESSAGE_SHAPE = (
    "MESSAGE must be a JSON object with obligatory keys: 'code', 'message'"
    " and optional keys: 'details', 'hint'."
)
DETAIL_SHAPE = (
    "DETAIL must be a JSON object with obligatory keys: 'status', 'headers' and optional key: 'status_text'."
)
GOOD_MESSAGE = '{"code": "1", "message": "m"}'


@pytest.mark.parametrize(
    ("message", "detail", "details", "hint"),
    [
        ("odd", "{}", "Invalid JSON value for MESSAGE: 'odd'", MESSAGE_SHAPE),
        (
            '{"code": 1, "message": "m"}',
            "{}",
            'Invalid JSON value for MESSAGE: \'{"code": 1, "message": "m"}\'',
            MESSAGE_SHAPE,
        ),
        (GOOD_MESSAGE, "odd", "Invalid JSON value for DETAIL: 'odd'", DETAIL_SHAPE),
        (GOOD_MESSAGE, '{"status": "4"}', 'Invalid JSON value for DETAIL: \'{"status": "4"}\'', DETAIL_SHAPE),
        (
            GOOD_MESSAGE,
            '{"status": 7, "headers": {}}',
            'Invalid JSON value for DETAIL: \'{"status": 7, "headers": {}}\'',
            DETAIL_SHAPE,
        ),
    ],
)
def test_errors_that_say_it_badly(api, message, detail, details, hint):
    answer = api("POST /rpc/full_control", {"message": message, "detail": detail})
    text = "Could not parse JSON in the \"RAISE SQLSTATE 'PGRST'\" error"
    assert (answer.status, answer.json) == (500, error("PGRST121", text, details=details, hint=hint))


def test_errors_that_say_half(api):
    answer = api("POST /rpc/no_detail", {})
    assert (answer.status, answer.json["details"]) == (500, "DETAIL is missing in the RAISE statement")


@pytest.mark.parametrize(
    ("call", "status", "code"),
    [("plain_raise", 400, "P0001"), ("failed_assert", 500, "P0004"), ("endless", 500, "54001")],
)
def test_other_errors(api, call, status, code):
    answer = api(f"POST /rpc/{call}", {"n": 1} if call == "endless" else {})
    assert (answer.status, answer.json["code"]) == (status, code)


# ---------------------------------------------------------------- settings of the server


def test_a_function_before_every_request(serve):
    server = serve(db_pre_request="api.pre_request")
    for request in ("GET /parts", "HEAD /parts", "GET /rpc/add?a=1&b=2", "DELETE /entries"):
        answer = server(request)
        assert (answer.status // 100, answer.headers["x-before"]) == (2, "seen")
    assert server("POST /entries", {"line": "x"}).headers["x-before"] == "seen"
    answer = server("GET /parts", x_banned="yes")
    assert (answer.status, answer.json) == (401, error("42501", "banned"))


def test_a_function_that_answers_for_the_root(serve):
    answer = serve(db_root_spec="root")("GET /")
    assert (answer.status, answer.json) == (200, {"swagger": "2.0"})


def test_only_settings_named_are_hoisted(serve):
    server = serve(db_hoisted_tx_settings="default_transaction_isolation")
    assert server("POST /rpc/own_isolation", {}).json == "repeatable read"
    assert server("POST /rpc/sleep_briefly", {}).json == "slept"


# ---------------------------------------------------------------- 401 and 503


@pytest.mark.parametrize("status", [401, 403])
def test_a_function_that_says_everything_says_how_to_authenticate(api, status):
    message = json.dumps({"code": "X", "message": "no"})
    detail = json.dumps({"status": status, "headers": {}})
    answer = api("POST /rpc/full_control", {"message": message, "detail": detail})
    assert (answer.status, answer.json["code"]) == (status, "X")
    assert "www-authenticate" not in answer.headers


def test_whoever_is_told_503_may_come_again(api):
    answer = api("POST /rpc/respond", {"headers": "[]", "status": "503"})
    assert (answer.status, answer.json, answer.headers["retry-after"]) == (503, "done", "0")
    message = json.dumps({"code": "X", "message": "later"})
    detail = json.dumps({"status": 503, "headers": {"Retry-After": "7"}})
    answer = api("POST /rpc/full_control", {"message": message, "detail": detail})
    assert (answer.status, answer.headers["retry-after"]) == (503, "7")


def test_claims_are_sorted(api):
    answer = api("GET /rpc/setting?name=request.jwt.claims", role="auth")
    assert answer.json == '{"role":"auth"}'


def test_cookies_are_compact_json(api):
    answer = api("GET /rpc/setting?name=request.cookies", cookie="a=b;  c=d=e; f")
    assert answer.json == '{"a":"b","c":"d=e","f":""}'


def test_a_role_that_is_null_is_none_that_exists(api):
    token = jwt.encode({"role": None}, SECRET)
    answer = api("GET /rpc/sizes", authorization=f"Bearer {token}")
    assert (answer.status, answer.json) == (401, error("22023", 'role "null" does not exist'))
    assert answer.headers["www-authenticate"] == "Bearer"
