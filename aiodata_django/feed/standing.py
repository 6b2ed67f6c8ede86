"""Where a version 2 socket stands: its cursor, what of its copy may be wrong, and the snapshots that mend it.

What lives here: the marking of what is stale, the order of snapshots and cursors, pieces that give nothing.
What does not: when that is due, and everything else a socket is sent (``reader2``).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from ..core.errors import ApiError
from ..core.state import frames
from ..core.state.cursor import Cursor, Piece, Taken
from .hub import Hub
from .line import Line
from .outlet import Outlet
from .reader import SocketReader
from .snapshot import Section, read_snapshot, tail
from .subscriptions import Subscriptions

RETRY_SECONDS = 0.2
"""Between two attempts at what failed because the database, or the hub, was away."""
RESYNC_REST = 1.0
"""Seconds at most between a snapshot and the next one that other tables' changes ask for."""

JOIN, ADDED = "join", "added"
SCHEMA, ROLE, POLICY = "schema", "role", "policy"
TRIMMED, EPOCH, OPAQUE, SIZE = "trimmed", "epoch", "opaque", "size"


class Standing(SocketReader):
    """A reader with a copy to keep right. ``resynced`` is told the cause of each snapshot."""

    def __init__(self, hub: Hub, line: Line, outlet: Outlet, resynced: Callable[[str], None]) -> None:
        super().__init__(hub, outlet)
        self.line = line
        self._resynced = resynced
        self._subs: Subscriptions
        self._cursor = Cursor("", 0)
        self._at: str | None = None  # the cursor the client has
        self._stale: dict[Piece, str] = {}
        self._announced: set[Piece] = set()
        self._stale_until = 0.0
        self._group = 0
        self._caught_up = False

    def _stand_at_present(self) -> None:
        self.epoch, self.position = self.hub.epoch, self.hub.position
        self._cursor = Cursor(self.epoch, self.position, self._subs.shape)

    def _mark(self, pieces: Iterable[Piece], why: str) -> None:
        for piece in pieces:
            self._stale.setdefault(piece, why)

    async def _resync(self) -> None:
        """Send all that is stale anew, in one snapshot; what fails goes alone, so as to hurt nobody else."""
        self._caught_up = False
        started = time.monotonic()
        self._stale = self._due()
        await self._announce()
        if self._stale:
            await self._snapshots(list(self._stale))
        self._announced.clear()
        # A table that is resynchronised by every other change must not occupy the database all the time.
        now = time.monotonic()
        rest = min(2 * (now - started), RESYNC_REST)
        self._stale_until = now + (max(rest, RETRY_SECONDS) if self._stale else rest)

    async def _announce(self) -> None:
        """Say once of what is stale that it is, before anything that is to be seen together with it."""
        if not self._stale:
            return
        fresh = {piece: why for piece, why in self._due().items() if piece not in self._announced}
        self._announced.update(fresh)
        for why in dict.fromkeys(fresh.values()):
            self._resynced(why)
            if why not in (JOIN, ADDED):
                mine = [piece for piece in fresh if fresh[piece] == why]
                tables = sorted({self._subs.name(oid) for _, oid in mine})
                subs = sorted({sub for sub, _ in mine})
                await self.line.send(frames.frame("resync", subs=subs, tables=tables, why=why))

    def _due(self) -> dict[Piece, str]:
        """What is stale and can be read anew."""
        known = self.hub.catalogue.published.tables
        return {p: w for p, w in self._stale.items() if p in self._subs.pieces and p[1] in known}

    def _settled(self, piece: Piece) -> None:
        """It is not stale any more, or nobody's."""
        self._stale.pop(piece, None)
        self._announced.discard(piece)

    async def _snapshots(self, pieces: Sequence[Piece]) -> None:
        """Send them; where the database is away they stay stale."""
        try:
            await self._snapshot_of(pieces)
        except ApiError as error:
            if error.passing:
                return
            if len(pieces) > 1:
                for piece in pieces:
                    await self._snapshots([piece])
            elif not await self.hub.left_behind(self._subs.version):
                await self._pause(pieces[0], error)

    async def _pause(self, piece: Piece, error: ApiError) -> None:
        """The piece gives nothing until definitions change: a policy or a filter of it raises."""
        self._subs.paused.add(piece)
        self._settled(piece)
        await self._error(error, piece[0])

    async def _snapshot_of(self, pieces: Sequence[Piece]) -> None:
        if self._subs.version != self.hub.catalogue.version:
            return  # changed while that was announced: looked at first
        tables = self.hub.catalogue.published.tables
        sections = [
            Section(piece, tables[piece[1]], self._subs.pieces[piece], self._subs.name(piece[1]))
            for piece in pieces
        ]
        self._group += 1
        left = len(sections)
        taken: list[Taken] = []
        async for rows in read_snapshot(self.hub.gate, sections, taken):
            cursor = self._placed(self._cursor.joined(taken[0]), without=pieces)
            left -= rows.last
            at = str(cursor) if rows.last else None
            ending = tail(rows.last, left, self._group, at or "") | self._still(pieces)
            await self.line.send(frames.snap(rows.section.piece[0], rows.section.name, rows.rows, ending), at)
        self._cursor, self._at = cursor, at
        self._subs.paused.difference_update(pieces)
        for piece in pieces:
            self._settled(piece)

    def _placed(self, cursor: Cursor, without: Iterable[Piece] = ()) -> Cursor:
        """The cursor, naming what the copy may have wrong: whoever comes back with it gets that anew."""
        doubtful = frozenset(self._stale.keys() | self._subs.paused).difference(without)
        return cursor if cursor.stale == doubtful else replace(cursor, stale=doubtful)

    async def _forget(self, piece: Piece, name: str) -> None:
        """A table that may not be seen any more, or is no more, is emptied at the client."""
        self._settled(piece)
        if piece[0] in self._subs.subs:
            self._group += 1
            self._cursor = self._placed(self._cursor)
            self._at = str(self._cursor)
            ending = tail(True, 0, self._group, self._at) | self._still()
            await self.line.send(frames.snap(piece[0], name, (), ending), self._at)

    def _still(self, without: Iterable[Piece] = ()) -> dict[str, list[int]]:
        """Which subscriptions a frame that settles a part of one leaves stale."""
        subs = sorted({sub for sub, _ in self._due().keys() - set(without)})
        return {"stale": subs} if subs else {}

    async def _error(self, error: ApiError, sub: int) -> None:
        fields = {"code": error.code, "sub": sub, "message": error.message, "hint": error.hint}
        await self.line.send(frames.frame("error", fields, fatal=False, **self._still()))
