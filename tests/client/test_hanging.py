"""Servers that take connections and never answer: the client tries again instead of waiting with them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp import web

from aiodata_django.client import Client, listing, transport
from aiodata_django.core.state.session import SUBPROTOCOL

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Hanging:
    """A server of which one part hangs. ``again`` is set when ``/state`` was asked for twice."""

    def __init__(self, *, handshake: bool, stays: bool = False) -> None:
        self.again = asyncio.Event()
        self._asked = 0
        self._handshake = handshake
        self._stays = stays
        self._never = asyncio.Event()

    async def describe(self, request: web.Request) -> web.StreamResponse:
        await self._never.wait()
        return web.json_response({})

    async def state(self, request: web.Request) -> web.StreamResponse:
        self._asked += 1
        if self._asked == 2:
            self.again.set()
        if not self._handshake:
            await self._never.wait()
        socket = web.WebSocketResponse(protocols=(SUBPROTOCOL,))
        await socket.prepare(request)
        if self._stays:
            await socket.receive()  # the client's leaving
        else:
            await asyncio.sleep(0.2)
            await socket.close(code=1012)
        return socket


@pytest.fixture
async def serve() -> AsyncIterator[Callable[[Hanging], Awaitable[str]]]:
    runners: list[web.AppRunner] = []

    async def start(server: Hanging) -> str:
        app = web.Application()
        app.add_routes([web.get("/", server.describe), web.get("/state", server.state)])
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        runners.append(runner)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        return site.name

    yield start
    for runner in runners:
        await runner.cleanup()


async def twice_asked(server: Hanging, url: str) -> None:
    client = Client(url)
    starting = asyncio.ensure_future(client.start())
    try:
        async with asyncio.timeout(15):
            await server.again.wait()
        assert not starting.done()
    finally:
        starting.cancel()
        await asyncio.wait({starting})
        await client.stop()


async def test_a_description_that_never_comes_is_given_up_with_its_socket(serve):
    server = Hanging(handshake=True)
    await twice_asked(server, await serve(server))


async def test_a_handshake_that_is_never_answered_is_given_up(serve, monkeypatch):
    monkeypatch.setattr(transport, "HANDSHAKE", 0.3)
    server = Hanging(handshake=False)
    await twice_asked(server, await serve(server))


async def test_a_description_that_never_comes_is_given_up_in_time_though_the_socket_stays(serve, monkeypatch):
    monkeypatch.setattr(listing, "PATIENCE", 0.3)
    server = Hanging(handshake=True, stays=True)
    await twice_asked(server, await serve(server))
