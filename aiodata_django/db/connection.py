"""One PostgreSQL connection that runs one batch at a time, as a single libpq pipeline.

What lives here: reading a batch's results as the socket delivers them, and leaving the connection clean for
the next batch. What does not: what is sent (``sending``), and who may have the connection (``pool``).

A batch is ``[Close…] [BEGIN] statements… [COMMIT|ROLLBACK] Sync [RESET… Sync]``, written in one go; without
an explicit BEGIN the statements up to the first Sync are one implicit transaction. The connection belongs to
the batch until the last Sync has been answered, whatever becomes of the task that asked: a cancelled request
can neither leak nor poison it.

Source: https://www.postgresql.org/docs/18/libpq-pipeline-mode.html,
https://www.postgresql.org/docs/18/protocol-flow.html#PROTOCOL-FLOW-PIPELINING
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import psycopg
from psycopg import pq
from psycopg.pq.abc import PGresult

from aiodata_django.core.errors import ApiError
from aiodata_django.core.query.statement import BatchResult
from aiodata_django.db.failures import (
    connection_lost,
    copy_not_possible,
    database_error,
    is_stale_statement,
)
from aiodata_django.db.job import CLOSING, LSN, SOILED, SYNC, TIDYING, Job, Streamed
from aiodata_django.db.sending import Sender
from aiodata_django.db.statements import read_rows

# Plain integers: comparing enumeration members costs more than the rest of the loop.
_OK = frozenset({int(pq.ExecStatus.TUPLES_OK), int(pq.ExecStatus.COMMAND_OK), int(pq.ExecStatus.EMPTY_QUERY)})
_PIECE = frozenset({int(pq.ExecStatus.TUPLES_CHUNK), int(pq.ExecStatus.SINGLE_TUPLE)})
_SYNC_ANSWERED = int(pq.ExecStatus.PIPELINE_SYNC)
_FAILED = int(pq.ExecStatus.FATAL_ERROR)
_SKIPPED = int(pq.ExecStatus.PIPELINE_ABORTED)
_SQLSTATE = int(pq.DiagnosticField.SQLSTATE)
_SEVERITY = int(pq.DiagnosticField.SEVERITY_NONLOCALIZED)
_LAST_WORDS = frozenset({b"FATAL", b"PANIC"})
_IDLE = int(pq.TransactionStatus.IDLE)

_LIBPQ_17 = pq.version() >= 170000
_CANCEL_TIMEOUT = 5.0


class Connection:
    """A connection in pipeline mode on the running event loop.

    ``released(connection)`` is called when a batch is over and the connection is clean,
    ``closed(connection)`` once when it is gone, whoever closed it.
    """

    def __init__(
        self,
        connection: psycopg.AsyncConnection[Any],
        *,
        statement_cache: int,
        released: Callable[[Connection], None],
        closed: Callable[[Connection], None],
    ) -> None:
        self.job: Job | None = None
        self.promoted = False
        """Whether the connection counts as a stream's, see ``pool``."""
        self.opened_at = 0.0
        self.idle_since = 0.0
        self._connection = connection
        self._pg = connection.pgconn
        self._loop = asyncio.get_running_loop()
        self._released = released
        self._closed = closed
        self._at = 0
        """Which of the sender's steps the next result belongs to."""
        self._reading = True
        self._alive = True
        self._lost = False
        self._doubtful = False
        """Whether the session could not be tidied."""
        self._ending: asyncio.Task[None] | None = None
        self._socket = self._pg.socket
        self._pg.notice_handler = None
        self._pg.nonblocking = 1
        self._pg.enter_pipeline_mode()
        self._out = Sender(
            self._pg, statement_cache=statement_cache, loop=self._loop, on_writable=self._on_writable
        )
        self._loop.add_reader(self._socket, self._on_readable)

    @classmethod
    async def open(
        cls,
        parameters: Mapping[str, Any],
        *,
        statement_cache: int,
        released: Callable[[Connection], None],
        closed: Callable[[Connection], None],
    ) -> Connection:
        """Connect with libpq's ``parameters``; raises ``psycopg.Error`` when that fails."""
        encoded = {**parameters, "client_encoding": "utf8"}
        connection = await psycopg.AsyncConnection.connect(**encoded, autocommit=True)
        return cls(connection, statement_cache=statement_cache, released=released, closed=closed)

    @property
    def server_version(self) -> int:
        """As ``server_version_num``: 180006 for 18.6."""
        return self._pg.server_version

    def parameter(self, name: str) -> str | None:
        """A setting the server reports, such as ``server_version``."""
        value = self._pg.parameter_status(name.encode())
        return None if value is None else value.decode()

    # Sending ------------------------------------------------------------------------------------------

    def start(self, job: Job) -> None:
        """Send a job's batch. The connection must be free."""
        self.job = job
        job.connection = self
        self._at = 0
        try:
            self._out.send(job)
        except Exception as error:  # half a pipeline is on the wire: the connection cannot be kept
            self._break(error)

    def _on_writable(self) -> None:
        try:
            self._out.flush()
        except psycopg.Error as error:
            self._break(error)

    # Reading ------------------------------------------------------------------------------------------

    def _on_readable(self) -> None:
        try:
            self._read()
        except psycopg.Error as error:
            self._break(error)

    def _read(self) -> None:
        self._pg.consume_input()
        if self._advance():
            # More must come, and may be here already where the loop would never tell: with OpenSSL, at the
            # end of a TLS record, or behind a connection reset, after which uvloop calls a reader only
            # once.
            self._pg.consume_input()
            self._advance()

    def look_again(self) -> None:
        """Read for a batch that runs, though the loop has not called.

        The pool asks for it now and then, lest a batch waits for ever on a connection of whose end the loop
        told too early.
        """
        if self.job is not None and self._reading and self._ending is None:
            self._on_readable()

    def _advance(self) -> bool:
        """Take every result that has arrived; True when more must arrive."""
        pg = self._pg
        while not pg.is_busy():
            job = self.job
            if job is None:
                return False
            result = pg.get_result()
            if result is None:
                self._between_statements(job)
                continue
            status = result.status
            if status in _OK:
                self._out.steps[self._at].take(job, result)
                self._at += 1
            elif status == _SYNC_ANSWERED:
                self._at += 1
                self._on_sync(job)
            elif status in _PIECE:
                if self._on_rows(job, result):
                    return False
            elif status == _FAILED:
                self._on_error(job, result)
            elif status == _SKIPPED:
                self._at += 1
            else:  # COPY: the protocol is in a state that a pipeline has no way out of
                job.error = job.error or copy_not_possible()
                self.condemn()
                return False
        return True

    def _between_statements(self, job: Job) -> None:
        at = self._at
        if at == self._out.streamed and job.stream is not None:
            self._out.begin_chunks(job.stream.chunk)
        elif at == len(self._out.steps):
            self._decide(job)
        elif self._lost:
            raise psycopg.OperationalError("the connection is lost")

    def _on_rows(self, job: Job, result: PGresult) -> bool:
        """A piece of the streamed statement; True when the wire must wait for the reader."""
        stream = job.stream
        if stream is None or not stream.feed(read_rows(result)):
            return False
        if job.future.done():
            if job.future.cancelled():
                self.condemn()
            else:
                self._pause()
                stream.wake()
            return True
        self._pause()
        step = self._out.steps[self._at]
        if isinstance(step, Streamed):
            stream.columns = step.statement.columns(result)
        stream.begin(job.results, complete=False)
        job.future.set_result(stream)
        return True

    def _on_error(self, job: Job, result: PGresult) -> None:
        if result.error_field(_SQLSTATE) is None:  # libpq's own words: the connection is lost
            raise psycopg.OperationalError(result.get_error_message())
        if result.error_field(_SEVERITY) in _LAST_WORDS:
            if not job.kept:
                job.error = job.error or database_error(result)
            raise psycopg.OperationalError(result.get_error_message())
        step = self._out.steps[self._at]
        if step is not SYNC:  # an error at the commit comes before Sync's own answer
            self._at += 1
        if step is TIDYING or step is SOILED:
            # Where the batch failed, its rollback has undone what could be left.
            self._doubtful = self._doubtful or job.error is None
        elif job.error is None and step is not LSN and step is not CLOSING:
            job.error = database_error(result)
            job.stale = is_stale_statement(result)

    def _decide(self, job: Job) -> None:
        """All statements of a batch with a verdict are through: ask it, then end the transaction."""
        if job.error is not None:
            # The pipeline is aborted: Sync is all the server listens to.
            self._out.resynchronise(job)
            return
        verdict = job.batch.verdict
        keep = False
        try:
            keep = verdict is not None and verdict(job.results) and not job.batch.rollback
        except Exception as error:  # the caller's own, so the caller gets it
            job.error = error
        self._out.end(job, keep=keep)

    def _on_sync(self, job: Job) -> None:
        if self._at < len(self._out.steps):
            job.kept = job.error is None and self._out.steps[self._at - 1] is SYNC
            if self._out.steps[self._at] is TIDYING and job.stream is None and not job.stale:
                self._settle(job)  # the caller need not wait for what is ours
            return
        if self._pg.transaction_status != _IDLE:
            # An explicit transaction that failed, or one a statement began by itself, outlives the Sync.
            self._at = 0
            self._out.roll_back()
        elif job.stale and not job.retried and not job.future.done():
            self._retry(job)
        elif job.soiled:
            job.soiled = False
            self._at = 0
            self._out.clean()
        else:
            self._finish(job)

    def _retry(self, job: Job) -> None:
        """Once more, with every statement prepared anew; nothing of the first attempt was kept."""
        self._out.forget_statements()
        job.retry()
        self.start(job)

    # Ending -------------------------------------------------------------------------------------------

    def _finish(self, job: Job) -> None:
        """The transaction is over: tell the caller, and be free."""
        self.job = None
        job.connection = None
        self._settle(job)
        if not self._reading:
            self._unpause()
        if self._doubtful:
            self.close()
        elif self._alive and not self._lost and self._ending is None:
            self._released(self)

    def _settle(self, job: Job) -> None:
        stream, future = job.stream, job.future
        if future.done():
            if stream is not None:
                stream.end(job.error if isinstance(job.error, ApiError) else None)
        elif job.error is not None:
            future.set_exception(job.error)
        elif stream is None:
            future.set_result(BatchResult(job.results, job.lsn, job.committed))
        else:
            stream.begin(job.results, complete=True)
            future.set_result(stream)

    def _pause(self) -> None:
        if self._reading:
            self._reading = False
            self._loop.remove_reader(self._socket)

    def _unpause(self) -> None:
        if not self._reading and self._alive:
            self._reading = True
            self._loop.add_reader(self._socket, self._on_readable)

    def resume(self) -> None:
        """Read on for a stream: first what libpq holds already, then from the socket."""
        if not self._alive:
            return
        try:
            self._advance()
            if self._reader_waits():
                self._read()
        except psycopg.Error as error:
            self._break(error)
        if self._reader_waits():
            self._unpause()

    def _reader_waits(self) -> bool:
        job = self.job
        return self._alive and job is not None and job.stream is not None and job.stream.waiting

    def condemn(self) -> None:
        """Cancel what runs and close; a caller who still waits learns that the connection is lost."""
        if self._alive and self._ending is None:
            self._pause()
            self._ending = self._loop.create_task(self._cancel_and_close())

    async def end(self) -> None:
        """Close, after cancelling what runs."""
        if self.job is not None:
            self.condemn()
        if self._ending is not None:
            await asyncio.wait([self._ending])
        self.close()

    async def _cancel_and_close(self) -> None:
        try:
            # Where the server is out of reach, closing the socket is all that is left.
            with suppress(psycopg.Error):
                await self._connection.cancel_safe(timeout=_CANCEL_TIMEOUT)
        finally:
            self.close()

    def _break(self, error: Exception) -> None:
        """The connection is lost: take what the server said last (why, or even the commit), and close."""
        self._lost = True
        with suppress(psycopg.Error):
            self._advance()
        self.close(error)

    def close(self, reason: object = None) -> None:
        """Close the socket at once. The server rolls back what was not committed."""
        if not self._alive:
            return
        self._alive = False
        self._pause()
        self._out.stop_writing()
        self._connection.pgconn.finish()
        job, self.job = self.job, None
        if job is not None:
            job.connection = None
            if job.error is None and not job.kept:
                job.error = connection_lost(reason or "the connection was closed")
            self._settle(job)
        self._closed(self)
