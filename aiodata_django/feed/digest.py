"""A visible transaction made ready for reading: in parts, decoded once, judged once for each audience.

What lives here: the sharing of that work among sockets. What does not: the judgement (``gate``), and which
socket reads what (``hub``).
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Generic, NamedTuple, TypeVar

from ..core.changes.pgoutput import Values
from ..core.changes.published import Published
from ..core.changes.transaction import Change, Transaction
from ..core.errors import ApiError
from ..core.state.audience import Audience
from .gate import Gate, Ordered, Seen

T = TypeVar("T")

PART_CHANGES = 1000
_PARTS_KEPT = 4
_BYTES_KEPT = 16 << 20
_ROW_BYTES = 400
"""What a judged row takes beside its values, roughly."""


class Part(NamedTuple):
    """Up to ``PART_CHANGES`` changes in a row, by the root oid of their table; ``size`` of them in bytes."""

    number: int
    changes: Mapping[int, Sequence[Ordered]]
    last: bool
    size: int


class _Kept(Generic[T]):
    """The newest of what was worked out, up to about ``_BYTES_KEPT``; one at least."""

    def __init__(self) -> None:
        self._entries: OrderedDict[tuple[object, ...], tuple[T, int]] = OrderedDict()
        self._size = 0

    def get(self, key: tuple[object, ...]) -> T | None:
        found = self._entries.get(key)
        return found[0] if found is not None else None

    def put(self, key: tuple[object, ...], value: T, size: int) -> None:
        self._entries[key] = value, size
        self._size += size
        while self._size > _BYTES_KEPT and len(self._entries) > 1:
            self._size -= self._entries.popitem(last=False)[1][1]


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
        self._work: _Kept[asyncio.Task[list[Seen]]] = _Kept()
        self._encoded: _Kept[object] = _Kept()

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
        order, size = -1, 0
        for order, change in enumerate(islice(self._changes, PART_CHANGES)):
            root = self._roots.get(change.relation.oid)
            if root is not None:
                grouped.setdefault(root, []).append((order, change))
                size += _ROW_BYTES + _bytes(change.new) + _bytes(change.old)
        part = Part(self._next, grouped, order + 1 < PART_CHANGES, size)
        self._decoded[self._next] = part
        self._next += 1
        if len(self._decoded) > _PARTS_KEPT:
            self._decoded.popitem(last=False)
        return part

    async def seen(self, index: int, audience: Audience, gate: Gate) -> Sequence[Seen]:
        """What an audience gets to know of a part. Whoever asks first has it judged; ApiError is shared."""
        part = self.part(index)
        changes = part.changes.get(audience.table)
        if not changes:
            return ()
        # Open audiences of one table differ in nothing but who they are.
        who = (index, audience.table, audience.columns) if audience.open else (index, audience)
        work = self._work.get(who)
        if work is None:
            work = asyncio.create_task(gate.judge(audience, self._published, changes))
            work.add_done_callback(_retrieved)
            self._work.put(who, work, part.size)
        return await asyncio.shield(work)

    def encoded(self, key: tuple[object, ...]) -> object | None:
        """What a socket with the same ``key`` has sent already."""
        return self._encoded.get(key)

    def keep(self, key: tuple[object, ...], frames: object, size: int) -> None:
        """Remember what is sent, so many characters, for the other sockets with this ``key``."""
        self._encoded.put(key, frames, size + _ROW_BYTES)


def _bytes(values: Values | None) -> int:
    return sum(len(value) for value in values or () if isinstance(value, bytes))


def _retrieved(work: asyncio.Task[list[Seen]]) -> None:
    # An error nobody waits for any more is nobody's.
    if not work.cancelled() and isinstance(work.exception(), ApiError):
        return
