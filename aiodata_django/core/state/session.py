"""The client's side of ``/state`` version 2, without a socket: frames in, events and frames out.

What lives here: hello, acknowledgements, cursors, staging, and the states a copy goes through. What does
not: the copy itself (``cache``), the socket, the clock (``now`` is an argument, in seconds).

    connecting --connected--> syncing --snapshots complete / caught up--> live
    live --lag, or lag of messages, over the limit--> stale --caught up--> live
    any --disconnected--> connecting before the copy was ever right, stale after

Rows and keys are handed out as the JSON they came as (``msgspec.Raw``), so that whoever keeps the copy
decodes them once, into what it keeps; or as that already, if it brings the decoder.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, NamedTuple

from msgspec import Raw, Struct

from .frames import frame
from .incoming import (
    ACK_BYTES,
    AuthSoonFrame,
    Change,
    Decode,
    ErrorFrame,
    PosFrame,
    ReadyFrame,
    ResyncFrame,
    RowsFrame,
    SchemaFrame,
    SnapFrame,
    TxnFrame,
    decode,
)

State = Literal["connecting", "syncing", "live", "stale"]

SUBPROTOCOL = "aiodata.v2"
ACK_MESSAGES, ACK_SECONDS = 100, 1.0
STALE_LAG = 5.0


class OutOfStep(Exception):
    """A message does not start where the copy stands: connect again and go on from the cursor."""


class Subscription(NamedTuple):
    """``table`` ``*`` is all of them; ``query`` holds PostgREST filters and ``select``, empty for all."""

    id: int
    table: str
    query: str = ""


class Ready(NamedTuple):
    """The server has taken the hello. ``schema``: table -> ``{"key": [...], "columns": {...}}``."""

    resumed: bool
    expires_in: float | None
    schema: Mapping[str, Any]


class SnapshotBegun(NamedTuple):
    """Parts of a snapshot follow. What is set aside is of one that was given up: to be forgotten."""


class SnapshotPart(NamedTuple):
    """Rows (one JSON array) of a snapshot, to be set aside until it is complete."""

    sub: int
    table: str
    rows: Raw


class SnapshotComplete(NamedTuple):
    """The snapshots of these (subscription, table) are complete: they replace what was there, all at once."""

    parts: tuple[tuple[int, str], ...]


class Committed(Struct, frozen=True, gc=False):
    """A whole transaction, to be applied at once."""

    # A struct, as each transaction makes one: a named tuple takes three times as long.
    changes: tuple[Change, ...]


class SchemaChanged(NamedTuple):
    """A table has another key or other columns now; a resync of it follows."""

    table: str
    key: tuple[str, ...]
    columns: Mapping[str, Any]


class Resync(NamedTuple):
    """Snapshots follow, of tables of these subscriptions; ``why``: schema, role, trimmed, opaque, size ..."""

    subs: tuple[int, ...]
    why: str


class Passed(NamedTuple):
    """The copy contains everything up to the LSN that request ``n`` named."""

    n: int


class AuthSoon(NamedTuple):
    """The token expires in that many seconds."""

    seconds: float


class Failed(NamedTuple):
    """The server refuses something: a subscription where ``sub`` says so, the session when ``fatal``."""

    code: str
    message: str
    sub: int | None
    fatal: bool
    hint: str | None = None


# A RowsFrame that is a whole transaction is handed on as it is, to be applied before anything else happens.
SessionEvent = (
    Ready
    | SnapshotBegun
    | SnapshotPart
    | SnapshotComplete
    | Committed
    | RowsFrame[Any]
    | SchemaChanged
    | Resync
    | Passed
    | AuthSoon
    | Failed
)


class ClientSession:
    """One copy's dealings with the server, over as many connections as it takes.

    Attributes: ``state``; ``cursor``, where the copy stands (None before the first snapshot); ``decode``, how
    frames are read, for who knows the tables and has a quicker way.

    ``patience`` (above 0, at most 1) is the part it uses of what may go without acknowledgement. Copies that
    are sent the same at the same time should differ in it: an acknowledgement costs the server several times
    what a message does, and all of them at once make it late with what it is just sending.
    """

    def __init__(
        self, subscriptions: Iterable[Subscription] = (Subscription(0, "*"),), patience: float = 1.0
    ) -> None:
        self.subscriptions = {sub.id: sub for sub in subscriptions}
        self.state: State = "connecting"
        self.decode: Decode = decode
        self.cursor: str | None = None
        self.heartbeat = 15.0
        self._known = False
        self._staged: list[Change] = []
        self._complete: list[tuple[int, str]] = []
        self._group = 0
        self._awaited: set[int] = set()
        self._received = self._acked = self._unacked_bytes = 0
        self._patience = patience
        self._ack_bytes = ACK_BYTES * patience
        self._owes_since = self._heard_at = 0.0
        self._numbers = 0

    # Connection ---------------------------------------------------------------------------------------

    def connected(self, now: float) -> str:
        """A socket is open: the hello to send first."""
        self._staged.clear()
        self._complete.clear()
        self._awaited.clear()  # a server that resumes says again what is to come; it may be less than it was
        self._group = 0
        self._received = self._acked = self._unacked_bytes = 0
        self._owes_since = self._heard_at = now
        if not self._known:
            self.state = "syncing"
        subs = [_sub(sub) for sub in self.subscriptions.values()]
        return frame("hello", at=self.cursor, subs=subs, ack=True)

    def disconnected(self) -> None:
        """The socket is gone."""
        self.state = "stale" if self._known else "connecting"

    def silent(self, now: float) -> bool:
        """Whether nothing came for twice the heartbeat: connect again."""
        return now - self._heard_at > 2 * self.heartbeat

    # To the server ------------------------------------------------------------------------------------

    def subscribe(self, sub: Subscription) -> str:
        """The frame that adds a subscription, to be sent if connected."""
        self.subscriptions[sub.id] = sub
        self._awaited.add(sub.id)
        return frame("sub", sub=_sub(sub))

    def unsubscribe(self, sub: int) -> str:
        """The frame that ends a subscription."""
        self.subscriptions.pop(sub, None)
        self._awaited.discard(sub)
        return frame("unsub", id=sub)

    def sync(self, lsn: str) -> tuple[int, str]:
        """The number under which :class:`Passed` will come, and the frame that asks for it."""
        self._numbers += 1
        return self._numbers, frame("sync", n=self._numbers, lsn=lsn)

    def need(self, table: str, key: Raw) -> str:
        """The frame that asks for a row of which only a part came."""
        return f'{{"op":"need","table":{json.dumps(table)},"key":{bytes(key).decode()}}}'

    @staticmethod
    def authenticate(token: str) -> str:
        """The frame with a (new) token."""
        return frame("auth", token=token)

    def owes(self, now: float) -> bool:
        """Whether an acknowledgement is due."""
        if self._received - self._acked >= ACK_MESSAGES * self._patience:
            return True
        return self._unacked_bytes >= self._ack_bytes or self.owes_in(now) <= 0

    def owes_in(self, now: float) -> float:
        """Seconds until an acknowledgement is due, if nothing else comes."""
        if self._received == self._acked:
            return math.inf
        return self._owes_since + ACK_SECONDS * self._patience - now

    def data_to_send(self, now: float) -> list[str]:
        """The acknowledgement, when it is due."""
        if not self.owes(now):
            return []
        self._acked, self._unacked_bytes = self._received, 0
        return [frame("ack", at=self.cursor, n=self._received)]

    # From the server ----------------------------------------------------------------------------------

    def receive(self, text: str, now: float) -> list[SessionEvent]:
        """What a frame means for the copy. Raises :class:`OutOfStep`; ValueError for what is no frame."""
        incoming = self.decode(text)
        if self._received == self._acked:
            self._owes_since = now
        self._received += 1
        self._unacked_bytes += len(text)
        self._heard_at = now
        if (  # mostly: without a detour
            type(incoming) is RowsFrame
            and incoming.start == self.cursor
            and not (incoming.more or self._staged)
        ):
            self.cursor = incoming.at
            return [incoming]
        return _HANDLERS[type(incoming)](self, incoming) if incoming is not None else []

    def _ready(self, incoming: ReadyFrame) -> list[SessionEvent]:
        self.heartbeat = incoming.heartbeat
        self._ack_bytes = min(ACK_BYTES, incoming.max_unacked_bytes // 2) * self._patience
        if not incoming.resumed:  # of "*" there is nothing to await when there are no tables to be seen
            subs = self.subscriptions.values()
            self._awaited = {sub.id for sub in subs if incoming.tables or sub.table != "*"}
        self._settle(caught_up=False)
        return [Ready(incoming.resumed, incoming.expires_in, incoming.tables)]

    def _snap(self, incoming: SnapFrame) -> list[SessionEvent]:
        events: list[SessionEvent] = []
        if incoming.group != self._group:
            self._group = incoming.group
            self._complete.clear()
            events.append(SnapshotBegun())
        events.append(SnapshotPart(incoming.sub, incoming.table, incoming.rows))
        if incoming.more:
            return events
        self._complete.append((incoming.sub, incoming.table))
        if incoming.left == 0:
            done = tuple(self._complete)
            self._complete.clear()
            self._awaited.difference_update(sub for sub, _ in done)
            self._awaited.update(self.subscriptions.keys() & incoming.stale)
            self.cursor = incoming.at
            events.append(SnapshotComplete(done))
            self._settle(caught_up=not self._awaited)
        return events

    def _txn(self, incoming: TxnFrame | RowsFrame[Any]) -> list[SessionEvent]:
        if incoming.start != self.cursor:
            if incoming.at == self.cursor:
                return []
            raise OutOfStep(f"at {self.cursor}, the message starts from {incoming.start}")
        if not (incoming.more or self._staged):
            self.cursor = incoming.at
            return [Committed(tuple(incoming.changes))]
        self._staged += incoming.changes
        if incoming.more:
            return []
        self.cursor = incoming.at
        changes, self._staged = tuple(self._staged), []
        return [Committed(changes)]

    def _pos(self, incoming: PosFrame) -> list[SessionEvent]:
        if incoming.start is not None and incoming.start != self.cursor:
            raise OutOfStep(f"at {self.cursor}, the message starts from {incoming.start}")
        if incoming.at is not None:
            self.cursor = incoming.at
        self._settle(caught_up=not self._awaited and incoming.lag_ms <= STALE_LAG * 1000)
        return [] if incoming.n is None else [Passed(incoming.n)]

    def _settle(self, *, caught_up: bool) -> None:
        if caught_up:
            self.state, self._known = "live", True
        elif self._known:
            self.state = "stale"
        else:
            self.state = "syncing"

    def _schema(self, incoming: SchemaFrame) -> list[SessionEvent]:
        return [SchemaChanged(incoming.table, incoming.key, incoming.columns)]

    def _resync(self, incoming: ResyncFrame) -> list[SessionEvent]:
        # One that was ended meanwhile gets no snapshot: to await it would be for ever.
        self._awaited.update(self.subscriptions.keys() & incoming.subs)
        self._settle(caught_up=False)
        return [Resync(incoming.subs, incoming.why)]

    def _auth_soon(self, incoming: AuthSoonFrame) -> list[SessionEvent]:
        return [AuthSoon(incoming.seconds)]

    def _error(self, incoming: ErrorFrame) -> list[SessionEvent]:
        if incoming.sub is not None and incoming.sub not in incoming.stale:
            self._awaited.discard(incoming.sub)
        return [Failed(incoming.code, incoming.message, incoming.sub, incoming.fatal, incoming.hint)]


_HANDLERS: dict[type, Callable[[ClientSession, Any], list[SessionEvent]]] = {
    ReadyFrame: ClientSession._ready,
    SnapFrame: ClientSession._snap,
    TxnFrame: ClientSession._txn,
    RowsFrame: ClientSession._txn,
    PosFrame: ClientSession._pos,
    SchemaFrame: ClientSession._schema,
    ResyncFrame: ClientSession._resync,
    AuthSoonFrame: ClientSession._auth_soon,
    ErrorFrame: ClientSession._error,
}


def _sub(sub: Subscription) -> dict[str, Any]:
    return {"id": sub.id, "table": sub.table, **({"query": sub.query} if sub.query else {})}
