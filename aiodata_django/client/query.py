"""The query builder: a request in PostgREST's language, made by calls, the same for both clients.

A :class:`Query` never changes; every call gives a new one, so what two have in common may be built once.
Strings are PostgREST's own syntax, taken as they are; a :class:`~.conditions.Column` quotes its name, and
values are quoted where they need it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal
from urllib.parse import quote

from ..core.state.entry import decode, entry
from .conditions import Column, Condition, Is
from .transport import Answer
from .values import body_of, segment, text_of

Count = Literal["exact", "planned", "estimated"]
_ONE = "application/vnd.pgrst.object+json"


class Rows(tuple[Any, ...]):
    """The rows of an answer, a tuple of entries; ``total`` is their count when one was asked for."""

    total: int | None = None


@dataclass(frozen=True)
class Query:
    """A request. Await it with the asynchronous client, :meth:`execute` it with the synchronous one."""

    path: tuple[str, ...]
    method: str = "GET"
    parameters: tuple[tuple[str, str], ...] = ()
    preferences: tuple[str, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    run: Callable[[Query], Any] | None = field(default=None, compare=False, repr=False)
    negating: bool = field(default=False, compare=False, repr=False)

    # --- what is asked for

    def select(self, *columns: str | Column, count: Count | None = None) -> Query:
        """These columns (all for none), and the number of rows if it is asked for."""
        chosen = ",".join(Column.of(column).expression for column in columns)
        asked = self._with("select", chosen) if chosen else self
        return asked._prefer(f"count={count}") if count else asked

    def insert(
        self, rows: Mapping[str, Any] | Iterable[Mapping[str, Any]], *, columns: Iterable[str] = ()
    ) -> Query:
        """Insert a row or several; the answer is what they have become."""
        made = replace(self, method="POST", body=body_of(rows if isinstance(rows, Mapping) else list(rows)))
        names = ",".join(Column(name).expression for name in columns)
        return made._with("columns", names) if names else made

    def upsert(
        self,
        rows: Mapping[str, Any] | Iterable[Mapping[str, Any]],
        *,
        on_conflict: Iterable[str] = (),
        ignore: bool = False,
    ) -> Query:
        """Insert, or where the key (or the columns of ``on_conflict``) is taken, update; or ``ignore``."""
        made = self.insert(rows)._prefer(f"resolution={'ignore' if ignore else 'merge'}-duplicates")
        names = ",".join(Column(name).expression for name in on_conflict)
        return made._with("on_conflict", names) if names else made

    def update(self, values: Mapping[str, Any]) -> Query:
        """Set these columns in the rows that the filters let through."""
        return replace(self, method="PATCH", body=body_of(values))

    def delete(self) -> Query:
        """Delete the rows that the filters let through."""
        return replace(self, method="DELETE")

    def schema(self, name: str) -> Query:
        """Look in another of the exposed schemas."""
        return self._header("Accept-Profile", name)._header("Content-Profile", name)

    def prefer(self, *preferences: str) -> Query:
        """Further preferences, such as ``"return=minimal"`` or ``"tx=rollback"``."""
        return replace(self, preferences=(*self.preferences, *preferences))

    def single(self) -> Query:
        """Exactly one row, as an entry; anything else is an Error."""
        return self._header("Accept", _ONE)

    # --- filters

    @property
    def not_(self) -> Query:
        """Negate the next filter."""
        return replace(self, negating=not self.negating)

    def where(self, *conditions: Condition) -> Query:
        """Rows that fulfil all of these."""
        made = self
        for condition in conditions:
            negated = ~condition if made.negating else condition
            made = replace(made._with(*negated.parameter()), negating=False)
        return made

    def filter(self, column: str | Column, operator: str, value: Any) -> Query:
        """Any operator of PostgREST's."""
        return self.where(Column.of(column).compare(operator, value))

    def eq(self, column: str | Column, value: Any) -> Query:
        """Equal."""
        return self.filter(column, "eq", value)

    def neq(self, column: str | Column, value: Any) -> Query:
        """Not equal."""
        return self.filter(column, "neq", value)

    def gt(self, column: str | Column, value: Any) -> Query:
        """Greater."""
        return self.filter(column, "gt", value)

    def gte(self, column: str | Column, value: Any) -> Query:
        """Greater or equal."""
        return self.filter(column, "gte", value)

    def lt(self, column: str | Column, value: Any) -> Query:
        """Less."""
        return self.filter(column, "lt", value)

    def lte(self, column: str | Column, value: Any) -> Query:
        """Less or equal."""
        return self.filter(column, "lte", value)

    def like(self, column: str | Column, pattern: str) -> Query:
        """``LIKE``, with ``*`` or ``%`` for any text."""
        return self.filter(column, "like", pattern)

    def ilike(self, column: str | Column, pattern: str) -> Query:
        """``ILIKE``, with ``*`` or ``%`` for any text."""
        return self.filter(column, "ilike", pattern)

    def match(self, column: str | Column, pattern: str) -> Query:
        """A POSIX regular expression."""
        return self.filter(column, "match", pattern)

    def imatch(self, column: str | Column, pattern: str) -> Query:
        """A POSIX regular expression, upper and lower case alike."""
        return self.filter(column, "imatch", pattern)

    def is_(self, column: str | Column, value: Is) -> Query:
        """``IS`` null, not null, true, false or unknown."""
        return self.where(Column.of(column).is_(value))

    def in_(self, column: str | Column, values: Iterable[Any]) -> Query:
        """Equal to one of the values."""
        return self.where(Column.of(column).in_(values))

    def cs(self, column: str | Column, values: Any) -> Query:
        """Contains: an array, a range, a JSON value."""
        return self.filter(column, "cs", values)

    def cd(self, column: str | Column, values: Any) -> Query:
        """Is contained in."""
        return self.filter(column, "cd", values)

    def ov(self, column: str | Column, values: Any) -> Query:
        """Overlaps."""
        return self.filter(column, "ov", values)

    def sl(self, column: str | Column, bounds: str) -> Query:
        """A range strictly left of this one."""
        return self.filter(column, "sl", bounds)

    def sr(self, column: str | Column, bounds: str) -> Query:
        """A range strictly right of this one."""
        return self.filter(column, "sr", bounds)

    def nxl(self, column: str | Column, bounds: str) -> Query:
        """A range that does not extend to the left of this one."""
        return self.filter(column, "nxl", bounds)

    def nxr(self, column: str | Column, bounds: str) -> Query:
        """A range that does not extend to the right of this one."""
        return self.filter(column, "nxr", bounds)

    def adj(self, column: str | Column, bounds: str) -> Query:
        """A range adjacent to this one."""
        return self.filter(column, "adj", bounds)

    def fts(
        self, column: str | Column, query: str, language: str | None = None, *, kind: str = "fts"
    ) -> Query:
        """Full-text search. ``kind``: ``fts``, ``plfts`` (plain), ``phfts`` (phrase) or ``wfts`` (web)."""
        return self.where(Column.of(column).fts(query, language, kind=kind))

    # --- order and limits

    def order(self, column: str | Column, *, desc: bool = False, nullsfirst: bool | None = None) -> Query:
        """Order by this column, after those of earlier calls."""
        term = Column.of(column).expression + (".desc" if desc else "")
        if nullsfirst is not None:
            term += ".nullsfirst" if nullsfirst else ".nullslast"
        earlier = dict(self.parameters).get("order")
        return self._only("order", f"{earlier},{term}" if earlier else term)

    def limit(self, rows: int, offset: int = 0) -> Query:
        """At most this many rows, after skipping ``offset``."""
        limited = self._only("limit", str(rows))
        return limited._only("offset", str(offset)) if offset else limited

    # --- the request

    def target(self, mount: str) -> str:
        """The raw path and query below ``mount``."""
        path = "/".join([mount, *map(segment, self.path)])
        text = "&".join(f"{_encoded(name)}={_encoded(value)}" for name, value in self.parameters)
        return f"{path}?{text}" if text else path

    def request_headers(self) -> dict[str, str]:
        """All headers but the token's."""
        headers = {"Accept": "application/json"}
        if self.body is not None:
            headers["Content-Type"] = "application/json"
        if self.preferences:
            headers["Prefer"] = ", ".join(self.preferences)
        return headers | dict(self.headers)

    def execute(self) -> Any:
        """Run it: the result with the synchronous client, an awaitable of it with the asynchronous one."""
        if self.run is None:
            raise RuntimeError("this query belongs to no client: make it with client.from_() or client.rpc()")
        return self.run(self)

    def __await__(self) -> Generator[Any, None, Any]:
        return self.execute().__await__()  # type: ignore[no-any-return]

    def _with(self, name: str, value: str) -> Query:
        return replace(self, parameters=(*self.parameters, (name, value)))

    def _only(self, name: str, value: str) -> Query:
        others = tuple(pair for pair in self.parameters if pair[0] != name)
        return replace(self, parameters=(*others, (name, value)))

    def _prefer(self, preference: str) -> Query:
        return replace(self, preferences=(*self.preferences, preference))

    def _header(self, name: str, value: str) -> Query:
        others = tuple(pair for pair in self.headers if pair[0] != name)
        return replace(self, headers=(*others, (name, value)))


def call(
    function: str, arguments: Mapping[str, Any], *, get: bool, run: Callable[[Query], Any] | None
) -> Query:
    """A function call: POST, or a read-only GET."""
    if get:
        texts = tuple((name, text_of(value)) for name, value in arguments.items())
        return Query(("rpc", function), parameters=texts, run=run)
    return Query(("rpc", function), method="POST", body=body_of(arguments), run=run)


def result(answer: Answer) -> Any:
    """What an answer holds: :class:`Rows` for an array, an entry for an object, else the value, or None."""
    if not answer.body.strip():
        return Rows() if answer.status == 200 else None
    value = decode(answer.body)
    if isinstance(value, list):
        rows = Rows(entry(row) if isinstance(row, dict) else row for row in value)
        total = re.search(r"/(\d+)$", answer.headers.get("content-range", ""))
        rows.total = int(total[1]) if total else None
        return rows
    return entry(value) if isinstance(value, dict) else value


def _encoded(text: str) -> str:
    return quote(text, safe=",.:()*->")
