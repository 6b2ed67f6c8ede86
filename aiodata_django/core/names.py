"""Names: qualified names, SQL identifier quoting and row keys as URL text. Nothing that looks a name up."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

_TILDE_SAFE = re.compile(rb"[A-Za-z0-9.\-]")


class QualifiedName(NamedTuple):
    """A name in a schema, as the catalogue spells both."""

    schema: str
    name: str

    @property
    def sql(self) -> str:
        """``"schema"."name"``, or ``"name"`` when there is no schema."""
        return (
            f"{quote_ident(self.schema)}.{quote_ident(self.name)}" if self.schema else quote_ident(self.name)
        )

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}" if self.schema else self.name


def quote_ident(name: str) -> str:
    """An SQL identifier, always quoted. A NUL cannot occur in one and is cut off, as libpq does."""
    return '"' + name.split("\x00", 1)[0].replace('"', '""') + '"'


def quote_literal(text: str) -> str:
    """An SQL string literal, for the few places that take no parameter (search_path, JSON paths)."""
    quoted = "'" + text.split("\x00", 1)[0].replace("'", "''") + "'"
    return " E" + quoted.replace("\\", "\\\\") if "\\" in quoted else quoted


def tilde(part: str) -> str:
    """One part of a row key as URL text: bytes outside ``[A-Za-z0-9.-]`` become ``~XX``.

    Neither ``%`` (decoded by servers), ``_`` (decoded by Django's admin) nor ``,`` (our separator) can occur.
    """
    return "".join(
        chr(byte) if _TILDE_SAFE.match(bytes((byte,))) else f"~{byte:02X}" for byte in part.encode()
    )


def untilde(text: str) -> str:
    """The inverse of :func:`tilde`. Raises ValueError for text it cannot have produced."""
    out = bytearray()
    position = 0
    while position < len(text):
        if text[position] == "~":
            pair = text[position + 1 : position + 3]
            if not re.fullmatch("[0-9A-Fa-f]{2}", pair):
                raise ValueError(f"not a tilde-encoded row key: {text!r}")
            out.append(int(pair, 16))
            position += 3
        else:
            out += text[position].encode()
            position += 1
    return out.decode()


def row_key_text(parts: Iterable[str]) -> str:
    """The parts of a row key as one URL path segment."""
    return ",".join(tilde(part) for part in parts)
