"""The hub: one for each process. Reads the log once, tells when commits are visible, wakes who is concerned.

What lives here: the visible position, the catalogue's place in the order of events, the sharing of digests,
joining. What does not: what a socket sends (``reader``), what it may see (``gate``).

The stream runs ahead of visibility: a commit can be received before any snapshot shows it, and with a
synchronous standby away, long before. So a transaction counts only when a snapshot taken since shows it; then
whoever hears of it can read it, and policies that look at other tables see its other rows too. Transactions
received and not yet visible are what a join looks back for: it starts from the visible position, not from the
log's end, and leaves out what its own snapshot has seen already.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol
from weakref import WeakValueDictionary

import psycopg

from ..core.changes.position import Snapshot
from ..core.changes.transaction import Transaction
from ..core.errors import ApiError
from .catalogue import Catalogue
from .control import PREFIX, Control
from .digest import Digest
from .gate import Gate
from .log import Log, LogTrimmed

logger = logging.getLogger("aiodata.feed")

_CHANGES_KEPT, _DIGEST = 5000, 10
"""So many changes are kept ready; a transaction counts as ``_DIGEST`` more than it has."""
_POLL_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.025)


class Reader(Protocol):
    """Somebody who reads visible transactions. ``position`` is theirs; ``asleep`` while there is nothing."""

    position: int
    asleep: bool

    def wake(self) -> None:
        """There is something to read from ``position`` on, or the epoch or the catalogue changed."""


class Gap(Exception):
    """The log has lost a transaction; from ``start`` on it is whole."""

    def __init__(self, start: int) -> None:
        super().__init__(f"a transaction before {start:x} is lost")
        self.start = start


class Hub:
    """See the module. ``position``: everything committed up to here is visible, within ``epoch``.

    ``capturing`` tells since when (loop time) no session streams, None while one does.
    A log that leaves a transaction out is found out by the chain of ``previous``: a new epoch, too.
    """

    def __init__(
        self,
        log: Log,
        control: Control,
        catalogue: Catalogue,
        gate: Gate,
        capturing: Callable[[], float | None],
    ) -> None:
        self.log = log
        self.control = control
        self.catalogue = catalogue
        self.gate = gate
        self.capturing = capturing
        self.epoch = ""
        self.position = 0
        self._behind_since: float | None = None
        self._log_epoch = ""
        self._last = 0
        self._gaps = 0
        self._whole_from = ("", 0)
        self.started = asyncio.Event()
        self._readers: dict[int, set[Reader]] = {}
        self._every: set[Reader] = set()
        self._present: set[Reader] = set()  # also those with no table to be woken for
        # Whoever reads a large transaction holds its digest, and the others find it. The newest are kept for
        # those who come later; all of them would be many times what the log holds.
        self._digests: WeakValueDictionary[int, Digest] = WeakValueDictionary()
        self._kept: deque[Digest] = deque()
        self._kept_changes = 0
        self._odd: set[int] = set()
        self._passing: list[tuple[int, asyncio.Future[None]]] = []
        self._look: asyncio.Task[None] | None = None
        self._looking = asyncio.Lock()

    # Reading ------------------------------------------------------------------------------------------

    @property
    def start(self) -> int:
        """The lowest position one can read from without missing anything."""
        epoch, whole_from = self._whole_from
        return max(self.log.start, whole_from) if epoch == self.log.epoch else self.log.start

    def subscribe(self, reader: Reader, roots: Iterable[int] | None) -> None:
        """Wake ``reader`` for changes of these tables, of all for None. Replaces what it had before."""
        self.unsubscribe(reader)
        self._present.add(reader)
        if roots is None:
            self._every.add(reader)
        else:
            for root in roots:
                self._readers.setdefault(root, set()).add(reader)

    def unsubscribe(self, reader: Reader) -> None:
        """Wake ``reader`` no more."""
        self._present.discard(reader)
        self._every.discard(reader)
        for root in [root for root, readers in self._readers.items() if reader in readers]:
            self._readers[root].discard(reader)
            if not self._readers[root]:
                del self._readers[root]

    def visible(self, position: int) -> Sequence[Transaction]:
        """The visible transactions after ``position``. Raises LogTrimmed."""
        found = self.log.after(position)
        return [t for t in found if t.lsn <= self.position] if self.position < self.log.end else found

    def digest(self, transaction: Transaction) -> Digest:
        """The transaction as all readers share it."""
        known = self._digests.get(transaction.lsn)
        if known is None or known.transaction is not transaction:
            known = self._digests[transaction.lsn] = Digest(transaction, self.catalogue.published)
            self._kept.append(known)
            self._kept_changes += len(transaction.buffer) + _DIGEST
            while self._kept_changes > _CHANGES_KEPT and len(self._kept) > 1:
                self._kept_changes -= len(self._kept.popleft().transaction.buffer) + _DIGEST
        return known

    def _forget_digests(self) -> None:
        self._digests.clear()
        self._kept.clear()
        self._kept_changes = 0

    async def passed(self, lsn: int) -> None:
        """Wait until everything committed up to ``lsn`` is visible; nudges the stream when it is idle.

        While the database is away nothing passes: the wait goes on, and callers bound it.
        """
        if self.position >= lsn:
            return
        waiter = asyncio.get_running_loop().create_future()
        self._passing.append((lsn, waiter))
        try:
            done, _ = await asyncio.wait((waiter,), timeout=0.01)
            if not done:
                await self._nudge()
                await waiter
        finally:
            waiter.cancel()  # or one who asks for what never comes would stay here when gone

    async def _nudge(self) -> None:
        try:
            await self.control.marker("sync")
        except (psycopg.Error, OSError) as error:  # the heartbeat will do when it is back
            logger.warning("cannot nudge the stream: %s", str(error).strip())

    # Running ------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Follow the log until cancelled."""
        end = 0
        while True:
            await self.log.changed(self._log_epoch, end)
            try:
                if self.log.epoch != self._log_epoch:
                    await self._begin()
                end = self.log.end
                await self._follow(end)
            except (LogTrimmed, Gap) as gap:
                logger.warning("the log has a gap: everybody starts over")
                self._gaps += 1
                self._log_epoch = ""
                if isinstance(gap, Gap):
                    self._whole_from = (self.log.epoch, gap.start)
            except (psycopg.Error, ApiError, OSError) as error:
                logger.warning("the hub waits: %s", str(error).strip())
                end = 0
                await asyncio.sleep(0.2)

    async def _begin(self) -> None:
        """A new history: nobody's position means anything any more."""
        epoch, start = self.log.epoch, self.start
        self.catalogue.forget()
        await self.catalogue.load()
        self._log_epoch, self._last = epoch, start
        self.epoch, self.position = f"{epoch}.{self._gaps}", start
        self._forget_digests()
        self.started.set()
        self._wake_all()

    async def _follow(self, end: int) -> None:
        last = self.log.last
        while pending := self.log.after(self.position):
            visible = await self._until_visible(self._chained(pending))
            await self._notice(visible)
            self._publish(visible, visible[-1].lsn)
        if self._last < last:
            raise Gap(last)  # it was the newest that is lost: nothing follows that would tell
        self._publish((), end)

    def _chained(self, pending: Sequence[Transaction]) -> Sequence[Transaction]:
        """Those that follow one another without a gap, at least one. Raises Gap."""
        last = self._last
        for number, transaction in enumerate(pending):
            if transaction.previous != last:
                if number == 0:
                    raise Gap(transaction.previous)
                return pending[:number]
            last = transaction.lsn
        return pending

    async def _until_visible(self, pending: Sequence[Transaction]) -> Sequence[Transaction]:
        """The transactions up to the first that is invisible; at least one, waited for if need be."""
        tries = 0
        while True:
            snapshot = await self.control.snapshot()
            count = next((n for n, t in enumerate(pending) if not snapshot.sees(t.xid)), len(pending))
            if count:
                self._behind_since = None
                return pending[:count]
            if self._behind_since is None:
                self._behind_since = asyncio.get_running_loop().time()
            await asyncio.sleep(_POLL_SECONDS[min(tries, len(_POLL_SECONDS) - 1)])
            tries += 1

    async def _notice(self, transactions: Sequence[Transaction]) -> None:
        """Reload the catalogue where these transactions say that, or show that, definitions changed."""
        tables = self.catalogue.published.tables
        for transaction in transactions:
            marked = any(m.prefix == PREFIX and m.content.startswith(b"ddl") for m in transaction.markers)
            odd = {
                oid
                for oid, relation in transaction.relations.items()
                if oid not in self._odd and (oid not in tables or not tables[oid].matches(relation))
            }
            if marked or odd:
                self._odd |= odd  # of other schemas, perhaps: asked about once
                await self.refresh()
                tables = self.catalogue.published.tables

    async def refresh(self) -> None:
        """Look whether definitions or privileges changed; wake everybody if so.

        Whoever asks before a look has begun shares it: a thousand sockets may ask at once.
        """
        if self._look is None:
            self._look = asyncio.create_task(self._refresh())
            self._look.add_done_callback(lambda look: look.cancelled() or look.exception())
        await asyncio.shield(self._look)

    async def _refresh(self) -> None:
        async with self._looking:
            self._look = None  # who asks from now on may know of something newer
            if await self.catalogue.refresh():
                self._forget_digests()
                self._odd.clear()
                self._wake_all()

    async def left_behind(self, version: int) -> bool:
        """Whether definitions are not those of ``version`` any more, looked at now, or cannot be looked at.

        Then what PostgreSQL refused may have been right when it was put together: it is to be tried again.
        """
        try:
            await self.refresh()
        except (psycopg.Error, ApiError, OSError):
            return True
        return self.catalogue.version != version

    def _publish(self, transactions: Sequence[Transaction], position: int) -> None:
        self.position = max(self.position, position)
        for transaction in transactions:
            self._last = transaction.lsn
            concerned: set[Reader] = set()
            if transaction.relations:
                concerned.update(self._every)
                for root in self.digest(transaction).touched:
                    concerned.update(self._readers.get(root, ()))
            for reader in concerned:
                if reader.asleep:
                    self._rouse(reader, transaction.previous)
        self._release()

    def _release(self) -> None:
        waiting = [(lsn, w) for lsn, w in self._passing if lsn > self.position and not w.done()]
        if len(waiting) < len(self._passing):
            for lsn, waiter in self._passing:
                if lsn <= self.position and not waiter.done():
                    waiter.set_result(None)
            self._passing = waiting

    def _wake_all(self) -> None:
        for reader in self._present:
            if reader.asleep:
                self._rouse(reader, self.position)
            else:
                reader.wake()

    @staticmethod
    def _rouse(reader: Reader, position: int) -> None:
        # It had read everything that concerned it: what came up to ``position`` did not, by the definitions
        # of its time, which may differ from those it finds now.
        reader.position = max(reader.position, position)
        reader.asleep = False
        reader.wake()

    async def watch(self, seconds: float) -> None:
        """Every ``seconds``: compare the catalogue's fingerprint, put a heartbeat into the WAL."""
        while True:
            await asyncio.sleep(seconds)
            try:
                if self.started.is_set():
                    await self.refresh()
                    await self.control.heartbeat()
            except (psycopg.Error, ApiError, OSError) as error:
                logger.warning("cannot look for changed definitions: %s", str(error).strip())

    def lag_ms(self) -> int:
        """Milliseconds by which readers may be behind: no session streams, or a commit hangs invisible."""
        since = self._behind_since if self._behind_since is not None else self.capturing()
        if since is None:
            return 0
        return max(0, round((asyncio.get_running_loop().time() - since) * 1000))

    # Joining ------------------------------------------------------------------------------------------

    async def join(self) -> tuple[int, Snapshot, int]:
        """Where to start reading, the snapshot whose transactions to leave out, and up to where to look."""
        position = self.position
        return position, *await self.control.present()
