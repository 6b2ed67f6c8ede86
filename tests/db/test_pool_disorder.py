"""Whatever is mixed, cancelled or killed: what was answered holds, and nothing is half done."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress

import psycopg
import pytest

from aiodata_django.core.errors import ApiError
from aiodata_django.core.query.statement import Batch, Query, Rows
from aiodata_django.db.pool import Pool
from tests.db.conftest import SETTINGS, batch, eventually, rows

SCHEMA = """
create table log (
    id int, part int, who text default current_user, unique (id, part) deferrable initially deferred
);
grant all on log to anon, auth;
"""
KILL = """
select pg_terminate_backend(pid) from pg_stat_activity
where datname = current_database() and pid <> pg_backend_pid() order by random() limit 1
"""


class Traffic:
    """Random batches that write two rows each, and what their callers were told."""

    def __init__(self, pool: Pool, seed: int) -> None:
        self.pool = pool
        self.random = random.Random(seed)
        self.answered: dict[int, str] = {}
        self.refused: set[int] = set()

    def batch(self, number: int, role: str) -> Batch:
        first, second = (b"insert into log values ($1, %d) returning who" % part for part in (1, 2))
        key = str(number).encode()
        third = self.random.choice([b"select 1", b"select 1/0", first, b"select pg_sleep(0.003)"])
        queries = [
            Query(SETTINGS, (role.encode(), b"POST"), wanted=False),
            Query(first, (key,)),
            Query(second, (key,)),
        ]
        params = (key,) if third is first else ()
        queries.append(Query(third, params, prepare=self.random.random() < 0.8))
        return Batch(
            queries,
            scope=role,
            begin=self.random.choice([None, None, b"begin isolation level repeatable read"]),
            rollback=self.random.random() < 0.1,
            verdict=self.random.choice([None, None, self.verdict]),
            report_lsn=self.random.random() < 0.2,
        )

    def verdict(self, results: list[Rows]) -> bool:
        return self.random.random() < 0.5

    async def write(self, number: int) -> None:
        role = self.random.choice(["anon", "auth"])
        try:
            result = await self.pool.run(self.batch(number, role))
        except ApiError as error:
            if error.status != 503:  # when the connection is lost, the commit may have been done
                self.refused.add(number)
            return
        assert result.results[1].rows == [(role.encode(),)]
        if result.committed:
            self.answered[number] = role
        else:
            self.refused.add(number)

    async def read(self, number: int) -> None:
        many = batch(
            "select repeat('y', 100) from generate_series(1, 20000)", chunk=self.random.choice([50, 500])
        )
        with suppress(ApiError):
            async with await self.pool.stream(many) as stream:
                async for _ in stream:
                    if self.random.random() < 0.01:
                        break

    async def one(self, number: int) -> None:
        task = asyncio.create_task(self.read(number) if number % 7 == 0 else self.write(number))
        if self.random.random() < 0.3:
            await asyncio.sleep(self.random.random() * 0.01)
            task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        if not task.cancelled():
            task.result()


def loop_factory(name: str) -> Callable[[], asyncio.AbstractEventLoop]:
    return asyncio.new_event_loop if name == "asyncio" else pytest.importorskip("uvloop").new_event_loop


# Both kinds of loop: they tell differently of connections that end.
@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize("seed", range(3))
def test_what_was_answered_holds_and_nothing_is_half_done(make_database, seed: int, loop: str) -> None:
    uri = make_database(SCHEMA)
    with asyncio.Runner(loop_factory=loop_factory(loop)) as runner:
        runner.run(disorder(uri, seed))


async def disorder(uri: str, seed: int) -> None:
    async with Pool(uri, size=3, stream_size=2, statement_cache=4, grace=0.01, max_idletime=0.1) as pool:
        await drive_and_look(pool, uri, seed)


async def drive_and_look(pool: Pool, uri: str, seed: int) -> None:
    traffic = Traffic(pool, seed)
    with psycopg.connect(uri, autocommit=True) as killer:
        for start in range(0, 400, 40):
            work = asyncio.gather(*[traffic.one(number) for number in range(start, start + 40)])
            await asyncio.sleep(0.005)
            killer.execute(KILL)
            await work
    found = rows(await pool.run(batch("select id, count(*), min(who), max(who) from log group by id")))
    kept = {int(row[0] or 0): row[1:] for row in found}
    assert {count for count, *_ in kept.values()} == {b"2"}
    assert len(traffic.answered) > 20
    assert len(traffic.refused) > 20
    for number, role in traffic.answered.items():
        assert kept[number] == (b"2", role.encode(), role.encode())
    assert not traffic.refused & kept.keys()
    await eventually(lambda: pool.connections <= 3)
    answers = await asyncio.gather(*[pool.run(batch("select current_user")) for _ in range(20)])
    assert all(rows(answer) == [(b"auth",)] for answer in answers)
