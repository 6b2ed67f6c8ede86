"""Messages -> transactions.

What lives here: the assembler, the transaction it yields, and the decoding of its changes when somebody wants
them. What does not: bytes to messages (``pgoutput``), what a table's rows look like (``published``).

Row changes stay bytes, about 140 a row, until they are read: a transaction of half a million rows has to fit
beside everything else, and most are of no interest to anyone connected.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from .pgoutput import (
    UNCHANGED,
    Begin,
    Commit,
    Delete,
    Insert,
    LogicalMessage,
    MalformedMessage,
    RelationMessage,
    Truncate,
    Update,
    Values,
    change_oid,
    decode,
)

INSERT, UPDATE, DELETE, TRUNCATE = "insert", "update", "delete", "truncate"


class Change(NamedTuple):
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
        self._count = 0
        self._size = 0

    def append(self, relation: RelationMessage, payload: bytes) -> None:
        """Add one raw message."""
        if not self._runs or self._runs[-1][0] is not relation:
            self._runs.append((relation, []))
        self._runs[-1][1].append(payload)
        self._count += 1
        self._size += len(payload) + 41  # bytes object header and list slot

    def __iter__(self) -> Iterator[tuple[RelationMessage, bytes]]:
        for relation, payloads in self._runs:
            for payload in payloads:
                yield relation, payload

    def __len__(self) -> int:
        return self._count

    @property
    def size(self) -> int:
        """Bytes of memory held, roughly."""
        return self._size


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
        for relation, payload in self.buffer:
            yield from _changes(relation, payload, self.relations)


def _changes(
    relation: RelationMessage, payload: bytes, relations: dict[int, RelationMessage]
) -> Iterator[Change]:
    message = decode(payload)
    match message:
        case Insert(_, new):
            yield Change(INSERT, relation, new)
        case Update(_, kind, old, new):
            yield Change(UPDATE, relation, _untoasted(new, old) if kind == "O" else new, old, kind == "O")
        case Delete(_, kind, old):
            yield Change(DELETE, relation, None, old, kind == "O")
        case Truncate(_, oids):
            for oid in oids:
                yield Change(TRUNCATE, relations[oid])
        case _:
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

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is being received."""
        return self._open is not None

    def feed(self, payload: bytes) -> Transaction | LogicalMessage | None:
        """Take one message; answer what it completed: a transaction, or a message outside any.

        Raises :class:`MalformedMessage`.
        """
        kind = payload[:1]
        if kind in (b"I", b"U", b"D"):
            self._add(change_oid(payload), payload)
            return None
        message = decode(payload)
        match message:
            case Begin(_, time, xid):
                self._open = Transaction(xid, 0, time, self._make_buffer())
            case Commit(_, _, end_lsn, _):
                return self._commit(end_lsn)
            case RelationMessage(oid=oid):
                self._known[oid] = message
            case Truncate(_, oids):
                for oid in oids:
                    self._touch(oid)
                self._add(oids[0], payload)
            case LogicalMessage():
                return self._message(message)
        return None

    def _touch(self, oid: int) -> RelationMessage:
        relation = self._known.get(oid)
        if relation is None:
            raise MalformedMessage(f"a change of relation {oid}, which was never described")
        if self._open is None:
            raise MalformedMessage("a change outside a transaction")
        self._open.relations[oid] = relation
        return relation

    def _add(self, oid: int, payload: bytes) -> None:
        relation = self._touch(oid)
        if self._open is not None:
            self._open.buffer.append(relation, payload)

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
