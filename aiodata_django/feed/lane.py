"""Seats side by side: sockets in step that were sent the same, and are sent the next frame in one go.

What lives here: where a seat stands, who has room for more, sending to those that do. What does not: what is
sent, and to whom in what order (``cohort``).
"""

from __future__ import annotations

import sys
import types
from collections.abc import Awaitable, Generator, Iterable
from typing import NamedTuple, Protocol

from ..core.state.cursor import Cursor
from ..core.state.serversession import Journal, Window
from .outlet import Outlet, SharedFrame
from .wire import Pipe, write_all

TURN = 200
"""Sockets that are sent to before others have their turn on the event loop."""


class Place(NamedTuple):
    """Where a seat stands after a frame: its client's cursor, as text too, when it was sent, the lag told."""

    cursor: Cursor
    at: str
    sent_at: float
    lag: int = 0


class Member(Protocol):
    """A socket's reader, as far as it is seated."""

    position: int

    @property
    def start(self) -> tuple[str, Cursor]:
        """The cursor its client has (empty for none), and where it stands itself."""

    def sent_away(self, place: Place | None, position: int, unsent: Awaitable[None] | None) -> None:
        """It is for itself again: it was last sent ``place``, and reads on from ``position``."""


class Seat:
    """A member of a cohort, in a lane or walking by itself. ``expires`` is its token's end."""

    __slots__ = ("_place", "expires", "lane", "member", "outlet", "taken", "window")

    def __init__(self, member: Member, window: Window, outlet: Outlet, expires: float) -> None:
        self.member = member
        self.window = window
        self.outlet = outlet
        self.expires = expires
        self.lane: Lane | None = None
        self.taken = True
        self._place: Place | None = None

    @property
    def place(self) -> Place | None:
        """Where it was sent to last, in its cohort; None when it was sent nothing there."""
        return self._place if self.lane is None else self.lane.place

    def send(self, frame: SharedFrame, place: Place) -> Awaitable[None] | None:
        """Send to it alone, while in no lane; what is left to wait for."""
        self._place = place
        return self.push(frame)

    def push(self, frame: SharedFrame) -> Awaitable[None] | None:
        """Give the frame to its outlet; what is left to wait for, also when that fails."""
        try:
            return self.outlet.push(frame)
        except Exception as error:
            return _failed(error)

    def step_out(self) -> None:
        """Go on without the lane, from where it is."""
        self._place, self.lane = self.place, None


class Lane:
    """At most ``TURN`` seats. Nothing of it waits, so that all its seats always stand at its ``place``."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.seats: dict[Seat, None] = {}
        self._journal = Journal()
        # What the journal may count before somebody's window could shut.
        self._count = self._size = sys.maxsize
        self._pipes: list[Pipe] | None = None  # None when it is to be found out anew
        self._others: list[Seat] = []

    def __len__(self) -> int:
        return len(self.seats)

    def add(self, seat: Seat) -> None:
        """Take in who stands at ``place``, and whose window is roomy."""
        self.seats[seat] = None
        self._pipes = None
        seat.lane = self
        seat.window.follow(self._journal)
        count, size = self._limit(seat.window)
        self._count, self._size = min(self._count, count), min(self._size, size)

    def remove(self, seat: Seat) -> None:
        """It goes on by itself."""
        del self.seats[seat]
        self._pipes = None
        seat.window.unfollow()
        seat.step_out()

    def tight(self) -> Iterable[Seat]:
        """Whose window might shut soon: to be removed before anything is sent."""
        if self._journal.count < self._count and self._journal.size < self._size:
            return ()
        tight = [seat for seat in self.seats if not seat.window.roomy]
        kept = [self._limit(seat.window) for seat in self.seats if seat.window.roomy]
        self._count = min((count for count, _ in kept), default=sys.maxsize)
        self._size = min((size for _, size in kept), default=sys.maxsize)
        return tight

    def _limit(self, window: Window) -> tuple[int, int]:
        messages, size = window.room
        return self._journal.count + messages, self._journal.size + size

    def tell(self, frame: SharedFrame, place: Place) -> list[tuple[Seat, Awaitable[None]]]:
        """Send to all; who makes the sender wait is answered, with what is to be waited for."""
        pipes = self._look() if self._pipes is None else self._pipes
        others = self._others
        self._journal.add(frame.sent)
        self.place = place
        if pipes and (left := set(write_all(pipes, frame.wire))):
            others = [*others, *[seat for seat in self.seats if seat.outlet.pipe in left]]
        waiting = ((seat, seat.push(frame)) for seat in others)
        return [(seat, unsent) for seat, unsent in waiting if unsent is not None]

    def _look(self) -> list[Pipe]:
        """Find out who may be written to directly."""
        self._pipes, self._others = [], []
        for seat in self.seats:
            if (pipe := seat.outlet.pipe) is not None:
                self._pipes.append(pipe)
            else:
                self._others.append(seat)
        return self._pipes


@types.coroutine
def _failed(error: Exception) -> Generator[None, None, None]:
    """To be waited for as what could not be sent is; a generator, for nobody may come to wait."""
    raise error
    yield
