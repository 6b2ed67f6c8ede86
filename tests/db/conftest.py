"""A pool on a fresh database, and batches as the request pipeline makes them, or single statements."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from aiodata_django.core.errors import ApiError
from aiodata_django.core.query.statement import Batch, BatchResult, Query, Row
from aiodata_django.db.pool import Pool

SETTINGS = b"select set_config('role', $1, true), set_config('request.method', $2, true)"

MakePool = Callable[..., Any]


def batch(
    sql: str, *params: str | bytes | None, role: str = "auth", method: str = "GET", **options: Any
) -> Batch:
    """One request's batch: its settings, then its statement."""
    values = [value.encode() if isinstance(value, str) else value for value in params]
    settings = Query(SETTINGS, [role.encode(), method.encode()])
    return Batch([settings, Query(sql.encode(), values)], scope=role, **options)


def plain(sql: str) -> Batch:
    """A statement by itself, as the login role."""
    return Batch([Query(sql.encode())], scope="")


async def refused(pool: Pool, batch: Batch) -> ApiError:
    """What a batch fails with."""
    with pytest.raises(ApiError) as caught:
        await pool.run(batch)
    return caught.value


def rows(result: BatchResult) -> list[Row]:
    """The rows of the last statement."""
    return list(result.results[-1].rows)


async def running(pool: Pool, word: str) -> int:
    """How many other connections run a statement with this word in it."""
    where = "query like $1 and state = 'active' and pid <> pg_backend_pid()"
    look = batch(f"select 1 from pg_stat_activity where {where}", f"%{word}%", role="postgres")
    return len(rows(await pool.run(look)))


async def eventually(condition: Callable[[], object], seconds: float = 10.0) -> None:
    """Wait until something holds that others bring about."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - what brings it about tells nobody
            await asyncio.sleep(0.01)


@pytest.fixture
async def make_pool() -> AsyncIterator[MakePool]:
    """``await make_pool(uri, **options)``: an open pool, closed after the test."""
    async with AsyncExitStack() as stack:

        async def make(uri: str, **options: Any) -> Pool:
            return await stack.enter_async_context(Pool(uri, **options))

        yield make
