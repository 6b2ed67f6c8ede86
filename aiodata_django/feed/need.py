"""Single rows for version 2 clients: what a client has only a part of, read by key under its role.

What lives here: the rows asked for, the reading, and whether what was read fits the socket's place in the
stream. What does not: whole snapshots (``snapshot``), and when a socket gets to this (``reader2``).

A row is read in a snapshot that may be ahead of the socket. It is right at the socket's place when no
transaction from there up to what the snapshot could have seen touches the table; otherwise those are told
first and the row is read again.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Collection
from typing import NamedTuple

from ..core.changes.position import parse_lsn
from ..core.changes.published import PublishedTable
from ..core.changes.textjson import json_text
from ..core.errors import ApiError
from ..core.query.statement import Batch, Query
from ..core.state import frames
from ..core.state.audience import Audience, snapshot_sql
from ..core.state.cursor import Piece
from ..core.state.serversession import Need
from .hub import Hub
from .subscriptions import Subscriptions

TRIES = 3
WAITING = 100
"""Rows that may be asked for at once: for more, the table is read anew."""
PASS_SECONDS = 5.0

_LSN = Query(b"select pg_catalog.pg_current_wal_insert_lsn()::text")
_BEGIN = b"begin isolation level repeatable read read only"


class Answer(NamedTuple):
    """Changes to tell now, as the inner of a ``txn``; and pieces of which a row could not be told."""

    changes: str = ""
    lost: tuple[Piece, ...] = ()


class Needs:
    """The rows one socket asked for."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._waiting: deque[tuple[Need, int]] = deque()

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def add(self, need: Need, subs: Subscriptions) -> tuple[Piece, ...]:
        """Take a request; answers the pieces to be read whole instead."""
        if len(self._waiting) < WAITING:
            self._waiting.append((need, TRIES))
            return ()
        return _pieces(need, subs)

    async def answer(self, subs: Subscriptions, without: Collection[Piece], position: int) -> Answer:
        """Read the first of them for a socket that stands at ``position``; it waits on when it must."""
        need, tries = self._waiting.popleft()
        pieces = [piece for piece in _pieces(need, subs) if piece not in without]
        table = pieces and self._hub.catalogue.published.tables.get(pieces[0][1])
        if not table:
            return Answer()
        if not tries or len(need.key) != len(table.key):
            return Answer(lost=tuple(pieces))
        try:
            async with asyncio.timeout(PASS_SECONDS):
                changes, lsn = await self._read(need, table, subs, pieces)
                await self._hub.passed(lsn)
        except (ApiError, TimeoutError):
            return Answer(lost=tuple(pieces))
        if any(table.oid in self._hub.digest(t).touched for t in self._hub.visible(position)):
            self._waiting.appendleft((need, tries - 1))
            return Answer()
        return Answer(changes)

    async def _read(
        self, need: Need, table: PublishedTable, subs: Subscriptions, pieces: list[Piece]
    ) -> tuple[str, int]:
        grouped: dict[Audience, list[int]] = {}
        for piece in pieces:
            grouped.setdefault(subs.pieces[piece], []).append(piece[0])
        key = [bytes(value) for value in need.key]
        named = [json_text(name) + b":" + value for name, value in zip(table.key, key, strict=True)]
        sql, params = snapshot_sql(
            [(table, audience) for audience in grouped], key=b"{" + b",".join(named) + b"}"
        )
        gate = self._hub.gate
        batch = Batch(
            [gate.scope(subs.viewer), _LSN, Query(sql, params)], scope=subs.viewer.role, begin=_BEGIN
        )
        result = await gate.pool.run(batch)
        (lsn,) = result.results[1].rows[0]
        rows = {int(number or b"0"): row for number, row in result.results[2].rows}
        changes = [
            _change(subs.name(table.oid), b"[" + b",".join(key) + b"]", rows.get(number), ids)
            for number, ids in enumerate(grouped.values())
        ]
        return b",".join(changes).decode(), parse_lsn((lsn or b"").decode())


def _pieces(need: Need, subs: Subscriptions) -> tuple[Piece, ...]:
    return tuple(piece for piece in subs.pieces if subs.name(piece[1]) == need.table)


def _change(name: str, key: bytes, row: bytes | None, subs: list[int]) -> bytes:
    listed = str(sorted(subs)).replace(" ", "").encode()
    return frames.delete(name, key, listed) if row is None else frames.put(name, row, listed)
