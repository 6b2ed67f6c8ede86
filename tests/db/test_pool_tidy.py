"""What functions leave in a session is gone before the next batch: settings, locks, cursors, tables."""

from __future__ import annotations

from dataclasses import replace

import pytest

from aiodata_django.core.errors import ApiError
from aiodata_django.core.query.statement import Batch, Query
from aiodata_django.db.pool import Pool
from tests.db.conftest import batch, rows

SCHEMA = """
create function run(command text) returns void language plpgsql as 'begin execute command; end';
"""
# What a function may do, and what tells whether anything is left of it. A role is not among it: each batch
# names its own.
LEFT = {
    "a setting": ("set my.who = 'eve'", "coalesce(current_setting('my.who', true), '') <> ''"),
    "a limit": ("set statement_timeout = '1min'", "current_setting('statement_timeout') <> '0'"),
    "read-only": (
        "set session characteristics as transaction read only",
        "current_setting('transaction_read_only') = 'on'",
    ),
    "a lock": (
        "select pg_advisory_lock(4711)",
        "exists (select from pg_locks where locktype = 'advisory' and pid = pg_backend_pid())",
    ),
    "a cursor": (
        "declare left_open cursor with hold for select 1",
        "exists (select from pg_cursors where name = 'left_open')",
    ),
    "a table": (
        "create temp table left_there (a int)",
        "exists (select from pg_class where relname = 'left_there')",
    ),
    "listening": ("listen there", "exists (select from pg_listening_channels())"),
}


@pytest.fixture(scope="module")
def uri(make_module_database) -> str:
    return make_module_database(SCHEMA)


def running(command: str, **options) -> Batch:
    return batch("select run($1)", command, role="postgres", tidy=True, **options)


async def pid(pool: Pool) -> object:
    return rows(await pool.run(Batch([Query(b"select pg_backend_pid()")], scope="")))


async def left(pool: Pool, trace: str) -> bool:
    look = Batch([Query(f"select {trace}".encode())], scope="")
    return rows(await pool.run(look)) == [(b"t",)]


@pytest.mark.parametrize("cache", [256, 0], ids=["prepared", "unprepared"])
@pytest.mark.parametrize("begin", [None, b"begin isolation level serializable"], ids=["implicit", "begun"])
@pytest.mark.parametrize("what", LEFT)
async def test_what_a_function_left_is_gone(uri, make_pool, what, begin, cache) -> None:
    pool = await make_pool(uri, size=1, statement_cache=cache)
    command, trace = LEFT[what]
    session = await pid(pool)
    for _ in range(2):
        await pool.run(running(command, begin=begin))
        assert not await left(pool, trace)
    assert await pid(pool) == session


async def test_it_is_tidied_behind_a_verdict_a_rollback_and_a_failure_too(uri, make_pool) -> None:
    pool = await make_pool(uri, size=1)
    session = await pid(pool)
    (setting, is_set), (lock, is_locked) = LEFT["a setting"], LEFT["a lock"]
    await pool.run(running(setting, verdict=lambda results: True))
    await pool.run(running(setting, verdict=lambda results: False))
    await pool.run(running(lock, rollback=True))
    failing = running(lock)
    for begin in (None, b"begin isolation level serializable"):
        for verdict in (None, lambda results: True):
            fails = Batch([*failing.queries, Query(b"select 1/0")], "auth", begin, verdict=verdict, tidy=True)
            with pytest.raises(ApiError, match="22012"):
                await pool.run(fails)
    await pool.run(running("set my.other = '1'"))
    assert not await left(pool, f"{is_set} or {is_locked}")
    assert await pid(pool) == session


@pytest.mark.parametrize("rows_read", [10, 20_000], ids=["whole", "long"])
async def test_it_is_tidied_behind_a_stream(uri, make_pool, rows_read) -> None:
    pool = await make_pool(uri, size=1)
    session = await pid(pool)
    for what in ("a table", "a setting", "listening"):
        command, trace = LEFT[what]
        before = running(command).queries
        many = Query(f"select n from generate_series(1, {rows_read}) n".encode())
        read = 0
        async with await pool.stream(Batch([*before, many], "postgres", chunk=500, tidy=True)) as stream:
            read += len(stream.first)
            async for chunk in stream:
                read += len(chunk)
        assert read == rows_read
        assert not await left(pool, trace)
    assert await pid(pool) == session


async def test_the_position_of_a_commit_is_told_all_the_same(uri, make_pool) -> None:
    pool = await make_pool(uri, size=1)
    result = await pool.run(running("set my.who = 'eve'", report_lsn=True))
    assert result.lsn is not None
    assert "/" in result.lsn


async def test_a_session_that_cannot_be_tidied_is_replaced(uri, make_pool) -> None:
    pool = await make_pool(uri, size=1)
    await pool.run(running("select 1"))  # from now on what tidies is prepared
    session = await pid(pool)
    await pool.run(running("deallocate all"))
    assert await pid(pool) != session


async def test_without_functions_nothing_is_sent_for_it(uri, make_pool) -> None:
    pool = await make_pool(uri, size=1)
    await pool.run(replace(running("set my.who = 'eve'"), tidy=False))
    assert await left(pool, LEFT["a setting"][1])
