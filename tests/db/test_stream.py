"""Large results flow at the reader's pace, in flat memory, and no reader harms another."""

from __future__ import annotations

import asyncio
import gc
import itertools
from collections.abc import AsyncIterator

import psutil
import pytest

from aiodata_django.core.errors import ApiError, InternalError
from aiodata_django.core.query.statement import Batch, Query
from aiodata_django.db.pool import Pool
from aiodata_django.pipeline import body
from tests.db.conftest import batch, eventually, rows, running

# Wide enough that no socket's buffers hold it all.
LARGE = "select g, repeat('x', 500) from generate_series(1, 100000) g"


@pytest.fixture(scope="module")
def uri(make_module_database) -> str:
    return make_module_database("create table nodes (id int primary key)")


def large(**options) -> Batch:
    return batch(LARGE, chunk=500, **options)


async def count(stream) -> int:
    return len(stream.first) + sum([len(chunk) async for chunk in stream])


@pytest.mark.parametrize("size", [0, 1, 4])
async def test_a_result_below_the_chunk_is_complete_at_once(uri: str, make_pool, size: int) -> None:
    pool = await make_pool(uri, size=1)
    stream = await pool.stream(
        batch("select g, 'a' as a from generate_series(1, $1::int) g", str(size), chunk=5)
    )
    assert stream.complete
    assert stream.columns == (b"g", b"a")
    assert stream.first == [(b"%d" % n, b"a") for n in range(1, size + 1)]
    assert stream.results[0].columns == (b"set_config", b"set_config")
    assert [chunk async for chunk in stream] == []
    assert rows(await pool.run(batch("select 1"))) == [(b"1",)]


@pytest.mark.parametrize("size", [5, 6, 10, 999])
async def test_a_longer_result_comes_in_chunks(uri: str, make_pool, size: int) -> None:
    pool = await make_pool(uri, size=1)
    stream = await pool.stream(batch("select g from generate_series(1, $1::int) g", str(size), chunk=5))
    assert not stream.complete
    assert stream.columns == (b"g",)
    chunks = [stream.first, *[chunk async for chunk in stream]]
    assert {len(chunk) for chunk in chunks[:-1]} <= {5}
    assert [row[0] for chunk in chunks for row in chunk] == [b"%d" % n for n in range(1, size + 1)]


@pytest.mark.parametrize(("size", "complete"), [(5, True), (80, True), (1000, False)])
async def test_the_first_chunk_gathers_what_its_bytes_allow(uri: str, make_pool, size: int, complete) -> None:
    pool = await make_pool(uri, size=1)
    sql = "select repeat('x', 100) from generate_series(1, $1::int)"
    stream = await pool.stream(batch(sql, str(size), chunk=5, gather=20_000))
    assert stream.complete is complete
    assert len(stream.first) == (size if complete else 100)
    chunks = [chunk async for chunk in stream]
    assert {len(chunk) for chunk in chunks} <= {5, 0}
    assert len(stream.first) + sum(len(chunk) for chunk in chunks) == size


async def test_a_single_statement_streams_too(uri: str, make_pool) -> None:
    pool = await make_pool(uri)
    one = Batch([Query(b"select generate_series(1, 20)")], scope="", chunk=5)
    for _ in range(3):
        assert await count(await pool.stream(one)) == 20


async def test_without_chunks_in_libpq_rows_are_gathered_one_by_one(uri: str, make_pool, monkeypatch) -> None:
    monkeypatch.setattr("aiodata_django.db.connection._LIBPQ_17", False)
    pool = await make_pool(uri, size=1, statement_cache=2)
    for size in (0, 4, 5, 6, 23):
        stream = await pool.stream(batch(f"select g from generate_series(1, {size}) g", chunk=5))
        assert stream.complete is (size < 5)
        assert await count(stream) == size


async def test_errors_before_the_first_rows_are_raised_at_once(uri: str, make_pool) -> None:
    pool = await make_pool(uri, size=1)
    for sql, code in (("select 1/0", "22012"), ("select * from nodes", "42501"), ("selekt", "42601")):
        with pytest.raises(ApiError) as caught:
            await pool.stream(batch(sql, chunk=5))
        assert caught.value.code == code
    assert rows(await pool.run(batch("select 1"))) == [(b"1",)]


async def test_errors_after_the_first_rows_are_raised_where_they_come(uri: str, make_pool) -> None:
    pool = await make_pool(uri, size=1)
    stream = await pool.stream(batch("select 1 / (50 - g) from generate_series(1, 100) g", chunk=10))
    with pytest.raises(ApiError) as caught:
        await count(stream)
    assert caught.value.code == "22012"
    assert rows(await pool.run(batch("select 1"))) == [(b"1",)]


async def test_a_streamed_batch_has_no_verdict_and_no_lsn(uri: str, make_pool) -> None:
    pool = await make_pool(uri)
    with pytest.raises(ValueError):
        await pool.stream(large(report_lsn=True))
    with pytest.raises(ValueError):
        await pool.stream(large(verdict=lambda results: True))


async def test_memory_stays_flat(uri: str, make_pool) -> None:
    pool = await make_pool(uri)
    process = psutil.Process()
    await count(await pool.stream(large()))
    gc.collect()
    before, most, seen = process.memory_info().rss, 0, 0
    stream = await pool.stream(large())
    async for chunk in stream:
        seen += len(chunk)
        most = max(most, process.memory_info().rss)
    assert seen + len(stream.first) == 100_000
    assert most - before < 8_000_000  # the result itself is 50 MB


class Turns:
    """Counts the turns that others than the reader have had on the event loop."""

    def __init__(self) -> None:
        self.count = 0
        self._loop = asyncio.get_running_loop()
        self._handle = self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        self.count += 1
        self._handle = self._loop.call_soon(self._turn)

    def stop(self) -> None:
        self._handle.cancel()


async def turns_between(items: AsyncIterator[object]) -> list[int]:
    """How many turns others have had before each item."""
    turns = Turns()
    counts = [0]
    async for _ in items:
        counts.append(turns.count)
    turns.stop()
    return [later - earlier for earlier, later in itertools.pairwise(counts)]


async def test_between_two_chunks_everybody_else_has_a_turn(uri: str, make_pool) -> None:
    pool = await make_pool(uri)
    stream = await pool.stream(batch("select g from generate_series(1, 50000) g", chunk=10))
    await asyncio.sleep(0.1)  # a lot of chunks is there before anybody asks for them
    turns = await turns_between(stream)
    assert len(turns) >= 4_990
    assert min(turns) > 0


async def test_between_two_pieces_of_the_first_chunk_too(uri: str, make_pool) -> None:
    pool = await make_pool(uri)
    sql = "select to_json(g) from generate_series(1, 30000) g"
    stream = await pool.stream(batch(sql, chunk=500, gather=1_000_000))
    assert len(stream.first) > 5_000
    turns = await turns_between(body(stream))
    assert len(turns) >= 60
    assert min(turns[1:-1]) > 0  # but before the opening and the closing bracket


async def test_the_longer_the_rows_the_fewer_are_a_chunk(uri: str, make_pool) -> None:
    pool = await make_pool(uri, size=1)
    sql = "select g, repeat('x', $1::int) from generate_series(1, 2000) g"
    chunks = {}
    for length in (10, 1_000, 20_000):
        stream = await pool.stream(batch(sql, str(length), chunk=500))
        chunks[length] = [len(stream.first), *[len(chunk) async for chunk in stream]]
        assert sum(chunks[length]) == 2000
    assert max(chunks[10]) == 500
    assert max(chunks[1_000]) <= 350  # of about 1.1 kB of memory, and at most 256 kB; they come by hundreds
    assert max(chunks[20_000]) <= 100


async def test_slow_readers_take_no_connection_from_the_others(uri: str, make_pool) -> None:
    pool = await make_pool(uri, size=2, stream_size=3, max_idletime=0.1)
    slow = [await pool.stream(large()) for _ in range(3)]
    answers = await asyncio.gather(*[pool.run(batch("select 1")) for _ in range(20)])
    assert all(rows(answer) == [(b"1",)] for answer in answers)
    small = await pool.stream(batch("select 1", chunk=5))
    assert small.complete
    assert [await count(stream) for stream in slow] == [100_000] * 3
    await eventually(lambda: pool.connections == 0)


async def test_the_connection_of_a_stream_is_used_again(uri: str, make_pool) -> None:
    pool = await make_pool(uri, size=1, stream_size=1)
    seen = set()
    for _ in range(5):
        async with await pool.stream(large()) as stream:
            seen.add(rows(await pool.run(batch("select pg_backend_pid()")))[0])
            await count(stream)
        assert rows(await pool.run(batch("select 1"))) == [(b"1",)]
        assert pool.connections == 2
    assert len(seen) == 2  # one is read by, the other answers; then they change places


async def test_connections_that_no_stream_needs_any_more_are_closed(uri: str, make_pool) -> None:
    pool = await make_pool(uri, size=1, stream_size=2)
    streams = [await pool.stream(large()) for _ in range(2)]
    assert rows(await pool.run(batch("select 1"))) == [(b"1",)]
    assert [await count(stream) for stream in streams] == [100_000] * 2
    assert pool.connections == 3
    pool.renew()
    await eventually(lambda: pool.connections == 0)
    assert rows(await pool.run(batch("select 1"))) == [(b"1",)]


async def test_long_streams_beyond_the_bound_wait_for_their_turn(uri: str, make_pool) -> None:
    pool = await make_pool(uri, size=2, stream_size=1)
    first = await pool.stream(large())
    second = asyncio.create_task(pool.stream(large()))
    await asyncio.sleep(0.1)
    assert not second.done()
    assert rows(await pool.run(batch("select 1"))) == [(b"1",)]
    assert await count(first) == 100_000
    assert await count(await second) == 100_000
    async with await pool.stream(large()) as third:
        assert third.first


async def test_long_streams_that_get_no_turn_are_a_504(uri: str, make_pool) -> None:
    pool = await make_pool(uri, size=2, stream_size=1, acquisition_timeout=0.1)
    async with await pool.stream(large()):
        with pytest.raises(InternalError) as caught:
            await pool.stream(large())
        assert (caught.value.status, caught.value.code) == (504, "PGRST003")
    assert await count(await pool.stream(large())) == 100_000


async def test_readers_that_leave_free_their_connection(uri: str, make_pool) -> None:
    pool = await make_pool(uri, size=1, stream_size=1)
    for _ in range(20):
        async with await pool.stream(large()) as stream:
            await anext(stream)
    assert rows(await pool.run(batch("select 1"))) == [(b"1",)]
    async with asyncio.timeout(10):  # the last one may be on its way out
        while await running(pool, "repeat"):  # noqa: ASYNC110 - only PostgreSQL knows
            await asyncio.sleep(0.01)


async def test_readers_cancelled_at_any_moment_leak_nothing(uri: str, make_pool) -> None:
    pool = await make_pool(uri, size=2, stream_size=2, max_idletime=0.1)

    async def read() -> None:
        async with await pool.stream(large()) as stream:
            await count(stream)

    for n in range(40):
        task = asyncio.create_task(read())
        await asyncio.sleep(0.0005 * n)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert await count(await pool.stream(large())) == 100_000
    assert rows(await pool.run(batch("select 1"))) == [(b"1",)]
    await eventually(lambda: pool.connections <= 2)


async def test_a_reader_that_stalls_is_cut_off(uri: str, make_pool) -> None:
    pool = await make_pool(uri, size=1, stream_size=1, patience=0.1)
    stream = await pool.stream(large())
    await asyncio.sleep(0.3)
    with pytest.raises(InternalError) as caught:
        await count(stream)
    assert caught.value.status == 504
    assert await count(await pool.stream(large())) == 100_000


async def test_losing_the_connection_midway_is_raised_to_the_reader(uri: str, make_pool) -> None:
    pool = await make_pool(uri, size=1)
    stream = await pool.stream(large())
    kill = """select pg_terminate_backend(pid, 5000) from pg_stat_activity
        where query like '%repeat%' and datname = current_database() and pid <> pg_backend_pid()"""
    await pool.run(batch(kill, role="postgres"))
    with pytest.raises(ApiError) as caught:
        await count(stream)
    assert caught.value.status == 503
    assert await count(await pool.stream(large())) == 100_000


async def test_changed_columns_are_found_before_the_first_rows(make_database, make_pool) -> None:
    uri = make_database("create table t as select g from generate_series(1, 20) g; grant all on t to auth")
    pool = await make_pool(uri, size=1)
    select = batch("select * from t", chunk=5)
    assert await count(await pool.stream(select)) == 20
    await pool.run(batch("alter table t add column more int", role="postgres"))
    stream = await pool.stream(select)
    assert stream.columns == (b"g", b"more")
    assert await count(stream) == 20


async def test_closing_the_pool_ends_the_streams(uri: str) -> None:
    pool = Pool(uri)
    await pool.open()
    stream = await pool.stream(large())
    await pool.close(grace=0)
    with pytest.raises(ApiError):
        await count(stream)
