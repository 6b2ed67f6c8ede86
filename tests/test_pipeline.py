"""The pipeline on a real database: roles that share a connection share nothing else."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import asynccontextmanager

import jwt
import psycopg
import pytest

from aiodata_django.auth import Authenticator
from aiodata_django.conf import Settings
from aiodata_django.core.query.headers import Headers
from aiodata_django.core.query.request import Dialect, HttpRequest
from aiodata_django.db.catalog import load_schema_sync
from aiodata_django.db.pool import Pool
from aiodata_django.pipeline import LARGE_BODY, Pipeline

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
    return await served.respond(HttpRequest(method, path, query, Headers(sent), body), dialect)


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


async def test_a_fault_is_told_to_the_log_in_full_and_to_the_client_not_at_all(uri, schema, caplog):
    def faulty():
        raise RuntimeError("something of ours")

    async with pipeline(uri, schema, size=1) as served:
        served._schema = faulty
        answer = await ask(served, "GET", "/notes")
    assert (answer.status, json.loads(answer.body)["code"]) == (500, "PGRSTX00")
    assert b"something of ours" not in answer.body
    assert "internal error while answering GET /notes" in caplog.text
    assert "in faulty" in caplog.text


async def test_two_large_bodies_are_read_at_a_time(uri, schema, monkeypatch):
    reading, most = [], 0
    apart = Pipeline._apart

    def counted(*arguments):
        nonlocal most
        reading.append(None)
        most = max(most, len(reading))
        time.sleep(0.02)  # as long as a larger one would take
        try:
            return apart(*arguments)
        finally:
            reading.pop()

    monkeypatch.setattr(Pipeline, "_apart", counted)
    body = json.dumps([{"id": 100 + n, "body": "x" * LARGE_BODY} for n in range(2)]).encode()
    async with pipeline(uri, schema, size=4) as served:
        answers = await asyncio.gather(*[ask(served, "POST", "/tags", body=body) for _ in range(12)])
    assert {answer.status for answer in answers} == {404}  # looked for after the body was read
    assert most == 2


PARALLEL = """
alter database {name} set parallel_setup_cost = 0;
alter database {name} set parallel_tuple_cost = 0;
alter database {name} set min_parallel_table_scan_size = 0;
alter database {name} set parallel_leader_participation = off;
"""


async def test_rows_read_by_parallel_workers_are_all_rows(make_database, as_user):
    sql = "create schema api; grant usage on schema api to anon;"
    sql += "create table api.many as select n from generate_series(1, 20000) n; analyze api.many;"
    uri = make_database(sql + "grant select on api.many to anon;")
    with psycopg.connect(uri, autocommit=True) as connection:
        connection.execute(PARALLEL.replace("{name}", str(connection.info.dbname)).encode())
    uri = as_user(uri, "authenticator")
    schema = load_schema_sync(uri, schemas=["api"], extra_search_path=["public"])
    async with pipeline(uri, schema, size=1) as served:
        for _ in range(20):
            answer = await ask(served, "GET", "/many?n=gt.19000")
            assert sorted(row["n"] for row in json.loads(answer.body)) == list(range(19001, 20001))
            assert dict(answer.headers)["Content-Range"] == "0-999/*"
