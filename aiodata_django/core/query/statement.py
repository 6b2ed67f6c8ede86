"""SQL ready to run: text, parameters, and the batch of statements that makes one request's transaction.

What lives here: the records that pass from the pure core to ``db``. What does not: how they are rendered
(``statements``) or sent (``db.pool``).

Those made for every request are not frozen, though nobody changes them: freezing doubles what making them
costs, and several are made for each request.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

Row = tuple[bytes | None, ...]
Value = str | bytes | None
Convert = Callable[[Value], Value]


@dataclass(frozen=True, slots=True)
class Slot:
    """A parameter that is filled from the values of a request; ``convert`` is applied to the value first."""

    index: int
    convert: Convert | None = None


@dataclass(frozen=True, slots=True)
class Slots:
    """A parameter made of several values; ``convert`` makes one of them."""

    indices: tuple[int, ...]
    convert: Callable[[Sequence[Value]], Value]


Param = str | bytes | Slot | Slots | None


LONGEST_PREPARED = 1 << 14
"""Bytes of SQL that connections keep prepared: PostgreSQL's plans take far more than their text."""


@dataclass(frozen=True, slots=True)
class Statement:
    """A rendered statement that serves every request of its shape: bind the values and it can run."""

    sql: bytes
    params: tuple[Param, ...]

    def bind(self, values: Sequence[Value]) -> Query:
        """The statement with the values of one request in place."""
        bound = [_bound(param, values) for param in self.params]
        return Query(self.sql, bound, len(self.sql) <= LONGEST_PREPARED)


def _bound(param: Param, values: Sequence[Value]) -> bytes | None:
    if isinstance(param, Slot):
        value = values[param.index]
        if param.convert is not None:
            value = param.convert(value)
    elif isinstance(param, Slots):
        value = param.convert([values[index] for index in param.indices])
    else:
        value = param
    return value.encode() if isinstance(value, str) else value


@dataclass(slots=True)
class Query:
    """One SQL statement with its parameters in text format (type oid 0: PostgreSQL infers).

    ``prepare`` False sends it unnamed, for text that will hardly come again. ``wanted`` False says that
    nobody looks at its rows: no rows stand for them in the result.
    """

    sql: bytes
    params: Sequence[bytes | None] = ()
    prepare: bool = True
    wanted: bool = True


@dataclass(slots=True)
class Rows:
    """The outcome of one statement: column names, rows of text values, and the command tag."""

    columns: tuple[bytes, ...]
    rows: Sequence[Row]
    tag: bytes = b""


@dataclass(slots=True)
class Batch:
    """One transaction: statements sent in one pipeline, all or nothing.

    ``scope`` is the role: prepared statements are kept per scope and never shared between scopes.
    ``begin`` is an explicit BEGIN text (isolation level, read only), None for the pipeline's implicit one.
    ``rollback`` ends the transaction without keeping anything.
    ``verdict`` is asked with the results before the commit; False rolls back (this costs a second round trip,
    so only requests whose answer may refuse the write carry one).
    ``report_lsn`` asks for ``pg_current_wal_insert_lsn()`` after the commit, in the same round trip.
    ``chunk`` > 0 lets the rows of the last statement arrive in chunks of that many rows; ``gather`` > 0 lets
    the first of these be larger, until its rows take that many bytes of memory.
    ``tidy`` says that functions of the database's owner may have run, who may have left something behind in
    the session: settings that were not local, locks, cursors, temporary tables.
    """

    queries: Sequence[Query]
    scope: str
    begin: bytes | None = None
    rollback: bool = False
    verdict: Callable[[Sequence[Rows]], bool] | None = None
    report_lsn: bool = False
    chunk: int = 0
    gather: int = 0
    tidy: bool = False


@dataclass(slots=True)
class BatchResult:
    """What came of a batch: one :class:`Rows` a statement, in order; the LSN when it was asked for."""

    results: Sequence[Rows]
    lsn: str | None = None
    committed: bool = True
