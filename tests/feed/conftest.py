"""A feed on a database of its own, and sockets that write down what they are sent."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import psycopg
import pytest

from aiodata_django.conf import Settings
from aiodata_django.core.identity import Identity
from aiodata_django.core.schema import Schema
from aiodata_django.db.pool import Pool
from aiodata_django.feed.log import RingLog
from aiodata_django.feed.service import Feed


class Socket:
    """What a websocket does to the feed, without the websocket: frames pile up, closing is remembered."""

    def __init__(self) -> None:
        self.frames: list[Any] = []
        self.closed: tuple[int, str] | None = None
        self.task: asyncio.Task[None] | None = None
        self._news = asyncio.Event()

    async def send(self, text: str, /) -> None:
        self.frames.append(json.loads(text))
        self._news.set()

    async def close(self, code: int, reason: str, /) -> None:
        self.closed = (code, reason)
        self._news.set()

    async def until(self, condition: Callable[[], object], seconds: float = 10.0) -> None:
        async with asyncio.timeout(seconds):
            while not condition():
                self._news.clear()
                await self._news.wait()

    async def heard(self, count: int) -> list[Any]:
        """The first ``count`` frames, waited for."""
        await self.until(lambda: len(self.frames) >= count or self.closed)
        return self.frames[:count]


class Stage:
    """A database, its feed, a superuser's connection to write with."""

    def __init__(self, uri: str, feed: Feed, writer: psycopg.AsyncConnection) -> None:
        self.uri = uri
        self.feed = feed
        self._writer = writer

    async def write(self, *statements: str) -> None:
        for statement in statements:
            await self._writer.execute(statement)

    async def value(self, query: str) -> Any:
        return (await (await self._writer.execute(query)).fetchone())[0]

    async def listen(self, role: str, expires: float | None = None, **claims: Any) -> Socket:
        """A version 1 socket of that role."""
        socket = Socket()
        identity = Identity(role, {"role": role, **claims}, True, expires)
        reader = await self.feed.attach(identity, socket)
        socket.task = self.feed.run(reader)
        return socket


@asynccontextmanager
async def staged(
    uri: str, login: str | None = None, make_log: Callable[..., RingLog] = RingLog, **settings: Any
) -> AsyncIterator[Stage]:
    """A feed of schema ``api`` in the database, running as ``login`` (a URI) or as its superuser."""
    async with AsyncExitStack() as stack:
        writer = await stack.enter_async_context(await psycopg.AsyncConnection.connect(uri, autocommit=True))
        pool = await stack.enter_async_context(Pool(login or uri, size=4))
        made = Settings(db_uri=login or uri, db_schemas=("api",), **settings)
        schema = Schema(("api",), {})
        feed = Feed(conninfo=login or uri, pool=pool, schema=lambda: schema, settings=made, make_log=make_log)
        await feed.start()
        stack.push_async_callback(feed.stop)
        yield Stage(uri, feed, writer)


MakeStage = Callable[..., Any]


@pytest.fixture
async def stage(make_database) -> AsyncIterator[MakeStage]:
    """``await stage(sql, **settings)``: a database made from ``sql`` with a running feed."""
    async with AsyncExitStack() as stack:

        async def make(sql: str, **settings: Any) -> Stage:
            made = await stack.enter_async_context(staged(make_database(sql), **settings))
            await made.feed.ready()
            return made

        yield make
