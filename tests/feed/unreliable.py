"""The log behind a bad network: what is written arrives later, again, or never."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from aiodata_django.core.changes.transaction import Transaction
from aiodata_django.feed.log import RingLog


class UnreliableLog(RingLog):
    """A ring whose reading side is not its writing side.

    ``drop`` and ``repeat`` are probabilities, ``delay`` the seconds at most that a write is on its way. Order
    stays, as a stream's does. Every write carries what was written last, so a loss can be found out.
    """

    def __init__(
        self,
        *,
        random: random.Random,
        drop: float = 0.0,
        repeat: float = 0.0,
        delay: float = 0.0,
        **bounds: Any,
    ) -> None:
        super().__init__(**bounds)
        self._random = random
        self.drop, self.repeat, self.delay = drop, repeat, delay
        self.dropped = self.repeated = 0
        self._written = 0
        self._known = 0  # of what was written last, by the reading side
        self._writing = ""
        self._due = 0.0
        self._on_the_way: deque[Callable[[], None]] = deque()

    @property
    def last(self) -> int:
        return self._known

    def reset(self, epoch: str, start: int) -> None:
        if epoch != self._writing:
            self._writing, self._written = epoch, start
        self._later(self._reset, epoch, start)

    def _reset(self, epoch: str, start: int) -> None:
        if epoch != self.epoch:
            self._known = start
        super().reset(epoch, start)

    def append(self, transaction: Transaction) -> bool:
        if transaction.lsn <= self._written:
            return False
        transaction.previous, self._written = self._written, transaction.lsn
        if self._random.random() < self.drop:
            self.dropped += 1
            return True
        self._later(self._arrive, transaction, transaction.previous)
        if self._random.random() < self.repeat:
            self.repeated += 1
            self._later(self._arrive, transaction, transaction.previous)
        return True

    def _arrive(self, transaction: Transaction, previous: int) -> None:
        self._known = max(self._known, transaction.lsn)
        if super().append(transaction):
            transaction.previous = previous  # the writer's chain, not what the ring makes of what came

    def advance(self, lsn: int) -> None:
        self._later(self._advance, lsn, self._written)

    def _advance(self, lsn: int, written: int) -> None:
        self._known = max(self._known, written)
        super().advance(lsn)

    def _later(self, deliver: Callable[..., None], *what: Any) -> None:
        loop = asyncio.get_running_loop()
        self._due = max(self._due, loop.time() + self._random.uniform(0, self.delay))
        self._on_the_way.append(partial(deliver, *what))
        loop.call_at(self._due, self._deliver)

    def _deliver(self) -> None:
        self._on_the_way.popleft()()
