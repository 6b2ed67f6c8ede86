"""Columns and conditions in PostgREST's query language: expressions in Python, text in a URL.

What lives here: which values are quoted, and how. What does not: the requests they are part of (``query``).
Source: https://docs.postgrest.org/en/v16/references/api/url_grammar.html
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal

from .values import text_of

_NAME = re.compile(r"[^\W]+", re.ASCII)
_RESERVED = re.compile(r'[,.:()"\\\s{}]|^$')
Is = Literal["null", "not_null", "true", "false", "unknown"] | bool | None


def quoted(text: str) -> str:
    """Text in double quotes, with backslashes before quotes and backslashes."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def quoted_name(name: str) -> str:
    """A column's or table's name, quoted when it needs it."""
    return name if _NAME.fullmatch(name) else quoted(name)


def list_of(values: Iterable[Any]) -> str:
    """``(a,"b,c")``: the elements that need it quoted."""
    return "(" + ",".join(map(_quoted_value, map(text_of, values))) + ")"


def _quoted_value(text: str) -> str:
    return quoted(text) if _RESERVED.search(text) else text


class Condition:
    """Something a row may fulfil: combine with ``&``, ``|`` and ``~``."""

    def __and__(self, other: Condition) -> Condition:
        return _joined("and", self, other)

    def __or__(self, other: Condition) -> Condition:
        return _joined("or", self, other)

    def __invert__(self) -> Condition:
        raise NotImplementedError

    def __bool__(self) -> bool:
        raise TypeError(
            "combine conditions with & and |, and negate with ~: and, or, not have no meaning here"
        )

    def parameter(self) -> tuple[str, str]:
        """Name and value of the query parameter that asks for it."""
        raise NotImplementedError

    def member(self) -> str:
        """Its text inside of ``and(...)`` or ``or(...)``."""
        raise NotImplementedError


@dataclass(frozen=True)
class Comparison(Condition):
    """``column.operator.value``. ``verbatim`` values have a form of their own and are never quoted."""

    column: str
    operator: str
    value: str
    verbatim: bool = False
    negated: bool = False

    def __invert__(self) -> Condition:
        return replace(self, negated=not self.negated)

    def parameter(self) -> tuple[str, str]:
        """``("age", "gte.18")``"""
        return self.column, f"{self._operator()}.{self.value}"

    def member(self) -> str:
        """``age.gte.18``"""
        value = self.value if self.verbatim else _quoted_value(self.value)
        return f"{self.column}.{self._operator()}.{value}"

    def _operator(self) -> str:
        return f"not.{self.operator}" if self.negated else self.operator


@dataclass(frozen=True)
class Junction(Condition):
    """``and(...)`` or ``or(...)``."""

    operator: str
    members: tuple[Condition, ...]
    negated: bool = False

    def __invert__(self) -> Condition:
        return replace(self, negated=not self.negated)

    def parameter(self) -> tuple[str, str]:
        """``("or", "(age.lt.18,age.gt.65)")``"""
        return self._operator(), f"({','.join(member.member() for member in self.members)})"

    def member(self) -> str:
        """``or(age.lt.18,age.gt.65)``"""
        return "".join(self.parameter())

    def _operator(self) -> str:
        return f"not.{self.operator}" if self.negated else self.operator


def _joined(operator: str, *parts: Condition) -> Condition:
    members: list[Condition] = []
    for part in parts:
        same = isinstance(part, Junction) and part.operator == operator and not part.negated
        members.extend(part.members if isinstance(part, Junction) and same else [part])
    return Junction(operator, tuple(members))


def is_text(value: Is) -> str:
    """What follows ``is.``. Raises ValueError for anything else."""
    if value is None or isinstance(value, bool):
        return "null" if value is None else "true" if value else "false"
    if value not in ("null", "not_null", "true", "false", "unknown"):
        raise ValueError(f"is_ takes None, True, False, 'not_null' or 'unknown', not {value!r}")
    return value


class Column:
    """A column in an expression: ``Column("age") >= 18``.

    The name is quoted when it needs it. Further names lead through embedded relations:
    ``Column("owner", "name")`` is column ``name`` of the embedded ``owner``. ``column["a"]`` and
    ``column.text("a")`` are members of a JSON value, as JSON and as text.
    """

    __slots__ = ("expression",)
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, *path: str) -> None:
        self.expression = ".".join(map(quoted_name, path))

    @classmethod
    def of(cls, column: Column | str) -> Column:
        """A column as it is; a string as an expression of PostgREST's, unquoted."""
        if isinstance(column, Column):
            return column
        made = cls()
        made.expression = column
        return made

    def __getitem__(self, member: str | int) -> Column:
        return Column.of(f"{self.expression}->{quoted_name(str(member))}")

    def text(self, member: str | int) -> Column:
        """A member of a JSON value, as text."""
        return Column.of(f"{self.expression}->>{quoted_name(str(member))}")

    def compare(self, operator: str, value: Any) -> Comparison:
        """Any operator of PostgREST's, with a value as :func:`~.values.text_of` writes it."""
        return Comparison(self.expression, operator, text_of(value))

    def __eq__(self, value: object) -> Comparison:  # type: ignore[override]
        return self.is_(None) if value is None else self.compare("eq", value)

    def __ne__(self, value: object) -> Comparison:  # type: ignore[override]
        return self.is_("not_null") if value is None else self.compare("neq", value)

    def __gt__(self, value: Any) -> Comparison:
        return self.compare("gt", value)

    def __ge__(self, value: Any) -> Comparison:
        return self.compare("gte", value)

    def __lt__(self, value: Any) -> Comparison:
        return self.compare("lt", value)

    def __le__(self, value: Any) -> Comparison:
        return self.compare("lte", value)

    def __lshift__(self, value: Any) -> Comparison:
        return self.compare("sl", value)

    def __rshift__(self, value: Any) -> Comparison:
        return self.compare("sr", value)

    def __matmul__(self, query: str) -> Comparison:
        return self.fts(query)

    def in_(self, values: Iterable[Any]) -> Comparison:
        """Equal to one of the values."""
        return Comparison(self.expression, "in", list_of(values), verbatim=True)

    def is_(self, value: Is) -> Comparison:
        """``IS`` null, not null (``"not_null"``), true, false or ``"unknown"``."""
        return Comparison(self.expression, "is", is_text(value), verbatim=True)

    def distinct_from(self, value: Any) -> Comparison:
        """``IS DISTINCT FROM``."""
        return self.compare("isdistinct", value)

    def like(self, pattern: str) -> Comparison:
        """``LIKE``, with ``*`` or ``%`` for any text."""
        return self.compare("like", pattern)

    def ilike(self, pattern: str) -> Comparison:
        """``ILIKE``, with ``*`` or ``%`` for any text."""
        return self.compare("ilike", pattern)

    def match(self, pattern: str) -> Comparison:
        """A POSIX regular expression."""
        return self.compare("match", pattern)

    def imatch(self, pattern: str) -> Comparison:
        """A POSIX regular expression, upper and lower case alike."""
        return self.compare("imatch", pattern)

    def cs(self, values: Any) -> Comparison:
        """Contains: an array, a range, a JSON value."""
        return self.compare("cs", values)

    def cd(self, values: Any) -> Comparison:
        """Is contained in."""
        return self.compare("cd", values)

    def ov(self, values: Any) -> Comparison:
        """Overlaps."""
        return self.compare("ov", values)

    def nxr(self, bounds: str) -> Comparison:
        """A range that does not extend to the right of this one."""
        return self.compare("nxr", bounds)

    def nxl(self, bounds: str) -> Comparison:
        """A range that does not extend to the left of this one."""
        return self.compare("nxl", bounds)

    def adj(self, bounds: str) -> Comparison:
        """A range adjacent to this one."""
        return self.compare("adj", bounds)

    def fts(self, query: str, language: str | None = None, *, kind: str = "fts") -> Comparison:
        """Full-text search. ``kind``: ``fts``, ``plfts`` (plain), ``phfts`` (phrase) or ``wfts`` (web)."""
        return self.compare(f"{kind}({language})" if language else kind, query)
