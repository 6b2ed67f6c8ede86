"""A logical replication stream on psycopg's libpq wrapper: slot, START_REPLICATION, bytes, feedback.

What lives here: one session of the replication protocol. What does not: what the bytes mean
(``core.changes``), and what to do when a session ends (``feed.capture``).

psycopg has no replication of its own; its ``PGconn`` has all that COPY BOTH needs. Waiting is
``loop.add_reader``, not ``connection.wait``: cancelling that one would send a cancel request.
Source: https://www.postgresql.org/docs/18/protocol-replication.html
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from struct import Struct
from types import TracebackType
from typing import Any, Self

import psycopg
from psycopg import AsyncConnection
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import DiagnosticField, ExecStatus
from psycopg.pq.abc import PGconn, PGresult

from ..core.changes.position import lsn_text, parse_lsn
from ..core.names import quote_ident, quote_literal

_XLOG_HEADER = Struct(">cQQq")
_KEEPALIVE = Struct(">cQqB")
_FEEDBACK = Struct(">cQQQqB")
_FEEDBACK_SECONDS = 1.0
_BATCH_BYTES = 1 << 20

FORMATS: Mapping[str, str] = {
    "DateStyle": "ISO",
    "IntervalStyle": "postgres",
    "TimeZone": "UTC",
    "extra_float_digits": "1",
    "bytea_output": "hex",
}
"""Session settings that fix how values are written, whatever the server's and the writers' are."""


@dataclass(frozen=True, slots=True)
class Slot:
    """The slot streamed from. ``temporary`` ones die with the session. ``start`` is its first LSN."""

    name: str
    temporary: bool
    start: int


@dataclass(frozen=True, slots=True)
class System:
    """Which server, and which history of it: ``IDENTIFY_SYSTEM``."""

    identifier: str
    timeline: int
    wal: int
    database: str


_SLOT = (
    "select active, wal_status, confirmed_flush_lsn::text from pg_replication_slots"
    " where database = current_database() and slot_name = "
)


class SlotLost(Exception):
    """The durable slot exists and can no longer be used: the WAL it needs is gone."""


def replication_conninfo(conninfo: str, formats: Mapping[str, str] = FORMATS) -> str:
    """``conninfo`` for a replication session that writes values in ``formats``."""
    settings = {**formats, "wal_sender_timeout": "20s", "statement_timeout": "0", "lock_timeout": "0"}
    options = " ".join(f"-c {name}={_escaped(value)}" for name, value in settings.items())
    given = str(conninfo_to_dict(conninfo).get("options") or "")
    return make_conninfo(
        conninfo, replication="database", client_encoding="UTF8", options=f"{given} {options}".strip()
    )


def _resolve(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace(" ", "\\ ")


class ReplicationStream:
    """One streaming session.

    ``slot`` names a durable slot to use when it exists and is free; otherwise a temporary one is made, which
    waits for every write transaction open at that moment. Use as an async context manager.

    Attributes after entering: ``system``, ``slot``; ``keepalive``: every commit that ends up to here has been
    handed out; ``asked``: the server wants to know how far we are. The user moves ``received`` and
    ``confirmed``: what the server is told has arrived and may be forgotten.
    """

    def __init__(
        self,
        conninfo: str,
        *,
        publication: str,
        slot: str | None = None,
        formats: Mapping[str, str] = FORMATS,
    ) -> None:
        self._conninfo = replication_conninfo(conninfo, formats)
        self._publication = publication
        self._durable = slot
        self._connection: AsyncConnection[Any] | None = None
        self._feedback_due = 0.0
        self.system: System
        self.slot: Slot
        self.received = 0
        self.confirmed = 0
        self.keepalive = 0
        self.asked = False

    async def __aenter__(self) -> Self:
        """Connect, find or make the slot, start. Raises psycopg.Error, :class:`SlotLost`."""
        self._connection = await AsyncConnection.connect(self._conninfo, autocommit=True)
        try:
            self.system = await self._identify()
            self.slot = await self._existing_slot() or await self._temporary_slot()
            self.received = self.confirmed = self.slot.start
            await self._start()
        except BaseException:
            await self._connection.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the session; a temporary slot goes with it."""
        if self._connection is not None:
            # Not close(): COPY mode has no polite end that would not wait for the server.
            self._connection.pgconn.finish()

    async def _query(self, command: str) -> tuple[Any, ...] | None:
        assert self._connection is not None
        cursor = await self._connection.execute(command.encode())
        row: tuple[Any, ...] | None = await cursor.fetchone()
        return row

    async def _identify(self) -> System:
        row = await self._query("IDENTIFY_SYSTEM")
        assert row is not None
        identifier, timeline, wal, database = row
        return System(str(identifier), int(timeline), parse_lsn(wal), str(database))

    async def _existing_slot(self) -> Slot | None:
        if self._durable is None:
            return None
        row = await self._query(_SLOT + quote_literal(self._durable))
        if row is None or row[0]:
            return None  # another process streams from it; this one makes do with its own
        if row[1] == "lost":
            raise SlotLost(self._durable)
        return Slot(self._durable, False, parse_lsn(row[2]))

    async def _temporary_slot(self) -> Slot:
        name = f"aiodata_{secrets.token_hex(8)}"
        row = await self._query(
            f"CREATE_REPLICATION_SLOT {quote_ident(name)} TEMPORARY LOGICAL pgoutput NOEXPORT_SNAPSHOT"
        )
        assert row is not None
        return Slot(name, True, parse_lsn(row[1]))

    async def _start(self) -> None:
        publication = self._publication.replace('"', '""').replace("'", "''")
        command = (
            f"START_REPLICATION SLOT {quote_ident(self.slot.name)} LOGICAL {lsn_text(self.slot.start)}"
            f" (proto_version '1', publication_names '\"{publication}\"', messages 'true')"
        )
        pgconn = self._pgconn
        pgconn.send_query(command.encode())
        pgconn.flush()  # far less than a socket buffer: it is gone at once
        while pgconn.is_busy():
            await self._readable()
        result = pgconn.get_result()
        if result is None or result.status != ExecStatus.COPY_BOTH:
            raise _error(result)

    @property
    def _pgconn(self) -> PGconn:
        assert self._connection is not None
        return self._connection.pgconn

    async def receive(self) -> list[bytes]:
        """The next pgoutput messages, at most about a MiB; empty when only ``keepalive`` or ``asked`` is new.

        Sends feedback when due, so it has to be called at least every few seconds. Raises psycopg.Error when
        the session ended.
        """
        while True:
            before = self.keepalive
            self.send_feedback()
            messages = self._drain()
            if messages or self.asked or self.keepalive != before:
                return messages
            await self._readable(self._feedback_due - self._now())

    def _drain(self) -> list[bytes]:
        messages: list[bytes] = []
        size = 0
        get = self._pgconn.get_copy_data
        while size < _BATCH_BYTES:
            count, chunk = get(1)
            if count <= 0:
                if count < 0:
                    self._ended()
                break
            if chunk[0] == 119:  # w: XLogData
                messages.append(bytes(chunk[25:]))
                size += count
            else:
                self._take_keepalive(bytes(chunk))
        return messages

    def _take_keepalive(self, chunk: bytes) -> None:
        _, lsn, _, reply = _KEEPALIVE.unpack_from(chunk)
        self.keepalive = max(self.keepalive, lsn)
        if reply:
            self.asked = True
            self._feedback_due = 0.0

    def _ended(self) -> None:
        raise _error(self._pgconn.get_result())

    async def _readable(self, seconds: float | None = None) -> None:
        loop = asyncio.get_running_loop()
        ready = loop.create_future()
        socket = self._pgconn.socket
        loop.add_reader(socket, _resolve, ready)
        try:
            await asyncio.wait((ready,), timeout=None if seconds is None else max(seconds, 0.0))
        finally:
            loop.remove_reader(socket)
        self._pgconn.consume_input()

    def send_feedback(self, *, now: bool = False) -> None:
        """Tell the server how far we are, when it is due (once a second, or when it asked) or ``now``."""
        clock = self._now()
        if not now and clock < self._feedback_due:
            return
        self._feedback_due = clock + _FEEDBACK_SECONDS
        lsn = self.confirmed
        self._pgconn.put_copy_data(_FEEDBACK.pack(b"r", self.received, lsn, lsn, 0, 0))
        self._pgconn.flush()

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()


def _error(result: PGresult | None) -> psycopg.Error:
    if result is None:
        return psycopg.OperationalError("the replication session ended")
    text = result.error_message.decode("utf-8", "replace").strip() or "the replication session ended"
    sqlstate = result.error_field(DiagnosticField.SQLSTATE)
    kind = psycopg.errors.lookup(sqlstate.decode()) if sqlstate else psycopg.OperationalError
    return kind(text)
