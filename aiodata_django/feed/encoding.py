"""Transactions as version 2 frames: what several audiences of one socket see of a transaction, merged.

What lives here: the merging, in the order of the changes, the cutting into frames, and the sharing of both
among sockets. What does not: what an audience sees (``gate``), and cursors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, cast

from ..core.changes.transaction import Transaction
from ..core.state import frames
from ..core.state.audience import Audience
from ..core.state.cursor import Piece
from .digest import Digest
from .gate import DEL, EMPTY, PART, PUT, RESYNC, Gate, Seen
from .outlet import SharedFrame

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


class Layout(NamedTuple):
    """An audience, the name of its table, and the subscriptions of a socket that are it (JSON array)."""

    audience: Audience
    name: str
    subs: bytes


class Encoded(NamedTuple):
    """What a part of a transaction says: texts of changes by frame, and audiences that must start over."""

    batches: tuple[str, ...]
    lost: frozenset[Audience]


def layouts_of(pieces: Mapping[Piece, Audience], name: Callable[[int], str]) -> tuple[Layout, ...]:
    """The audiences among pieces; ``name`` tells what frames call a table."""
    grouped: dict[Audience, list[int]] = {}
    for (sub, _), audience in pieces.items():
        grouped.setdefault(audience, []).append(sub)
    return tuple(
        Layout(a, name(a.table), str(sorted(subs)).replace(" ", "").encode()) for a, subs in grouped.items()
    )


async def encoded(digest: Digest, number: int, layouts: tuple[Layout, ...], gate: Gate) -> Encoded:
    """A part of a transaction, encoded by whoever asks first. Raises ApiError when a policy does."""
    who = ("v2", number, layouts)
    known = cast("Encoded | None", digest.encoded(who))
    if known is None:
        known = await _encode(digest, number, layouts, gate)
        digest.keep(who, known, sum(map(len, known.batches)))
    return known


def transaction_frame(
    digest: Digest, changes: str, start: str, at: str, *, more: bool = False
) -> SharedFrame:
    """A transaction, or part of one while ``more``, as sockets that go from ``start`` to ``at`` share it."""
    who = ("frame", start, at, changes, more)
    known = digest.encoded(who)
    if known is None:
        transaction = digest.transaction
        time = _commit_time(transaction.time)
        text = frames.txn(start, at, transaction.xid, time, changes, more=more)
        known = SharedFrame(text, None if more else at)
        digest.keep(who, known, len(text))
    return cast(SharedFrame, known)


def age_ms(transaction: Transaction) -> int:
    """Milliseconds since it was committed, by the clocks of both servers."""
    committed = _EPOCH + timedelta(microseconds=transaction.time)
    return max(0, round((datetime.now(UTC) - committed) / timedelta(milliseconds=1)))


async def _encode(digest: Digest, number: int, layouts: Sequence[Layout], gate: Gate) -> Encoded:
    found: list[tuple[int, int, bytes]] = []
    lost = set()
    for place, layout in enumerate(layouts):
        for seen in await digest.seen(number, layout.audience, gate):
            if seen.op == RESYNC or (seen.op == PART and seen.old_key is not None):
                lost.add(layout.audience)
            elif text := _change(layout, seen):
                found.append((seen.order, place, text))
    if lost:
        found = [one for one in found if layouts[one[1]].audience not in lost]
    found.sort(key=lambda one: one[0])
    return Encoded(tuple(_batches([text for _, _, text in found])), frozenset(lost))


def _change(layout: Layout, seen: Seen) -> bytes | None:
    if seen.op == PUT:
        return frames.put(layout.name, seen.row, layout.subs, seen.old_key)
    if seen.op == PART:
        return frames.part(layout.name, seen.key, seen.row, layout.subs)
    if seen.op == DEL:
        return frames.delete(layout.name, seen.key, layout.subs)
    return frames.truncate(layout.name) if seen.op == EMPTY else None


def _batches(changes: Sequence[bytes]) -> list[str]:
    """The changes joined, in texts below the largest frame; one that is larger goes alone."""
    done: list[str] = []
    batch: list[bytes] = []
    size = 0
    for change in changes:
        if batch and size + len(change) > frames.MAX_FRAME - 1024:
            done.append(b",".join(batch).decode())
            batch, size = [], 0
        batch.append(change)
        size += len(change) + 1
    if batch:
        done.append(b",".join(batch).decode())
    return done


def _commit_time(microseconds: int) -> str:
    """ISO 8601 of PostgreSQL's microseconds since 2000."""
    return (_EPOCH + timedelta(microseconds=microseconds)).isoformat().replace("+00:00", "Z")
