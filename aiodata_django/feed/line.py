"""The line to one version 2 client: its frames read as they come, ours sent within the window.

What lives here: bounds on both directions, tokens, sync requests. What does not: what is sent when
(``reader2``).
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable

from ..core.changes.position import parse_lsn
from ..core.errors import ApiError
from ..core.identity import Identity
from ..core.state import frames
from ..core.state.serversession import (
    MAX_SUBSCRIPTIONS,
    Ack,
    AddSub,
    Auth,
    BadMessage,
    Hello,
    Need,
    Ping,
    Sync,
    Unsub,
    Window,
    read,
)
from .hub import Hub
from .outlet import Outlet, SharedFrame
from .reader import (
    CLOSE_BAD,
    CLOSE_EXPIRED,
    CLOSE_SLOW,
    CLOSE_UNAUTHORIZED,
    PATIENCE,
    Closed,
    finish,
)

Request = AddSub | Unsub | Need | Auth


class Line:
    """See the module. ``authenticate`` turns a token, or none, into an identity, raising ApiError.

    Attributes: ``identity`` (None until a token came); ``hello`` likewise; ``requests`` to be answered in
    order; ``spoke_at``, when something was sent last (monotonic seconds); ``on_news``, called when something
    came that is to be answered; ``window``, what is on the way, and ``window_bytes``, how much that may be.
    """

    def __init__(
        self,
        hub: Hub,
        outlet: Outlet,
        identity: Identity | None,
        authenticate: Callable[[str | None], Identity],
        queue_bytes: int,
    ) -> None:
        self._hub = hub
        self._outlet = outlet
        self._authenticate = authenticate
        self.window = Window(queue_bytes)
        self.window_bytes = queue_bytes
        self._bad: Closed | None = None
        self._pongs: list[int] = []
        self._helpers: set[asyncio.Task[None]] = set()
        self._syncs: list[tuple[int, int]] = []
        self._news = asyncio.Event()
        self.identity = identity
        self.hello: Hello | None = None
        self.requests: deque[Request] = deque()
        self.spoke_at = 0.0
        self.on_news: Callable[[], None] = self._news.set

    @property
    def full(self) -> bool:
        """Whether the client has to acknowledge before more is sent."""
        return not self.window.open

    @property
    def unacked(self) -> int:
        """Messages sent and not acknowledged."""
        return self.window.unacked

    def close(self) -> None:
        """Nothing is waited for any more."""
        for task in self._helpers:
            task.cancel()

    # Receiving ----------------------------------------------------------------------------------------

    def receive(self, text: str | bytes | None) -> None:
        """Take a frame; what is wrong with it closes the socket."""
        try:
            message = read(text)
            self._take(message)
        except BadMessage as error:
            self._bad = Closed(CLOSE_BAD, str(error))
        except ApiError as error:
            self._bad = Closed(CLOSE_UNAUTHORIZED, str(error))
        else:
            if isinstance(message, Ack):  # of interest to whoever waits for the window, and to nobody else
                self._news.set()
                return
        self._tell()

    def _tell(self) -> None:
        self._news.set()
        self.on_news()

    def _take(self, message: object) -> None:
        match message:
            case Hello():
                if self.hello is not None:
                    raise BadMessage("a second hello")
                self.hello = message
            case Ack():
                self.window.acknowledge(message)
            case Ping():
                self._limit(len(self._pongs))
                self._pongs.append(message.n)
            case Sync():
                self._sync(message)
            case Auth() if self.hello is None:
                self.identity = self._authenticate(message.token)
            case AddSub() | Unsub() | Need() | Auth():
                self._limit(len(self.requests))
                self.requests.append(message)

    @staticmethod
    def _limit(waiting: int) -> None:
        if waiting >= MAX_SUBSCRIPTIONS:
            raise BadMessage("too many requests at once")

    def _sync(self, request: Sync) -> None:
        try:
            lsn = parse_lsn(request.lsn)
        except ValueError as error:
            raise BadMessage(str(error)) from None
        self._limit(len(self._helpers))
        task = asyncio.create_task(self._pass(request.n, lsn))
        self._helpers.add(task)
        task.add_done_callback(self._helpers.discard)

    async def _pass(self, number: int, lsn: int) -> None:
        await self._hub.passed(lsn)
        self._syncs.append((lsn, number))
        self._tell()

    def passed(self, position: int) -> list[int]:
        """The numbers of the syncs that a reader at ``position`` has fulfilled; each is told once."""
        done = [number for lsn, number in self._syncs if lsn <= position]
        self._syncs = [sync for sync in self._syncs if sync[0] > position]
        return done

    def renew(self, token: str | None) -> Identity:
        """The identity behind a new token. Raises Closed."""
        try:
            self.identity = self._authenticate(token)
        except ApiError as error:
            raise Closed(CLOSE_UNAUTHORIZED, str(error)) from None
        return self.identity

    def expected(self, position: int) -> bool:
        """Whether the client waits for an answer that could be given now."""
        answered = any(lsn <= position for lsn, _ in self._syncs)
        return bool(self.requests or self._pongs or answered or self._bad is not None)

    def check(self) -> None:
        """Raises Closed when the client sent nonsense or its token has expired."""
        if self._bad is not None:
            raise self._bad
        left = self.token_seconds
        if left is not None and left <= 0:
            raise Closed(CLOSE_EXPIRED, "the token has expired")

    @property
    def token_seconds(self) -> float | None:
        """Until the token expires; None when it never does, or there is none."""
        if self.identity is None or self.identity.expires is None:
            return None
        return self.identity.expires - time.time()

    # Sending ------------------------------------------------------------------------------------------

    async def send(self, text: str, at: str | None = None) -> None:
        """Send when the window is open. Raises Closed for a client that is too slow to open it."""
        await self.tell(SharedFrame(text, at))

    async def tell(self, frame: SharedFrame) -> None:
        """Send what others are sent too. Raises Closed as :meth:`send` does."""
        while not self.window.take(frame.sent):
            await self._until_open()
        self.spoke_at = time.monotonic()
        unsent = self._outlet.push(frame)
        if unsent is not None:
            await finish(unsent)

    async def _until_open(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while not self.window.open:
            self.check()
            self._news.clear()
            try:
                async with asyncio.timeout(min(1.0, deadline - time.monotonic())):
                    await self._news.wait()
            except TimeoutError:
                if time.monotonic() >= deadline:
                    raise Closed(CLOSE_SLOW, "too slow: connect again and go on") from None

    async def pong(self) -> None:
        """Answer the pings."""
        while self._pongs:
            await self.send(frames.frame("pong", n=self._pongs.pop(0)))

    async def greeting(self, seconds: float) -> Hello:
        """The hello, once there is an identity too. Raises Closed when they do not come in time."""
        deadline = time.monotonic() + seconds
        while self.hello is None:
            self.check()
            self._news.clear()
            try:
                async with asyncio.timeout(deadline - time.monotonic()):
                    await self._news.wait()
            except TimeoutError:
                raise Closed(CLOSE_BAD, f"no hello within {seconds:.0f} seconds") from None
        self.check()
        if self.identity is None:
            self.renew(None)
        return self.hello
