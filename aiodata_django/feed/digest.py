"""A visible transaction made ready for reading: in parts, decoded once, judged once for each audience.

What lives here: the sharing of that work among sockets. What does not: the judgement (``gate``), and which
socket reads what (``hub``).
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

from ..core.changes.published import Published
from ..core.changes.transaction import Change, Transaction
from ..core.errors import ApiError
from ..core.state.audience import Audience
from .gate import Gate, Ordered, Seen

PART_CHANGES = 1000
_PARTS_KEPT = 4
_ENTRIES_KEPT = 4096


class Part(NamedTuple):
    """Up to ``PART_CHANGES`` changes in a row, by the root oid of their table."""

    number: int
    changes: Mapping[int, Sequence[Ordered]]
    last: bool


class Digest:
    """One transaction as its readers share it. ``touched`` are the root oids of known tables it changes."""

    def __init__(self, transaction: Transaction, published: Published) -> None:
        self.transaction = transaction
        self._published = published
        self._roots = {
            oid: published.tables[oid].root for oid in transaction.relations if oid in published.tables
        }
        self.touched = frozenset(self._roots.values())
        self._decoded: OrderedDict[int, Part] = OrderedDict()
        self._changes: Iterator[Change] = iter(())
        self._next = 0
        self._work: OrderedDict[tuple[object, ...], asyncio.Task[list[Seen]]] = OrderedDict()
        self._encoded: OrderedDict[tuple[object, ...], object] = OrderedDict()

    def part(self, index: int) -> Part:
        """One part; the last few are kept, an older one is decoded again from the start."""
        known = self._decoded.get(index)
        if known is not None:
            return known
        if self._next == 0 or index < self._next:
            self._changes, self._next = self.transaction.changes(), 0
        part = self._decode()
        while part.number < index:
            part = self._decode()
        return part

    def _decode(self) -> Part:
        grouped: dict[int, list[Ordered]] = {}
        order = -1
        for order, change in enumerate(islice(self._changes, PART_CHANGES)):
            root = self._roots.get(change.relation.oid)
            if root is not None:
                grouped.setdefault(root, []).append((order, change))
        part = Part(self._next, grouped, order + 1 < PART_CHANGES)
        self._decoded[self._next] = part
        self._next += 1
        if len(self._decoded) > _PARTS_KEPT:
            self._decoded.popitem(last=False)
        return part

    async def seen(self, index: int, audience: Audience, gate: Gate) -> Sequence[Seen]:
        """What an audience gets to know of a part. Whoever asks first has it judged; ApiError is shared."""
        changes = self.part(index).changes.get(audience.table)
        if not changes:
            return ()
        # Open audiences of one table differ in nothing but who they are.
        who = (index, audience.table, audience.columns) if audience.open else (index, audience)
        if who not in self._work:
            work = asyncio.create_task(gate.judge(audience, self._published, changes))
            work.add_done_callback(_retrieved)
            self._work[who] = work
            if len(self._work) > _ENTRIES_KEPT:
                self._work.popitem(last=False)
        return await asyncio.shield(self._work[who])

    def encoded(self, key: tuple[object, ...]) -> object | None:
        """What a socket with the same ``key`` has sent already."""
        return self._encoded.get(key)

    def keep(self, key: tuple[object, ...], frames: object) -> None:
        """Remember what is sent, for the other sockets with this ``key``."""
        self._encoded[key] = frames
        if len(self._encoded) > _ENTRIES_KEPT:
            self._encoded.popitem(last=False)


def _retrieved(work: asyncio.Task[list[Seen]]) -> None:
    # An error nobody waits for any more is nobody's.
    if not work.cancelled() and isinstance(work.exception(), ApiError):
        return
