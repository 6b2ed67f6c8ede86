"""The pipeline on a real database: roles that share a connection, requests nobody should send."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager

import jwt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiodata_django.auth import Authenticator
from aiodata_django.conf import Settings
from aiodata_django.core.query.request import Dialect, HttpRequest
from aiodata_django.db.catalog import load_schema_sync
from aiodata_django.db.pool import Pool
from aiodata_django.pipeline import Pipeline

SECRET = "tests-share-this-secret-of-32-bytes!"
SCHEMA = """
create schema api;
grant usage on schema api to anon, auth;
create table api.notes (id int primary key, body text default 'none', tags text[], extra jsonb);
insert into api.notes values (1, 'one', '{a}', '{"k": 1}'), (2, null, null, null);
create view api.bodies as select id, body from api.notes;
grant select, insert, update, delete on all tables in schema api to anon;
create function api.add(a int, b int default 1) returns int language sql immutable as 'select a + b';
create function api.list(minimum int) returns setof api.notes language sql stable
    as 'select * from api.notes where id >= minimum';
"""
GUARDED = """
create function api.guarded() returns setof int language sql stable as 'select 1';
revoke execute on function api.guarded() from public;
grant execute on function api.guarded() to auth;
"""


@pytest.fixture(scope="module")
def uri(make_module_database, as_user):
    return as_user(make_module_database(SCHEMA + GUARDED), "authenticator")


@pytest.fixture(scope="module")
def schema(uri):
    return load_schema_sync(uri, schemas=["api"], extra_search_path=["public"])


@asynccontextmanager
async def pipeline(uri, schema, *, size, **options):
    config = Settings(
        db_uri=uri, db_schemas=("api",), jwt_secret=SECRET, **{"db_anon_role": "anon", **options}
    )
    pool = Pool(uri, size=size)
    await pool.open()
    try:
        yield Pipeline(settings=config, pool=pool, schema=lambda: schema, authenticator=Authenticator(config))
    finally:
        await pool.close()


async def ask(served, method, target, *, role=None, headers=(), body=b"", dialect=Dialect.REST):
    path, _, query = target.partition("?")
    sent = list(headers)
    if role is not None:
        sent.append(("authorization", "Bearer " + jwt.encode({"role": role}, SECRET)))
    return await served.respond(HttpRequest(method, path, query, sent, body), dialect)


async def test_a_plan_cached_for_one_role_never_serves_another(uri, schema):
    # PostgreSQL checks EXECUTE when it plans an inlined function; after enough calls the plan is kept.
    async with pipeline(uri, schema, size=1) as served:
        for _ in range(50):
            answer = await ask(served, "GET", "/rpc/guarded", role="auth")
            assert (answer.status, json.loads(answer.body)) == (200, [1])
        answer = await ask(served, "GET", "/rpc/guarded")
        assert (answer.status, json.loads(answer.body)["code"]) == (401, "42501")
        assert (await ask(served, "GET", "/rpc/guarded", role="auth")).status == 200


async def test_a_known_role_that_may_not_call_is_forbidden(uri, schema):
    async with pipeline(uri, schema, size=1, db_anon_role=None) as served:
        for _ in range(50):
            assert (await ask(served, "GET", "/rpc/guarded", role="auth")).status == 200
        answer = await ask(served, "GET", "/rpc/guarded", role="anon")
        assert (answer.status, json.loads(answer.body)["code"]) == (403, "42501")


async def test_a_role_does_not_outlive_its_request(uri, schema):
    async with pipeline(uri, schema, size=1) as served:
        assert (await ask(served, "GET", "/notes", role="auth")).status == 403
        assert (await ask(served, "GET", "/notes")).status == 200
        answer = await ask(served, "GET", "/notes", role="nobody-of-that-name")
        assert (answer.status, dict(answer.headers)["WWW-Authenticate"]) == (401, "Bearer")
        assert (await ask(served, "GET", "/notes")).status == 200


# ---------------------------------------------------------------- what nobody should send

TEXT = st.text(max_size=12) | st.sampled_from(
    ["", "*", "id", "body", "eq.1", "in.(1,2)", "null", "\0", "%00"]
)
NAMES = TEXT | st.sampled_from(
    [
        "select",
        "order",
        "limit",
        "offset",
        "columns",
        "on_conflict",
        "and",
        "or",
        "notes.id",
        "tags",
        "extra->k",
    ]
)
VALUES = TEXT | st.sampled_from(
    [
        "eq.{",
        "cs.{a}",
        "not.is.null",
        "is.true",
        "fts.a&",
        "like(any).{a*}",
        "(id.eq.1,body.is.null)",
        "-1",
        "99999999999999999999",
        "id,body.count()",
        "notes(*)",
        "...notes(id)",
        "id::int",
        "match.(",
        "isdistinct.1",
    ]
)
METHODS = st.sampled_from(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "é"])
PATHS = st.sampled_from(["/notes", "/bodies", "/rpc/add", "/rpc/list", "/notes/1", "/rpc", "/%00", "//"])
HEADER = st.text(st.characters(max_codepoint=255, exclude_characters="\r\n"), max_size=20)
HEADERS = st.dictionaries(
    st.sampled_from(
        [
            "accept",
            "prefer",
            "range",
            "content-type",
            "authorization",
            "accept-profile",
            "content-profile",
            "cookie",
            "origin",
            "x-any",
        ]
    ),
    HEADER
    | st.sampled_from(
        [
            "text/csv",
            "application/json",
            "application/x-www-form-urlencoded",
            "*/*;q=x",
            "0-0",
            "5-1",
            "api",
            "return=representation",
            "resolution=merge-duplicates",
            "missing=default",
            "count=planned",
            "handling=strict, max-affected=0",
            "timezone=X",
            "application/vnd.pgrst.object+json",
            "Bearer a.b.c",
            "application/vnd.pgrst.plan+json;options=analyze",
        ]
    ),
    max_size=4,
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["id", "body", "tags", "extra", "a", "b", "?"]), inner, max_size=3)
    ),
    max_leaves=8,
)
BODIES = (
    st.binary(max_size=30) | JSON.map(lambda value: json.dumps(value).encode()) | st.text().map(str.encode)
)
QUERIES = st.lists(st.tuples(NAMES, VALUES), max_size=4).map(
    lambda pairs: "&".join(f"{name}={value}" for name, value in pairs)
)
DATABASE_FAULTS = ("21000", "54001", "57014")  # what PostgreSQL itself answers with a status of 500


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(METHODS, PATHS, QUERIES, HEADERS, BODIES, st.sampled_from(Dialect)),
        min_size=10,
        max_size=30,
    )
)
def test_no_request_is_a_fault_of_ours_and_none_harms_the_next(uri, schema, requests):
    with asyncio.Runner() as runner:
        runner.run(all_answered(uri, schema, requests))


async def all_answered(uri, schema, requests):
    async with pipeline(uri, schema, size=2, db_tx_end="rollback", db_plan_enabled=True) as served:
        for method, path, query, headers, body, dialect in requests:
            request = HttpRequest(method, path, query, list(headers.items()), body)
            answer = await served.respond(request, dialect)
            if not isinstance(answer.body, bytes):
                answer.body = b"".join([piece async for piece in answer.body])
            if answer.status >= 500:
                assert json.loads(answer.body)["code"] in DATABASE_FAULTS, (request, answer.body)
            healthy = await ask(served, "GET", "/notes?select=id&order=id")
            assert (healthy.status, json.loads(healthy.body)) == (200, [{"id": 1}, {"id": 2}])
