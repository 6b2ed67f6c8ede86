"""A connection's outgoing half: what a batch is on the wire, and what will answer it.

What lives here: Parse, Bind and Execute, Close, BEGIN, COMMIT and Sync, and the list of steps in which the
results will come. What does not: reading those results, and whose turn it is (``connection``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from psycopg import pq
from psycopg.pq.abc import PGconn

from aiodata_django.core.query.statement import Query
from aiodata_django.db.job import (
    CLOSING,
    COMMAND,
    LSN,
    SOILED,
    SYNC,
    TIDYING,
    UNWANTED,
    Job,
    Preparing,
    Step,
    Streamed,
)
from aiodata_django.db.statements import Key, ServerStatement, StatementCache
from aiodata_django.db.stream import WIRE_ROWS, Stream

_LIBPQ_17 = pq.version() >= 170000

# Settings go back to what the session began with; of the rest there is seldom any, so it is looked for first.
# A temporary schema stays with its session, empty or not.
_RESET = b"reset all"
_SOILED = (
    b"select pg_advisory_unlock_all() is not null and (pg_my_temp_schema() <> 0"
    b" or exists (select from pg_listening_channels())"
    b" or exists (select from pg_cursors where is_holdable))"
)
_CLEAN = (b"close all", b"unlisten *", b"discard temp")


class Sender:
    """Sends batches through a connection in pipeline mode, whose prepared statements it knows.

    ``steps`` are the results the server owes since the batch began, in order; ``streamed`` is the step that
    comes in chunks, -1 for none. ``on_writable`` is called when the socket takes more after it was full.
    """

    __slots__ = (
        "_forget_all",
        "_loop",
        "_on_writable",
        "_pg",
        "_preparing",
        "_socket",
        "_statements",
        "_writing",
        "steps",
        "streamed",
    )

    def __init__(
        self,
        pg: PGconn,
        *,
        statement_cache: int,
        loop: asyncio.AbstractEventLoop,
        on_writable: Callable[[], None],
    ) -> None:
        self.steps: list[Step] = []
        self.streamed = -1
        self._pg = pg
        self._loop = loop
        self._on_writable = on_writable
        self._socket = pg.socket
        self._statements = StatementCache(statement_cache)
        self._preparing: dict[Key, ServerStatement] = {}
        self._forget_all = False
        self._writing = False

    def send(self, job: Job) -> None:
        """A job's whole batch, up to its end or to where its verdict is asked."""
        batch = job.batch
        self.steps = []
        self.streamed = -1
        if self._preparing:
            self._preparing.clear()
        if self._statements.closing or self._forget_all:
            self._closings()
        if batch.begin is not None:
            self._command(batch.begin)
        for query in batch.queries:
            self._query(query, batch.scope)
        if job.stream is not None:
            self._stream_last(job, job.stream)
        if batch.verdict is None:
            self.end(job, keep=not batch.rollback)
        else:
            self._pg.send_flush_request()
            self.flush()

    def end(self, job: Job, *, keep: bool) -> None:
        """COMMIT or ROLLBACK where one is needed, and the Sync that ends the transaction."""
        batch = job.batch
        job.committed = keep
        if not keep:
            # What would fail at the commit fails here too: the caller asked what would happen.
            if batch.rollback:
                self._command(b"set constraints all immediate")
            self._command(b"rollback")
        elif batch.begin is not None:
            self._command(b"commit")
        self._sync()
        if batch.report_lsn:
            self._command(b"select pg_current_wal_insert_lsn()", LSN)
            self._sync()
        if batch.tidy:
            self._tidy()
        self.flush()

    def resynchronise(self, job: Job) -> None:
        """The Sync alone, all an aborted pipeline listens to, and what comes after it."""
        self._sync()
        if job.batch.tidy:
            self._tidy()
        self.flush()

    def clean(self) -> None:
        """Close and drop what was left in the session."""
        self.steps = []
        self.streamed = -1
        for command in _CLEAN:
            self._command(command, TIDYING)
        self._sync()
        self.flush()

    def roll_back(self) -> None:
        """End a transaction that outlived its batch's Sync."""
        self.steps = []
        self.streamed = -1
        self._command(b"rollback")
        self._sync()
        self.flush()

    def forget_statements(self) -> None:
        """Prepare every statement anew, from the next batch on."""
        self._statements.forget()
        self._forget_all = True

    def begin_chunks(self, rows: int) -> None:
        """Let the statement whose turn it is answer in pieces of at most that many rows."""
        if _LIBPQ_17:
            self._pg.set_chunked_rows_mode(min(rows, WIRE_ROWS))
        else:
            self._pg.set_single_row_mode()

    def flush(self) -> None:
        """Write; where the socket takes no more, go on when it does."""
        if self._pg.flush():
            if not self._writing:
                self._writing = True
                self._loop.add_writer(self._socket, self._on_writable)
        else:
            self.stop_writing()

    def stop_writing(self) -> None:
        """Wait for the socket no longer."""
        if self._writing:
            self._writing = False
            self._loop.remove_writer(self._socket)

    def _query(self, query: Query, scope: str) -> None:
        statements = self._statements
        key = (scope, query.sql)
        if query.prepare and statements.capacity:
            statement = statements.get(key) or self._preparing.get(key) or self._parse(key)
            self._pg.send_query_prepared(statement.name, query.params)
        else:
            statement = ServerStatement(b"", key)
            self._pg.send_query_params(query.sql, query.params)
        self.steps.append(statement if query.wanted else UNWANTED)

    def _parse(self, key: Key) -> ServerStatement:
        statement = self._statements.new(key)
        self._pg.send_prepare(statement.name, key[1])
        self._preparing[key] = statement
        self.steps.append(Preparing(statement, self._statements))
        return statement

    def _stream_last(self, job: Job, stream: Stream) -> None:
        """Let the rows of the statement sent last come in chunks."""
        stream.source = job.connection
        last = self.steps[-1]
        if isinstance(last, ServerStatement):
            self.steps[-1] = Streamed(last)
            self.streamed = len(self.steps) - 1
            if self.streamed == 0:
                self.begin_chunks(stream.chunk)

    def _closings(self) -> None:
        """Close statements nobody uses, before the batch and apart from it, lest they disturb it."""
        names, self._statements.closing = self._statements.closing, []
        if self._forget_all:
            self._forget_all = False
            self._command(b"deallocate all", CLOSING)
        elif _LIBPQ_17:
            for name in names:
                self._pg.send_close_prepared(name)
                self.steps.append(CLOSING)
        else:
            for name in names:
                self._command(b"deallocate " + name, CLOSING)
        self._pg.pipeline_sync()
        self.steps.append(CLOSING)

    def _tidy(self) -> None:
        """Undo what functions set for the session, and see whether they left anything else."""
        for sql, step in ((_RESET, TIDYING), (_SOILED, SOILED)):
            self._own(sql, step)
        self._sync()

    def _own(self, sql: bytes, step: Step) -> None:
        """A statement of ours that comes again and again."""
        key = ("", sql)
        if self._statements.capacity:
            statement = self._statements.get(key) or self._preparing.get(key) or self._parse(key)
            self._pg.send_query_prepared(statement.name, ())
            self.steps.append(step)
        else:
            self._command(sql, step)

    def _command(self, sql: bytes, step: Step = COMMAND) -> None:
        self._pg.send_query_params(sql, None)
        self.steps.append(step)

    def _sync(self) -> None:
        self._pg.pipeline_sync()
        self.steps.append(SYNC)
