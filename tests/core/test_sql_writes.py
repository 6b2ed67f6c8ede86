"""What writes and calls render to: golden files, and what must be true of every statement.

The texts are in ``golden/write_*.sql``, a file for each request; ``--update-golden`` writes them anew, to be
read before they are committed.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import sqlglot
from hypothesis import given
from hypothesis import strategies as st

from aiodata_django.core.errors import ApiError
from aiodata_django.core.query.request import Dialect, HttpRequest

from .workshop import http, prepared, queries

GOLDEN = Path(__file__).parent / "golden"
FULL = "return=representation"
MERGE = "resolution=merge-duplicates"
ROW = '{"sku": "bell", "stock": 3}'
PLAN = "application/vnd.pgrst.plan+json; options=verbose"

REQUESTS: dict[str, HttpRequest] = {
    "insert": http("POST /parts", ROW),
    "insert_returning": http("POST /parts?select=sku", ROW, prefer=FULL),
    "insert_location": http("POST /lines", '{"order_id": 1, "sku": "bell"}', prefer="return=headers-only"),
    "insert_rows": http("POST /parts", f"[{ROW}]"),
    "insert_empty": http("POST /parts", "[{}, {}]"),
    "insert_defaults": http("POST /parts?columns=sku,name", f"[{ROW}]", prefer="missing=default"),
    "insert_embedding": http("POST /parts?select=sku,lines(n)&lines.n=gt.1", ROW, prefer=FULL),
    "upsert_merge": http("POST /parts", ROW, prefer=f"{MERGE},{FULL}"),
    "upsert_ignore": http("POST /parts?on_conflict=name", ROW, prefer="resolution=ignore-duplicates"),
    "put": http("PUT /parts?sku=eq.bell", ROW, prefer=FULL),
    "update": http("PATCH /parts?sku=eq.bell", ROW),
    "update_logic": http("PATCH /parts?or=(sku.eq.bell,not.and(stock.gt.1,name.is.null))", ROW, prefer=FULL),
    "update_nothing": http("PATCH /parts?select=sku", "{}", prefer=FULL),
    "delete": http("DELETE /parts?stock=in.(1,2)", prefer="count=exact"),
    "delete_returning": http("DELETE /lines?sku=eq.bell&select=n,parts(name)", prefer=FULL),
    "call": http("GET /rpc/add?a=1&b=2"),
    "call_json": http("POST /rpc/add", '{"a": 1}'),
    "call_rows": http(
        "GET /rpc/find?minimum=1&select=sku&stock=gt.2&order=name&limit=3", prefer="count=exact"
    ),
    "call_embedding": http("POST /rpc/find?select=name,lines(n)", '{"minimum": 1}'),
    "call_variadic": http("GET /rpc/many?words=a&words=b"),
    "call_body": http("POST /rpc/take", '{"any": 1}'),
    "call_bytes": http("POST /rpc/take_bytes", b"\x00\xff", content_type="application/octet-stream"),
    "call_explained": http("POST /rpc/write", accept=PLAN),
}


def rendered(request, dialect=Dialect.REST):
    statement = prepared(request, dialect).statement
    assert statement is not None
    return statement


@pytest.mark.parametrize("name", REQUESTS)
def test_what_a_request_renders_to(name, golden):
    statement = rendered(REQUESTS[name])
    text = sqlglot.transpile(statement.sql.decode(), read="postgres", write="postgres", pretty=True)[0] + "\n"
    golden(GOLDEN / f"write_{name}.sql", text)


def test_no_golden_file_is_left_over():
    assert {file.stem for file in GOLDEN.glob("write_*.sql")} == {f"write_{name}" for name in REQUESTS}


def sane(statement) -> None:
    """One statement, with as many parameters as it is given, numbered in order."""
    text = statement.sql.decode()
    bare = re.sub(r"\"(?:[^\"]|\"\")*\"|'(?:[^']|'')*'", "", text)
    numbers = [int(number) for number in re.findall(r"\$(\d+)", bare)]
    assert numbers == list(range(1, len(statement.params) + 1))
    assert "\0" not in text
    if not text.startswith("EXPLAIN"):
        assert len(sqlglot.parse(text, read="postgres")) == 1


@pytest.mark.parametrize("name", REQUESTS)
def test_every_statement_is_one_and_numbers_its_parameters(name):
    sane(rendered(REQUESTS[name]))


SECRET = "zq'); drop table parts; --"
names = st.sampled_from(["sku", "name", "stock", "wings", 'a"b', "x'y", "a\0b", "$1"])
values = st.sampled_from([SECRET, "1", "", "{a}", '"', "\\", "$1"])
operators = st.sampled_from(
    ["eq.", "not.in.(1,2)&x=eq.", "like.", "is.null&y=neq.", "cs.", "fts(english).", "eq(any)."]
)
filters = st.lists(st.tuples(names, operators, values), max_size=3).map(
    lambda parts: "&".join(
        f'"{name.replace(chr(34), chr(92) + chr(34))}"={op}{value}' for name, op, value in parts
    )
)
rows = st.dictionaries(names, values | st.integers() | st.none(), max_size=4)
prefers = st.sampled_from(
    ["", FULL, MERGE, f"{MERGE},{FULL},missing=default", "return=headers-only", "count=exact"]
)


@given(
    st.sampled_from(["POST", "PATCH", "PUT", "DELETE"]),
    st.sampled_from(["parts", "lines", "entries"]),
    filters,
    rows | st.lists(rows, max_size=3),
    prefers,
    st.sampled_from(Dialect),
)
def test_whatever_is_written_the_statement_is_one_and_holds_no_value(
    method, table, query, body, prefer, dialect
):
    request = http(f"{method} /{table}?{query}", json.dumps(body), prefer=prefer)
    try:
        statement = rendered(request, dialect)
    except ApiError:
        return
    sane(statement)
    assert SECRET not in statement.sql.decode()


@given(
    st.sampled_from(["GET", "POST"]), st.sampled_from(["add", "find", "many", "take", "write"]), filters, rows
)
def test_whatever_is_called_the_statement_is_one_and_holds_no_value(method, name, query, arguments):
    given_ = "&".join(f"{key}={value}" for key, value in arguments.items()) if method == "GET" else ""
    request = http(f"{method} /rpc/{name}?{query}&{given_}", json.dumps(arguments))
    try:
        statement = rendered(request)
    except ApiError:
        return
    sane(statement)
    assert SECRET not in statement.sql.decode()


# ---------------------------------------------------------------- values in their places


@pytest.mark.parametrize(
    ("request_", "params"),
    [
        (http("POST /parts", ROW), [ROW.encode()]),
        (http("PATCH /parts?sku=eq.bell", ROW), [ROW.encode(), b"bell"]),
        (http("DELETE /parts?sku=like.a*b"), [b"a%b"]),
        (http('DELETE /parts?sku=in.(a,"b,c")'), [b'{"a","b,c"}']),
        (http("GET /rpc/add?a=1&b=2"), [b"1", b"2"]),
        (http("GET /rpc/many?words=a&words=b"), [b'{"a","b"}']),
        (http("GET /rpc/many?words="), [b'{""}']),
        (http("POST /rpc/take_bytes", b"\x00\xff", content_type="application/octet-stream"), [b"\\x00ff"]),
        (http("POST /rpc/take_text", b"text", content_type="text/plain"), [b"text"]),
    ],
)
def test_values_go_where_they_belong(request_, params):
    assert queries(request_).queries[-1].params == params
