"""Clients that say nothing or read nothing, on real sockets: closed in time, and nobody else notices."""

from __future__ import annotations

import asyncio
import socket as socket_
from collections.abc import Iterator
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path

import aiohttp
import psycopg
import pytest

from tests.live import LiveServer, token

from .test_sockets import HELLO, SCHEMA, Talk, talk

MEGABYTE = 1 << 20


@pytest.fixture(scope="module", params=["uvicorn", "daphne"])
def server(request, make_module_database, as_user) -> Iterator[LiveServer]:
    admin_uri = make_module_database(SCHEMA)
    live = LiveServer(
        as_user(admin_uri, "authenticator"),
        server=request.param,
        module="tests.apps.impatient",
        environment={"PGRST_STATE_QUEUE_BYTES": str(64 * MEGABYTE)},  # the kernel's buffers are full before
    )
    live.admin_uri = admin_uri
    with ExitStack() as stack:
        stack.callback(live.close)
        yield live.start()


async def test_who_says_no_hello_is_closed(server) -> None:
    async with talk(server, "?v=2", token()) as socket:
        code, reason = await socket.closed()
        assert (code, "hello" in reason) == (4400, True)


async def test_who_acknowledges_nothing_is_closed_and_resumes_without_loss(server) -> None:
    write(server, "truncate api.pets")
    async with talk(server, "?v=2", token()) as socket:
        await socket.say(HELLO)
        at = (await socket.until("snap"))["at"]
        write(server, *(f"insert into api.pets values ({n})" for n in range(1200)))
        heard = []
        while (message := await socket.socket.receive(timeout=10)).type is aiohttp.WSMsgType.TEXT:
            if (frame := message.json())["op"] == "txn":
                heard += frame["changes"]
                at = frame["at"]
        assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, 4408)
        assert 0 < len(heard) < 1200
    async with talk(server, "?v=2", token()) as socket:
        await socket.say({**HELLO, "at": at})
        assert (await socket.until("ready"))["resumed"] is True
        while len(heard) < 1200:
            heard += (await socket.until("txn"))["changes"]
            await socket.say({"op": "ack", "n": 1})
    assert [row["id"] for _, _, row, _ in heard] == list(range(1200))


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="looks at the server's connections")
async def test_who_reads_nothing_is_let_go_in_version_1_too_and_the_others_go_on(server) -> None:
    write(server, "truncate api.pets")
    insert = f"insert into api.pets values ({{}}, repeat('x', {MEGABYTE}))"
    async with talk(server, bearer=token()) as other, talk(server, bearer=token()) as socket:
        transport = socket.socket._reader._protocol.transport
        transport.pause_reading()
        listening = asyncio.create_task(listen(other, 40))
        for n in range(40):  # far more than the kernel's buffers take
            await asyncio.to_thread(write, server, insert.format(n))
        async with asyncio.timeout(60):  # uvicorn waits for the goodbye of those who say none
            while sockets(server) > 1:  # noqa: ASYNC110 - of another process
                await asyncio.sleep(0.1)
            await listening
        transport.abort()  # it would wait for a farewell that it cannot hear


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="looks at the server's connections")
async def test_a_full_line_of_version_2_is_closed_and_resumes_while_the_others_go_on(server) -> None:
    write(server, "truncate api.pets")
    insert = f"insert into api.pets values ({{}}, repeat('x', {MEGABYTE // 2}))"
    async with AsyncExitStack() as stack:
        deaf, *others = [await stack.enter_async_context(talk(server, "?v=2", token())) for _ in range(4)]
        for socket in (deaf, *others):
            await socket.say(HELLO)
            at = (await socket.until("pos"))["at"]
            if socket is deaf:
                cursor = at
        transport = deaf.socket._reader._protocol.transport
        transport.get_extra_info("socket").setsockopt(socket_.SOL_SOCKET, socket_.SO_RCVBUF, 4096)
        transport.pause_reading()
        hearing = [asyncio.create_task(take(other, 40)) for other in others]
        for n in range(40):  # far more than the kernel's buffers take
            await asyncio.to_thread(write, server, insert.format(n))
        assert [await each for each in hearing] == [list(range(40))] * 3
        async with asyncio.timeout(25):
            while sockets(server) > 3:  # noqa: ASYNC110 - of another process
                await asyncio.sleep(0.1)
        transport.abort()
    async with talk(server, "?v=2", token()) as socket:
        await socket.say({**HELLO, "at": cursor})
        assert (await socket.until("ready"))["resumed"] is True
        assert await take(socket, 40) == list(range(40))


async def take(socket: Talk, count: int) -> list[int]:
    """The ids of so many rows, acknowledged as they come."""
    ids: list[int] = []
    while len(ids) < count:
        frame = await socket.until("txn")
        ids += [row["id"] for _, _, row, _ in frame["changes"]]
        await socket.say({"op": "ack", "at": frame["at"]})
    return ids


async def listen(socket: Talk, count: int) -> None:
    """Hear of so many rows."""
    for _ in range(count):
        assert (await socket.hear())[0] == "POST"


def write(server: LiveServer, *statements: str) -> None:
    with psycopg.connect(server.admin_uri, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def sockets(server: LiveServer) -> int:
    """Connections to the server's port that are established on its side."""
    port = int(server.url.rpartition(":")[2])
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(int(row[1].rpartition(":")[2], 16) == port and row[3] == "01" for row in rows)
