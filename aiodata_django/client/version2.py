"""Version 2 of ``/state``: snapshots and whole transactions over one socket, resumed where it broke off.

What lives here: the session's frames to and from the socket, its time, and who waits for what. What does
not: the protocol (``core.state.session``) and the copy (``core.state.copy``).
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Coroutine, Iterable, Sequence
from contextlib import suppress
from typing import Any

from ..core.state.copy import Copy
from ..core.state.incoming import RowsFrame
from ..core.state.net import Event
from ..core.state.session import (
    SUBPROTOCOL,
    AuthSoon,
    ClientSession,
    Failed,
    OutOfStep,
    Passed,
    Ready,
    Resync,
    SchemaChanged,
    SessionEvent,
    SnapshotComplete,
    Subscription,
)
from .error import Error, Unreachable
from .inbox import Inbox
from .listing import Listing
from .origin import Origin
from .status import Status
from .transport import Socket, SocketClosed

logger = logging.getLogger("aiodata_django.client")

TICK = 0.5  # seconds between looks at the clock: acknowledgements that are due, a server that is silent
DESCRIBING = (0.0, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)  # seconds between looks at a new description
BREATH = 0.005  # seconds of work before others have their turn
Tell = Callable[[Sequence[Event]], object]

__all__ = ["SUBPROTOCOL", "Version2"]


class Version2:
    """Follows version 2 sockets, one after the other, with one session."""

    def __init__(
        self,
        origin: Origin,
        listing: Listing,
        status: Status,
        subscriptions: list[Subscription],
        *,
        intern: bool,
        crowded: Callable[[], bool],
    ) -> None:
        self._origin = origin
        self._listing = listing
        self._status = status
        self._intern = intern
        self._crowded = crowded
        self._session = _session(subscriptions)
        self._copy = Copy(listing.cache, intern=intern)
        self._session.decode = self._copy.decode
        self._socket: Socket | None = None
        self._redefined = False
        self._tasks: set[asyncio.Future[None]] = set()
        self._changing = asyncio.Lock()
        self._passing: dict[int, tuple[str, asyncio.Future[None]]] = {}
        self._joining: dict[int, asyncio.Future[None]] = {}

    # --- what others ask for

    async def synced(self, lsn: str) -> None:
        """Wait until the copy contains what was committed up to there, over lost connections too."""
        waiting = asyncio.get_running_loop().create_future()
        await self._ask(lsn, waiting)
        await waiting

    async def _ask(self, lsn: str, waiting: asyncio.Future[None]) -> None:
        number, frame = self._session.sync(lsn)
        self._passing[number] = lsn, waiting
        waiting.add_done_callback(lambda _: self._passing.pop(number, None))
        await self._send(frame)

    async def subscribe(self, subscription: Subscription) -> None:
        """Add a subscription, and wait until its rows are in the copy. Raises Error when it is refused."""
        joining = self._joining[subscription.id] = asyncio.get_running_loop().create_future()
        frame = self._session.subscribe(subscription)
        self._copy.subscribed(self._session.subscriptions.values())
        await self._send(frame)
        try:
            await joining
        finally:
            self._joining.pop(subscription.id, None)

    async def unsubscribe(self, number: int) -> list[Event]:
        """End a subscription; the rows that only it held are gone from the copy."""
        async with self._changing:
            await self._send(self._session.unsubscribe(number))
            return self._forget(number)

    def _forget(self, number: int) -> list[Event]:
        """The rows that only this subscription held are gone from the copy."""
        events = [event for event in self._copy.forget(number) if event is not None]
        self._show()
        return events

    @property
    def subscriptions(self) -> list[Subscription]:
        """What is subscribed to."""
        return list(self._session.subscriptions.values())

    def stop(self) -> None:
        """Nobody follows any more: who waits is told."""
        for waiting in [*(future for _, future in self._passing.values()), *self._joining.values()]:
            if not waiting.done():
                waiting.set_exception(Unreachable("the client is stopped"))

    async def _send(self, frame: str) -> None:
        """Send if there is a socket; the hello of the next one says the same."""
        if self._socket is not None:
            try:
                await self._socket.send(frame)
            except SocketClosed:
                self._socket = None

    # --- following

    async def follow(self, socket: Socket, inbox: Inbox, tell: Tell, ready: Callable[[], None]) -> None:
        """Keep the copy right until the socket is lost. ``ready`` is called when it is live."""
        if self._listing.cache is not self._copy.cache:  # version 1 was spoken meanwhile
            self._copy = Copy(self._listing.cache, intern=self._intern)
            self._session = _session(self._session.subscriptions.values())
            self._session.decode = self._copy.decode
        self._copy.subscribed(self._session.subscriptions.values())
        await inbox.meanwhile(self._listing.describe())
        clock = asyncio.get_running_loop().time
        await socket.send(self._session.connected(clock()))
        self._socket = socket
        try:
            await self._ask_again()
            while True:
                await self._hear(inbox, tell)
                self._status.become(self._session.state)
                if self._status.synced:
                    ready()
        except OutOfStep as error:
            raise SocketClosed(1006, str(error)) from error
        finally:
            self._socket = None
            self._session.disconnected()
            for task in self._tasks:
                task.cancel()

    async def _ask_again(self) -> None:
        waiting = list(self._passing.values())
        self._passing.clear()
        for lsn, future in waiting:
            if not future.done():
                await self._ask(lsn, future)

    async def _hear(self, inbox: Inbox, tell: Tell) -> None:
        """Take the messages that are here, or see what time it is."""
        clock = asyncio.get_running_loop().time
        messages: list[str] = []
        # Who waits for the copy to go on must not be waited for by it.
        if not (self._crowded() and not self._passing):
            try:
                async with asyncio.timeout(min(TICK, self._session.owes_in(clock()))):
                    messages = await inbox.next()
            except TimeoutError:
                pass
        else:
            await asyncio.sleep(TICK / 10)
        started = clock()
        for message in messages:
            now = clock()
            if now - started > BREATH:
                await asyncio.sleep(0)
                started = now = clock()
            for event in self._session.receive(message, now):
                if type(event) is RowsFrame:  # mostly: done here and now, without a task's turn
                    events = self._copy.put(event.changes)
                    tell(events if self._status.synced else ())
                else:
                    await self._take(event, tell)
            if self._session.owes(now) or self._copy.wanted:
                await self._speak(now)
        await self._speak(clock())
        if self._session.silent(clock()) and not self._crowded():
            raise SocketClosed(1006, "the server has been silent for too long")

    async def _speak(self, now: float) -> None:
        for frame in self._session.data_to_send(now):
            await self._send(frame)
        while self._copy.wanted:
            await self._send(self._session.need(*self._copy.wanted.pop()))

    async def _take(self, event: SessionEvent, tell: Tell) -> None:
        match event:
            case Passed(n=number):
                _fulfil(self._passing.get(number, ("", None))[1])
            case AuthSoon(seconds=seconds):
                self._later(self._renew(min(1.0, seconds / 3)))
            case Failed():
                await self._failed(event, tell)
            case Resync(why=why):
                self._status.become(self._session.state)  # before what else came with it is shown
                logger.info("tables are sent anew: %s", why)
            case _:
                tell(await self._apply(event))

    async def _apply(self, event: SessionEvent) -> list[Event]:
        events = []
        async with self._changing:
            for told in self._copy.take(event, silent=not self._status.synced):
                if told is None:
                    await asyncio.sleep(0)
                else:
                    events.append(told)
            if isinstance(event, SchemaChanged):
                self._redefined = True
            elif isinstance(event, (Ready, SnapshotComplete)):
                self._show()
        if isinstance(event, SnapshotComplete):
            for sub, _ in event.parts:
                _fulfil(self._joining.get(sub))
        return events

    def _show(self) -> None:
        """Let the tables be read from the copy. One whose shape has changed is described anew, in time."""
        problems = {}
        whole = any(subscription.table == "*" for subscription in self.subscriptions)
        if whole:
            silent = "the server tells no changes of this table"
            problems = {name: Error(silent) for name in self._listing.uncovered(self._copy.cache.tables)}
        self._listing.show(self._copy.cache, problems)
        if self._redefined:
            self._redefined = False
            self._later(self._describe(whole=whole))

    async def _describe(self, *, whole: bool) -> None:
        """Ask for the description until it has the columns of the copy: it may learn of them later."""
        for delay in DESCRIBING:
            await asyncio.sleep(delay)
            with suppress(Error):
                await self._listing.describe()
            self._listing.show(self._copy.cache, self._listing.problems)
            if self._listing.fits(whole=whole):
                return
        logger.warning("the server's description has not the columns of its rows; reload its schema")

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _renew(self, delay: float) -> None:
        """Give a new token. Not at once: one that is short-lived as well would be asked for without end."""
        if not self._origin.renewable:
            return
        await asyncio.sleep(delay)
        try:
            token = await self._origin.token()
        except Exception:
            logger.exception("there is no new token")
            return
        if token:
            await self._send(self._session.authenticate(token))

    async def _failed(self, failed: Failed, tell: Tell) -> None:
        error = Error(failed.message, code=failed.code, hint=failed.hint)
        joining = self._joining.get(failed.sub) if failed.sub is not None else None
        if failed.sub is not None and joining is not None:
            # The server keeps what it refused, and would tell of it as soon as it may.
            await self._send(self._session.unsubscribe(failed.sub))
            if not joining.done():
                joining.set_exception(error)
        elif not self._status.synced:
            raise error
        else:
            logger.warning("the server refuses: %s", error)
            if failed.sub is not None:  # nobody tells changes of these rows: who reads them would be misled
                async with self._changing:
                    tell(self._forget(failed.sub))


def _session(subscriptions: Iterable[Subscription]) -> ClientSession:
    """A session that is not in step with other clients' in what it acknowledges when."""
    return ClientSession(subscriptions, random.uniform(0.5, 1.0))  # noqa: S311


def _fulfil(waiting: asyncio.Future[None] | None) -> None:
    if waiting is not None and not waiting.done():
        waiting.set_result(None)
