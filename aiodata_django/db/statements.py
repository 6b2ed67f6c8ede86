"""The prepared statements of one connection: which the server has, under which name, for which scope.

What lives here: the bounded cache. What does not: sending Parse and Close (``connection``).

A statement is kept per scope, that is per role: a plan once made for a role that may call a function, with
the function's body inlined, would later serve a role that may not.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from psycopg.pq.abc import PGresult

from aiodata_django.core.query.statement import Row, Rows

if TYPE_CHECKING:
    from aiodata_django.db.job import Job

Key = tuple[str, bytes]
"""A scope and an SQL text."""


class ServerStatement:
    """A statement by its server-side name, which is empty for one sent unnamed.

    Its columns are read from its first result: PostgreSQL refuses to run a prepared statement whose columns
    have changed in number, type or name.
    """

    __slots__ = ("_columns", "key", "name")

    def __init__(self, name: bytes, key: Key) -> None:
        self.name = name
        self.key = key
        self._columns: tuple[bytes, ...] | None = None

    def take(self, job: Job, result: PGresult) -> None:
        """Give the job all rows of a result."""
        columns = self._columns or self.columns(result)
        job.results.append(Rows(columns, read_rows(result), result.command_status or b""))

    def columns(self, result: PGresult) -> tuple[bytes, ...]:
        """The names of the result's columns."""
        if self._columns is None:
            self._columns = tuple(result.fname(i) or b"" for i in range(result.nfields))
        return self._columns


class StatementCache:
    """At most ``capacity`` prepared statements, the least recently used closed first; 0 for none."""

    __slots__ = ("_counter", "_kept", "capacity", "closing")

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.closing: list[bytes] = []
        """Names of statements the server still has and nobody will use: to be closed by the next batch."""
        self._kept: OrderedDict[Key, ServerStatement] = OrderedDict()
        self._counter = 0

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: Key) -> ServerStatement | None:
        """The statement the server has under ``key``, from now on the most recently used."""
        statement = self._kept.get(key)
        if statement is not None:
            self._kept.move_to_end(key)
        return statement

    def new(self, key: Key) -> ServerStatement:
        """A statement to be prepared; ``keep`` it when the server says that it is."""
        self._counter += 1
        return ServerStatement(b"s%d" % self._counter, key)

    def keep(self, statement: ServerStatement) -> None:
        """Remember a statement the server has; the one it pushes out goes to ``closing``."""
        self._kept[statement.key] = statement
        if len(self._kept) > self.capacity:
            self.closing.append(self._kept.popitem(last=False)[1].name)

    def forget(self) -> None:
        """Forget all, whatever the server may still have."""
        self._kept.clear()
        self.closing.clear()


def read_rows(result: PGresult) -> Sequence[Row]:
    """The rows of a result as tuples of text values, None for NULL."""
    value = result.get_value
    width = result.nfields
    if width == 1:
        return [(value(i, 0),) for i in range(result.ntuples)]
    columns = range(width)
    return [tuple([value(i, j) for j in columns]) for i in range(result.ntuples)]
