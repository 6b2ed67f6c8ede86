"""Cursors: where a client stands in the stream, as opaque text.

``epoch:lsn`` in plain cases. Right after a snapshot the client has seen some transactions that end after the
LSN and not others that end before the snapshot was taken: then the cursor carries the snapshot, for what it
was taken for, until the stream has passed it. So a client can leave at any moment and come back, and still
gets every change once. After ``!`` it names the pieces that were to be sent anew and were not yet: a client
that left before gets them when it is back. ``#shape`` names the definitions and privileges it was told by: a
client that comes back to others starts over.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..changes.position import Snapshot

Piece = tuple[int, int]
"""A subscription's id and a table's oid: what can be snapshot by itself."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A snapshot taken for some pieces (all for None); what ends after ``until`` is not in it."""

    snapshot: Snapshot
    until: int
    pieces: frozenset[Piece] | None = None

    def sees(self, xid: int, lsn: int) -> bool:
        """Whether a transaction's effects were in the snapshot."""
        return lsn <= self.until and self.snapshot.sees(xid)

    def __str__(self) -> str:
        pieces = "*" if self.pieces is None else _listed(self.pieces)
        return f"{self.until:x}@{self.snapshot}@{pieces}"

    @classmethod
    def parse(cls, text: str) -> Taken:
        """The inverse of ``str``. Raises ValueError."""
        until, snapshot, listed = text.split("@")
        return cls(Snapshot.parse(snapshot), int(until, 16), None if listed == "*" else _pieces(listed))


def _listed(pieces: frozenset[Piece]) -> str:
    return ",".join(f"{sub}.{oid}" for sub, oid in sorted(pieces))


def _pieces(listed: str) -> frozenset[Piece]:
    return frozenset(map(_piece, filter(None, listed.split(","))))


def _piece(text: str) -> Piece:
    sub, oid = text.split(".")
    return int(sub), int(oid)


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in the history called ``epoch``. ``stale``: pieces of which the copy may be wrong there."""

    epoch: str
    lsn: int
    shape: str = ""
    taken: tuple[Taken, ...] = ()
    stale: frozenset[Piece] = frozenset()

    def __str__(self) -> str:
        stale = f"!{_listed(self.stale)}" if self.stale else ""
        return ";".join((f"{self.epoch}:{self.lsn:x}", *map(str, self.taken))) + stale + f"#{self.shape}"

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """The inverse of ``str``. Raises ValueError."""
        places, _, shape = text.partition("#")
        places, _, stale = places.partition("!")
        place, *taken = places.split(";")
        epoch, _, lsn = place.partition(":")
        if not epoch:
            raise ValueError(f"not a cursor: {text!r}")
        return cls(epoch, int(lsn, 16), shape, tuple(map(Taken.parse, taken)), _pieces(stale))

    def moved(self, lsn: int) -> Cursor:
        """The cursor further on; snapshots that the stream has passed are dropped."""
        if not self.taken:
            return Cursor(self.epoch, lsn, self.shape, stale=self.stale)
        return replace(self, lsn=lsn, taken=tuple(t for t in self.taken if t.until > lsn))

    def joined(self, taken: Taken) -> Cursor:
        """The cursor after one more snapshot, which takes the place of earlier ones of the same pieces."""
        if taken.pieces is None:
            return replace(self, taken=(taken,))
        kept = []
        for one in self.taken:
            if one.pieces is None:
                kept.append(one)
            elif rest := one.pieces - taken.pieces:
                kept.append(replace(one, pieces=rest))
        return replace(self, taken=(*kept, taken))

    def has_seen(self, piece: Piece, xid: int, lsn: int) -> bool:
        """Whether a transaction's effects on that piece were in a snapshot taken for it."""
        return any((t.pieces is None or piece in t.pieces) and t.sees(xid, lsn) for t in self.taken)
