"""How the client reaches a server: the port, and the network behind it (aiohttp).

What lives here: bytes to and from one origin, HTTP and websocket. What does not: what they mean. The port
has a second side, :class:`~aiodata_django.client.inprocess.AsgiTransport`, which calls an application.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

import aiohttp
from yarl import URL

from .error import Unreachable, error_of

Headers = Mapping[str, str]
MAX_MESSAGE = 64 * 1024 * 1024  # bytes of one websocket message: a row larger than that ends the connection
HANDSHAKE = 30.0  # seconds in which a server takes a websocket or refuses it; a hung one does neither
_BROKEN = (aiohttp.ClientError, OSError, TimeoutError)


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer that is all here. Header names are in lower case."""

    status: int
    headers: Headers
    body: bytes


@dataclass(frozen=True, slots=True)
class Stream:
    """An HTTP answer whose body is still arriving."""

    status: int
    headers: Headers
    pieces: AsyncIterator[bytes]


class SocketClosed(Exception):
    """The websocket is closed; ``code`` and ``reason`` as the other side gave them (RFC 6455, section 7)."""

    def __init__(self, code: int, reason: str = "") -> None:
        super().__init__(f"{code} {reason}".strip())
        self.code = code
        self.reason = reason


class Socket(Protocol):
    """A websocket of text messages."""

    protocol: str | None

    async def receive(self) -> str:
        """The next message. Raises SocketClosed."""

    async def send(self, text: str) -> None:
        """Send a message. Raises SocketClosed."""

    async def close(self) -> None:
        """Close it, however often."""


class Transport(Protocol):
    """One origin. ``target`` is a raw path with query, percent-encoded, below the origin's base path.

    Methods raise :class:`~aiodata_django.client.error.Unreachable` when there is no answer.
    """

    async def open(self) -> None:
        """Make ready for requests."""

    async def close(self) -> None:
        """Give everything back."""

    async def request(self, method: str, target: str, headers: Headers, body: bytes | None = None) -> Answer:
        """A request and its whole answer."""

    def stream(self, method: str, target: str, headers: Headers) -> AbstractAsyncContextManager[Stream]:
        """A request whose answer is read piece by piece."""

    async def connect(self, target: str, headers: Headers, protocols: tuple[str, ...] = ()) -> Socket:
        """A websocket. Raises Error when the server refuses the handshake."""


class HttpTransport:
    """The network: one aiohttp session. ``url`` may have a path, below which the server is mounted."""

    def __init__(self, url: str) -> None:
        base = URL(url)
        if base.scheme not in ("http", "https") or not base.host:
            raise ValueError(f"url must begin with http:// or https:// and name a host, not {url!r}")
        self._base = str(base.with_query(None).with_fragment(None)).rstrip("/")
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Make the session; needs a running event loop."""
        if self._session is None:
            # The total is no limit of ours: a large table takes what it takes, as long as bytes arrive.
            timeout = aiohttp.ClientTimeout(total=None, sock_connect=30, sock_read=300)
            self._session = aiohttp.ClientSession(timeout=timeout)

    async def close(self) -> None:
        """Close the session and its connections."""
        session, self._session = self._session, None
        if session:
            await session.close()

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise RuntimeError("the client is not started")
        return self._session

    def _url(self, target: str) -> URL:
        # encoded=True: a key's %2F must arrive as it is, and yarl would not leave it.
        return URL(self._base + target, encoded=True)

    async def request(self, method: str, target: str, headers: Headers, body: bytes | None = None) -> Answer:
        """A request and its whole answer. Raises Unreachable."""
        session = self._open_session()
        try:
            async with session.request(method, self._url(target), headers=headers, data=body) as response:
                return Answer(response.status, _lower(response.headers), await response.read())
        except _BROKEN as error:
            raise Unreachable(f"{self._base} cannot be reached: {_said(error)}") from error

    @asynccontextmanager
    async def stream(self, method: str, target: str, headers: Headers) -> AsyncIterator[Stream]:
        """A request whose answer is read piece by piece. Raises Unreachable, while reading too."""
        session = self._open_session()
        try:
            async with session.request(method, self._url(target), headers=headers) as response:
                yield Stream(response.status, _lower(response.headers), response.content.iter_any())
        except _BROKEN as error:
            raise Unreachable(f"{self._base} cannot be reached: {_said(error)}") from error

    async def connect(self, target: str, headers: Headers, protocols: tuple[str, ...] = ()) -> Socket:
        """A websocket; pinged every 30 s, so that a vanished server is noticed. Raises Unreachable, Error."""
        session = self._open_session()
        try:
            async with asyncio.timeout(HANDSHAKE):
                socket = await session.ws_connect(
                    self._url(target),
                    headers=headers,
                    protocols=protocols,
                    heartbeat=30,
                    max_msg_size=MAX_MESSAGE,
                )
        except aiohttp.WSServerHandshakeError as error:
            raise error_of(error.status, b"") from error
        except _BROKEN as error:
            raise Unreachable(f"{self._base} cannot be reached: {_said(error)}") from error
        return HttpSocket(socket)


class HttpSocket:
    """A websocket of aiohttp."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self.protocol = socket.protocol

    async def receive(self) -> str:
        """The next message. Raises SocketClosed."""
        message = await self._socket.receive()
        if message.type is aiohttp.WSMsgType.TEXT:
            return str(message.data)
        if message.type is aiohttp.WSMsgType.BINARY:
            return bytes(message.data).decode()
        if message.type is aiohttp.WSMsgType.ERROR:
            raise SocketClosed(1006, _said(self._socket.exception()))
        raise SocketClosed(self._socket.close_code or 1006, str(message.extra or ""))

    async def send(self, text: str) -> None:
        """Send a message. Raises SocketClosed."""
        try:
            await self._socket.send_str(text)
        except _BROKEN as error:
            raise SocketClosed(self._socket.close_code or 1006, _said(error)) from error

    async def close(self) -> None:
        """Close it, however often."""
        await self._socket.close()


def _lower(headers: Headers) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _said(error: BaseException | None) -> str:
    return str(error) or type(error).__name__
