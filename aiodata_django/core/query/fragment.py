"""SQL in the making: text and parameters that stay together until the statement is complete.

What lives here: joining fragments, and numbering their parameters at the end. A NUL stands for a parameter
in the text: it can occur in no identifier and no literal (``names`` cuts them there).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from ..names import QualifiedName, quote_ident
from .statement import Param, Statement


class Sql(NamedTuple):
    """A piece of SQL."""

    text: str
    params: tuple[Param, ...] = ()

    def __add__(self, other: Sql | str) -> Sql:  # type: ignore[override]
        if isinstance(other, str):
            return Sql(self.text + other, self.params)
        return Sql(self.text + other.text, self.params + other.params)

    def __radd__(self, other: str) -> Sql:
        return Sql(other + self.text, self.params)

    def statement(self) -> Statement:
        """The finished statement, parameters numbered in the order in which they stand in the text."""
        pieces = self.text.split("\x00")
        text = pieces[0] + "".join(f"${n}{piece}" for n, piece in enumerate(pieces[1:], 1))
        return Statement(text.encode(), self.params)


EMPTY = Sql("")


def param(value: Param) -> Sql:
    """A parameter whose type PostgreSQL infers."""
    return Sql("\x00", (value,))


def ident(name: str) -> Sql:
    """A quoted identifier."""
    return Sql(quote_ident(name))


def qualified(name: QualifiedName) -> Sql:
    """A quoted name, with its schema where it has one."""
    return Sql(name.sql)


def join(separator: str, pieces: Iterable[Sql]) -> Sql:
    """The pieces with the separator between them."""
    listed = list(pieces)
    text = separator.join(piece.text for piece in listed)
    return Sql(text, tuple(p for piece in listed for p in piece.params))


def concat(*pieces: Sql | str) -> Sql:
    """The pieces one after another."""
    return join("", (Sql(piece) if isinstance(piece, str) else piece for piece in pieces))
