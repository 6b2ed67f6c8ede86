"""Python values on their way to the server: as text in a URL, and as JSON in a body."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any
from urllib.parse import quote

from ..core.state.entry import Entry, asdict, encode

_PLAIN = frozenset({str, int, float, bool, Decimal, type(None)})


def text_of(value: Any) -> str:
    """The text PostgreSQL reads as this value: in a filter, in a key.

    Sequences become array literals, mappings JSON. Raises TypeError for None, which no text stands for.
    """
    if value is None:
        raise TypeError("a null has no text; compare with is_(None)")
    if isinstance(value, Enum):
        return text_of(value.value)
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    if isinstance(value, (Mapping, Entry)):
        return encode(json_of(value)).decode()
    if isinstance(value, (list, tuple, set, frozenset)):
        return "{" + ",".join(map(_element, value)) + "}"
    plain = json_of(value)
    return plain if isinstance(plain, str) else str(plain)


def _element(value: Any) -> str:
    """An element of an array literal. Source: PostgreSQL, Arrays, "Array Input and Output Syntax"."""
    if value is None:
        return "NULL"
    text = text_of(value)
    if isinstance(value, (list, tuple)):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def json_of(value: Any) -> Any:
    """A value that JSON can hold and PostgreSQL reads as the same: bytes as hex, NaN and infinity as text."""
    if isinstance(value, Enum):
        return json_of(value.value)
    if isinstance(value, float):
        return value if math.isfinite(value) else _special(value)
    if isinstance(value, Decimal):
        return value if value.is_finite() else _special(float(value))
    if isinstance(value, (bytes, bytearray, memoryview)):
        return "\\x" + bytes(value).hex()
    if isinstance(value, Entry):
        value = asdict(value)
    if isinstance(value, Mapping):
        return {str(name): json_of(member) for name, member in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [json_of(member) for member in value]
    if isinstance(value, timedelta):
        return f"{value.days} days {value.seconds} seconds {value.microseconds} microseconds"
    return value if type(value) in _PLAIN or isinstance(value, (datetime, date, time)) else _text(value)


def _special(value: float) -> str:
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _text(value: Any) -> Any:
    """UUIDs, addresses, networks and the like: their text. Numbers of other libraries: themselves."""
    return int(value) if isinstance(value, int) else str(value)


def body_of(value: Any) -> bytes:
    """The JSON body of a write or a call."""
    return encode(json_of(value))


def cached_form(key: tuple[Any, ...]) -> tuple[Any, ...]:
    """Key values as the copy holds them: dates, UUIDs and the like are text there, as they are in JSON."""
    if _PLAIN.issuperset(map(type, key)):
        return key
    return tuple(part if type(part) in _PLAIN else _held(part) for part in key)


def _held(part: Any) -> Any:
    held = json_of(part)
    if not isinstance(held, (datetime, date, time)):
        return held
    # PostgreSQL writes a fraction of a second without the zeros at its end.
    return re.sub(r"(\.\d*[1-9])0+(?!\d)", r"\1", held.isoformat())


def segment(value: Any) -> str:
    """One path segment. A segment of dots is escaped too, or it would mean a directory on the way."""
    text = text_of(value)
    return text.replace(".", "%2E") if text in (".", "..") else quote(text, safe="")


def table_path(query: str, table: str, key: tuple[Any, ...] = ()) -> str:
    """The path of a table or of its rows whose key begins with ``key``."""
    return "/".join([query, segment(table), *map(segment, key)])
