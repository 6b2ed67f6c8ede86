"""What ASGI servers let us do beyond ASGI, found by looking; the plain protocol where nothing is found.

What lives here: one write for a small answer (uvicorn), a reason of its own, back-pressure and aborting
(Daphne), a stop before the process ends where there is no lifespan (Daphne). What does not: what is sent
(``asgi``), and websocket frames (``sockets``).

ASGI sends headers and body as two messages, which uvicorn turns into two system calls; Daphne's ``send``
never waits for a slow client, so that a long answer would pile up in memory.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from functools import partial
from typing import Any

Scope = dict[str, Any]
Message = Mapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]
RawHeaders = list[tuple[bytes, bytes]]


async def send_whole(
    send: Send, status: int, headers: RawHeaders, body: bytes, reason: str | None = None
) -> None:
    """Send a whole answer, in one write where the server allows, with a reason behind its status there."""
    reason = reason or _PHRASES.get(status)
    cycle: Any = getattr(send, "__self__", None)
    transport = getattr(cycle, "transport", None)
    if transport is None or not cycle.__class__.__module__.startswith("uvicorn."):
        await send({"type": "http.response.start", "status": status, "headers": headers})
        request = daphne_protocol(send)
        if reason and request is not None and reason.isprintable():
            request.code_message = reason.encode()
        await send({"type": "http.response.body", "body": body})
        return
    joined = _JoinedWrites(transport, status, reason)
    cycle.transport = joined
    try:
        known = min(status, _LAST_KNOWN)
        await send({"type": "http.response.start", "status": known, "headers": headers})
        await send({"type": "http.response.body", "body": body})
    finally:
        cycle.transport = transport
        joined.flush()


# PostgREST's, where the standard library says it otherwise, or does from Python 3.13 on, or Daphne does.
_PHRASES = {
    205: "Reset Content",
    408: "Request Timeout",
    413: "Request Entity Too Large",
    414: "Request-URI Too Long",
    416: "Requested Range Not Satisfiable",
    418: "I'm a teapot",
    422: "Unprocessable Entity",
    504: "Gateway Timeout",
    505: "HTTP Version Not Supported",
}

_LAST_KNOWN = 599  # uvicorn has lines for these statuses; of others, which HTTP allows, it knows nothing


class _JoinedWrites:
    """A transport that keeps what is written until it is flushed or closed; the first line may be its own."""

    __slots__ = ("_line", "_parts", "_transport")

    def __init__(self, transport: asyncio.Transport, status: int, reason: str | None) -> None:
        self._transport = transport
        # Nothing that could end the line and begin a header.
        said = reason if reason and reason.isprintable() else ""
        self._line = f"{status} {said}".encode() if said or status > _LAST_KNOWN else None
        self._parts: list[bytes] = []

    def write(self, part: bytes) -> None:
        self._parts.append(part)

    def close(self) -> None:
        self.flush()
        self._transport.close()

    def flush(self) -> None:
        if self._parts:
            answer = b"".join(self._parts)
            self._transport.write(answer if self._line is None else self._with_line(answer, self._line))
            self._parts.clear()
            self._line = None

    @staticmethod
    def _with_line(answer: bytes, line: bytes) -> bytes:
        first, end, rest = answer.partition(b"\r\n")
        return first.partition(b" ")[0] + b" " + line + end + rest

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class Stream:
    """Sends an answer in pieces, no faster than the client reads, and knows when the client has left."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._send = send
        self._request = daphne_protocol(send)
        self._gone = asyncio.Event()
        self._flow = _Flow(self._gone)
        self._listener = asyncio.ensure_future(self._listen(receive))

    async def _listen(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._gone.set()
        self._flow.resumeProducing()

    @property
    def gone(self) -> bool:
        """Whether the client has left."""
        return self._gone.is_set()

    async def start(self, status: int, headers: RawHeaders) -> None:
        """Send status and headers."""
        await self._send({"type": "http.response.start", "status": status, "headers": headers})
        if self._request is not None and not self.gone and self._request.channel is not None:
            self._request.registerProducer(self._flow, True)

    async def write(self, piece: bytes) -> None:
        """Send a piece of the body, and wait while the client is behind."""
        await self._send({"type": "http.response.body", "body": piece, "more_body": True})
        await self._flow.writable.wait()

    async def finish(self) -> None:
        """End the body."""
        self._unregister()
        self._listener.cancel()
        await self._send({"type": "http.response.body", "body": b""})

    def abort(self) -> None:
        """Give the answer up so that the client sees that it is not whole."""
        self._listener.cancel()
        self._unregister()
        transport: Any = getattr(getattr(self._send, "__self__", None), "transport", None)
        if self._request is not None and self._request.channel is not None:
            self._request.channel.transport.abortConnection()
        elif hasattr(transport, "abort"):
            transport.abort()

    def _unregister(self) -> None:
        request = self._request
        if request is not None and request.producer is self._flow and request.channel is not None:
            request.unregisterProducer()


class _Flow:
    """Twisted's IPushProducer: the transport says when its buffer is full and when it is empty again."""

    def __init__(self, gone: asyncio.Event) -> None:
        self._gone = gone
        self.writable = asyncio.Event()
        self.writable.set()

    def pauseProducing(self) -> None:
        if not self._gone.is_set():
            self.writable.clear()

    def resumeProducing(self) -> None:
        self.writable.set()

    def stopProducing(self) -> None:
        self._gone.set()
        self.writable.set()


class SocketFlow:
    """Tells when a websocket's client is behind, where the server's ``send`` does not wait (Daphne)."""

    def __init__(self, send: Any) -> None:
        self._flow: _Flow | None = None
        transport: Any = getattr(daphne_protocol(send), "transport", None)
        if transport is not None:
            self._flow = _Flow(asyncio.Event())
            transport.unregisterProducer()  # the HTTP channel's, which has no part in the socket any more
            transport.registerProducer(self._flow, True)

    async def writable(self) -> None:
        """Wait while the client is behind."""
        if self._flow is not None:
            await self._flow.writable.wait()


def abort_socket(send: Any) -> None:
    """End a websocket whose client takes not even the closing."""
    protocol = daphne_protocol(send) or getattr(send, "__self__", None)
    transport: Any = getattr(protocol, "transport", None)
    for name in ("abortConnection", "abort"):  # Twisted's, asyncio's
        if hasattr(transport, name):
            getattr(transport, name)()
            return


def close_with_reason(send: Any, code: int, reason: str) -> bool:
    """Close a websocket with a reason where the server would drop it (Daphne); True when it is done."""
    protocol = daphne_protocol(send)
    if protocol is None or not hasattr(protocol, "sendClose"):
        return False
    protocol.sendClose(code=code, reason=reason)
    return True


def daphne_protocol(send: Any) -> Any:
    """Daphne's protocol behind ``send``, None under other servers."""
    if not isinstance(send, partial) or not send.args:
        return None
    protocol = send.args[0]
    return protocol if protocol.__class__.__module__.startswith("daphne.") else None


def under_daphne() -> bool:
    """Whether this process runs Daphne's reactor."""
    reactor = sys.modules.get("twisted.internet.reactor")
    return bool(getattr(reactor, "running", False))


def before_shutdown(stop: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Have Daphne's reactor wait for ``stop()`` before it ends; elsewhere lifespan does this."""
    if not under_daphne():
        return
    from twisted.internet.defer import Deferred

    reactor: Any = sys.modules["twisted.internet.reactor"]
    reactor.addSystemEventTrigger(
        "before", "shutdown", lambda: Deferred.fromFuture(asyncio.ensure_future(stop()))
    )
