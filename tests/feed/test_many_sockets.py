"""Hundreds of sockets in step, on real servers: each commit at each once, whatever some of them do."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import AsyncExitStack, ExitStack
from typing import Any

import aiohttp
import psycopg
import pytest

from tests.live import LiveServer, token

from .test_sockets import HELLO, SCHEMA, Talk, talk

SOCKETS, DEAF, COMMITS = 300, 20, 60
QUEUE = 16384
FAREWELL = aiohttp.ClientWSTimeout(ws_close=0.5)  # each of hundreds would wait for long, one after another
ROW = "insert into api.pets values ({}, repeat('x', 500))"


@pytest.fixture(scope="module", params=["uvicorn", "daphne"])
def server(request, make_module_database, as_user) -> Iterator[LiveServer]:
    admin_uri = make_module_database(SCHEMA)
    live = LiveServer(
        as_user(admin_uri, "authenticator"),
        server=request.param,
        module="tests.apps.impatient",
        environment={"PGRST_STATE_QUEUE_BYTES": str(QUEUE), "PATIENCE": "6", "HELLO_SECONDS": "10"},
    )
    live.admin_uri = admin_uri
    with ExitStack() as stack:
        stack.callback(live.close)
        yield live.start()


class Heard:
    """What one socket was told: ids of rows, and whether each transaction began where the last one ended."""

    def __init__(self, at: str) -> None:
        self.at = at
        self.ids: list[int] = []
        self.frames = 0

    def take(self, frame: dict[str, Any]) -> None:
        if frame["op"] == "pos":
            assert frame["from"] == self.at
            self.at = frame["at"]
        elif frame["op"] == "txn":
            assert frame["from"] == self.at
            self.at = frame["at"]
            self.ids += [row["id"] for _, _, row, _ in frame["changes"]]

    async def hear(self, socket: Talk, count: int) -> None:
        """So many rows, acknowledged now and then."""
        while len(self.ids) < count:
            self.take(await socket.hear())
            self.frames += 1
            if self.frames % 5 == 0:
                await socket.say({"op": "ack", "at": self.at})


async def join(stack: AsyncExitStack, server: LiveServer) -> tuple[Talk, Heard]:
    socket = await stack.enter_async_context(talk(server, "?v=2", token(), timeout=FAREWELL))
    await socket.say(HELLO)
    return socket, Heard((await socket.until("pos"))["at"])


async def test_all_are_told_of_every_commit_while_some_read_nothing(server) -> None:
    write(server, "truncate api.pets")
    async with AsyncExitStack() as stack:
        crowd = [await join(stack, server) for _ in range(SOCKETS)]
        write(server, ROW.format(0))  # and those who were alone are in step with the others
        deaf, others = (
            crowd[:: SOCKETS // DEAF],
            [one for n, one in enumerate(crowd) if n % (SOCKETS // DEAF)],
        )
        for socket, _ in deaf:
            socket.socket._reader._protocol.transport.pause_reading()
        hearing = [asyncio.create_task(heard.hear(socket, COMMITS)) for socket, heard in others]
        for number in range(1, COMMITS):
            await asyncio.to_thread(write, server, ROW.format(number))
        await asyncio.gather(*hearing)
        assert [heard.ids for _, heard in others] == [list(range(COMMITS))] * len(others)
        for socket, heard in deaf:
            socket.socket._reader._protocol.transport.resume_reading()
            assert await rest(socket, heard) == 4408
            assert 0 < len(heard.ids) < COMMITS
    async with AsyncExitStack() as stack:
        for _, heard in deaf[:3]:
            socket = await stack.enter_async_context(talk(server, "?v=2", token()))
            await socket.say({**HELLO, "at": heard.at})
            assert (await socket.until("ready"))["resumed"] is True
            await heard.hear(socket, COMMITS)
            assert heard.ids == list(range(COMMITS))


async def rest(socket: Talk, heard: Heard) -> int:
    """All that comes until the socket is closed; the code it is closed with."""
    while (message := await socket.socket.receive(timeout=20)).type is aiohttp.WSMsgType.TEXT:
        heard.take(json.loads(message.data))
    assert message.type is aiohttp.WSMsgType.CLOSE, message
    return message.data


def write(server: LiveServer, *statements: str) -> None:
    with psycopg.connect(server.admin_uri, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())
