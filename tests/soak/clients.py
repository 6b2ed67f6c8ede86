"""The soak's witnesses: who watches over a real socket, and writes down what it is told.

What lives here: what every witness keeps, and the one that holds the wire itself: the session's pure part
and dicts, so that the real copy has something independent beside it. The real client's witness is in
``realclient``.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec

from aiodata_django.client.error import Error
from aiodata_django.client.transport import HttpTransport, Socket, SocketClosed
from aiodata_django.core.state.incoming import Change, RowDeleted, RowPart, RowPut, Truncated
from aiodata_django.core.state.session import (
    SUBPROTOCOL,
    AuthSoon,
    ClientSession,
    Committed,
    Failed,
    OutOfStep,
    Ready,
    Resync,
    SchemaChanged,
    SnapshotBegun,
    SnapshotComplete,
    SnapshotPart,
)
from tests.live import token

from .world import CLAIMED, TOTAL, Seat

Piece = tuple[int, str]
Key = tuple[Any, ...]
Rows = dict[Key, dict[str, Any]]


def parsed(text: bytes | str) -> Any:
    """JSON with exact numbers."""
    return json.loads(text, parse_float=lambda digits: Decimal(digits).normalize())


class Told(NamedTuple):
    """One net change: create (no ``old``), update, delete (no ``new``)."""

    piece: Piece
    key: Key
    old: Mapping[str, Any] | None
    new: Mapping[str, Any] | None


class Step(NamedTuple):
    """What became visible at once.

    ``kind``: commit, snapshot, told (either), or forget (everything, to begin anew).
    """

    kind: str
    told: tuple[Told, ...]
    seats: tuple[Seat, ...] = ()  # for whom it may have been told


class Witness:
    """What every witness keeps: ``steps`` told, ``complaints`` of its own, ``resyncs`` and ``closings``.

    ``lately`` are the seats it may be told for: the present one, and former ones until the server has taken
    notice of the change.

    ``merged``: a table's rows are kept together, whichever subscription holds them, and nothing is told of
    those that were there from the first.
    """

    merged = False

    def __init__(self, seat: Seat, seed: int) -> None:
        self.seat = seat
        self.faces = (seat, *seat.others)
        self.lately = (seat,)
        self.random = random.Random(f"{seed}-{seat.name}")
        self.steps: list[Step] = []
        self.complaints: list[str] = []
        self.resyncs: Counter[str] = Counter()
        self.closings: Counter[int] = Counter()
        self.failures: Counter[str] = Counter()
        self.hearing = asyncio.Event()
        self.hearing.set()
        self.joins = 0

    @property
    def state(self) -> str:
        """As the session says."""
        raise NotImplementedError

    def copy(self) -> Mapping[Piece, Rows]:
        """All rows, by what they are of."""
        raise NotImplementedError

    async def run(self) -> None:
        """Watch until cancelled."""
        raise NotImplementedError

    async def forget(self) -> None:
        """Begin anew, as one who was never here."""
        raise NotImplementedError

    async def turn(self) -> None:
        """Be somebody else from the next token on."""
        self.seat = self.faces[(self.faces.index(self.seat) + 1) % len(self.faces)]
        self.lately = (*self.lately, self.seat)

    def step(self, kind: str, told: Iterable[Told]) -> None:
        """Write down what was told."""
        self.steps.append(Step(kind, tuple(told), self.lately))

    async def token(self) -> str:
        """A token, short-lived for some seats."""
        life = 7200 if not self.seat.short else self.random.uniform(2, 4 if len(self.faces) > 1 else 12)
        return token(self.seat.role, exp=round(time.time() + life), **self.seat.claims)

    def check_sum(self, accounts: Rows | None) -> None:
        """I4: no intermediate state is ever shown."""
        if accounts and (total := sum(row["balance"] for row in accounts.values())) != TOTAL:
            self.complaints.append(f"I4: the accounts' sum is {total}")


class WireWitness(Witness):
    """Holds the socket and a dict for each subscription of each table; ``session_type`` may be broken."""

    def __init__(
        self,
        seat: Seat,
        seed: int,
        url: Callable[[], str],
        session_type: type[ClientSession] = ClientSession,
    ) -> None:
        super().__init__(seat, seed)
        self._url = url
        self._session_type = session_type
        self._rows: dict[Piece, Rows] = {}
        self._keys: dict[str, tuple[str, ...]] = {}
        self._staged: dict[Piece, Rows] = {}
        self._socket: Socket | None = None
        self._recent: list[str] = []
        self.echo = False  # hears its last messages twice
        self.session = self._new_session()

    def _new_session(self) -> ClientSession:
        return self._session_type(watched.asked for watched in self.seat.watched)

    @property
    def state(self) -> str:
        """As the session says."""
        return self.session.state

    def copy(self) -> Mapping[Piece, Rows]:
        """All rows, by subscription and table."""
        return self._rows

    async def forget(self) -> None:
        """Begin anew; the next connection has no cursor."""
        self.session = self._new_session()
        self._rows.clear()
        self.step("forget", ())
        self.joins += 1
        if self._socket is not None:
            await self._socket.close()

    async def turn(self) -> None:
        """A new token on the open socket, of somebody else."""
        await super().turn()
        if self._socket is not None:
            with suppress(SocketClosed, OSError):
                await self._socket.send(self.session.authenticate(await self.token()))

    # The socket ---------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Connect again and again."""
        while True:
            session = self.session
            transport = HttpTransport(self._url())
            await transport.open()
            try:
                await self._connection(transport, session)
            except SocketClosed as closed:
                self.closings[closed.code] += 1
            except OutOfStep:
                self.closings[0] += 1
            except (Error, OSError):
                pass
            finally:
                self._socket = None
                session.disconnected()
                await transport.close()
            await asyncio.sleep(self.random.uniform(0.05, 0.4))

    async def _connection(self, transport: HttpTransport, session: ClientSession) -> None:
        headers = {"Authorization": f"Bearer {await self.token()}"}
        async with asyncio.timeout(10):
            socket = self._socket = await transport.connect("/state", headers, (SUBPROTOCOL,))
        self._staged.clear()
        self._recent.clear()
        await socket.send(session.connected(time.monotonic()))
        acknowledging = asyncio.create_task(self._acknowledge(socket, session))
        try:
            while session is self.session:
                await self.hearing.wait()
                text = await socket.receive()
                for heard in self._echoed(text):
                    await self._hear(socket, session, heard)
        finally:
            acknowledging.cancel()
            with suppress(SocketClosed, OSError):
                await socket.close()

    def _echoed(self, text: str) -> list[str]:
        """The message, and with an echo on the line one of the last ones again: a line may repeat."""
        self._recent = [*self._recent[-2:], text]
        if self.echo and '"op":"txn"' in text and self.random.random() < 0.3:
            return [text, self.random.choice([t for t in self._recent if '"op":"txn"' in t])]
        return [text]

    async def _acknowledge(self, socket: Socket, session: ClientSession) -> None:
        with suppress(SocketClosed, OSError):
            while True:
                await asyncio.sleep(0.25)
                await self.hearing.wait()
                for frame in session.data_to_send(time.monotonic()):
                    await socket.send(frame)

    async def _hear(self, socket: Socket, session: ClientSession, text: str) -> None:
        now = time.monotonic()
        for event in session.receive(text, now):
            for frame in await self._take(event):
                await socket.send(frame)
        for frame in session.data_to_send(now):
            await socket.send(frame)

    async def _take(self, event: Any) -> list[str]:
        """Do what an event says; frames to answer with."""
        match event:
            case Ready():
                self._keys |= {table: tuple(d["key"]) for table, d in event.schema.items()}
                if not event.resumed:
                    self._gone(event.schema)
            case SchemaChanged():
                self._keys[event.table] = event.key
            case SnapshotBegun():
                self._staged.clear()
            case SnapshotPart():
                self._stage(event)
            case SnapshotComplete():
                self._complete(event.parts)
            case Committed():
                return self._commit(event)
            case Resync():
                self.resyncs[event.why] += 1
                if event.why == "role":
                    # Of one turn at least; later ones may have been made since the server said so.
                    self.lately = self.lately[1:] or self.lately
            case AuthSoon() if not self.seat.lazy:
                return [self.session.authenticate(await self.token())]
            case Failed():
                self.failures[event.code] += 1
        return []

    # The copy -----------------------------------------------------------------------------------------

    def _key_of(self, table: str, row: Mapping[str, Any]) -> Key:
        return tuple(row[name] for name in self._keys[table])

    def _stage(self, part: SnapshotPart) -> None:
        rows = self._staged.setdefault((part.sub, part.table), {})
        for row in parsed(bytes(part.rows)):
            key = self._key_of(part.table, row)
            if key in rows:
                self.complaints.append(f"I2: {part.table} {key} twice in a snapshot")
            rows[key] = row

    def _gone(self, schema: Mapping[str, Any]) -> None:
        """A session that was not resumed tells all that may be seen: a table it leaves out is gone."""
        for piece in [piece for piece in self._rows if piece[1] not in schema]:
            self._replace({piece: {}})

    def _complete(self, parts: tuple[Piece, ...]) -> None:
        self._replace({piece: self._staged.pop(piece, {}) for piece in parts})

    def _replace(self, fresh: Mapping[Piece, Rows]) -> None:
        told: list[Told] = []
        for piece, rows in fresh.items():
            before = self._rows.get(piece, {})
            for key in before.keys() | rows.keys():
                if before.get(key) != rows.get(key):
                    told.append(Told(piece, key, before.get(key), rows.get(key)))
            self._rows[piece] = rows
        self._step("snapshot", told)

    def _commit(self, committed: Committed) -> list[str]:
        before: dict[tuple[Piece, Key], Any] = {}
        wanted = [frame for change in committed.changes for frame in self._apply(change, before)]
        told = [
            Told(piece, key, old, new)
            for (piece, key), old in before.items()
            if (new := self._rows[piece].get(key)) != old
        ]
        self._step("commit", told)
        return wanted

    def _step(self, kind: str, told: list[Told]) -> None:
        self.step(kind, told)
        for (_, table), rows in self._rows.items():
            if table == "accounts":
                self.check_sum(rows)

    def _set(
        self, piece: Piece, key: Key, row: dict[str, Any] | None, before: dict[tuple[Piece, Key], Any]
    ) -> None:
        rows = self._rows.setdefault(piece, {})
        before.setdefault((piece, key), rows.get(key))
        if row is None:
            rows.pop(key, None)
        else:
            rows[key] = row

    def _apply(self, change: Change, before: dict[tuple[Piece, Key], Any]) -> list[str]:
        """Do a change; what has to be asked for because of it."""
        if isinstance(change, Truncated):
            for piece, rows in self._rows.items():
                for key in list(rows) if piece[1] == change.table else ():
                    self._set(piece, key, None, before)
            return []
        wanted = [self._apply_to((sub, change.table), change, before) for sub in change.subs]
        return [frame for frame in wanted if frame]

    def _apply_to(
        self,
        piece: Piece,
        change: RowPut[Any] | RowPart | RowDeleted,
        before: dict[tuple[Piece, Key], Any],
    ) -> str:
        if piece not in self._rows:
            self.complaints.append(f"{type(change).__name__} of {piece} before its snapshot")
            return ""
        if isinstance(change, RowPut):
            row = parsed(bytes(change.row))
            if change.old_key:
                self._set(piece, _key(change.old_key), None, before)
            self._set(piece, self._key_of(change.table, row), row, before)
            return ""
        key = _key(change.key)
        known = self._rows[piece].get(key)
        if isinstance(change, RowDeleted):
            if known is None and change.table in CLAIMED and (piece, key) not in before:
                self.complaints.append(f"I5: told that {change.table} {key} went, which it never had")
            self._set(piece, key, None, before)
        elif known is None:
            return self.session.need(change.table, msgspec.Raw(bytes(change.key)))
        else:
            self._set(piece, key, {**known, **parsed(bytes(change.row))}, before)
        return ""


def _key(raw: msgspec.Raw) -> Key:
    return tuple(parsed(bytes(raw)))
