"""What the server says in version 2 of ``/state``, as the client decodes it: one typed pass over each frame.

What lives here: the shapes. What does not: what they mean for a copy (``session``, ``copy``), and how the
server makes them (``frames``). Rows and keys stay JSON (``msgspec.Raw``): only who keeps them knows their
columns.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, Literal, TypeVar

import msgspec
from msgspec import Raw, Struct

ACK_BYTES = 1 << 19


Name = TypeVar("Name")
Row = TypeVar("Row")
Subs = TypeVar("Subs")
OldKey = TypeVar("OldKey")
Put = TypeVar("Put")


class RowPut(Struct, Generic[Name, Row, Subs, OldKey], array_like=True, tag="put", frozen=True, gc=False):
    """The row is now this; ``old_key`` is empty unless its key has changed.

    Its types are parameters, so that a decoder can be as strict as :func:`rows_frame` needs it.
    """

    table: Name
    row: Row
    subs: Subs
    old_key: OldKey = Raw(b"")  # type: ignore[assignment]


class RowPart(Struct, array_like=True, tag="part", frozen=True, gc=False):
    """Of the row with this key these columns are known; the others are as they were."""

    table: str
    key: Raw
    row: Raw
    subs: tuple[int, ...]


class RowDeleted(Struct, array_like=True, tag="del", frozen=True, gc=False):
    """The row with this key is gone, or out of sight."""

    table: str
    key: Raw
    subs: tuple[int, ...]


class Truncated(Struct, array_like=True, tag="truncate", frozen=True, gc=False):
    """All rows of the table are gone."""

    table: str


AnyPut = RowPut[str, Raw, tuple[int, ...], Raw]
Change = AnyPut | RowPart | RowDeleted | Truncated


class Frame(Struct, tag_field="op", gc=False):
    """What a server says; each kind has its ``op``. Where it says so, ``at`` is the cursor after it."""


class ReadyFrame(Frame, tag="ready"):
    """The hello is taken."""

    resumed: bool = False
    expires_in: float | None = None
    heartbeat: float = 15.0
    max_unacked_bytes: int = 2 * ACK_BYTES
    tables: dict[str, Any] = msgspec.field(default_factory=dict, name="schema")


class SnapFrame(Frame, tag="snap"):
    """Rows of a snapshot; ``left`` counts the subscriptions of the group that follow.

    ``stale``, here and in an error: subscriptions of which more is to come.
    """

    table: str = ""
    rows: Raw = Raw(b"[]")
    sub: int = -1
    more: bool = False
    group: int = 0
    left: int = 0
    at: str | None = None
    stale: tuple[int, ...] = ()


class TxnFrame(Frame, tag="txn"):
    """A transaction, or a part of it where ``more`` follows. Its id and time are no concern of a copy's."""

    at: str | None = None
    start: str | None = msgspec.field(default=None, name="from")
    changes: tuple[Change, ...] = ()
    more: bool = False


class RowsFrame(Frame, Generic[Put], tag="txn"):
    """A transaction, or a part of it, that does no more than put rows into one table: see `rows_frame`."""

    at: str | None = None
    start: str | None = msgspec.field(default=None, name="from")
    changes: list[Put] = []
    more: bool = False


def rows_frame(table: str, row: type, sub: int) -> Any:
    """The type of transactions that only put rows into this table, all for this subscription alone.

    Nothing else can be decoded as it, another table, subscription or kind of change, or a changed key: so
    nothing has to be asked of each change afterwards, and its row is what the copy keeps.
    """
    return RowsFrame[RowPut[Literal[table], row, tuple[Literal[sub]], None]]  # type: ignore[valid-type]


class PosFrame(Frame, tag="pos"):
    """How far the stream has come; ``n`` is the request this answers."""

    at: str | None = None
    start: str | None = msgspec.field(default=None, name="from")
    n: int | None = None
    lag_ms: float = 0.0


class SchemaFrame(Frame, tag="schema"):
    """A table has this key and these columns."""

    table: str = ""
    key: tuple[str, ...] = ()
    columns: dict[str, Any] = {}


class ResyncFrame(Frame, tag="resync"):
    """Snapshots follow."""

    subs: tuple[int, ...] = ()
    why: str = ""


class AuthSoonFrame(Frame, tag="auth_soon"):
    """The token expires."""

    seconds: float = msgspec.field(default=0.0, name="in")


class ErrorFrame(Frame, tag="error"):
    """Something is refused."""

    code: str = ""
    message: str = ""
    hint: str | None = None
    sub: int | None = None
    fatal: bool = False
    stale: tuple[int, ...] = ()


class _AnyFrame(Struct):
    op: str


_Frames = (
    ReadyFrame | SnapFrame | TxnFrame | PosFrame | SchemaFrame | ResyncFrame | AuthSoonFrame | ErrorFrame
)
Incoming = _Frames | RowsFrame[Any]
Decode = Callable[[str], Incoming | None]
_known: Callable[[str], Incoming] = msgspec.json.Decoder(_Frames).decode
_any = msgspec.json.Decoder(_AnyFrame).decode
_OPS = frozenset(str(kind.__struct_config__.tag) for kind in Frame.__subclasses__())


def decode(text: str) -> Incoming | None:
    """A frame; None for one of a kind that is not known, as later servers may send. Raises ValueError."""
    try:
        return _known(text)
    except msgspec.ValidationError:
        if _any(text).op in _OPS:
            raise
        return None
