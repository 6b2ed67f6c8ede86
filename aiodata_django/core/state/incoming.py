"""What the server says in version 2 of ``/state``, as the client decodes it: one typed pass over each frame.

What lives here: the shapes. What does not: what they mean for a copy (``session``, ``copy``), and how the
server makes them (``frames``). Rows and keys stay JSON (``msgspec.Raw``): only who keeps them knows their
columns.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import Raw, Struct

ACK_BYTES = 1 << 19


Row = TypeVar("Row")


class RowPut(Struct, Generic[Row], array_like=True, tag="put", frozen=True, gc=False):
    """The row is now this; ``old_key`` is empty unless its key has changed."""

    table: str
    row: Row
    subs: tuple[int, ...]
    old_key: Raw = Raw(b"")


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


Change = RowPut[Any] | RowPart | RowDeleted | Truncated


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
    """Rows of a snapshot; ``left`` counts the subscriptions of the group that follow."""

    table: str = ""
    rows: Raw = Raw(b"[]")
    sub: int = -1
    more: bool = False
    group: int = 0
    left: int = 0
    at: str | None = None


class TxnFrame(Frame, tag="txn"):
    """A transaction, or a part of it where ``more`` follows."""

    at: str | None = None
    start: str | None = msgspec.field(default=None, name="from")
    xid: str = ""
    time: str = ""
    changes: tuple[RowPut[Raw] | RowPart | RowDeleted | Truncated, ...] = ()
    more: bool = False


class RowsFrame(Frame, Generic[Row], tag="txn"):
    """A transaction, or a part of it, of rows put into one table: these are decoded with the frame."""

    at: str | None = None
    start: str | None = msgspec.field(default=None, name="from")
    xid: str = ""
    time: str = ""
    changes: tuple[RowPut[Row], ...] = ()
    more: bool = False


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
    sub: int | None = None
    fatal: bool = False


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


_FIRST_PUT = '"changes":[["put","'
_HEAD = 400  # characters before which the changes begin, if the server is ours


def first_put(text: str) -> str:
    """The table of a transaction that begins with a row put into one, else any text that names none."""
    start = text.find(_FIRST_PUT, 0, _HEAD) + len(_FIRST_PUT)
    return text[start : text.find('"', start)]
