"""Where a socket's frames go: the port that consumers implement, and frames that many sockets share.

What lives here: what the feed asks of a socket. What does not: websockets and servers (``sockets``), and the
bounds on what is sent (``line``).
"""

from __future__ import annotations

import types
from collections.abc import Awaitable, Coroutine, Generator
from typing import Any, Protocol

from ..core.state.serversession import Sent
from .wire import Pipe, text_frame


class SharedFrame:
    """A text frame for any number of sockets. ``sent`` is what a window notes of it."""

    __slots__ = ("_wire", "sent", "text")

    def __init__(self, text: str, at: str | None = None) -> None:
        self.text = text
        self.sent: Sent = (len(text), at)
        self._wire: bytes | None = None

    @property
    def wire(self) -> bytes:
        """The whole frame as bytes, made for the first socket that is written to directly."""
        if self._wire is None:
            self._wire = text_frame(self.text.encode())
        return self._wire


class Outlet(Protocol):
    """A socket, as the feed sees it."""

    async def send(self, text: str, /) -> None:
        """Send one text frame; waits while the server says so."""

    async def close(self, code: int, reason: str, /) -> None:
        """Close the socket."""

    def push(self, frame: SharedFrame, /) -> Awaitable[None] | None:
        """Send a frame without waiting; what is left to wait for, None when it has been sent."""
        return begun(self.send(frame.text))

    @property
    def pipe(self) -> Pipe | None:
        """Where frames may be written as bytes while it is neither behind nor closing; None for nowhere."""
        return None


def begun(work: Coroutine[Any, Any, None]) -> Awaitable[None] | None:
    """Run a coroutine as far as it goes without waiting; the rest of it, None when it has ended.

    A task for each of a thousand sockets costs more than what they are sent, and hardly ever one has to wait.
    """
    try:
        awaited = work.send(None)
    except StopIteration:
        return None
    return _rest(work, awaited)


@types.coroutine
def _rest(work: Coroutine[Any, Any, None], awaited: Any) -> Generator[Any, Any, None]:
    """What ``await`` would do, from the first wait on."""
    try:
        while True:
            try:
                answer = yield awaited
            except GeneratorExit:
                work.close()
                raise
            except BaseException as error:
                awaited = work.throw(error)
            else:
                awaited = work.send(answer)
    except StopIteration:
        return
