"""Media types of functions and aggregates, plans, and what is answered to Accept."""

from __future__ import annotations

import json

import pytest

from tests.conformance.serving import error

JSON = "application/json; charset=utf-8"
PLAN = "application/vnd.pgrst.plan"


def unavailable(names):
    return error("PGRST107", f"None of these media types are available: {names}")


# ---------------------------------------------------------------- functions


@pytest.mark.parametrize(
    ("call", "accept", "content_type", "body"),
    [
        ("motto", "text/plain", "text/plain; charset=utf-8", b"Ride on"),
        ("motto", "image/png, text/plain;q=0.5", "text/plain; charset=utf-8", b"Ride on"),
        ("motto", "*/*", JSON, b'"Ride on"'),
        ("motto", "application/json", JSON, b'"Ride on"'),
        ("dot", "image/x-dot", "image/x-dot", b"\x00\xff\x80"),
        ("dot", "application/json", JSON, b'"\\\\x00ff80"'),
        ("binary_json", "application/vnd.binary+json", "application/vnd.binary+json", b'\x01{"a": 1}'),
        ("whatever", "*/*", "application/octet-stream", b"odd"),
        ("whatever", "image/any", "application/octet-stream", b"odd"),
        ("whatever", "app/odd", "app/odd", b"odd"),
    ],
)
def test_functions_that_return_a_media_type(api, call, accept, content_type, body):
    answer = api(f"GET /rpc/{call}", accept=accept)
    assert (answer.status, answer.headers["content-type"], answer.body) == (200, content_type, body)
    assert answer.headers["content-length"] == str(len(body))
    answer = api(f"POST /rpc/{call}", {}, accept=accept)
    assert (answer.status, answer.headers["content-type"], answer.body) == (200, content_type, body)
    answer = api(f"HEAD /rpc/{call}", accept=accept)
    assert (answer.status, answer.body) == (200, b"")


@pytest.mark.parametrize(
    ("request_", "accept"),
    [
        ("GET /rpc/motto", "image/x-dot"),
        ("GET /rpc/motto", "text/xml"),
        ("GET /rpc/hello?name=a", "text/plain"),
        ("GET /rpc/sizes", "text/plain"),
        ("GET /parts", "application/vnd.wings+json"),
        ("GET /parts", "text/xml, image/png"),
        ("POST /parts", "image/png"),
        ("DELETE /entries", "image/png"),
    ],
)
def test_media_types_that_are_not_there(api, request_, accept):
    answer = api(request_, {"sku": "a", "name": "A"} if "POST" in request_ else None, accept=accept)
    assert (answer.status, answer.json) == (406, unavailable(accept))


# ---------------------------------------------------------------- aggregates


@pytest.mark.parametrize(
    ("target", "body"),
    [
        ("/entries?order=line", "(a,1);(b,1);(c,2);"),
        ("/entries?select=line&order=line", "(a);(b);(c);"),
        ("/entries?line=eq.none", ""),
        ("/rpc/find_parts?minimum=9&select=sku,stock", "(tube,9);"),
        ("/order_lines?select=sku,parts(name)&order_id=eq.3", '(tube,"{""name"": ""Tube""}");'),
    ],
)
def test_an_aggregate_of_anything(api, target, body):
    answer = api("GET " + target, accept="text/x-list")
    assert (answer.status, answer.text, answer.headers["content-type"]) == (200, body, "text/x-list")


def test_an_aggregate_of_one_table_takes_whole_rows_only(api):
    accept = "application/vnd.parts+json"
    answer = api("GET /parts?order=sku", accept=accept)
    assert (answer.json, answer.headers["content-type"]) == ({"last": "tube"}, accept)
    assert api("GET /rpc/find_parts?minimum=1&sku=eq.bell", accept=accept).json == {"last": "bell"}
    assert api("GET /parts?select=sku,name,price,stock,weight", accept=accept).status == 406
    assert api("GET /entries", accept=accept).status == 406


def test_rows_written_in_a_media_type(api):
    answer = api(
        "PATCH /entries?level=eq.1&order=line",
        {"level": 3},
        prefer="return=representation",
        accept="text/x-list",
    )
    assert (answer.status, answer.text) == (200, "(a,3);(b,3);")


# ---------------------------------------------------------------- Accept


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("text/csv;q=0.5, application/json", JSON),
        ("text/csv, application/json;q=0.9", "text/csv; charset=utf-8"),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", JSON),
        ("application/json;charset=utf-8", JSON),
        ("APPLICATION/JSON", JSON),
        ("application/vnd.pgrst.array+json", JSON),
        ("image/png, text/csv", "text/csv; charset=utf-8"),
    ],
)
def test_the_best_that_can_be_made_is_answered(api, accept, content_type):
    assert api("GET /parts", accept=accept).headers["content-type"] == content_type


# ---------------------------------------------------------------- plans


@pytest.mark.parametrize(
    ("request_", "body"),
    [
        ("GET /parts?sku=eq.bell", None),
        ("HEAD /parts", None),
        ("POST /entries", {"line": "x"}),
        ("PATCH /entries?line=eq.a", {"level": 1}),
        ("DELETE /entries", None),
        ("PUT /only_key?id=eq.9", {"id": 9}),
        ("GET /rpc/find_parts?minimum=1", None),
        ("POST /rpc/add", {"a": 1, "b": 2}),
    ],
)
def test_plans(api, request_, body):
    answer = api(request_, body, accept=PLAN + "+json")
    content_type = PLAN + '+json; for="application/json"; charset=utf-8'
    assert (answer.status, answer.headers["content-type"]) == (200, content_type)
    if not request_.startswith("HEAD"):
        assert "Total Cost" in answer.json[0]["Plan"]


def test_plans_as_text(api):
    for accept in (PLAN, PLAN + "+text"):
        answer = api("GET /parts", accept=accept)
        assert answer.headers["content-type"] == PLAN + '+text; for="application/json"; charset=utf-8'
        assert answer.text.startswith("Aggregate")


@pytest.mark.parametrize(
    ("parameters", "told", "key"),
    [
        ("; options=settings", "; options=settings", "Settings"),
        ("; options=buffers", "; options=buffers", "Planning"),
        ("; options=analyze|wal", "; options=analyze|wal", "Execution Time"),
        ("; options=wal|analyze|nonsense", "; options=analyze|wal", "Execution Time"),
    ],
)
def test_options_of_plans(api, parameters, told, key):
    answer = api("GET /parts", accept=f"{PLAN}+json{parameters}")
    assert answer.headers["content-type"] == f'{PLAN}+json; for="application/json"{told}; charset=utf-8'
    assert key in answer.json[0]


@pytest.mark.parametrize("of", ["text/csv", "text/x-list", "application/vnd.pgrst.object+json"])
def test_plans_for_a_media_type(api, of):
    answer = api("GET /entries", accept=f'{PLAN}+json; for="{of}"; options=verbose')
    assert answer.headers["content-type"] == f'{PLAN}+json; for="{of}"; options=verbose; charset=utf-8'
    assert ("list_all" in json.dumps(answer.json)) == (of == "text/x-list")


@pytest.mark.parametrize(
    ("of", "made"),
    [
        ("image/x-dots", "dots_all(ROW(entries.line, entries.level)::entries)"),
        ("text/x-list", "list_all(ROW(entries.line, entries.level))"),
    ],
)
def test_a_plan_shows_the_handler_as_it_is_called(api, of, made):
    plan = api("GET /entries", accept=f'{PLAN}+json; for="{of}"; options=verbose').json[0]["Plan"]
    assert made in plan["Output"]


def test_an_aggregate_of_bytes_makes_the_body(api):
    answer = api("GET /entries?order=line", accept="image/x-dots")
    assert (answer.headers["content-type"], answer.body) == ("image/x-dots", b"abc")


def test_a_plan_that_is_run_changes_nothing_that_is_not_committed(api):
    answer = api("DELETE /entries", accept=PLAN + "+json; options=analyze")
    assert answer.status == 200
    assert len(api("GET /entries").json) == 3


def test_functions_of_one_statement_are_inlined(api):
    assert "find_parts" not in api("GET /rpc/find_parts?minimum=1", accept=PLAN).text


def test_plans_are_not_for_everybody(serve):
    answer = serve(db_plan_enabled="false")("GET /parts", accept=PLAN)
    assert (answer.status, answer.json) == (406, unavailable(PLAN + '+text; for="application/json"'))
