"""A pool of libpq pipelines on one event loop: batches go to connections, connections never go to tasks.

What lives here: which connection runs which batch, how long a batch may wait, how connections are opened,
lost and replaced. What does not: the protocol on a connection (``connection``), the reading of large
results (``stream``).

Two bounds: ``size`` connections run batches; up to ``stream_size`` more are busy with results that are read
over time, so that a slow reader takes nothing from the others. When such a result has been read, its
connection is kept for a while in place of the next that a stream takes away.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Self

import psycopg
from psycopg.conninfo import conninfo_to_dict

from aiodata_django.core.errors import ApiError
from aiodata_django.core.query.statement import Batch, BatchResult
from aiodata_django.db.connection import Connection
from aiodata_django.db.failures import (
    connection_lost,
    no_connection_free,
    null_character,
    unreachable,
)
from aiodata_django.db.job import Job
from aiodata_django.db.stream import Stream

CHUNK = 500
"""Rows in a chunk where a streamed batch does not say."""

_FIRST_DELAY, _LAST_DELAY = 0.05, 0.5


class Pool:
    """Runs batches on at most ``size`` connections to ``conninfo``, a libpq connection string or URI.

    Times are in seconds. ``acquisition_timeout``: how long a batch waits for a connection.
    ``statement_cache``: prepared statements kept per connection, 0 for none. ``patience``: how long a
    stream's reader may take nothing. ``grace``: how long a batch may go on whose caller has left, before it
    is cancelled; None for ever. ``max_lifetime`` and ``max_idletime``: when a connection is replaced, or
    closed for want of work.

    Errors are ``ApiError``s: an SQLSTATE as DatabaseError; 503 PGRST000 where no connection can be made,
    503 PGRST001 where one was lost, 504 PGRST003 where none came free in time. A database that is back is
    found by the next batch. One pool belongs to one event loop, the one it was opened on.
    """

    def __init__(
        self,
        conninfo: str,
        *,
        size: int = 10,
        acquisition_timeout: float = 10.0,
        statement_cache: int = 256,
        stream_size: int = 4,
        application_name: str = "aiodata",
        patience: float = 60.0,
        grace: float | None = 2.0,
        max_lifetime: float = 1800.0,
        max_idletime: float = 30.0,
        connect_timeout: int = 10,
    ) -> None:
        self.conninfo = conninfo
        self.size = size
        self.stream_size = stream_size
        self.acquisition_timeout = acquisition_timeout
        self._statement_cache = statement_cache
        self._defaults = {
            "fallback_application_name": application_name,
            "connect_timeout": str(connect_timeout),
        }
        self._patience = patience
        self._grace = grace
        self._max_lifetime = max_lifetime
        self._max_idletime = max_idletime
        self._loop: asyncio.AbstractEventLoop | None = None
        self._connections: set[Connection] = set()
        self._idle: list[Connection] = []
        self._ordinary = 0
        """How many connections count against ``size``: all but the long streams', and the spare."""
        self._spare: list[Connection] = []
        """What streams have left and ``size`` has no room for, until a stream takes another out of ``size``.

        To open one instead costs the loop some 5 ms (SCRAM), and PostgreSQL more.
        """
        self._waiting: deque[tuple[float, Job]] = deque()
        self._expiry: asyncio.TimerHandle | None = None
        self._sweep: asyncio.TimerHandle | None = None
        self._connecting: set[asyncio.Task[None]] = set()
        self._streams = 0
        self._stream_waiters: deque[asyncio.Future[None]] = deque()
        self._delay = 0.0
        self._renewed_at = 0.0
        self._closed = False
        self.server_version: int | None = None
        """As ``server_version_num`` says, of the connection opened last; None before the first."""

    # Life ---------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Bind to the running event loop and make the first connection.

        Raises ApiError 503 when that fails; the pool is open nevertheless, and recovers when the database
        is there.
        """
        self._loop = asyncio.get_running_loop()
        self._closed = False
        self._sweep = self._loop.call_later(1.0, self._sweep_idle)
        await self.run(Batch((), scope=""))

    async def close(self, grace: float = 5.0) -> None:
        """Refuse new batches, give the running ones ``grace`` seconds, then cancel them and close all."""
        self._closed = True
        for timer in (self._expiry, self._sweep):
            if timer is not None:
                timer.cancel()
        self._fail_waiting(connection_lost("the pool is closed"))
        for task in list(self._connecting):
            task.cancel()
        running = [connection.job.future for connection in self._connections if connection.job]
        if running:
            await asyncio.wait(running, timeout=grace)
        await asyncio.gather(*[connection.end() for connection in list(self._connections)])
        await asyncio.gather(*self._connecting, return_exceptions=True)

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    def renew(self) -> None:
        """Have batches from now on run on new connections; those that run end on the connection they have.

        A prepared statement keeps the types its parameters had, and a session the settings of its role.
        """
        self._renewed_at = self._running_loop().time()
        for connection in [*self._idle, *self._spare]:
            connection.close()

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._connections)

    @property
    def waiting(self) -> int:
        """How many batches wait for a connection."""
        return len(self._waiting)

    # Batches ------------------------------------------------------------------------------------------

    async def run(self, batch: Batch) -> BatchResult:
        """Run a batch as one transaction and return all its rows.

        Raises ApiError; whatever ``batch.verdict`` raises is raised here, and rolls back. A caller
        cancelled while its batch runs learns nothing of the outcome, which is commit or rollback as a
        whole.
        """
        job = Job(batch, self._running_loop().create_future())
        self._submit(job)
        try:
            result: BatchResult = await job.future
        except asyncio.CancelledError:
            self._abandon(job)
            raise
        return result

    async def stream(self, batch: Batch) -> Stream:
        """Run a batch that only reads; return when the last statement's first chunk of rows is there.

        Errors up to then are raised here. A result that fits one chunk is as cheap as with ``run``. Of
        longer ones ``stream_size`` are served at a time; the others wait for ``acquisition_timeout`` at
        most, and their batch is then run again from the start. Leave the stream by ``async with`` or
        ``aclose``.
        """
        if batch.verdict is not None or batch.report_lsn:
            raise ValueError("a streamed batch has neither verdict nor LSN: its rows leave before its commit")
        stream, job = await self._start_stream(batch)
        if stream.complete:
            return stream
        if self._streams < self.stream_size:
            self._streams += 1
        else:
            stream.leave()
            await self._stream_slot()
            try:
                stream, job = await self._start_stream(batch)
            except BaseException:
                self._free_stream_slot()
                raise
        self._promote(job)
        return stream

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            raise RuntimeError("the pool is not open")
        return self._loop

    def _submit(self, job: Job) -> None:
        """Give the job to a free connection, or let it wait for one."""
        for query in job.batch.queries:
            for value in query.params:
                if value is not None and 0 in value:  # the byte: looking for b"\0" takes five times as long
                    raise null_character()
        if self._idle:
            self._idle.pop().start(job)
        elif self._closed:
            raise connection_lost("the pool is closed")
        else:
            self._queue(job)

    def _queue(self, job: Job) -> None:
        loop = self._running_loop()
        self._waiting.append((loop.time() + self.acquisition_timeout, job))
        if self._expiry is None:
            self._expiry = loop.call_later(self.acquisition_timeout, self._expire)
        self._grow()

    def _expire(self) -> None:
        """Answer those who have waited too long; the queue is in order of deadlines."""
        loop = self._running_loop()
        now = loop.time()
        self._expiry = None
        while self._waiting and self._waiting[0][0] <= now:
            job = self._waiting.popleft()[1]
            if not job.future.done():
                job.future.set_exception(no_connection_free())
        if self._waiting:
            self._expiry = loop.call_at(self._waiting[0][0], self._expire)

    def _fail_waiting(self, error: ApiError) -> None:
        while self._waiting:
            job = self._waiting.popleft()[1]
            if not job.future.done():
                job.future.set_exception(error)

    def _abandon(self, job: Job) -> None:
        """The caller has left: what waits is skipped when its turn comes, what runs may end by itself."""
        if job.stream is not None and job.future.done() and not job.future.cancelled():
            if job.future.exception() is None:
                job.stream.leave()
        elif job.connection is not None and self._grace is not None:
            self._running_loop().call_later(self._grace, self._cut, job)

    def _cut(self, job: Job) -> None:
        if job.connection is not None:
            job.connection.condemn()

    # Connections --------------------------------------------------------------------------------------

    def _grow(self) -> None:
        """Take or open a connection for those who wait, if the size allows for one more."""
        if self._closed or len(self._connecting) >= len(self._waiting):
            return
        if self._spare and self._ordinary + len(self._connecting) < self.size:
            self._ordinary += 1
            self._released(self._spare.pop())
            return
        if self._delay and self._connecting:
            return  # the database is away: one look at a time is enough
        if self._ordinary + len(self._connecting) < self.size:
            task = self._running_loop().create_task(self._connect())
            self._connecting.add(task)
            task.add_done_callback(self._connected)

    def _connected(self, task: asyncio.Task[None]) -> None:
        self._connecting.discard(task)
        self._grow()

    async def _connect(self) -> None:
        await asyncio.sleep(self._delay)
        try:
            connection = await Connection.open(
                {**self._defaults, **conninfo_to_dict(self.conninfo)},
                statement_cache=self._statement_cache,
                released=self._released,
                closed=self._lost,
            )
        except (psycopg.Error, OSError) as error:
            self._delay = min(_LAST_DELAY, self._delay * 2 or _FIRST_DELAY)
            if not self._connections:
                self._fail_waiting(unreachable(error))
            return
        self._delay = 0.0
        self.server_version = connection.server_version
        connection.opened_at = self._running_loop().time()
        self._connections.add(connection)
        self._ordinary += 1
        self._released(connection)

    def _released(self, connection: Connection) -> None:
        """A connection is free: it goes to who has waited longest, or to the others who are free."""
        if connection.promoted:
            connection.promoted = False
            self._ordinary += 1
            self._free_stream_slot()
        if self._closed or connection.opened_at < self._renewed_at:
            connection.close()
            return
        connection.idle_since = self._running_loop().time()
        if self._ordinary > self.size:
            self._ordinary -= 1
            self._spare.append(connection)
            return
        waiting = self._waiting
        while waiting:
            job = waiting.popleft()[1]
            if not job.future.done():
                connection.start(job)
                return
        self._idle.append(connection)

    def _lost(self, connection: Connection) -> None:
        self._connections.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        if connection in self._spare:
            self._spare.remove(connection)
        elif connection.promoted:
            connection.promoted = False
            self._free_stream_slot()
        else:
            self._ordinary -= 1
        if self._waiting:
            self._grow()

    def _sweep_idle(self) -> None:
        """Once a second: close connections that are old or have long been without work."""
        loop = self._running_loop()
        now = loop.time()
        for connection in [*self._idle, *self._spare]:
            idle, age = now - connection.idle_since, now - connection.opened_at
            if idle > self._max_idletime or age > self._max_lifetime:
                connection.close()
        for connection in list(self._connections):
            connection.look_again()
        self._sweep = loop.call_later(1.0, self._sweep_idle)

    # Streams ------------------------------------------------------------------------------------------

    async def _start_stream(self, batch: Batch) -> tuple[Stream, Job]:
        loop = self._running_loop()
        stream = Stream(batch.chunk or CHUNK, self._patience, loop, gather=batch.gather)
        job = Job(batch, loop.create_future(), stream)
        self._submit(job)
        try:
            await job.future
        except asyncio.CancelledError:
            self._abandon(job)
            raise
        return stream, job

    def _promote(self, job: Job) -> None:
        """Make a long stream's connection one of the streams', outside ``size``; it has its slot already."""
        if job.connection is None:  # the stream has ended meanwhile
            self._free_stream_slot()
            return
        job.connection.promoted = True
        self._ordinary -= 1
        if self._waiting:
            self._grow()

    def _free_stream_slot(self) -> None:
        while self._stream_waiters:
            waiter = self._stream_waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)  # the slot is theirs now
                return
        self._streams -= 1

    async def _stream_slot(self) -> None:
        """Wait for the right to a long stream, at most ``acquisition_timeout``."""
        waiter = self._running_loop().create_future()
        self._stream_waiters.append(waiter)
        try:
            async with asyncio.timeout(self.acquisition_timeout):
                await waiter
        except TimeoutError:
            raise no_connection_free() from None
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self._free_stream_slot()
            raise
