"""Whatever is sent, the answer is an answer: no fault of ours, no statement but ours, no connection harmed.

Hypothesis makes raw query strings, headers and bodies for the pipeline on a real database; schemathesis makes
requests of our own OpenAPI document for the server on a socket. ``FUZZ_EXAMPLES`` says how many of each; the
suite is content with few.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from urllib.parse import quote

import psycopg
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aiodata_django.auth import Authenticator
from aiodata_django.conf import Settings
from aiodata_django.core.query.headers import Headers
from aiodata_django.core.query.request import Dialect, HttpRequest
from aiodata_django.core.query.response import Response
from aiodata_django.db.catalog import load_schema
from aiodata_django.db.pool import Pool
from aiodata_django.pipeline import Pipeline
from tests.conftest import as_user_of
from tests.live import DEMO_SCHEMA, SECRET, LiveServer, token

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "150"))
BOUNDED = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)

SQL = (
    DEMO_SCHEMA
    + """
create schema private;
create table private.canary (word text);
insert into private.canary values ('alive');
create function api.whoami() returns json stable language sql as
    $$select json_build_array(current_user, current_setting('request.method'), current_setting('timezone'))$$;
create function api.sum(a int, b int default 1) returns int immutable language sql as 'select a + b';
create function api.echo(json) returns json language sql as 'select $1';
create function api.words(variadic w text[]) returns setof text stable language sql as 'select unnest(w)';
alter role auth set statement_timeout = '5s';
"""
)

BROKEN_STATEMENT = re.compile(
    "syntax error at (or near|end of input)|unterminated quoted|zero-length delimited"
)

# What PostgreSQL may rightly answer 5xx for: limits of its own (program_limit_exceeded, statement timeout,
# out of memory for what was asked), and features that are not there.
EXPECTED_5XX = ("53", "54", "57014", "0A", "55")


@contextmanager
def pipeline_on(uri: str) -> Iterator[tuple[asyncio.Runner, Pipeline]]:
    """A pipeline whose pool has two connections, so that a harmed one is met soon, and its event loop."""
    configured = Settings(
        db_uri=uri,
        db_schemas=("api",),
        db_anon_role="anon",
        jwt_secret=SECRET,
        db_plan_enabled=True,
        db_aggregates_enabled=True,
        db_tx_end="commit-allow-override",
    )
    with asyncio.Runner() as runner:
        schema = runner.run(load_schema(uri, schemas=("api",)))
        pool = Pool(uri, size=2)
        runner.run(pool.open())
        try:
            authenticator = Authenticator(configured)
            yield (
                runner,
                Pipeline(settings=configured, pool=pool, schema=lambda: schema, authenticator=authenticator),
            )
        finally:
            runner.run(pool.close())


@pytest.fixture(scope="module")
def fuzzed(make_module_database) -> Iterator[tuple[asyncio.Runner, Pipeline, str]]:
    admin_uri = make_module_database(SQL)
    with pipeline_on(as_user_of(admin_uri, "authenticator")) as (runner, pipeline):
        yield runner, pipeline, admin_uri


async def whole(response: Response) -> bytes:
    if isinstance(response.body, bytes):
        return response.body
    pieces: AsyncIterator[bytes] = response.body
    return b"".join([piece async for piece in pieces])


def check(fuzzed: tuple[asyncio.Runner, Pipeline, str], request: HttpRequest, dialect: Dialect) -> Response:
    """Send it; its answer keeps what is promised, and the next ones are as if nothing had been."""
    runner, pipeline, _ = fuzzed
    response, body = runner.run(answered(pipeline, request, dialect))
    assert 200 <= response.status < 600
    assert all(value.isprintable() or not value for _, value in response.headers), response.headers
    if response.status >= 400 and response.status != 416 and request.method != "HEAD":
        error = json.loads(body)
        assert error.keys() == {"code", "message", "details", "hint"}
        assert error["code"] != "PGRSTX00", "a fault of ours: the log has it"
        assert response.status < 500 or error["code"].startswith(EXPECTED_5XX), error
        # A value may be wrong, as a tsquery is; the statement itself never is.
        assert not BROKEN_STATEMENT.search(str(error["message"])), error
    return response


async def answered(pipeline: Pipeline, request: HttpRequest, dialect: Dialect) -> tuple[Response, bytes]:
    response = await pipeline.respond(request, dialect)
    body = await whole(response)
    probe = HttpRequest("GET", "/rpc/whoami", "", Headers(), b"", "/rest")
    for _ in range(2):  # one for each connection
        fine = await pipeline.respond(probe, Dialect.REST)
        who = json.loads(await whole(fine))
        assert (fine.status, who[:2]) == (200, ["anon", "GET"])
        assert who[2] != "Pacific/Chatham"
    return response, body


WORDS = """
select order limit offset columns on_conflict and or not any all eq neq gt in is like imatch fts cs isdistinct
ov sl type breed name color groomed pets owners visits keepings ungroomed id profile phones at api pg_catalog
pg_class ctid tableoid xmin count() sum avg * , . : :: ( ) { } [ ] " ' \\ - -> ->> ! ; -- = & / ? # % %00 %20
%2C %22 %27 %C3%A9 %ff %zz + $1 $$ /* inner left ... asc desc nullsfirst null true false 0 1 -1 1.5
9999999999999999999999 NaN infinity 2030-01-01 text int json numeric(8,2) city
"""
FRAGMENTS = st.sampled_from(WORDS.split())
NOISE = st.text(max_size=6).map(lambda text: quote(text, safe="(),.*:!-> ")) | st.text(
    st.characters(max_codepoint=255, exclude_characters="\r\n\0"), max_size=4
)
MESS = st.lists(FRAGMENTS | NOISE, max_size=12).map("".join)
SELECTS = st.sampled_from(
    [
        "select=*,pets(*)",
        "select=owner_id,pets!inner(type,visits(count()))",
        "select=...owners(name)",
        "select=type,n:color.sum()",
        "select=profile->city,phones->0",
    ]
)
FILTERS = st.sampled_from(
    [
        "type=eq.",
        "color=gt.",
        "name=in.(",
        "or=(",
        "and=(",
        "profile->>city=like.",
        "order=",
        "limit=",
        "id=is.",
    ]
)
QUERIES = st.lists(SELECTS | st.builds(str.__add__, FILTERS, MESS) | MESS, max_size=4).map("&".join)
TABLES = st.sampled_from(
    ["/pets", "/owners", "/keepings", "/visits", "/remarks", "/ungroomed", "/pets/Cat/Persian"]
)
CALLS = st.sampled_from(["/rpc/paint", "/rpc/whoami", "/rpc/sum", "/rpc/echo", "/rpc/words", "/rpc/no"])
PATHS = TABLES | CALLS | st.just("/") | MESS.map(lambda text: "/" + text)
METHODS = st.sampled_from(
    ["GET", "GET", "GET", "HEAD", "POST", "PATCH", "PUT", "DELETE", "OPTIONS", "TRACE", "x"]
)
PREFERENCES = st.lists(
    st.sampled_from(
        [
            "return=representation",
            "return=headers-only",
            "resolution=merge-duplicates",
            "resolution=ignore-duplicates",
            "missing=default",
            "count=exact",
            "count=planned",
            "count=estimated",
            "handling=strict",
            "tx=rollback",
            "max-affected=1",
            "max-affected=x",
            "timezone=Pacific/Chatham",
            "timezone='",
        ]
    )
    | MESS,
    max_size=4,
).map(", ".join)
TYPES = st.sampled_from(
    [
        "*/*",
        "application/json",
        "text/csv",
        "application/vnd.pgrst.object+json",
        "application/vnd.pgrst.array+json;nulls=stripped",
        'application/vnd.pgrst.plan+json; for="text/csv"; options=analyze|verbose',
        "application/octet-stream",
        "application/x-www-form-urlencoded",
        "text/plain;q=0.5, application/json;q=x",
        "text/xml",
    ]
)
HEADER = st.one_of(
    st.tuples(st.just("accept"), TYPES | MESS),
    st.tuples(st.just("content-type"), TYPES | MESS),
    st.tuples(st.just("prefer"), PREFERENCES),
    st.tuples(st.just("range"), st.sampled_from(["0-1", "5-", "3-1", "-", "x", "0-99999999999999999999"])),
    st.tuples(st.sampled_from(["accept-profile", "content-profile"]), st.just("api") | MESS),
    st.tuples(st.just("authorization"), st.just(f"Bearer {token()}") | MESS.map("Bearer {}".format) | MESS),
    st.tuples(st.sampled_from(["cookie", "origin", "x-any", "access-control-request-method"]), MESS),
)
KEYS = st.sampled_from(
    ["type", "breed", "name", "color", "groomed", "id", "phones", "profile", "a", "b", "w", "no"]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
ROWS = st.dictionaries(KEYS | st.text(max_size=3), VALUES, max_size=4)
JSON_BODIES = (ROWS | st.lists(ROWS, max_size=3) | VALUES).map(lambda value: json.dumps(value).encode())
BODIES = st.one_of(
    JSON_BODIES,
    st.binary(max_size=20),
    MESS.map(lambda text: text.encode()),
    st.just(b'{"type":"a","breed":"b","name":"c"}'),
    st.just(b"type,breed,name\na,b,c\n"),
    st.just(b"a=1&b=2"),
    st.just(b"[" * 20_000),
    st.just(b"{" * 50 + b'"'),
)
REQUESTS = st.builds(
    HttpRequest,
    METHODS,
    PATHS,
    QUERIES,
    st.lists(HEADER, max_size=4).map(Headers),
    BODIES,
    st.sampled_from(["/rest", "/query"]),
)


@BOUNDED
@given(REQUESTS)
def test_no_request_finds_a_fault_or_harms_a_connection(fuzzed, request):
    check(fuzzed, request, Dialect.REST if request.mount == "/rest" else Dialect.QUERY)


@BOUNDED
@given(TABLES, QUERIES, st.sampled_from(list(Dialect)))
def test_no_query_string_finds_a_fault(fuzzed, path, query, dialect):
    check(fuzzed, HttpRequest("GET", path, query, Headers()), dialect)


@BOUNDED
@given(CALLS, QUERIES, BODIES, TYPES, st.sampled_from(["GET", "POST"]))
def test_no_call_finds_a_fault(fuzzed, path, query, body, content_type, method):
    headers = [("content-type", content_type), ("authorization", f"Bearer {token()}")]
    check(fuzzed, HttpRequest(method, path, query, Headers(headers), body), Dialect.REST)


@BOUNDED
@given(TABLES, JSON_BODIES, PREFERENCES, st.sampled_from(["POST", "PATCH", "PUT"]), QUERIES)
def test_no_write_finds_a_fault(fuzzed, path, body, prefer, method, query):
    headers = [("prefer", prefer), ("authorization", f"Bearer {token()}")]
    check(fuzzed, HttpRequest(method, path, query, Headers(headers), body), Dialect.REST)


@BOUNDED
@given(st.text(max_size=10), st.sampled_from(["eq.", "like.", "in.(", "cs.{", "fts.", "match.", "is.", ""]))
def test_a_value_is_never_a_part_of_the_statement(fuzzed, word, operator):
    """Texts that would end a literal, a comment or a statement are compared with, and nothing else."""
    for attack in (word, f"{word}'; drop table private.canary; --", f'{word}"; select 1; --', f"{word}\\'"):
        query = f"name={operator}{quote(attack, safe='')}"
        check(fuzzed, HttpRequest("GET", "/pets", query, Headers()), Dialect.REST)
        check(fuzzed, HttpRequest("GET", f"/pets/{quote(attack, safe='')}", "", Headers()), Dialect.QUERY)


def test_what_nobody_may_touch_is_untouched(fuzzed):
    """Runs after the others: the superuser finds private tables as they were, and no one else's objects."""
    with psycopg.connect(fuzzed[2]) as admin:
        assert admin.execute("select word from private.canary").fetchall() == [("alive",)]
        found = admin.execute("select count(*) from pg_class where relnamespace = 'private'::regnamespace")
        assert found.fetchone() == (1,)


# ---------------------------------------------------------------- our own OpenAPI document


@pytest.fixture(scope="module")
def described(make_module_database) -> Iterator[schemathesis.BaseSchema]:
    live = LiveServer(as_user_of(make_module_database(SQL), "authenticator")).start()
    try:
        url = f"{live.url}/rest"
        loaded = schemathesis.openapi.from_url(f"{url}/", headers={"Authorization": f"Bearer {token()}"})
        loaded.config.update(base_url=url)
        yield loaded
    finally:
        live.close()


def test_what_the_document_allows_finds_no_fault(described):
    for found in described.get_all_operations():
        tried(found.ok().as_strategy())


def tried(cases: st.SearchStrategy[schemathesis.Case]) -> None:
    """Send examples of one operation's requests."""

    @settings(BOUNDED, max_examples=max(EXAMPLES // 15, 5))
    @given(cases)
    def send(case: schemathesis.Case) -> None:
        answer = case.call(headers={"Authorization": f"Bearer {token()}"}, timeout=20)
        if answer.status_code >= 500:
            assert answer.json()["code"].startswith(EXPECTED_5XX), answer.text

    send()
