"""A TCP proxy between clients and server whose lines can be cut, stalled and slowed.

What lives here: bytes. What does not: who does that to them, and when (``nemesis``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress


class Link:
    """One client's connection. ``flowing`` unset: nothing comes from the server; ``rate``: bytes a second."""

    def __init__(self, *writers: asyncio.StreamWriter) -> None:
        self._writers = writers
        self.flowing = asyncio.Event()
        self.flowing.set()
        self.rate: float | None = None

    def cut(self) -> None:
        """Both ends lose it at once."""
        for writer in self._writers:
            writer.transport.abort()

    def heal(self) -> None:
        """As if nothing had been."""
        self.rate = None
        self.flowing.set()


class Proxy:
    """Listens on a free port of the loopback; ``port()`` answers where the server is now."""

    def __init__(self, port: Callable[[], int]) -> None:
        self._port = port
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.links: set[Link] = set()
        self.url = ""

    async def start(self) -> None:
        """Begin to listen; ``url`` is known then."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        host, port = self._server.sockets[0].getsockname()[:2]
        self.url = f"http://{host}:{port}"

    async def stop(self) -> None:
        """Cut all lines, listen no more."""
        if self._server is not None:
            self._server.close()
        for link in list(self.links):
            link.cut()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._join(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._port())
        except OSError:
            writer.transport.abort()
            return
        link = Link(writer, far_writer)
        self.links.add(link)
        try:
            await asyncio.gather(_pump(reader, far_writer, None), _pump(far_reader, writer, link))
        finally:
            self.links.discard(link)
            link.cut()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, link: Link | None) -> None:
    with suppress(OSError, asyncio.IncompleteReadError):
        while data := await reader.read(1 << 14):
            if link is not None:
                await link.flowing.wait()
                if link.rate:
                    await asyncio.sleep(len(data) / link.rate)
            writer.write(data)
            await writer.drain()
    writer.close()
