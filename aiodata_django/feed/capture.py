"""Capture: the replication stream into the log, for as long as the process lives.

What lives here: sessions one after another, epochs, and how far PostgreSQL may forget. What does not: the
session itself (``db.replication``) and who reads the log (``hub``).

A temporary slot dies with its session and the next one may miss commits: a new epoch, readers start over.
A durable slot goes on where its confirmation stands: the same epoch, and the log drops what it had. Its
confirmation lags ``CONFIRM_LAG`` seconds behind: a restarted process refills its ring from PostgreSQL. A slot
that stands further on than the log was dropped and made again meanwhile: what was committed in between is in
neither, so that is a new epoch too. A durable slot made while a temporary one serves stands within the log:
the session that goes over to it goes on with the same epoch, and nobody notices.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import secrets
from collections import deque
from collections.abc import Callable

import psycopg

from ..core.changes.pgoutput import MalformedMessage
from ..core.changes.transaction import Assembler, Transaction
from ..db.replication import ReplicationStream, SlotLost
from .log import Log
from .spool import SpooledBuffer

CONFIRM_LAG = 60.0
_BACKOFF = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)

logger = logging.getLogger("aiodata.feed")


class Capture:
    """Runs sessions of ``open_stream(durable)`` into ``log``.

    ``explain`` says what an error means, and what to run; it is logged once, not at every try.

    ``durable`` tells whether a durable slot may be used; after :class:`SlotLost` it may not. Attributes:
    ``stream`` (None between sessions), ``error`` of the last session (None while streaming), ``idle_since``
    (loop time; None while streaming), ``transactions`` and ``changes`` counted since the start.
    """

    def __init__(
        self,
        open_stream: Callable[[bool], ReplicationStream],
        log: Log,
        explain: Callable[[Exception], str],
    ) -> None:
        self._open_stream = open_stream
        self._explain = explain
        self._told = ""
        self._log = log
        self._durable = True
        self._moving = False
        self._history = ""  # of the last session
        self._checkpoints: deque[tuple[float, int]] = deque()
        self.stream: ReplicationStream | None = None
        self.error: Exception | None = None
        self.transactions = 0
        self.changes = 0
        self.attempts = 0
        self.idle_since: float | None = 0.0

    async def run(self, prepare: Callable[[], object]) -> None:
        """Stream until cancelled. ``prepare`` is awaited before each session: the publication must exist."""
        failures = 0
        while True:
            try:
                await self._session(prepare)
            except SlotLost as error:
                self.error, self._durable = error, False
                continue
            except (psycopg.Error, OSError, MalformedMessage) as error:
                failures = 0 if self.stream is not None else failures + 1
                self.error = error
                self._tell(error)
            finally:
                self.stream = None
                if self.idle_since is None:
                    self.idle_since = asyncio.get_running_loop().time()
            await asyncio.sleep(_BACKOFF[min(failures, len(_BACKOFF) - 1)])

    def move(self) -> None:
        """Go over to the durable slot, soon: there is one now that nobody uses."""
        self._durable = self._moving = True

    def _tell(self, error: Exception) -> None:
        sentence = self._explain(error)
        logger.log(logging.DEBUG if sentence == self._told else logging.WARNING, "%s", sentence)
        logger.debug("the replication session ended: %s", str(error).strip())
        self._told = sentence

    async def _session(self, prepare: Callable[[], object]) -> None:
        self.attempts += 1
        self._moving = False
        preparing = prepare()
        if asyncio.iscoroutine(preparing):
            await preparing
        async with self._open_stream(self._durable) as stream:
            epoch = self._epoch(stream)
            if epoch != self._log.epoch:
                self._checkpoints.clear()
            self._log.reset(epoch, stream.slot.start)
            self.stream, self.error, self.idle_since, self._told = stream, None, None, ""
            await self._pump(stream)

    def _epoch(self, stream: ReplicationStream) -> str:
        slot, system = stream.slot, stream.system
        history = f"{system.identifier}/{system.timeline}/{system.database}"
        known, self._history = history == self._history, history
        if known and not slot.temporary and slot.start <= self._log.end <= system.wal:
            return self._log.epoch  # it sends what the log has once more, and then what follows
        # Commits may be missing, or were undone by a restore. Only the first session with a durable slot goes
        # on where the process before us ended: its epoch is the same for every process.
        birth = secrets.token_hex(8) if slot.temporary or self._log.end else ""
        return _hashed(f"{history}/{slot.name}{birth}")

    async def _pump(self, stream: ReplicationStream) -> None:
        assembler = Assembler(SpooledBuffer)
        feed = assembler.feed
        while not self._moving:
            for payload in await stream.receive():
                done = feed(payload)
                if isinstance(done, Transaction):
                    self._append(done)
            # A keepalive vouches for everything before it, and all that was before it has been fed.
            self._log.advance(stream.keepalive)
            stream.received = max(stream.received, self._log.end)
            stream.confirmed = self._confirmable(stream)
            await asyncio.sleep(0)

    def _append(self, transaction: Transaction) -> None:
        if self._log.append(transaction):
            self.transactions += 1
            self.changes += len(transaction.buffer)

    def _confirmable(self, stream: ReplicationStream) -> int:
        asked, stream.asked = stream.asked, False
        if stream.slot.temporary or asked:
            # A server that is shutting down asks, and waits until all that it sent is confirmed.
            return self._log.end
        now = asyncio.get_running_loop().time()
        checkpoints = self._checkpoints
        if not checkpoints or now - checkpoints[-1][0] >= 1.0:
            checkpoints.append((now, self._log.end))
        confirmed = stream.confirmed
        while checkpoints and now - checkpoints[0][0] >= CONFIRM_LAG:
            confirmed = max(confirmed, checkpoints.popleft()[1])
        return confirmed


def _hashed(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
