"""What ``/query`` does otherwise than ``/rest``: keys in the path, rows returned, unlike rows."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from tests.conformance.serving import error

BELL = {"sku": "bell", "name": "Bell", "price": 9.90, "stock": 4, "weight": 80}


@pytest.mark.parametrize(
    ("target", "rows"),
    [
        ("/parts/bell", [BELL]),
        ("/parts/bell?select=sku&stock=gt.3", [{"sku": "bell"}]),
        ("/parts/bell?stock=gt.9", []),
        ("/parts/none", []),
        ("/parts/", []),
        ("/order_lines/1?select=sku&order=sku", [{"sku": "bell"}, {"sku": "chain"}]),
        ("/order_lines/1/chain?select=quantity", [{"quantity": 1}]),
        ("/measures/2024-05-01/yard?select=value", [{"value": 2}]),
        ("/shelf/bell?select=sku", [{"sku": "bell"}]),
    ],
)
def test_keys_in_the_path(api, target, rows):
    answer = api.query("GET " + target)
    assert (answer.status, answer.json) == (200, rows)


@pytest.mark.parametrize("key", ["a/b", "a b", "100%", "ä,é", "", "a?b&c=d", "eq.x", "..", "a+b", "'; drop"])
def test_keys_of_any_text(api, key):
    path = "/parts/" + quote(key, safe="").replace("..", "%2E%2E")
    made = api.query("POST /parts", {"sku": key, "name": "K"}, prefer="tx=commit")
    try:
        assert made.status == 201
        assert [row["sku"] for row in api.query("GET " + path).json] == [key]
        assert api.query("PATCH " + path, {"name": "L"}).json[0]["name"] == "L"
    finally:
        removed = api.query("DELETE " + path, prefer="tx=commit")
    assert [row["sku"] for row in removed.json] == [key]


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
@pytest.mark.parametrize(
    ("path", "name", "given", "has"),
    [
        ("/parts/bell/x", "parts", 2, "has the key columns sku"),
        ("/order_lines/1/bell/x", "order_lines", 3, "has the key columns order_id, sku"),
        ("/entries/a", "entries", 1, "has no primary key"),
    ],
)
def test_more_keys_than_columns_touch_nothing(api, method, path, name, given, has):
    answer = api.query(f"{method} {path}", {} if method == "PATCH" else None, prefer="tx=commit")
    assert answer.status == 400
    assert answer.json == error(
        "AIOD101",
        f"Too many key segments for '{name}'",
        details=f"The path has {given} key segments, but '{name}' {has}.",
        hint="Use filters in the query string for other columns.",
    )
    assert len(api("GET /entries").json) == 3


def test_writes_return_rows_unless_told_otherwise(api):
    row = {"line": "x", "level": 1}
    answer = api.query("POST /entries", row)
    assert (answer.status, answer.json) == (201, [row])
    assert "preference-applied" not in answer.headers
    answer = api.query("PATCH /entries?line=eq.a", {"level": 7})
    assert (answer.status, answer.json) == (200, [{"line": "a", "level": 7}])
    answer = api.query("DELETE /entries?line=eq.a&select=line")
    assert (answer.status, answer.json) == (200, [{"line": "a"}])
    answer = api.query("PATCH /entries?line=eq.none", {"level": 7})
    assert (answer.status, answer.json) == (200, [])
    answer = api.query("PUT /only_key/9", {"id": 9})
    assert (answer.status, answer.json) == (201, [{"id": 9}])
    answer = api.query("POST /entries", row, prefer="return=minimal")
    assert (answer.status, answer.body) == (201, b"")
    assert api.query("DELETE /entries", prefer="return=minimal").status == 204


def test_unlike_rows_take_defaults(api):
    body = [{"name": "Di"}, {"name": "Ed", "city": None}, {"name": "Flo", "city": "Rome"}]
    answer = api.query("POST /customers?select=name,city", body)
    assert [row["city"] for row in answer.json] == ["Oslo", None, "Rome"]
    assert api("POST /customers", body).json["code"] == "PGRST102"
    answer = api("POST /customers?select=name,city&columns=name,city", body, prefer="return=representation")
    assert [row["city"] for row in answer.json] == [None, None, "Rome"]


def test_like_rows_are_no_other_than_before(api):
    answer = api.query("POST /customers?columns=name,city&select=city", [{"name": "Di"}])
    assert answer.json == [{"city": None}]


def test_what_is_no_row_stays_refused(api):
    answer = api.query("POST /entries", [{"line": "a"}, 5])
    assert (answer.status, answer.json) == (400, error("PGRST102", "All object keys must match"))


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
def test_a_whole_table_may_be_closed_to_writes_without_a_key(serve, method):
    server = serve(allow_keyless_writes="false")
    verb = {"PATCH": "UPDATE", "DELETE": "DELETE"}[method]
    body = {"level": 1} if method == "PATCH" else None
    answer = server.query(f"{method} /entries", body, prefer="tx=commit")
    hint = "Name the rows by key segments or filters."
    assert (answer.status, answer.json) == (
        400,
        error("AIOD102", f"{verb} requires a key or a filter", hint=hint),
    )
    assert server.query(f"{method} /entries?line=eq.a", body).status == 200
    assert server(f"{method} /entries", body).status == 204


def test_functions_are_called_as_on_rest(api):
    assert api.query("POST /rpc/add", {"a": 1, "b": 2}).json == 3
    assert api.query("GET /rpc/hello?name=x").json == "Hello, x"


def test_slashes_at_the_end_are_a_key_to_query_alone(api):
    for path in ("/parts/", "/parts/bell"):
        assert api(f"GET {path}").json == error("PGRST125", "Invalid path specified in request URL")
    assert api.query("GET /parts/").json == []


def test_a_write_tells_where_the_log_stands(api):
    answer = api.query("PATCH /parts/bell", {"stock": 4}, prefer="tx=commit")
    assert "/" in answer.headers["aiodata-lsn"]
    assert "aiodata-lsn" not in api.query("GET /parts/bell").headers
