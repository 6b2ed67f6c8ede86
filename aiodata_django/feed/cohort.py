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
import math
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import NamedTuple

from ..core.changes.transaction import Transaction
from ..core.errors import ApiError
from ..core.state import frames
from ..core.state.audience import Audience
from ..core.state.cursor import Cursor, Piece
from .digest import PART_CHANGES
from .encoding import Layout, age_ms, encoded, layouts_of, transaction_frame
from .hub import Hub
from .lane import TURN, Lane, Member, Place, Seat
from .log import LogTrimmed
from .outlet import SharedFrame
from .reader import HubReader

logger = logging.getLogger("aiodata.feed")

Framed = Callable[[str, str], SharedFrame]
"""Makes a frame, of the cursor that a client has and the one that it gets."""

SILENCE = 14.0
"""Seconds after which something is sent, whatever there is: a second less than clients are told."""

_NOWHERE = Place(Cursor("", 0), "", 0.0)


class Key(NamedTuple):
    """What sockets in step have in common: everything that decides what they are sent."""

    epoch: str
    version: int
    shape: str
    pieces: tuple[tuple[Piece, Audience], ...]


class Cohort(HubReader):
    """See the module."""

    def __init__(self, hub: Hub, key: Key, name: Callable[[int], str]) -> None:
        super().__init__(hub)
        self.epoch, self.position = key.epoch, hub.position
        self._pieces: Mapping[Piece, Audience] = dict(key.pieces)
        self._shape, self._version, self._name = key.shape, key.version, name
        self._layouts: dict[frozenset[int], tuple[Layout, ...]] = {}
        self._walkers: dict[Seat, None] = {}  # in no lane: sent to one by one
        self._lanes: list[Lane] = []
        self._place = _NOWHERE
        self._expiry = math.inf  # no token of a member ends before
        self._lag = 0  # what was said of it last
        self._beat_at = math.inf  # when somebody is to hear something, at the latest (monotonic)
        hub.subscribe(self, {oid for _, oid in self._pieces})

    def __len__(self) -> int:
        return len(self._walkers) + sum(map(len, self._lanes))

    def _seats(self) -> list[Seat]:
        return [*self._walkers, *[seat for lane in self._lanes for seat in lane.seats]]

    def enter(self, seat: Seat, beat: float) -> None:
        """Seat a member that has read everything that is visible, and is to hear something by ``beat``."""
        self._walkers[seat] = None
        self._expiry = min(self._expiry, seat.expires)
        if beat < self._beat_at:
            self._beat_at = beat
            self.wake()  # it may be asleep for longer

    def leave(self, seat: Seat, unsent: Awaitable[None] | None = None) -> None:
        """Give the seat up, wherever the cohort is; again means nothing."""
        if not seat.taken:
            return
        if seat.lane is not None:
            seat.lane.remove(seat)
        else:
            del self._walkers[seat]
        place, seat.taken = seat.place, False
        # Asleep, it has read all that is visible; otherwise a member may be ahead of it, never behind.
        read = self.hub.position if self.asleep else self.position
        seat.member.sent_away(place, max(read, place.cursor.lsn if place else 0), unsent)

    def dissolve(self) -> None:
        """Everybody reads for themselves."""
        for seat in self._seats():
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
            await self._idle()
        elif self and time.monotonic() >= self._beat_at:  # nothing of what was read was to be told
            await self._beat(self.position, age_ms(transaction))
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
            framed = partial(transaction_frame, digest, known.batches[0])
            await self._send(transaction.lsn, framed, had=transaction.lsn)

    def _told(self, touched: frozenset[int]) -> tuple[Layout, ...]:
        known = self._layouts.get(touched)
        if known is None:
            pieces = {piece: a for piece, a in self._pieces.items() if piece[1] in touched}
            known = self._layouts[touched] = layouts_of(pieces, self._name)
        return known

    async def _idle(self) -> None:
        """Sleep; when it has been silent for long, say that there is nothing new."""
        left = 0.0 if self._lag else self._beat_at - time.monotonic()
        if not self:
            self._lag = 0
            self._beat_at = math.inf
            await self.sleep()
        elif left > 0:
            await self.sleep(left)
        elif self.hub.lag_ms():
            self._beat_at = math.inf
            self.dissolve()  # that is said by each to its own, until it is over
        else:
            await self._beat(self.hub.position, 0)

    async def _beat(self, position: int, lag: int) -> None:
        """Say to all how far they have come, which is so many milliseconds ago."""
        lsn, self._lag = max(position, self._place.cursor.lsn), lag
        await self._send(lsn, partial(_position, lag), had=lsn + 1)
        for seat in list(self._walkers):
            if seat.place is not self._place:
                self.leave(seat)  # come meanwhile, or with a snapshot ahead of this: it speaks for itself

    async def _send(self, lsn: int, framed: Framed, *, had: int) -> None:
        """Move every seat on to ``lsn``, with the same bytes for all that were sent to the last time.

        Whose reader stands at ``had``, or after it, came when it had read this itself.
        """
        cursor, now = Cursor(self.epoch, lsn, self._shape), time.monotonic()
        before, place = self._place, Place(cursor, str(cursor), now, self._lag)
        self._place, self._beat_at = place, now + SILENCE
        shared = framed(before.at, place.at)
        self._lanes = [lane for lane in self._lanes if lane]
        for lane in list(self._lanes):
            self._expire()
            for seat in lane.tight():
                lane.remove(seat)
                self._walkers[seat] = None
            for seat, unsent in lane.tell(shared, place):
                self.leave(seat, unsent)
            await asyncio.sleep(0)
        walkers = list(self._walkers)
        for turn in range(0, len(walkers), TURN):
            self._expire()
            for seat in walkers[turn : turn + TURN]:
                if not seat.taken:
                    continue  # gone meanwhile
                frame = shared if seat.place is before else self._own_frame(seat, lsn, framed, had)
                if frame is not None:
                    self._walk(seat, frame, place)
            await asyncio.sleep(0)

    def _walk(self, seat: Seat, frame: SharedFrame, place: Place) -> None:
        """Send to a seat in no lane; from then on it is in one, when its window is roomy."""
        if not seat.window.take(frame.sent):
            self.leave(seat)
            return
        unsent = seat.send(frame, place)
        if unsent is not None:
            self.leave(seat, unsent)
        elif seat.window.roomy:
            del self._walkers[seat]
            self._lane(place).add(seat)

    def _lane(self, place: Place) -> Lane:
        """One with room for another seat; all that there are stand at ``place``."""
        for lane in self._lanes:
            if len(lane) < TURN:
                return lane
        self._lanes.append(Lane(place))
        return self._lanes[-1]

    def _expire(self) -> None:
        """Send away whose token has ended."""
        now = time.time()
        if now >= self._expiry:
            for seat in [seat for seat in self._seats() if seat.expires <= now]:
                self.leave(seat)
            self._expiry = min((seat.expires for seat in self._seats()), default=math.inf)

    def _own_frame(self, seat: Seat, lsn: int, framed: Framed, had: int) -> SharedFrame | None:
        """For a seat that was not sent what the others were before; None where it gets nothing."""
        if seat.member.position >= had:
            return None
        start, cursor = seat.member.start
        if any(taken.until >= lsn for taken in cursor.taken):
            self.leave(seat)  # a snapshot it was sent may have this
            return None
        return framed(seat.place.at if seat.place else start, self._place.at)


def _position(lag: int, start: str, at: str) -> SharedFrame:
    """Nothing new up to ``at``."""
    return SharedFrame(frames.frame("pos", {"from": start or None, "at": at, "lag_ms": lag}), at)


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
