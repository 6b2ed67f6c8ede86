"""Messages -> transactions.

What lives here: the assembler, the transaction it yields, and the decoding of its changes when somebody wants
them. What does not: bytes to messages (``pgoutput``), what a table's rows look like (``published``).

Row changes stay bytes, about 140 a row, until they are read: a transaction of half a million rows has to fit
beside everything else, and most are of no interest to anyone connected.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from .pgoutput import (
    UNCHANGED,
    Begin,
    Commit,
    Delete,
    Insert,
    LogicalMessage,
    MalformedMessage,
    Message,
    RelationMessage,
    Truncate,
    Update,
    Values,
    change_oid,
    decode,
)

INSERT, UPDATE, DELETE, TRUNCATE = "insert", "update", "delete", "truncate"


_ROW_CHANGES = frozenset(b"IUD")


class Change(msgspec.Struct, frozen=True, gc=False):
    """One change of one row, or one table emptied.

    ``old`` is the old row when ``old_full`` (REPLICA IDENTITY FULL), otherwise the old identity with nulls
    elsewhere, or None when the identity did not change.
    """

    kind: str
    relation: RelationMessage
    new: Values | None = None
    old: Values | None = None
    old_full: bool = False


class ChangeBuffer(Protocol):
    """Where the raw changes of a transaction wait, in order."""

    def append(self, relation: RelationMessage, payload: bytes) -> None:
        """Add one raw ``I``, ``U``, ``D`` or ``T`` message; ``relation`` is its (first) table."""

    def __iter__(self) -> Iterator[tuple[RelationMessage, bytes]]:
        """The messages in order, as often as wanted."""

    def __len__(self) -> int:
        """How many messages."""

    @property
    def size(self) -> int:
        """Bytes of memory held, roughly."""


class MemoryBuffer:
    """Changes in memory, in runs of one table: the table is held once a run."""

    def __init__(self) -> None:
        self._runs: list[tuple[RelationMessage, list[bytes]]] = []
        self._last: RelationMessage | None = None
        self._count = 0
        self.size = 0

    def append(self, relation: RelationMessage, payload: bytes) -> None:
        """Add one raw message."""
        if relation is not self._last:
            self._last = relation
            self._runs.append((relation, []))
        self._runs[-1][1].append(payload)
        self._count += 1
        self.size += len(payload) + 41  # bytes object header and list slot

    def __iter__(self) -> Iterator[tuple[RelationMessage, bytes]]:
        for relation, payloads in self._runs:
            for payload in payloads:
                yield relation, payload

    def __len__(self) -> int:
        return self._count


@dataclass(slots=True)
class Transaction:
    """A committed transaction.

    ``lsn`` is the end of its commit record: the position of whoever has seen it. ``previous`` is the ``lsn``
    of the transaction before it in the log (the log sets it). ``time`` is microseconds since 2000-01-01 UTC.
    ``relations`` are the tables it touches, by oid, in their last shape. ``markers`` are the transactional
    messages it carries.
    """

    xid: int
    lsn: int
    time: int
    buffer: ChangeBuffer
    relations: dict[int, RelationMessage] = field(default_factory=dict)
    markers: tuple[LogicalMessage, ...] = ()
    previous: int = 0

    def changes(self) -> Iterator[Change]:
        """Its changes, decoded one by one, in order."""
        # Hot: one generator for all of them, and no pattern of classes, which takes longer than it looks.
        for relation, payload in self.buffer:
            message = decode(payload)
            if isinstance(message, Truncate):
                for oid in message.oids:
                    yield Change(TRUNCATE, self.relations[oid])
            else:
                yield _row_change(relation, message)


def _row_change(relation: RelationMessage, message: Message) -> Change:
    if isinstance(message, Insert):
        return Change(INSERT, relation, message.new)
    if isinstance(message, Update):
        full, old, new = message.old_kind == "O", message.old, message.new
        return Change(UPDATE, relation, _untoasted(new, old) if full else new, old, full)
    if isinstance(message, Delete):
        return Change(DELETE, relation, None, message.old, message.old_kind == "O")
    raise MalformedMessage(f"a {type(message).__name__} message is no change")


def _untoasted(new: Values, old: Values | None) -> Values:
    # The new tuple leaves unchanged TOAST out; a full old tuple has it.
    if old is None or UNCHANGED not in new:
        return new
    return tuple(o if n is UNCHANGED else n for n, o in zip(new, old, strict=True))


class Assembler:
    """Messages in, transactions out. One per replication session: relations are announced once a session."""

    def __init__(self, make_buffer: Callable[[], ChangeBuffer] = MemoryBuffer) -> None:
        self._make_buffer = make_buffer
        self._known: dict[int, RelationMessage] = {}
        self._open: Transaction | None = None
        # Of the message before, if that was a change of a row.
        self._oid: bytes | None = None
        self._buffer: ChangeBuffer
        self._relation: RelationMessage

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is being received."""
        return self._open is not None

    def feed(self, payload: bytes) -> Transaction | LogicalMessage | None:
        """Take one message; answer what it completed: a transaction, or a message outside any.

        Raises :class:`MalformedMessage`.
        """
        if payload and payload[0] in _ROW_CHANGES:
            if payload[1:5] != self._oid:  # mostly it is the table of the change before
                self._buffer, self._relation = self._touch(change_oid(payload))
                self._oid = payload[1:5]
            self._buffer.append(self._relation, payload)
            return None
        self._oid = None
        message = decode(payload)
        match message:
            case Begin(_, time, xid):
                self._open = Transaction(xid, 0, time, self._make_buffer())
            case Commit(_, _, end_lsn, _):
                return self._commit(end_lsn)
            case RelationMessage(oid=oid):
                self._known[oid] = message
            case Truncate(_, oids):
                touched = [self._touch(oid) for oid in oids]
                buffer, relation = touched[0]
                buffer.append(relation, payload)
            case LogicalMessage():
                return self._message(message)
        return None

    def _touch(self, oid: int) -> tuple[ChangeBuffer, RelationMessage]:
        """The table is a part of the transaction: where its changes go to, and its shape."""
        relation = self._known.get(oid)
        if relation is None:
            raise MalformedMessage(f"a change of relation {oid}, which was never described")
        if self._open is None:
            raise MalformedMessage("a change outside a transaction")
        self._open.relations[oid] = relation
        return self._open.buffer, relation

    def _message(self, message: LogicalMessage) -> LogicalMessage | None:
        if not message.transactional:
            return message
        if self._open is None:
            raise MalformedMessage("a transactional message outside a transaction")
        self._open.markers += (message,)
        return None

    def _commit(self, end_lsn: int) -> Transaction:
        transaction, self._open = self._open, None
        if transaction is None:
            raise MalformedMessage("a commit without a begin")
        transaction.lsn = end_lsn
        return transaction
