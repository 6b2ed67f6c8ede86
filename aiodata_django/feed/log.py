"""The log: committed transactions in commit order, by position, for as long as somebody may want them.

What lives here: the port every log implements, and the ring in this process. What does not: who writes it
(``capture``) and who reads it (``hub``).

A position is an LSN: whoever stands at it has seen every transaction that ends at or before it. Positions are
comparable within one ``epoch`` only.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Protocol

from ..core.changes.transaction import Transaction


class LogTrimmed(Exception):
    """What comes after that position is not all there any more."""


class Log(Protocol):
    """Committed transactions by position."""

    @property
    def epoch(self) -> str:
        """Names one gap-free history; positions of another mean nothing here."""

    @property
    def start(self) -> int:
        """The lowest position one can read from."""

    @property
    def end(self) -> int:
        """Everything committed up to here is in the log."""

    @property
    def last(self) -> int:
        """The end of the last transaction written up to ``end``, whether it is here or was lost."""

    def reset(self, epoch: str, start: int) -> None:
        """Begin a history at ``start``; the one before is forgotten unless it has the same epoch."""

    def append(self, transaction: Transaction) -> bool:
        """Add a transaction; False when the log already has it."""

    def advance(self, lsn: int) -> None:
        """Nothing else was committed up to ``lsn``."""

    def after(self, position: int) -> Sequence[Transaction]:
        """The transactions after ``position``. Raises :class:`LogTrimmed`."""

    async def changed(self, epoch: str, end: int) -> None:
        """Wait until the log's epoch or end is another."""


class RingLog:
    """The log of one process: the last transactions, bounded by bytes and by age.

    ``seconds`` is how long a transaction is kept at least while the ring holds fewer than ``max_bytes``;
    ``clock`` is monotonic time in seconds.
    """

    def __init__(
        self, *, clock: Callable[[], float], max_bytes: int = 64 << 20, seconds: float = 300.0
    ) -> None:
        self._clock = clock
        self._max_bytes = max_bytes
        self._seconds = seconds
        self._lsns: list[int] = []
        self._transactions: list[Transaction] = []
        self._times: list[float] = []
        self._bytes = 0
        self._epoch = ""
        self._start = self._end = self._last = 0
        self._waiters: set[asyncio.Future[None]] = set()

    @property
    def epoch(self) -> str:
        """Names the present history; empty before the first."""
        return self._epoch

    @property
    def start(self) -> int:
        """The lowest position one can read from."""
        return self._start

    @property
    def end(self) -> int:
        """Everything committed up to here is in the log."""
        return self._end

    @property
    def last(self) -> int:
        """The end of the last transaction."""
        return self._last

    @property
    def held_bytes(self) -> int:
        """Bytes of memory its transactions hold, roughly."""
        return self._bytes

    def __len__(self) -> int:
        return len(self._transactions)

    @property
    def span(self) -> float:
        """Seconds since its oldest transaction came, 0 when it is empty."""
        return self._clock() - self._times[0] if self._times else 0.0

    def reset(self, epoch: str, start: int) -> None:
        """Begin a history, or go on with the same one."""
        if epoch != self._epoch:
            self._drop(len(self._lsns))
            self._epoch = epoch
            self._start = self._end = self._last = start
        self._wake()

    def append(self, transaction: Transaction) -> bool:
        """Add a transaction, unless it came before: servers send again what was not confirmed."""
        if transaction.lsn <= self._last:
            return False
        transaction.previous = self._last
        self._lsns.append(transaction.lsn)
        self._transactions.append(transaction)
        self._times.append(self._clock())
        self._bytes += transaction.buffer.size + 200
        self._last = transaction.lsn
        self._end = max(self._end, transaction.lsn)
        self._trim()
        self._wake()
        return True

    def advance(self, lsn: int) -> None:
        """Nothing else was committed up to ``lsn``."""
        if lsn > self._end:
            self._end = lsn
            self._trim()
            self._wake()

    def after(self, position: int) -> Sequence[Transaction]:
        """The transactions after ``position``. Raises :class:`LogTrimmed`."""
        if position < self._start:
            raise LogTrimmed
        return self._transactions[bisect_right(self._lsns, position) :]

    async def changed(self, epoch: str, end: int) -> None:
        """Wait until the log's epoch or end is another."""
        if (epoch, end) != (self._epoch, self._end):
            return
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.add(waiter)
        try:
            await waiter
        finally:
            self._waiters.discard(waiter)

    def _wake(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    def _trim(self) -> None:
        horizon = self._clock() - self._seconds
        count = 0
        size = self._bytes
        # The newest stays whatever its size: somebody is about to read it.
        while count < len(self._lsns) - 1 and (size > self._max_bytes or self._times[count] < horizon):
            size -= self._transactions[count].buffer.size + 200
            count += 1
        if count:
            self._drop(count)

    def _drop(self, count: int) -> None:
        if count:
            self._start = self._lsns[count - 1]
            self._bytes -= sum(t.buffer.size + 200 for t in self._transactions[:count])
        del self._lsns[:count], self._transactions[:count], self._times[:count]
