"""A batch on its way through a connection: what it waits for and what has come of it so far.

What lives here: the records ``connection`` and ``pool`` share. What does not: what is done with them.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from aiodata_django.core.query.statement import Batch, Rows
from aiodata_django.db.statements import ServerStatement
from aiodata_django.db.stream import Stream

if TYPE_CHECKING:
    from aiodata_django.db.connection import Connection


class Job:
    """A batch on its way through a connection, and the future that waits for its outcome.

    ``stream`` is given where the outcome is a Stream; otherwise it is a BatchResult.
    """

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
        "stale",
        "stream",
    )

    def __init__(self, batch: Batch, future: asyncio.Future[Any], stream: Stream | None = None) -> None:
        self.batch = batch
        self.future = future
        self.stream = stream
        self.connection: Connection | None = None
        self.retried = False
        self.reset()

    def reset(self) -> None:
        """As before it was first sent."""
        self.results: list[Rows] = []
        self.error: BaseException | None = None
        self.lsn: str | None = None
        self.committed = True
        self.kept = False
        """Whether the commit is known to have succeeded, though more is to come."""
        self.stale = False


class Preparing:
    """The step of a Parse: when it succeeds, the server has the statement."""

    __slots__ = ("statement",)

    def __init__(self, statement: ServerStatement) -> None:
        self.statement = statement


class Marker:
    """A step without a statement."""

    __slots__ = ()


IGNORED: Final = Marker()
CLOSING: Final = Marker()
SYNC: Final = Marker()
LSN: Final = Marker()

Step = ServerStatement | Preparing | Marker
"""What the next result on the wire belongs to; a ServerStatement for the rows of a statement."""
