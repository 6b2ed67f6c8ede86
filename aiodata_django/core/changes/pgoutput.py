"""pgoutput, protocol version 1, text format: bytes of one message -> a record.

What lives here: the decoder of every message version 1 can send. What does not: which messages make a
transaction (``transaction``), what a value means (``textjson``), and the socket they come from
(``db.replication``).

Source: https://www.postgresql.org/docs/18/protocol-logicalrep-message-formats.html
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from struct import Struct
from struct import error as StructError
from typing import Final, NamedTuple

import msgspec


class MalformedMessage(ValueError):
    """Bytes that are no pgoutput version 1 message."""


class Unchanged(Enum):
    """The one marker for a TOASTed value that an UPDATE left alone and the WAL does not repeat."""

    UNCHANGED = "unchanged"

    def __repr__(self) -> str:
        return "UNCHANGED"


UNCHANGED: Final = Unchanged.UNCHANGED

Value = bytes | None | Unchanged
Values = tuple[Value, ...]


class Begin(NamedTuple):
    """A transaction starts. ``time`` is microseconds since 2000-01-01 UTC, ``xid`` the 32-bit id."""

    final_lsn: int
    time: int
    xid: int


class Commit(NamedTuple):
    """A transaction ends. ``lsn`` is where its commit record starts, ``end_lsn`` where it ends."""

    flags: int
    lsn: int
    end_lsn: int
    time: int


class Origin(NamedTuple):
    """The transaction was replayed here from another server."""

    lsn: int
    name: str


class RelationColumn(NamedTuple):
    """One published column: whether the replica identity has it, and its type."""

    is_key: bool
    name: str
    type_oid: int
    type_modifier: int


class RelationMessage(NamedTuple):
    """The shape of a table, sent before its first change and again when it changed.

    ``identity`` is ``pg_class.relreplident``: d, n, f or i.
    """

    oid: int
    schema: str
    name: str
    identity: str
    columns: tuple[RelationColumn, ...]


class TypeMessage(NamedTuple):
    """A type that is not built in."""

    oid: int
    schema: str
    name: str


# Row changes are made by the million, and a Struct is made sooner than a NamedTuple.


class Insert(msgspec.Struct, frozen=True, gc=False):
    """A new row."""

    oid: int
    new: Values


class Update(msgspec.Struct, frozen=True, gc=False):
    """A changed row.

    ``old_kind``: ``K`` when ``old`` holds the old replica identity (null elsewhere), ``O`` when it holds the
    whole old row (REPLICA IDENTITY FULL), empty when the identity did not change and ``old`` is None.
    """

    oid: int
    old_kind: str
    old: Values | None
    new: Values


class Delete(msgspec.Struct, frozen=True, gc=False):
    """A row gone; ``old_kind`` and ``old`` as in :class:`Update`."""

    oid: int
    old_kind: str
    old: Values


class Truncate(NamedTuple):
    """Tables emptied. ``options``: bit 1 CASCADE, bit 2 RESTART IDENTITY."""

    options: int
    oids: tuple[int, ...]


class LogicalMessage(NamedTuple):
    """What ``pg_logical_emit_message`` wrote; ``transactional`` ones stand inside a transaction."""

    transactional: bool
    lsn: int
    prefix: str
    content: bytes


RowChange = Insert | Update | Delete
Message = Begin | Commit | Origin | RelationMessage | TypeMessage | RowChange | Truncate | LogicalMessage

_BEGIN = Struct(">QqI")
_COMMIT = Struct(">BQQq")
_QUAD = Struct(">Q")
_LONG = Struct(">I")
_SHORT = Struct(">H")
_ROW = Struct(">xIB")  # the table, and the kind of the first tuple
_COLUMN_TYPE = Struct(">Ii")
_TRUNCATE = Struct(">IB")
_EMIT = Struct(">BQ")

_NULL, _TOAST, _TEXT = ord("n"), ord("u"), ord("t")
_NEW = ord("N")
_OLD = {ord("K"): "K", ord("O"): "O"}


def decode(payload: bytes) -> Message:
    """One message. Raises :class:`MalformedMessage` for anything version 1 does not know."""
    if not payload:
        raise MalformedMessage("an empty message")
    decoder = _DECODERS.get(payload[0])
    if decoder is None:
        raise MalformedMessage(f"unknown message type {payload[:1]!r}")
    try:
        message, end = decoder(payload)
    except (IndexError, StructError, UnicodeDecodeError) as error:
        raise MalformedMessage(f"a broken {payload[:1]!r} message: {error}") from error
    if end != len(payload):
        raise MalformedMessage(f"a {payload[:1]!r} message with {len(payload) - end} bytes too many")
    return message


def change_oid(payload: bytes) -> int:
    """The table of a row change (``I``, ``U`` or ``D``) without decoding its values."""
    if len(payload) < 5:
        raise MalformedMessage(f"a broken {payload[:1]!r} message: no table")
    oid: int = _LONG.unpack_from(payload, 1)[0]
    return oid


def _string(payload: bytes, position: int) -> tuple[str, int]:
    end = payload.find(b"\0", position)
    if end < 0:
        raise IndexError("unterminated string")
    return payload[position:end].decode(), end + 1


def _values(payload: bytes, position: int) -> tuple[Values, int]:
    # The hot loop of the whole feed: one pass, slices only where a value is.
    count = _SHORT.unpack_from(payload, position)[0]
    position += 2
    values: list[Value] = []
    append = values.append
    length_at = _LONG.unpack_from
    for _ in range(count):
        kind = payload[position]
        if kind == _TEXT:
            start = position + 5
            position = start + length_at(payload, position + 1)[0]
            append(payload[start:position])
        elif kind == _NULL:
            position += 1
            append(None)
        elif kind == _TOAST:
            position += 1
            append(UNCHANGED)
        else:
            raise MalformedMessage(f"unknown value kind {payload[position : position + 1]!r}")
    if position > len(payload):
        raise IndexError("value cut off")
    return tuple(values), position


def _begin(payload: bytes) -> tuple[Message, int]:
    return Begin(*_BEGIN.unpack_from(payload, 1)), 1 + _BEGIN.size


def _commit(payload: bytes) -> tuple[Message, int]:
    return Commit(*_COMMIT.unpack_from(payload, 1)), 1 + _COMMIT.size


def _origin(payload: bytes) -> tuple[Message, int]:
    name, end = _string(payload, 9)
    return Origin(_QUAD.unpack_from(payload, 1)[0], name), end


def _relation(payload: bytes) -> tuple[Message, int]:
    schema, position = _string(payload, 5)
    name, position = _string(payload, position)
    identity = chr(payload[position])
    count = _SHORT.unpack_from(payload, position + 1)[0]
    position += 3
    columns = []
    for _ in range(count):
        flags = payload[position]
        column, position = _string(payload, position + 1)
        columns.append(RelationColumn(bool(flags & 1), column, *_COLUMN_TYPE.unpack_from(payload, position)))
        position += _COLUMN_TYPE.size
    # An empty schema stands for pg_catalog.
    return RelationMessage(
        change_oid(payload), schema or "pg_catalog", name, identity, tuple(columns)
    ), position


def _type(payload: bytes) -> tuple[Message, int]:
    schema, position = _string(payload, 5)
    name, position = _string(payload, position)
    return TypeMessage(change_oid(payload), schema or "pg_catalog", name), position


def _insert(payload: bytes) -> tuple[Message, int]:
    oid, kind = _ROW.unpack_from(payload)
    if kind != _NEW:
        raise _unexpected(payload, 5, "N")
    new, end = _values(payload, 6)
    return Insert(oid, new), end


def _update(payload: bytes) -> tuple[Message, int]:
    oid, first = _ROW.unpack_from(payload)
    kind = _OLD.get(first, "")
    old: Values | None = None
    position = 5
    if kind:
        old, position = _values(payload, 6)
    if payload[position] != _NEW:
        raise _unexpected(payload, position, "N")
    new, end = _values(payload, position + 1)
    return Update(oid, kind, old, new), end


def _delete(payload: bytes) -> tuple[Message, int]:
    oid, first = _ROW.unpack_from(payload)
    kind = _OLD.get(first)
    if kind is None:
        raise _unexpected(payload, 5, "KO")
    old, end = _values(payload, 6)
    return Delete(oid, kind, old), end


def _truncate(payload: bytes) -> tuple[Message, int]:
    count, options = _TRUNCATE.unpack_from(payload, 1)
    end = 6 + 4 * count
    if end > len(payload):
        raise IndexError("table list cut off")
    return Truncate(options, tuple(_LONG.unpack_from(payload, 6 + 4 * n)[0] for n in range(count))), end


def _logical_message(payload: bytes) -> tuple[Message, int]:
    flags, lsn = _EMIT.unpack_from(payload, 1)
    prefix, position = _string(payload, 1 + _EMIT.size)
    start = position + 4
    end = start + _LONG.unpack_from(payload, position)[0]
    if end > len(payload):
        raise IndexError("content cut off")
    return LogicalMessage(bool(flags & 1), lsn, prefix, payload[start:end]), end


def _unexpected(payload: bytes, position: int, kinds: str) -> MalformedMessage:
    found = payload[position : position + 1]
    return MalformedMessage(f"expected a tuple of kind {kinds}, found {found!r}")


_DECODERS: dict[int, Callable[[bytes], tuple[Message, int]]] = {
    ord("B"): _begin,
    ord("C"): _commit,
    ord("O"): _origin,
    ord("R"): _relation,
    ord("Y"): _type,
    ord("I"): _insert,
    ord("U"): _update,
    ord("D"): _delete,
    ord("T"): _truncate,
    ord("M"): _logical_message,
}
