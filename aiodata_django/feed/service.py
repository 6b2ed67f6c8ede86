"""The feed as a service: capture, log, hub and readers put together, started and stopped with the server.

What lives here: the wiring, the one sentence that says why there are no events, and what others may do with
the feed: attach sockets, follow transactions. What does not: any of the parts.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from ..conf import Settings
from ..core.changes.position import lsn_text
from ..core.errors import ApiError
from ..core.identity import Identity
from ..core.schema import Schema
from ..db.pool import Pool
from ..db.replication import FORMATS, ReplicationStream
from .capture import Capture
from .catalogue import Catalogue
from .cohort import Cohorts
from .control import Control
from .gate import Gate
from .hub import Hub
from .line import Line
from .log import RingLog
from .outlet import Outlet
from .problems import WAITING, problem_of
from .reader import V1Reader
from .reader2 import V2Reader
from .rows import Follower, RowTransaction
from .slotwatch import SlotWatch
from .status import FeedStatus, counted

logger = logging.getLogger("aiodata.feed")

SocketReader = V1Reader | V2Reader
DEFAULT_SLOT = "aiodata"
WATCH_SECONDS = 5.0


class FeedUnavailable(Exception):
    """There are no events now; the message says why and what to run."""


class Feed:
    """The change feed of one server process, on one event loop.

    ``conninfo`` needs REPLICATION; ``pool`` runs what is asked under roles; ``schema`` answers the current
    schema, whose exposed schemas are followed; ``make_log`` makes the log. Nothing here raises because
    replication is not possible: see :attr:`problem`.
    """

    def __init__(
        self,
        *,
        conninfo: str,
        pool: Pool,
        schema: Callable[[], Schema],
        settings: Settings,
        make_log: Callable[..., RingLog] = RingLog,
    ) -> None:
        self._conninfo = conninfo
        self._settings = settings
        self._schema = schema
        self._make_log = make_log
        self._slot = settings.feed_slot or DEFAULT_SLOT
        self.control = Control(conninfo)
        search_path = ", ".join(
            '"' + name.replace('"', '""') + '"'
            for name in dict.fromkeys((*settings.db_schemas, *settings.db_extra_search_path))
        )
        self.gate = Gate(pool, search_path)
        self.catalogue = Catalogue(self.control, self.gate, self._schemas, settings.feed_publication)
        self._formats = dict(FORMATS)
        self._tasks: list[asyncio.Task[None]] = []
        self._running: dict[asyncio.Task[None], SocketReader] = {}
        self.resyncs: Counter[str] = Counter()
        self.log: RingLog
        self.hub: Hub
        self.capture: Capture
        self.slot_watch: SlotWatch

    # Life ---------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Begin to follow the database, in the background: returns at once."""
        loop = asyncio.get_running_loop()
        self.log = self._make_log(clock=loop.time, max_bytes=self._settings.feed_ring_bytes)
        self.capture = Capture(self._open_stream, self.log, self._explain)
        self.hub = Hub(self.log, self.control, self.catalogue, self.gate, lambda: self.capture.idle_since)
        self.cohorts = Cohorts(self.hub)
        self.slot_watch = SlotWatch(self.control, self.capture, self.log, self._slot)
        self._spawn(self.capture.run(self._prepare))
        self._spawn(self.hub.run())
        self._spawn(self.hub.watch(WATCH_SECONDS))
        self._spawn(self.slot_watch.run(WATCH_SECONDS))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        task.add_done_callback(_tell)
        self._tasks.append(task)

    async def stop(self) -> None:
        """End every socket's reader, the session and with it a temporary slot."""
        tasks = [*self._running, *self._tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._tasks.clear()
        await self.cohorts.close()
        await self.control.close()

    async def ready(self, seconds: float = 10.0) -> None:
        """Wait until events flow. Raises :class:`FeedUnavailable`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self.capture.stream is None or not self.hub.started.is_set():
                    if self.capture.error is not None or self._unpublished:
                        break
                    await asyncio.sleep(0.01)
        if problem := self.problem:
            raise FeedUnavailable(problem)

    @property
    def problem(self) -> str | None:
        """Why there are no events, or not of all tables, and what to run; None when all is well."""
        if not self._tasks:
            return "No change events: the feed is not running."
        if self._unpublished:
            return self._unpublished
        if self.capture.stream is not None:
            return self.catalogue.problem if self.hub.started.is_set() else WAITING
        if self.capture.error is not None:
            return self._explain(self.capture.error)
        return WAITING

    def _explain(self, error: Exception) -> str:
        role = str(conninfo_to_dict(self._conninfo).get("user") or "")
        return problem_of(error, role, self._slot)

    @property
    def _unpublished(self) -> str | None:
        return None if self.catalogue.exists else self.catalogue.problem

    def status(self) -> FeedStatus:
        """How it is doing."""
        stream, readers = self.capture.stream, list(self._running.values())
        return FeedStatus(
            problem=self.problem,
            streaming=stream is not None,
            epoch=self.hub.epoch,
            slot=stream.slot.name if stream is not None else None,
            slot_temporary=stream is None or stream.slot.temporary,
            position=lsn_text(self.hub.position),
            received=lsn_text(self.log.end),
            lag=self.hub.lag_ms() / 1000,
            lag_bytes=self.slot_watch.lag_bytes,
            retained_bytes=self.slot_watch.retained_bytes,
            changes_per_second=round(self.slot_watch.changes_per_second, 1),
            ring_bytes=self.log.held_bytes,
            ring_seconds=self.log.span,
            ring_transactions=len(self.log),
            transactions=self.capture.transactions,
            changes=self.capture.changes,
            sessions=self.capture.attempts,
            checks=self.gate.checks,
            sockets=counted(reader.state for reader in readers),
            unacked=sum(reader.line.unacked for reader in readers if isinstance(reader, V2Reader)),
            resyncs=dict(self.resyncs),
        )

    def _schemas(self) -> Sequence[str]:
        try:
            return self._schema().exposed
        except ApiError:
            return self._settings.db_schemas

    def _open_stream(self, durable: bool) -> ReplicationStream:
        return ReplicationStream(
            self._conninfo,
            publication=self._settings.feed_publication,
            slot=self._slot if durable else None,
            formats=self._formats,
        )

    async def _prepare(self) -> None:
        """Before each session: the publication must be there when the slot is made."""
        self._formats = {**FORMATS, **await self.control.formats()}
        await self.catalogue.load()
        if not self.catalogue.exists:
            raise psycopg.errors.UndefinedObject(self.catalogue.problem or "the publication is missing")

    # For others ---------------------------------------------------------------------------------------

    async def attach(self, identity: Identity, outlet: Outlet) -> V1Reader:
        """A reader for a version 1 socket: what its identity may see from now on, to be given to :meth:`run`.

        To be called before the socket is accepted, so that what it reads afterwards and what it hears leave
        no gap. Raises :class:`FeedUnavailable`; ApiError when the role cannot be taken.
        """
        await self._usable()
        reader = V1Reader(self.hub, identity, outlet, self._schemas()[0])
        try:
            await reader.start()
        except psycopg.Error as error:
            raise FeedUnavailable(f"No change events: {error}") from error
        return reader

    async def attach_v2(
        self, outlet: Outlet, identity: Identity | None, authenticate: Callable[[str | None], Identity]
    ) -> V2Reader:
        """A reader for a version 2 socket, for :meth:`run`; its ``line`` takes the client's frames.

        ``authenticate`` turns later tokens (and no token, where ``identity`` is None and the client says
        hello without one) into identities, raising ApiError. Raises :class:`FeedUnavailable`.
        """
        await self._usable()
        line = Line(self.hub, outlet, identity, authenticate, self._settings.state_queue_bytes)
        return V2Reader(
            self.hub, self.cohorts, line, outlet, schema=self._schema, resynced=self._count_resync
        )

    def _count_resync(self, why: str) -> None:
        self.resyncs[why] += 1

    async def _usable(self) -> None:
        if len(self._running) >= self._settings.state_max_sockets:
            raise FeedUnavailable("too many sockets; try again later")
        try:
            await self.ready()
        except FeedUnavailable:
            if self.capture.stream is None or not self.hub.started.is_set():
                raise  # otherwise only some tables give no events

    def run(self, reader: SocketReader) -> asyncio.Task[None]:
        """Send to the socket, accepted meanwhile, until it is closed or the task is cancelled."""
        task = asyncio.create_task(reader.run())
        self._running[task] = reader
        task.add_done_callback(self._forget)
        task.add_done_callback(_tell)
        return task

    def _forget(self, task: asyncio.Task[None]) -> None:
        self._running.pop(task, None)

    async def reload(self) -> None:
        """Look for changed definitions and privileges now, as after a schema reload."""
        if self.hub.started.is_set():
            with suppress(psycopg.Error, OSError, ApiError):  # the watch tries again
                self.catalogue.forget()
                await self.hub.refresh()

    async def subscribe_transactions(self) -> AsyncIterator[RowTransaction]:
        """Every visible transaction from now on, in commit order, with its rows as the server sees them.

        Goes on over lost sessions; a transaction with ``gap`` says that some before it may be missing.
        """
        while True:
            try:
                await self.ready(60.0)
                break
            except FeedUnavailable:
                await asyncio.sleep(1.0)
        async for transaction in Follower(self.hub).transactions():
            yield transaction


def _tell(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        logger.error("a task of the feed ended", exc_info=task.exception())
