"""A version 2 socket at rest: it has nothing to do, alone or in its cohort.

What lives here: who may rest with others, what it takes along when it leaves them. What does not: what the
others are sent together (``cohort``), and everything a socket does when it is awake (``reader2``).
"""

from __future__ import annotations

import math
import time
from collections.abc import Awaitable, Callable

from ..core.state.cursor import Cursor
from .cohort import SILENCE, Cohort, Cohorts, Group, Key
from .hub import Hub
from .lane import Place, Seat
from .line import Line
from .outlet import Outlet
from .reader import finish
from .standing import Standing

HEARTBEAT = 15.0
"""Seconds of silence after which a client may wonder, as it is told; ``SILENCE`` is less."""


class Resting(Standing):
    """A reader that rests in the cohort of its key when there is one."""

    def __init__(
        self, hub: Hub, cohorts: Cohorts, line: Line, outlet: Outlet, resynced: Callable[[str], None]
    ) -> None:
        super().__init__(hub, line, outlet, resynced)
        self._cohorts = cohorts
        self._peers: Group | None = None
        self._told_lag = False
        self._unsent: Awaitable[None] | None = None  # begun by the cohort, to be waited for

    @property
    def silence(self) -> float:
        """Seconds for which the client may still hear nothing."""
        return SILENCE - (time.monotonic() - self.line.spoke_at)

    async def _rest(self, seconds: float) -> None:
        """Sleep, at most so long, and until the client has heard nothing for long.

        Where others wait for the same, in their cohort, which sends what all of them get, and in time.
        """
        cohort = self._cohort()
        if cohort is None:
            await self.sleep(max(min(seconds, self.silence), 0.0))
            return
        left = self.line.token_seconds
        expires = math.inf if left is None else time.time() + left
        seat = Seat(self, self.line.window, self._outlet, expires)
        cohort.enter(seat, self.line.spoke_at + SILENCE)
        self.hub.subscribe(self, ())  # what concerns the tables wakes the cohort
        self.asleep = False
        try:
            await self.sleep(None if seconds == math.inf else max(seconds, 0.0))
        finally:
            cohort.leave(seat)
        unsent, self._unsent = self._unsent, None
        if unsent is not None:
            await finish(unsent)

    def _cohort(self) -> Cohort | None:
        """Where to rest; None unless all that is to be sent is what any other with the same key gets."""
        subs = self._subs
        odd = subs.read or subs.paused or self._stale or self._cursor.stale or self._told_lag
        ordinary = bool(subs.pieces) and not odd
        epoch, version, shape = self.epoch, subs.version, self._cursor.shape
        if not ordinary:
            self._take_key(None)
        elif self._peers is None or self._peers.key[:3] != (epoch, version, shape):
            self._take_key(Key(epoch, version, shape, tuple(subs.pieces.items())))
        return self._cohorts.cohort(self._peers, subs.name) if self._peers is not None else None

    def _take_key(self, key: Key | None) -> None:
        if self._peers is not None:
            self._cohorts.leave(self._peers, self)
        self._peers = self._cohorts.join(key, self) if key is not None else None

    @property
    def start(self) -> tuple[str, Cursor]:
        """The cursor the client has, and where it stands."""
        return self._at or "", self._cursor

    def sent_away(self, place: Place | None, position: int, unsent: Awaitable[None] | None) -> None:
        """Read on alone, after what the cohort has sent."""
        if place is not None:
            self._cursor, self._at = place.cursor, place.at
            self.line.spoke_at = max(self.line.spoke_at, place.sent_at)
            if place.lag:  # to be taken back
                self._told_lag, self._caught_up = True, False
        self.position = max(self.position, position)
        self._unsent = unsent
        self.hub.subscribe(self, self._subs.watched())
        self.wake()
