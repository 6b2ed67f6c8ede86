"""The transport without a network: an ASGI application called in this process, for tests of applications.

Source: https://asgi.readthedocs.io/en/latest/specs/www.html
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager, suppress
from typing import Any
from urllib.parse import unquote

from .error import Unreachable
from .transport import Answer, Headers, Socket, SocketClosed, Stream

Message = MutableMapping[str, Any]
Application = Callable[
    [MutableMapping[str, Any], Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]],
    Awaitable[None],
]


class AsgiTransport:
    """``Client(transport=AsgiTransport(application))``: no port, no server.

    ``root_path`` is where the application believes to be mounted. The application's lifespan is run between
    open and close, if it has one.
    """

    def __init__(self, application: Application, root_path: str = "") -> None:
        self._application = application
        self._root_path = root_path.rstrip("/")
        self._lifespan: _Call | None = None

    async def open(self) -> None:
        """Start the application's lifespan. Raises Unreachable when it fails to start."""
        call = _Call(self._application, {"type": "lifespan", "asgi": {"version": "3.0"}})
        call.give({"type": "lifespan.startup"})
        try:
            message = await call.take()
        except _Ended:
            await call.close()
            return  # the application has no lifespan
        if message["type"] != "lifespan.startup.complete":
            await call.close()
            raise Unreachable(f"the application did not start: {message.get('message', '')}")
        self._lifespan = call

    async def close(self) -> None:
        """End the application's lifespan."""
        call, self._lifespan = self._lifespan, None
        if call:
            call.give({"type": "lifespan.shutdown"})
            with suppress(_Ended):
                await call.take()
            await call.close()

    def _scope(self, kind: str, target: str, headers: Headers, **more: Any) -> dict[str, Any]:
        path, _, query = target.partition("?")
        raw = self._root_path + path
        return {
            "type": kind,
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "path": unquote(raw),
            "raw_path": raw.encode(),
            "root_path": self._root_path,
            "query_string": query.encode(),
            "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
            "client": ("127.0.0.1", 0),
            "server": ("localhost", 80),
            **more,
        }

    async def request(self, method: str, target: str, headers: Headers, body: bytes | None = None) -> Answer:
        """A request and its whole answer. Raises Unreachable when the application fails."""
        async with self._exchange(method, target, headers, body or b"") as stream:
            return Answer(stream.status, stream.headers, b"".join([piece async for piece in stream.pieces]))

    @asynccontextmanager
    async def stream(self, method: str, target: str, headers: Headers) -> AsyncIterator[Stream]:
        """A request whose answer is read piece by piece."""
        async with self._exchange(method, target, headers, b"") as stream:
            yield stream

    @asynccontextmanager
    async def _exchange(
        self, method: str, target: str, headers: Headers, body: bytes
    ) -> AsyncIterator[Stream]:
        call = _Call(self._application, self._scope("http", target, headers, method=method, scheme="http"))
        call.give({"type": "http.request", "body": body, "more_body": False})
        try:
            start = await call.take()
            names = {name.decode().lower(): value.decode() for name, value in start["headers"]}
            yield Stream(start["status"], names, _pieces(call))
        except _Ended as ended:
            raise Unreachable(f"the application did not answer: {ended}") from ended
        finally:
            call.give({"type": "http.disconnect"})
            await call.close()

    async def connect(self, target: str, headers: Headers, protocols: tuple[str, ...] = ()) -> Socket:
        """A websocket. Raises Unreachable when the application refuses it."""
        scope = self._scope("websocket", target, headers, scheme="ws", subprotocols=list(protocols))
        call = _Call(self._application, scope)
        call.give({"type": "websocket.connect"})
        try:
            message = await call.take()
        except _Ended as ended:
            await call.close()
            raise Unreachable(f"the application did not answer: {ended}") from ended
        if message["type"] != "websocket.accept":
            await call.close()
            raise Unreachable(f"the application refuses the socket: {message.get('reason', '')}")
        return AsgiSocket(call, message.get("subprotocol"))


class AsgiSocket:
    """The other side of an application's websocket."""

    def __init__(self, call: _Call, protocol: str | None) -> None:
        self._call = call
        self.protocol = protocol

    async def receive(self) -> str:
        """The next message. Raises SocketClosed."""
        try:
            message = await self._call.take()
        except _Ended as ended:
            raise SocketClosed(1006, str(ended)) from ended
        if message["type"] == "websocket.close":
            raise SocketClosed(message.get("code", 1000), message.get("reason") or "")
        return str(message["text"] if message.get("text") is not None else message["bytes"].decode())

    async def send(self, text: str) -> None:
        """Send a message."""
        self._call.give({"type": "websocket.receive", "text": text})

    async def close(self) -> None:
        """Close it, however often."""
        self._call.give({"type": "websocket.disconnect", "code": 1000})
        await self._call.close()


async def _pieces(call: _Call) -> AsyncIterator[bytes]:
    while True:
        message = await call.take()
        if message.get("body"):
            yield message["body"]
        if not message.get("more_body"):
            return


class _Ended(Exception):
    """The application has returned or failed, and nothing it sent is left."""


class _Call:
    """One call of the application, and the two queues it talks through."""

    def __init__(self, application: Application, scope: dict[str, Any]) -> None:
        self._given: asyncio.Queue[Message] = asyncio.Queue()
        self._sent: asyncio.Queue[Message] = asyncio.Queue(16)  # a slow reader slows the application
        call = application(scope, self._given.get, self._sent.put)
        self._task: asyncio.Future[None] = asyncio.ensure_future(call)

    def give(self, message: Message) -> None:
        """What the application will receive."""
        self._given.put_nowait(message)

    async def take(self) -> Message:
        """What the application sends next. Raises _Ended."""
        taking = asyncio.ensure_future(self._sent.get())
        try:
            both: set[asyncio.Future[Any]] = {taking, self._task}
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            if taking.done():
                return taking.result()
        finally:
            taking.cancel()
        if not self._sent.empty():
            return self._sent.get_nowait()
        error = self._task.exception() if not self._task.cancelled() else None
        raise _Ended(str(error or "it returned")) from error

    async def close(self) -> None:
        """Let the application end; one that does not want to is cancelled."""
        while not self._sent.empty():
            self._sent.get_nowait()
        await asyncio.wait({self._task}, timeout=1)
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
