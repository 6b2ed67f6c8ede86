"""Sockets in step: those of the same subscriptions that have read everything, with one reader for all.

What lives here: who is in step, and sending them what is the same for all. What does not: everything that
concerns a single socket (``reader2``), which leaves the cohort for it and comes back when it is done.

A reader for each socket wakes, looks around and sleeps again for every transaction, which costs many times
what the sending does. So a version 2 socket that has nothing left to do takes a seat here. Its cohort reads
on, encodes a transaction once, and writes it to all seats. Whatever is out of the ordinary (a window that is
shut, a socket that makes the sender wait, a large transaction, a policy that raises, new definitions) is left
to the sockets' own readers: they are sent away from before that transaction, as if nobody had read it.
"""

from __future__ import annotations

import asyncio
import logging
import time
import types
from collections.abc import Awaitable, Callable, Generator, Mapping
from typing import NamedTuple, Protocol

from ..core.changes.transaction import Transaction
from ..core.errors import ApiError
from ..core.state.audience import Audience
from ..core.state.cursor import Cursor, Piece
from ..core.state.serversession import Window
from .digest import PART_CHANGES, Digest
from .encoding import Layout, encoded, layouts_of, transaction_frame
from .hub import Hub
from .log import LogTrimmed
from .outlet import SharedFrame
from .reader import HubReader

logger = logging.getLogger("aiodata.feed")

TURN = 200
"""Sockets that are sent to before others have their turn on the event loop."""


class Place(NamedTuple):
    """Where a seat stands after a transaction: its client's cursor, as text too, and when it was sent."""

    cursor: Cursor
    at: str
    sent_at: float


_NOWHERE = Place(Cursor("", 0), "", 0.0)


class Key(NamedTuple):
    """What sockets in step have in common: everything that decides what they are sent."""

    epoch: str
    version: int
    shape: str
    pieces: tuple[tuple[Piece, Audience], ...]


class Member(Protocol):
    """A socket's reader, as far as it is seated."""

    position: int

    @property
    def start(self) -> tuple[str, Cursor]:
        """The cursor its client has (empty for none), and where it stands itself."""

    def sent_away(self, place: Place | None, position: int, unsent: Awaitable[None] | None) -> None:
        """It is for itself again: it was last sent ``place``, and reads on from ``position``."""


class Seat:
    """A member of a cohort. ``take`` is its window's, ``push`` its outlet's, ``expires`` its token's end."""

    __slots__ = ("expires", "member", "place", "push", "take", "taken")

    def __init__(
        self,
        member: Member,
        window: Window,
        push: Callable[[SharedFrame], Awaitable[None] | None],
        expires: float,
    ) -> None:
        self.member = member
        self.take = window.take
        self.push = push
        self.expires = expires
        self.place: Place | None = None  # none yet, or no more: see ``taken``
        self.taken = True


class Cohort(HubReader):
    """See the module."""

    def __init__(self, hub: Hub, key: Key, name: Callable[[int], str]) -> None:
        super().__init__(hub)
        self.epoch, self.position = key.epoch, hub.position
        self._pieces: Mapping[Piece, Audience] = dict(key.pieces)
        self._shape, self._version, self._name = key.shape, key.version, name
        self._layouts: dict[frozenset[int], tuple[Layout, ...]] = {}
        self._seats: dict[Seat, None] = {}
        self._place = _NOWHERE
        self._expiry = float("inf")  # no token of a member ends before
        hub.subscribe(self, {oid for _, oid in self._pieces})

    def __len__(self) -> int:
        return len(self._seats)

    def enter(self, seat: Seat) -> None:
        """Seat a member that has read everything that is visible."""
        self._seats[seat] = None
        self._expiry = min(self._expiry, seat.expires)

    def leave(self, seat: Seat, unsent: Awaitable[None] | None = None) -> None:
        """Give the seat up, wherever the cohort is; again means nothing."""
        if not seat.taken:
            return
        del self._seats[seat]
        place, seat.place, seat.taken = seat.place, None, False
        # Asleep, it has read all that is visible; otherwise a member may be ahead of it, never behind.
        read = self.hub.position if self.asleep else self.position
        seat.member.sent_away(place, max(read, place.cursor.lsn if place else 0), unsent)

    def dissolve(self) -> None:
        """Everybody reads for themselves."""
        for seat in list(self._seats):
            self.leave(seat)

    async def run(self) -> None:
        """Read on for the members until cancelled."""
        try:
            while True:
                await self._step()
        except Exception:
            logger.exception("sockets in step go on by themselves")
        finally:
            self.dissolve()
            self.hub.unsubscribe(self)

    async def _step(self) -> None:
        if (self.epoch, self._version) != (self.hub.epoch, self.hub.catalogue.version):
            self.dissolve()  # and nobody comes back: their key is another now
            await asyncio.get_running_loop().create_future()
        try:
            transaction = self.next()
        except LogTrimmed:
            self.dissolve()
            self.position = self.hub.position
            return
        if transaction is None:
            await self.sleep()
        else:
            await self._tell(transaction)
            self.position = transaction.lsn

    async def _tell(self, transaction: Transaction) -> None:
        digest = self.hub.digest(transaction)
        if len(transaction.buffer) >= PART_CHANGES:
            self.dissolve()  # it comes in parts, for which each socket has its own pace
            return
        layouts = self._told(digest.touched)
        if not layouts:
            return
        try:
            known = await encoded(digest, 0, layouts, self.hub.gate)
        except ApiError:
            self.dissolve()
            return
        if known.lost or len(known.batches) > 1:
            self.dissolve()
        elif known.batches:
            await self._send(digest, known.batches[0])

    def _told(self, touched: frozenset[int]) -> tuple[Layout, ...]:
        known = self._layouts.get(touched)
        if known is None:
            pieces = {piece: a for piece, a in self._pieces.items() if piece[1] in touched}
            known = self._layouts[touched] = layouts_of(pieces, self._name)
        return known

    async def _send(self, digest: Digest, changes: str) -> None:
        """Write the transaction to every seat: the same bytes to all that were sent the one before."""
        cursor = Cursor(self.epoch, digest.transaction.lsn, self._shape)
        before, place = self._place, Place(cursor, str(cursor), time.monotonic())
        self._place = place
        shared = transaction_frame(digest, before.at, place.at, changes)
        seats = list(self._seats)
        for turn in range(0, len(seats), TURN):
            self._expire()
            for seat in seats[turn : turn + TURN]:
                # This loop is the server's hottest: all that can be known before it is known before it.
                frame = shared if seat.place is before else self._own_frame(seat, digest, changes)
                if frame is None:
                    continue
                if not seat.take(frame.sent):
                    self.leave(seat)
                    continue
                seat.place = place
                try:
                    unsent = seat.push(frame)
                except Exception as error:
                    unsent = _failed(error)
                if unsent is not None:
                    self.leave(seat, unsent)
            await asyncio.sleep(0)

    def _expire(self) -> None:
        """Send away whose token has ended."""
        now = time.time()
        if now >= self._expiry:
            for seat in [seat for seat in self._seats if seat.expires <= now]:
                self.leave(seat)
            self._expiry = min((seat.expires for seat in self._seats), default=float("inf"))

    def _own_frame(self, seat: Seat, digest: Digest, changes: str) -> SharedFrame | None:
        """For a seat that was not sent what the others were before; None where it gets nothing."""
        lsn = digest.transaction.lsn
        if not seat.taken or seat.member.position >= lsn:
            return None  # gone meanwhile, or come after it had read this itself
        start, cursor = seat.member.start
        if any(taken.until >= lsn for taken in cursor.taken):
            self.leave(seat)  # a snapshot it was sent may have this
            return None
        return transaction_frame(digest, seat.place.at if seat.place else start, self._place.at, changes)


@types.coroutine
def _failed(error: Exception) -> Generator[None, None, None]:
    """To be waited for as what could not be sent is; a generator, for nobody may come to wait."""
    raise error
    yield


class Group:
    """All members with one key, resting or not, and their cohort while there is one."""

    def __init__(self, key: Key) -> None:
        self.key = key
        self.members: set[Member] = set()
        self.cohort: Cohort | None = None
        self.task: asyncio.Task[None] | None = None


class Cohorts:
    """The cohorts of one hub. There is none for a key that only one socket has."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._groups: dict[Key, Group] = {}

    def join(self, key: Key, member: Member) -> Group:
        """A socket has this key from now on, until it leaves the group."""
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = Group(key)
        group.members.add(member)
        return group

    def leave(self, group: Group, member: Member) -> None:
        """It has another key, or is gone."""
        group.members.discard(member)
        if not group.members:
            self._groups.pop(group.key, None)
            if group.task is not None:
                group.task.cancel()

    def cohort(self, group: Group, name: Callable[[int], str]) -> Cohort | None:
        """For a member with nothing left to do; None when there is nobody to be in step with."""
        if group.task is None or group.task.done():
            if len(group.members) < 2:
                return None
            group.cohort = Cohort(self._hub, group.key, name)
            group.task = asyncio.create_task(group.cohort.run())
        return group.cohort

    @property
    def seated(self) -> int:
        """How many sockets are in step with others, for whoever wants to know."""
        return sum(len(group.cohort) for group in self._groups.values() if group.cohort is not None)

    async def close(self) -> None:
        """End them all."""
        tasks = [group.task for group in self._groups.values() if group.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
