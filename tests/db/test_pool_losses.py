"""What becomes of batches that wait, whose caller left, or whose database went away; and of the pool then."""

from __future__ import annotations

import asyncio

import psycopg
import pytest

from aiodata_django.core.errors import InternalError
from aiodata_django.core.query.statement import Batch, Query
from aiodata_django.db.pool import Pool
from tests.db.conftest import batch, eventually, plain, refused, rows, running

SCHEMA = "create table pets (name text primary key); grant all on pets to auth"


@pytest.fixture(scope="module")
def uri(make_module_database) -> str:
    return make_module_database(SCHEMA)


@pytest.fixture
async def pool(uri: str, make_pool) -> Pool:
    return await make_pool(uri, size=2)


async def backend(pool: Pool) -> bytes:
    value = rows(await pool.run(plain("select pg_backend_pid()")))[0][0]
    assert value is not None
    return value


async def test_a_renewed_pool_lets_what_runs_end_and_then_has_new_connections(uri: str, make_pool) -> None:
    pool = await make_pool(uri, size=2)
    slow = asyncio.ensure_future(pool.run(plain("select pg_backend_pid(), pg_sleep(0.5)")))
    await asyncio.sleep(0)  # it is sent
    other = await backend(pool)
    pool.renew()
    new = await backend(pool)
    (old, _), *_ = rows(await slow)
    assert len({old, other, new}) == 3
    assert [await backend(pool), await backend(pool)] == [new, new]
    assert pool.connections == 1


async def test_more_batches_than_connections_take_turns(pool: Pool) -> None:
    results = await asyncio.gather(*[pool.run(batch("select $1::int", str(n))) for n in range(100)])
    assert [rows(result) for result in results] == [[(b"%d" % n,)] for n in range(100)]


async def test_waiting_too_long_for_a_connection_is_a_504(uri: str, make_pool) -> None:
    pool = await make_pool(uri, size=1, acquisition_timeout=0.1)
    slow = asyncio.create_task(pool.run(batch("select pg_sleep(0.5)")))
    await asyncio.sleep(0)
    errors = await asyncio.gather(refused(pool, batch("select 1")), refused(pool, batch("select 2")))
    assert [(error.status, error.code) for error in errors] == [(504, "PGRST003")] * 2
    await slow
    assert rows(await pool.run(batch("select 1"))) == [(b"1",)]


async def test_cancelled_tasks_by_the_hundred_neither_leak_nor_poison(uri: str, make_pool) -> None:
    pool = await make_pool(uri, size=2)

    async def ask(n: int) -> None:
        begin = b"begin" if n % 2 else None
        sql = "select 1/0" if n % 5 == 0 else "select current_user, pg_sleep(0.001)"
        await pool.run(
            batch(sql, role="anon", begin=begin, verdict=(lambda results: True) if n % 3 else None)
        )

    for round_ in range(4):
        tasks = [asyncio.create_task(ask(n)) for n in range(100)]
        for n in range(round_ * 10):
            await asyncio.sleep(0.001 * (n % 3))
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    answers = await asyncio.gather(*[pool.run(plain("select current_user, $$fine$$")) for _ in range(20)])
    assert {tuple(rows(answer)) for answer in answers} == {((b"postgres", b"fine"),)}
    ours = "application_name = 'aiodata' and datname = current_database()"
    open_ones = rows(await pool.run(plain(f"select 1 from pg_stat_activity where {ours}")))
    assert len(open_ones) <= 2


async def test_a_short_batch_whose_caller_left_is_committed_whole(pool: Pool) -> None:
    writes = [Query(b"select pg_sleep(0.05)"), Query(b"insert into pets values ('Left')")]
    task = asyncio.create_task(pool.run(Batch(writes, scope="")))
    await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.sleep(0.1)
    assert rows(await pool.run(batch("delete from pets where name = 'Left' returning 1"))) == [(b"1",)]


async def test_a_long_batch_whose_caller_left_is_cancelled_after_the_grace(uri: str, make_pool) -> None:
    pool = await make_pool(uri, size=1, grace=0.05)
    task = asyncio.create_task(pool.run(batch("select pg_sleep(30), 'abandoned'")))
    await asyncio.sleep(0.05)
    task.cancel()
    assert rows(await pool.run(batch("select 1"))) == [(b"1",)]
    assert await running(pool, "abandoned") == 0


async def test_a_terminated_connection_fails_its_batch_and_is_replaced(uri: str, make_pool) -> None:
    pool = await make_pool(uri, size=1)
    pid = await backend(pool)
    task = asyncio.create_task(refused(pool, batch("select pg_sleep(30)")))
    await asyncio.sleep(0.05)
    with psycopg.connect(uri, autocommit=True) as other:
        other.execute("select pg_terminate_backend(%s)", [int(pid)])
    error = await task
    assert (error.status, error.code) == (503, "57P01")
    assert await backend(pool) != pid


async def test_an_idle_connection_that_is_terminated_goes_unnoticed(uri: str, make_pool) -> None:
    pool = await make_pool(uri, size=1)
    pid = await backend(pool)
    with psycopg.connect(uri, autocommit=True) as other:
        other.execute("select pg_terminate_backend(%s, 5000)", [int(pid)])
    await asyncio.sleep(0.05)
    assert await backend(pool) != pid


async def test_no_connection_at_open_is_a_503_and_a_later_database_is_found(own_postgres, make_pool) -> None:
    own_postgres.crash()
    pool = Pool(own_postgres.uri(), size=2)
    with pytest.raises(InternalError) as caught:
        await pool.open()
    assert (caught.value.status, caught.value.code) == (503, "PGRST000")
    own_postgres.restart()
    assert rows(await pool.run(plain("select 1"))) == [(b"1",)]
    await pool.close()


@pytest.mark.parametrize("mode", ["fast", "immediate"])
async def test_a_stopped_database_is_a_503_until_it_is_back(own_postgres, make_pool, mode) -> None:
    pool = await make_pool(own_postgres.uri(), size=3)
    await asyncio.gather(*[pool.run(plain("select pg_sleep(0.01)")) for _ in range(3)])
    tasks = [asyncio.create_task(refused(pool, plain("select pg_sleep(30)"))) for _ in range(5)]
    await asyncio.sleep(0.05)
    await asyncio.to_thread(own_postgres.stop, mode)
    assert {error.status for error in await asyncio.gather(*tasks)} == {503}
    errors = await asyncio.gather(*[refused(pool, plain("select 1")) for _ in range(20)])
    assert {(error.status, error.code) for error in errors} == {(503, "PGRST000")}
    await asyncio.to_thread(own_postgres.restart)
    results = await asyncio.gather(*[pool.run(plain("select 1")) for _ in range(20)])
    assert all(rows(result) == [(b"1",)] for result in results)


async def test_a_wrong_address_or_password_is_a_503_that_names_the_reason(uri: str) -> None:
    for wrong in (uri + "x", "postgresql://127.0.0.1:1/none", "not a connection string"):
        pool = Pool(wrong)
        with pytest.raises(InternalError) as caught:
            await pool.open()
        assert (caught.value.status, caught.value.code) == (503, "PGRST000")
        assert caught.value.details
        await pool.close()


async def test_idle_connections_are_closed_and_come_back(uri: str, make_pool) -> None:
    pool = await make_pool(uri, size=3, max_idletime=0.0)
    await asyncio.gather(*[pool.run(plain("select pg_sleep(0.01)")) for _ in range(3)])
    await eventually(lambda: pool.connections == 0)
    assert rows(await pool.run(plain("select 1"))) == [(b"1",)]


async def test_close_waits_for_what_runs_and_refuses_what_comes(uri: str) -> None:
    pool = Pool(uri, size=2)
    await pool.open()
    task = asyncio.create_task(pool.run(plain("select pg_sleep(0.1), 1")))
    await asyncio.sleep(0.02)
    await pool.close()
    assert rows(await task) == [(b"", b"1")]
    assert (await refused(pool, plain("select 1"))).status == 503
    assert pool.connections == 0


async def test_close_cancels_what_runs_too_long(uri: str) -> None:
    pool = Pool(uri, size=2)
    await pool.open()
    task = asyncio.create_task(refused(pool, plain("select pg_sleep(30)")))
    await asyncio.sleep(0.02)
    await pool.close(grace=0.05)
    assert (await task).status == 503
