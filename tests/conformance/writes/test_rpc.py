"""Calls of functions: arguments, results, ranges, privileges, transactions."""

from __future__ import annotations

import pytest

from tests.conformance.serving import error

JSON = "application/json; charset=utf-8"
FORM = "application/x-www-form-urlencoded"
BELL = {"sku": "bell", "name": "Bell", "price": 9.90, "stock": 4, "weight": 80}


# ---------------------------------------------------------------- arguments and results


@pytest.mark.parametrize(
    ("call", "arguments", "result"),
    [
        ("add", {"a": 1, "b": 2}, 3),
        ("add_default", {"a": 1}, 11),
        ("add_default", {"a": 1, "b": 2}, 3),
        ("hello", {"name": "wörld & ￥"}, "Hello, wörld & ￥"),
        ("camelCase", {"firstName": "Ada"}, "Ada"),
        ("sizes", {}, [1, 2, 3]),
        ("no_number", {}, None),
        ("find_part", {"wanted": "bell"}, BELL),
        (
            "find_parts?order=sku",
            {"minimum": 4},
            [BELL, {"sku": "tube", "name": "Tube", "price": 5.50, "stock": 9, "weight": 120}],
        ),
        (
            "find_parts?select=sku,cost:price&stock=lt.9&order=sku",
            {"minimum": 1},
            [{"sku": "bell", "cost": 9.90}, {"sku": "chain", "cost": 24.00}],
        ),
        (
            "find_parts?select=sku,stock&order=stock.desc&limit=1",
            {"minimum": 1},
            [{"sku": "tube", "stock": 9}],
        ),
        (
            "find_parts?select=sku,order_lines(quantity)&sku=eq.chain",
            {"minimum": 1},
            [{"sku": "chain", "order_lines": [{"quantity": 1}]}],
        ),
        (
            "find_parts?select=sku&or=(sku.eq.bell,stock.eq.2)&order=sku",
            {"minimum": 1},
            [{"sku": "bell"}, {"sku": "chain"}],
        ),
        ("find_parts?stock=gt.1000", {"minimum": 1}, []),
        ("totals", {}, [{"sku": "bell", "sold": 2}, {"sku": "chain", "sold": 1}, {"sku": "tube", "sold": 4}]),
        ("totals?sold=gt.1&select=sku", {}, [{"sku": "bell"}, {"sku": "tube"}]),
        ("halves", {"n": 5}, {"low": 2, "high": 3}),
        ("twice", {"n": 4}, {"n": 8}),
        ("overloaded", {}, "none"),
        ("overloaded", {"a": 1}, "one"),
        ("overloaded", {"a": 1, "b": 2}, "two"),
        ("move", {"p": "(1,2)", "by": 3}, {"x": 4, "y": 5}),
        ("cut", {"code": "abc", "flags": "101"}, "abc/101"),
        ("many", {}, []),
    ],
)
def test_called_by_get_and_by_post(api, call, arguments, result):
    query = "&".join(f"{name}={value}".replace("&", "%26") for name, value in arguments.items())
    by_get = api(f"GET /rpc/{call}{'&' if '?' in call else '?'}{query}")
    by_post = api(f"POST /rpc/{call}", arguments)
    assert (by_get.status, by_get.json) == (200, result)
    assert (by_post.status, by_post.json) == (200, result)
    assert by_get.headers["content-type"] == by_post.headers["content-type"] == JSON


@pytest.mark.parametrize(
    ("call", "body", "result"),
    [
        ("many", {"words": ["a", "b"]}, ["a", "b"]),
        ("move", {"p": {"x": 1, "y": 2}, "by": 3}, {"x": 4, "y": 5}),
        ("keys", {"doc": {"a": 1, "b": {}}}, ["a", "b"]),
        ("add", [{"a": 1, "b": 2}, {"a": 5, "b": 5}], 3),
        ("add?columns=a,b", {"a": 1, "b": 2, "junk": 3}, 3),
        ("add_default?columns=a", {"a": 1, "b": 2}, 11),
        ("echo_json", {"any": ["thing", None]}, {"any": ["thing", None]}),
        ("echo_json", "", {}),
        ("sizes", "", [1, 2, 3]),
    ],
)
def test_arguments_in_json(api, call, body, result):
    answer = api(f"POST /rpc/{call}", body)
    assert (answer.status, answer.json) == (200, result)


@pytest.mark.parametrize(
    ("query", "result"), [("", []), ("words=a", ["a"]), ("words=a&words=", ["a", ""]), ("words=", [""])]
)
def test_variadic_arguments_are_repeated(api, query, result):
    assert api(f"GET /rpc/many?{query}").json == result
    assert api("POST /rpc/many", query, content_type=FORM).json == result


def test_of_an_argument_given_twice_the_last_counts(api):
    assert api("GET /rpc/hello?name=a&name=b").json == "Hello, b"


def test_arguments_in_a_form(api):
    assert api("POST /rpc/add", "a=1&b=2", content_type=FORM).json == 3


def test_an_argument_may_be_called_like_a_filter(api):
    assert api("GET /rpc/twice?n=4&n=eq.8").json == {"n": 8}


@pytest.mark.parametrize(
    ("content_type", "call", "body", "result"),
    [
        ("text/plain", "echo_text", "äbc", '"cbä"'),
        ("application/octet-stream", "echo_bytes", bytes(range(256)), "256"),
    ],
)
def test_a_body_that_is_the_one_argument(api, content_type, call, body, result):
    answer = api(f"POST /rpc/{call}", body, content_type=content_type)
    assert (answer.status, answer.text) == (200, result)


def test_a_text_with_a_nul_is_refused(api):
    answer = api("POST /rpc/echo_text", b"a\0b", content_type="text/plain")
    assert (answer.status, answer.json["code"]) == (400, "22021")


@pytest.mark.parametrize("request_", ["POST /rpc/nothing", "GET /rpc/nothing", "HEAD /rpc/nothing"])
def test_void_has_no_content(api, request_):
    answer = api(request_)
    assert (answer.status, answer.body) == (204, b"")
    assert not {"content-type", "content-length"} & answer.headers.keys()


def test_head_tells_what_get_would(api):
    answer = api("HEAD /rpc/find_parts?minimum=1&limit=1", prefer="count=exact")
    assert (answer.status, answer.body) == (206, b"")
    assert (answer.headers["content-range"], answer.headers["content-type"]) == ("0-0/3", JSON)


# ---------------------------------------------------------------- ranges and counts


@pytest.mark.parametrize(
    ("call", "options", "status", "content_range"),
    [
        ("find_parts?minimum=1", {}, 200, "0-2/*"),
        ("find_parts?minimum=1", {"prefer": "count=exact"}, 200, "0-2/3"),
        ("find_parts?minimum=1&limit=2&offset=1", {}, 200, "1-2/*"),
        ("find_parts?minimum=1&limit=1&offset=1", {"prefer": "count=exact"}, 206, "1-1/3"),
        ("find_parts?minimum=1", {"range": "1-1"}, 200, "1-1/*"),
        ("find_parts?minimum=1", {"range": "1-1", "prefer": "count=exact"}, 206, "1-1/3"),
        ("find_parts?minimum=1&sku=eq.none", {"prefer": "count=exact"}, 200, "*/0"),
        ("find_parts?minimum=1&offset=9", {"prefer": "count=exact"}, 416, "*/3"),
        ("add?a=1&b=2", {"prefer": "count=exact"}, 200, "0-0/1"),
        ("find_part?wanted=bell", {"prefer": "count=exact"}, 200, "0-0/1"),
        ("sizes", {"prefer": "count=exact"}, 200, "0-2/3"),
    ],
)
def test_ranges(api, call, options, status, content_range):
    answer = api(f"GET /rpc/{call}", **options)
    assert (answer.status, answer.headers["content-range"]) == (status, content_range)


def test_a_post_heeds_limits_and_no_range_header(api):
    answer = api("POST /rpc/find_parts?limit=1", {"minimum": 1}, range="2-2", prefer="count=exact")
    assert (answer.status, answer.headers["content-range"]) == (206, "0-0/3")


def test_max_rows_limits_results(serve):
    server = serve(db_max_rows="2")
    answer = server("GET /rpc/find_parts?minimum=1", prefer="count=exact")
    assert (answer.status, len(answer.json), answer.headers["content-range"]) == (206, 2, "0-1/3")
    assert server("GET /rpc/sizes").headers["content-range"] == "0-1/*"


def test_a_single_object_of_a_call(api):
    accept = "application/vnd.pgrst.object+json"
    assert api("GET /rpc/find_parts?minimum=4&sku=eq.bell", accept=accept).json == BELL
    answer = api("POST /rpc/restock", {"minimum": 5}, accept=accept, prefer="tx=commit")
    assert (answer.status, answer.json["details"]) == (406, "The result contains 2 rows")
    assert len(api("GET /parts?stock=eq.5").json) == 0


def test_max_affected_of_a_call(api):
    limited = "handling=strict,max-affected="
    answer = api("POST /rpc/restock", {"minimum": 5}, prefer=limited + "1,tx=commit")
    assert (answer.status, answer.json["code"]) == (400, "PGRST124")
    assert len(api("GET /parts?stock=eq.5").json) == 0
    answer = api("POST /rpc/restock", {"minimum": 5}, prefer=limited + "2")
    assert (answer.status, answer.headers["preference-applied"]) == (200, "handling=strict, max-affected=2")
    answer = api("POST /rpc/clear_lines", {}, prefer=limited + "2")
    message = "Function must return SETOF or TABLE when max-affected preference is used with handling=strict"
    assert (answer.status, answer.json) == (400, error("PGRST128", message))
    answer = api("POST /rpc/clear_lines", {}, prefer=limited + "2,what")
    assert (answer.status, answer.json["code"]) == (400, "PGRST122")
    answer = api("POST /rpc/clear_lines", {}, prefer=limited + "2", accept="text/nothing")
    assert (answer.status, answer.json["code"]) == (406, "PGRST107")


def test_privileges(api):
    answer = api("GET /rpc/guarded")
    assert (answer.status, answer.json["code"]) == (401, "42501")
    assert answer.headers["www-authenticate"] == "Bearer"
    assert api("GET /rpc/guarded", role="hasty").status == 403
    assert api("GET /rpc/guarded", role="auth").json == "for auth alone"


@pytest.mark.parametrize(
    ("call", "status", "code"),
    [
        ("add?a=x&b=1", 400, "22P02"),
        ("divide?a=1&b=0", 400, "22012"),
        ("find_parts?minimum=1&wings=eq.2", 400, "42703"),
        ("find_parts?minimum=1&select=nothing(*)", 400, "PGRST200"),
        ("anything", 200, None),
    ],
)
def test_calls_that_fail(api, call, status, code):
    answer = api(f"GET /rpc/{call}")
    assert (answer.status, answer.json.get("code")) == (status, code)


# ---------------------------------------------------------------- transactions


def test_get_may_write_nothing(api):
    answer = api("GET /rpc/count_calls")
    message = "cannot execute nextval() in a read-only transaction"
    assert (answer.status, answer.json) == (405, error("25006", message))
    assert api("GET /rpc/clear_lines").status == 405


def test_what_is_not_volatile_may_write_nothing(api):
    assert api("POST /rpc/stable_write", {}).status == 405
    assert api("POST /rpc/read_only", {}).json == "on"


def test_a_call_happens_once(api):
    first = api("POST /rpc/count_calls", {}).json
    assert api("POST /rpc/count_calls", {}).json == first + 1


def test_a_function_that_writes(api):
    answer = api("POST /rpc/restock?select=sku,stock&order=sku", {"minimum": 5})
    assert answer.json == [{"sku": "bell", "stock": 5}, {"sku": "chain", "stock": 5}]


def test_the_isolation_level_of_a_role_and_of_a_function(api):
    assert api("POST /rpc/isolation", {}).json == "read committed"
    assert api("POST /rpc/isolation", {}, role="careful").json == "serializable"
    assert api("POST /rpc/own_isolation", {}).json == "repeatable read"
    assert api("POST /rpc/own_isolation", {}, role="careful").json == "repeatable read"


def test_the_timeout_of_a_role_and_of_a_function(api):
    answer = api("POST /rpc/sleep", {"seconds": 20}, role="hasty")
    message = "canceling statement due to statement timeout"
    assert (answer.status, answer.json) == (500, error("57014", message))
    assert api("POST /rpc/sleep", {"seconds": 0.01}, role="hasty").json == "slept"
    assert api("POST /rpc/sleep_briefly", {}).json["code"] == "57014"


def test_an_order_by_what_is_not_selected_is_refused(api):
    answer = api("GET /rpc/find_parts?minimum=1&select=sku&order=stock")
    assert (answer.status, answer.json) == (400, error("42703", "column parts.stock does not exist"))


def test_media_types_come_before_max_affected(api):
    prefer = "handling=strict,max-affected=1"
    assert api("POST /rpc/add", {"a": 1, "b": 2}, prefer=prefer).json["code"] == "PGRST128"
    answer = api("POST /rpc/add", {"a": 1, "b": 2}, prefer=prefer, accept="text/none")
    assert answer.json["code"] == "PGRST107"


def test_a_set_of_void_is_a_set(api):
    answer = api("POST /rpc/nothings", {})
    assert (answer.status, answer.json, answer.headers["content-range"]) == (200, [], "*/*")


def test_what_is_accepted_may_be_nothing(api):
    answer = api("GET /rpc/sizes", accept="")
    assert (answer.status, answer.json["message"]) == (406, "None of these media types are available: ")
