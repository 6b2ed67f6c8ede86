"""Ranges of rows: limit and offset, the Range header, Content-Range and the status that goes with it.

What lives here: the arithmetic. What does not: where the texts come from (``request``).

Source: https://docs.postgrest.org/en/v16/references/api/pagination_count.html
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_HEADER = re.compile(r"^([0-9]+)-([0-9]*)$")
_INTEGER = re.compile(r"\s*-?[0-9]+\s*")


@dataclass(frozen=True, slots=True)
class RowRange:
    """Rows ``lower`` to ``upper``, both included, counted from 0; ``upper`` None is open."""

    lower: int = 0
    upper: int | None = None

    @property
    def is_empty(self) -> bool:
        """Holds no row."""
        return self.upper is not None and self.upper < self.lower

    @property
    def is_limit_zero(self) -> bool:
        """Stands for ``limit=0``, the one empty range that may be asked for."""
        return self.upper == -1

    @property
    def limit(self) -> int | None:
        """How many rows, None without end."""
        return None if self.upper is None else 1 + self.upper - self.lower

    def intersection(self, other: RowRange) -> RowRange:
        """The rows in both."""
        uppers = [upper for upper in (self.upper, other.upper) if upper is not None]
        return RowRange(max(self.lower, other.lower), min(uppers) if uppers else None)

    def restricted(self, limit: int | None) -> RowRange:
        """No more than ``limit`` rows of it."""
        if limit is None or self.is_limit_zero:
            return self
        return self.intersection(RowRange(self.lower, self.lower + limit - 1))


_DIGITS = 1000  # Python refuses to read, and to write, numbers of some thousands

ALL = RowRange()
LIMIT_ZERO = RowRange(0, -1)


def from_limit_offset(limit: str | None, offset: str | None) -> RowRange:
    """The range of a ``limit`` and an ``offset`` parameter, either of which may be missing.

    A text that is no integer is as good as none; but beside an ``offset`` such a ``limit`` is 0.
    """
    first = _integer(offset) or 0
    count = _integer(limit)
    if count is None and limit is not None and offset is not None:
        count = 0
    return RowRange(first) if count is None else RowRange(first, first + count - 1)


def _integer(text: str | None) -> int | None:
    return whole(text) if text is not None and _INTEGER.fullmatch(text) else None


def whole(digits: str) -> int:
    """The number; of an endless one its beginning, which is beyond all that is counted here just as well."""
    return int(digits.strip()[:_DIGITS])


def parse_range_header(text: str) -> RowRange:
    """A Range header in items, ``0-24`` or ``10-``; any other text asks for everything."""
    match = _HEADER.match(text)
    if match is None:
        return ALL
    return RowRange(whole(match[1]), whole(match[2]) if match[2] else None)


def content_range(lower: int, upper: int, total: int | None) -> str:
    """The value of Content-Range: ``0-9/*``, ``*/0``."""
    rows = f"{lower}-{upper}" if total != 0 and lower <= upper else "*"
    return f"{rows}/{'*' if total is None else total}"


def range_status(lower: int, upper: int, total: int | None) -> int:
    """200 for all rows or an unknown total, 206 for a part, 416 past the end."""
    if total is None:
        return 200
    if lower > total:
        return 416
    return 206 if 1 + upper - lower < total else 200
