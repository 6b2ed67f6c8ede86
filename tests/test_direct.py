"""Frames past ASGI, in real servers: the bytes are right, and what must not go that way does not."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator

import aiohttp
import pytest
import uvloop
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.streams import StreamReader

from aiodata_django.feed.outlet import SharedFrame
from aiodata_django.feed.wire import BEHIND, Pipe, text_frame, write_all
from aiodata_django.sockets import direct_push
from tests.apps.alone import running

SIZES = (0, 1, 62, 63, 100, 32767, 32768, 70_000)


@given(st.one_of(st.text(max_size=300), st.sampled_from([0, 125, 126, 65535, 65536, 70000]).map("x".__mul__)))
def test_a_frame_is_what_a_websocket_library_reads(text: str) -> None:
    reader = StreamReader()
    reader.feed_data(text_frame(text.encode()))
    reader.feed_eof()
    parsing = Frame.parse(reader.read_exact, mask=False)
    with pytest.raises(StopIteration) as end:
        next(parsing)
    frame = end.value.value
    assert (frame.opcode, frame.fin, frame.rsv1, bytes(frame.data).decode()) == (
        Opcode.TEXT,
        True,
        False,
        text,
    )


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_nothing_is_written_after_a_transport_is_closed_that_still_has_to_send(run) -> None:
    """What a closing one takes may follow the close frame, which is to be the last."""

    async def close() -> tuple[list[Pipe], bytes]:
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        loop = asyncio.get_running_loop()
        pipe, _ = await loop.create_connection(asyncio.Protocol, sock=ours)
        while not pipe.get_write_buffer_size():
            pipe.write(b"before" * 100)
        assert pipe.get_write_buffer_size() < BEHIND
        pipe.close()
        left = write_all([pipe], b"after")
        read = b""
        while data := await loop.sock_recv(theirs, 1 << 16):
            read += data
        theirs.close()
        return left, read

    left, read = run(close())
    assert len(left) == 1
    assert read.endswith(b"before")


@pytest.fixture(scope="module", params=["uvicorn", "uvicorn-legacy", "daphne"])
def server(request) -> Iterator[tuple[str, str]]:
    """The kind of server, and its address."""
    with running("pushing", request.param) as port:
        yield request.param, f"http://127.0.0.1:{port}/"


async def connect(session: aiohttp.ClientSession, url: str, **options) -> aiohttp.ClientWebSocketResponse:
    for _ in range(100):
        try:
            return await session.ws_connect(url, max_msg_size=0, **options)
        except aiohttp.ClientConnectorError:  # it says its port before it serves
            await asyncio.sleep(0.05)
    raise TimeoutError


async def test_frames_written_to_the_transport_arrive_as_they_are(server) -> None:
    _, url = server
    async with aiohttp.ClientSession() as session, await connect(session, url) as socket:
        for size in SIZES:
            await socket.send_str(str(size))
            for _ in range(3):
                assert await socket.receive_str(timeout=10) == "é" * size
            told = await socket.receive_str(timeout=10)
            # Of large ones the later may find the earlier still waiting.
            assert told == "detours: 0" if size <= 100 else told.startswith("detours")
            await socket.ping()


async def test_a_socket_that_compresses_gets_its_frames_by_asgi(server) -> None:
    kind, url = server
    async with aiohttp.ClientSession() as session, await connect(session, url, compress=15) as socket:
        compressed = bool(socket.compress)
        assert compressed == (kind != "daphne")  # which offers none
        detours = 0
        for size in SIZES:
            await socket.send_str(str(size))
            for _ in range(3):
                assert await socket.receive_str(timeout=10) == "é" * size
            detours += 3
            told = await socket.receive_str(timeout=10)
            assert told == f"detours: {detours}" or not compressed


async def test_a_socket_that_does_not_read_is_left_to_asgi_soon(server) -> None:
    _, url = server
    async with aiohttp.ClientSession() as session, await connect(session, url) as socket:
        await socket.send_str("stall")
        await asyncio.sleep(0.3)
        frames = 0
        while len(text := await socket.receive_str(timeout=10)) > 100:
            frames += 1
        assert frames == int(text)  # none is lost, and the last one was left to ASGI
        assert frames < 4096  # 64 MB: the kernel's buffers take some of them, the transport next to nothing


def test_an_unknown_server_is_served_by_asgi() -> None:
    told = []

    async def send(message: object) -> None: ...

    assert direct_push(send, told.append) == told.append
    direct_push(send, told.append)(SharedFrame("text"))
    assert [frame.text for frame in told] == ["text"]
