"""What servers let us do with websockets beyond ASGI, found by looking; None where nothing is found.

What lives here: whose transport may be written to, and how. What does not: what is sent and to whom
(``feed``), the same for HTTP (``servers``).

An ASGI server makes a frame of every message for every socket. Where thousands are sent the same, the bytes
are made once and written to each transport, past the server's protocol: only what the protocol itself would
write there and then, one whole unfragmented frame, on a socket that is open, compresses nothing and is not
behind. Otherwise the message takes the way of ASGI, which knows how to wait.

Known: uvicorn's ``websockets-sansio`` (what ``auto`` takes) and ``websockets``, Daphne.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from .feed.outlet import SharedFrame
from .feed.wire import BEHIND, Pipe
from .servers import daphne_protocol

Push = Callable[[SharedFrame], Awaitable[None] | None]


def direct_push(send: Any, otherwise: Push) -> Push:
    """What writes frames to the transport behind an open websocket's ``send``, and else does ``otherwise``.

    That is ``otherwise`` itself where the server is not known, or where the socket's messages are compressed.
    """
    protocol = daphne_protocol(send)
    if protocol is not None:
        return _under_daphne(protocol, otherwise)
    protocol = getattr(send, "__self__", None)
    if protocol is None or not type(protocol).__module__.startswith("uvicorn.protocols.websockets."):
        return otherwise
    return _under_uvicorn(protocol, otherwise)


def _under_uvicorn(protocol: Any, otherwise: Push) -> Push:
    # With websockets-sansio the connection's state is an object of its own.
    connection = getattr(protocol, "conn", protocol)
    extensions, state = getattr(connection, "extensions", None), getattr(connection, "state", None)
    transport = protocol.transport
    if extensions or getattr(state, "name", "") != "OPEN" or not hasattr(transport, "get_write_buffer_size"):
        return otherwise
    return PipePush(transport, otherwise)


class PipePush:
    """Writes to an asyncio transport while it is neither behind nor closing."""

    __slots__ = ("_otherwise", "pipe")

    def __init__(self, pipe: Pipe, otherwise: Push) -> None:
        self.pipe = pipe
        self._otherwise = otherwise

    def __call__(self, frame: SharedFrame) -> Awaitable[None] | None:
        """Send a frame: nothing is left to wait for, or what ``otherwise`` says."""
        pipe = self.pipe
        if pipe.get_write_buffer_size() > BEHIND or pipe.is_closing():
            return self._otherwise(frame)
        pipe.write(frame.wire)
        return None


def _under_daphne(protocol: Any, otherwise: Push) -> Push:
    transport: Any = getattr(protocol, "transport", None)
    opened = getattr(protocol, "STATE_OPEN", None)
    if opened is None or getattr(protocol, "_perMessageCompress", True) is not None:
        return otherwise
    if not hasattr(transport, "dataBuffer") or not hasattr(transport, "_tempDataLen"):
        return otherwise
    write = transport.write

    def push(frame: SharedFrame) -> Awaitable[None] | None:
        # send_queue holds what autobahn sends in pieces: nothing may come between them.
        if protocol.state != opened or protocol.send_queue:
            return otherwise(frame)
        if len(transport.dataBuffer) + transport._tempDataLen > BEHIND:
            return otherwise(frame)
        write(frame.wire)
        return None

    return push
