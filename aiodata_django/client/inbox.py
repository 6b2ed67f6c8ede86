"""What a websocket has brought and nobody has looked at yet."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from typing import TypeVar

from .transport import Socket, SocketClosed

T = TypeVar("T")
LIMIT = 100_000  # messages; beyond it the socket is not read, and the server sees a slow client


class Inbox:
    """Reads a socket from the first moment on, so that no message is lost while the tables are filled."""

    def __init__(self, socket: Socket) -> None:
        self._socket = socket
        self._messages: asyncio.Queue[str | None] = asyncio.Queue(LIMIT)
        self._closed: SocketClosed | None = None
        self._task = asyncio.ensure_future(self._read())

    async def _read(self) -> None:
        try:
            while True:
                await self._messages.put(await self._socket.receive())
        except SocketClosed as closed:
            self._closed = closed
            await self._messages.put(None)

    @property
    def closed(self) -> SocketClosed | None:
        """How the socket ended, None while it is open."""
        return self._closed

    async def outlives(self, seconds: float) -> bool:
        """Whether the socket is still open after this time; returns earlier when it is not."""
        await asyncio.wait({self._task}, timeout=seconds)
        return self._closed is None

    async def meanwhile(self, work: Awaitable[T]) -> T:
        """What comes of ``work``, unless the socket ends first: then it is given up. Raises SocketClosed."""
        task = asyncio.ensure_future(work)
        try:
            await asyncio.wait({task, self._task}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise self._closed or SocketClosed(1006)
            return await task
        finally:
            task.cancel()

    def waiting(self) -> list[str]:
        """The messages that are here."""
        messages = []
        while not self._messages.empty():
            message = self._messages.get_nowait()
            if message is None:  # the end: leave the mark for who waits next
                self._messages.put_nowait(None)
                break
            messages.append(message)
        return messages

    async def next(self) -> list[str]:
        """At least one message. Raises SocketClosed when there will be none."""
        message = await self._messages.get()
        if message is None:
            raise self._closed or SocketClosed(1006)
        return [message, *self.waiting()]

    async def close(self) -> None:
        """Stop reading and close the socket."""
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task
        await self._socket.close()
