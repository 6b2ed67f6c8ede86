"""A batch on its way through a connection, and the steps its results come in.

What lives here: what a job waits for, what has come of it so far, and what each result on the wire adds to
it. What does not: the wire (``connection``), and who runs what (``pool``).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, Protocol

from psycopg.pq.abc import PGresult

from aiodata_django.core.query.statement import Batch, Rows
from aiodata_django.db.statements import ServerStatement, StatementCache
from aiodata_django.db.stream import Stream

if TYPE_CHECKING:
    from aiodata_django.db.connection import Connection

NO_ROWS: Final = Rows((), ())


class Job:
    """A batch, and the future of its outcome: ``stream`` where that is given, else a BatchResult."""

    __slots__ = (
        "batch",
        "committed",
        "connection",
        "error",
        "future",
        "kept",
        "lsn",
        "results",
        "retried",
        "soiled",
        "stale",
        "stream",
    )

    def __init__(self, batch: Batch, future: asyncio.Future[Any], stream: Stream | None = None) -> None:
        self.batch = batch
        self.future = future
        self.stream = stream
        self.connection: Connection | None = None
        self.results: list[Rows] = []
        self.error: BaseException | None = None
        self.lsn: str | None = None
        self.committed = True
        self.kept = False
        """Whether the commit is known to have succeeded, though more is to come."""
        self.stale = False
        self.soiled = False
        """Whether the batch left something in the session that settings are not."""
        self.retried = False

    def retry(self) -> None:
        """As before it was first sent, but for knowing that it has been."""
        self.results = []
        self.error = None
        self.lsn = None
        self.stale = False
        self.retried = True


class Step(Protocol):
    """What the next result on the wire belongs to; a ServerStatement where the caller gets the rows."""

    def take(self, job: Job, result: PGresult) -> None:
        """Add a successful result to the job."""


class Streamed:
    """The statement whose rows come in chunks; its last result holds none."""

    __slots__ = ("statement",)

    def __init__(self, statement: ServerStatement) -> None:
        self.statement = statement

    def take(self, job: Job, result: PGresult) -> None:
        """Learn the columns, where no chunk has told them."""
        if job.stream is not None:
            job.stream.columns = self.statement.columns(result)


class Preparing:
    """A Parse: when it has succeeded, the server has the statement."""

    __slots__ = ("cache", "statement")

    def __init__(self, statement: ServerStatement, cache: StatementCache) -> None:
        self.statement = statement
        self.cache = cache

    def take(self, job: Job, result: PGresult) -> None:
        """Remember the statement."""
        self.cache.keep(self.statement)


class Lsn:
    """The position in the log after the commit."""

    __slots__ = ()

    def take(self, job: Job, result: PGresult) -> None:
        """Read the position."""
        value = result.get_value(0, 0)
        job.lsn = None if value is None else value.decode()


class Soiled:
    """Whether something is left in the session."""

    __slots__ = ()

    def take(self, job: Job, result: PGresult) -> None:
        """Read the answer."""
        job.soiled = result.get_value(0, 0) != b"f"


class Unwanted:
    """A statement of the batch whose rows nobody looks at: no rows stand for them."""

    __slots__ = ()

    def take(self, job: Job, result: PGresult) -> None:
        """Keep the results in the order of the statements."""
        job.results.append(NO_ROWS)


class Plain:
    """A command of ours: nothing comes of it but success."""

    __slots__ = ()

    def take(self, job: Job, result: PGresult) -> None:
        """Nothing to take."""


UNWANTED: Final = Unwanted()
LSN: Final = Lsn()
COMMAND: Final = Plain()
TIDYING: Final = Plain()
SOILED: Final = Soiled()
CLOSING: Final = Plain()
"""Tidying up before the batch, whose failure is none of the batch's."""
SYNC: Final = Plain()
"""The end of the transaction."""
