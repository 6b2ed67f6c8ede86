"""The slot, looked at every few seconds: what it keeps, how far it is behind, whether a durable one is free.

What lives here: those looks, and the rate of changes between them. What does not: the session (``capture``),
making and removing slots (``setup``).
"""

from __future__ import annotations

import asyncio

import psycopg

from ..core.changes.position import lsn_text
from .capture import Capture
from .control import Control
from .log import Log

_KEPT = b"""
select pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), s.restart_lsn)::bigint,
    pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), $2::text::pg_lsn)::bigint
from pg_catalog.pg_replication_slots s where s.slot_name = $1
"""
_FREE = b"""
select exists (
    select from pg_catalog.pg_replication_slots s
    where s.slot_name = $1 and s.database = current_database() and not s.active and s.wal_status <> 'lost')
"""


class SlotWatch:
    """Figures as of the last look: ``retained_bytes`` of WAL that the slot keeps, ``lag_bytes`` not received
    yet (both None while no session streams), ``changes_per_second`` since the look before."""

    def __init__(self, control: Control, capture: Capture, log: Log, durable: str) -> None:
        self._control = control
        self._capture = capture
        self._log = log
        self._durable = durable
        self._counted = 0
        self.retained_bytes: int | None = None
        self.lag_bytes: int | None = None
        self.changes_per_second = 0.0

    async def run(self, seconds: float) -> None:
        """Look every ``seconds`` until cancelled."""
        clock = asyncio.get_running_loop().time
        before = clock()
        while True:
            await asyncio.sleep(seconds)
            changes, now = self._capture.changes, clock()
            self.changes_per_second = (changes - self._counted) / (now - before)
            self._counted, before = changes, now
            try:
                await self._look()
            except (psycopg.Error, OSError):  # looked at again
                self.retained_bytes = self.lag_bytes = None

    async def _look(self) -> None:
        stream = self._capture.stream
        if stream is None:
            self.retained_bytes = self.lag_bytes = None
            return
        kept, behind = await self._control.row(_KEPT, [stream.slot.name, lsn_text(self._log.end)])
        self.retained_bytes, self.lag_bytes = int(kept), max(0, int(behind))
        # Somebody has made the durable one: unread, it would keep WAL for ever.
        if stream.slot.temporary and (await self._control.row(_FREE, [self._durable]))[0]:
            self._capture.move()
