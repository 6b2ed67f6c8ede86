"""Snapshots for version 2 sockets: all rows of some pieces, in one database snapshot, in frames.

What lives here: the reading, and the cutting into frames. What does not: when one is taken and what is told
after it (``reader2``).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, NamedTuple

from ..core.changes.position import Snapshot, parse_lsn
from ..core.changes.published import PublishedTable
from ..core.errors import too_complex
from ..core.query.statement import Batch, Query, Row
from ..core.state.audience import Audience, snapshot_sql
from ..core.state.cursor import Piece, Taken
from .gate import Gate

FRAME_BYTES = 1 << 18
"""Rows are cut into frames of about this size: a client decodes one without holding its loop for long."""

MOST_PARAMS = 65_535
"""Parameters of a statement: PostgreSQL's protocol counts them in two bytes."""

_BEGIN = b"begin isolation level repeatable read read only"
_PRESENT = Query(
    b"select pg_catalog.pg_current_snapshot()::text, pg_catalog.pg_current_wal_insert_lsn()::text"
)


class Section(NamedTuple):
    """One piece to read: its table, its audience, the name frames use."""

    piece: Piece
    table: PublishedTable
    audience: Audience
    name: str


class Rows(NamedTuple):
    """Some rows of a section; ``last`` when there are no more of it."""

    section: Section
    rows: list[bytes]
    last: bool


async def read_snapshot(gate: Gate, sections: Sequence[Section], taken: list[Taken]) -> AsyncIterator[Rows]:
    """Read all sections, which have one viewer, in one snapshot; that goes into ``taken`` before the first.

    Sections end in their order. Raises ApiError, also for filters of more values than one statement takes.
    """
    sql, params = snapshot_sql([(section.table, section.audience) for section in sections])
    if len(params) > MOST_PARAMS:
        raise too_complex(f"The subscriptions' filters have more than {MOST_PARAMS} values.")
    viewer = sections[0].audience.viewer
    queries = [gate.scope(viewer), _PRESENT, Query(sql, params, prepare=len(sections) == 1)]
    stream = await gate.pool.stream(Batch(queries, scope=viewer.role, begin=_BEGIN, chunk=500))
    try:
        snapshot, lsn = stream.results[1].rows[0]
        pieces = frozenset(section.piece for section in sections)
        taken.append(Taken(Snapshot.parse(_text(snapshot)), parse_lsn(_text(lsn)), pieces))
        cutter = _Cutter(sections)
        for rows in cutter.take(stream.first):
            yield rows
        if not stream.complete:
            async for chunk in stream:
                for rows in cutter.take(chunk):
                    yield rows
        for rows in cutter.end():
            yield rows
    finally:
        await stream.aclose()


def _text(value: bytes | None) -> str:
    return (value or b"").decode()


class _Cutter:
    """Cuts rows of (number of the section, row) into frames."""

    def __init__(self, sections: Sequence[Section]) -> None:
        self._sections = sections
        self._number = 0
        self._rows: list[bytes] = []
        self._bytes = 0

    def take(self, rows: Sequence[Row]) -> list[Rows]:
        """The frames that are full or whose section has ended."""
        done: list[Rows] = []
        for number, row in rows:
            while self._number < int(number or b"0"):
                done.append(self._cut(last=True))
                self._number += 1
            if self._bytes and self._bytes + len(row or b"") > FRAME_BYTES:
                done.append(self._cut(last=False))
            self._rows.append(row or b"null")
            self._bytes += len(row or b"") + 1
        return done

    def end(self) -> list[Rows]:
        """The last frame of the sections not ended yet."""
        done = []
        while self._number < len(self._sections):
            done.append(self._cut(last=True))
            self._number += 1
        return done

    def _cut(self, *, last: bool) -> Rows:
        rows, self._rows, self._bytes = self._rows, [], 0
        return Rows(self._sections[self._number], rows, last)


def tail(last: bool, left: int, group: int, at: str) -> dict[str, Any]:
    """What a ``snap`` frame says after its rows."""
    return {"more": False, "group": group, "left": left, "at": at} if last else {"more": True, "group": group}
