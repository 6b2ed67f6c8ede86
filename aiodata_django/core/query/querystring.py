"""A query string in pieces: names and values, which of them are shape and which are values.

What lives here: splitting, decoding, classifying by name, and the canonical form of Content-Location.
What does not: the grammar of the values (``grammar``).

Source: https://docs.postgrest.org/en/v16/references/api/url_grammar.html
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import Enum
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

_SEPARATORS = re.compile("[&;]")
# A filter whose operator takes the rest of the text as one value. The value may be anything, so the same text
# before it means the same statement: what comes before is shape, what follows is a value.
_VALUED = re.compile(
    r"(?:not\.)?(?:"
    r"(?:eq|gte?|lte?|i?like|i?match)(?:\((?:any|all)\))?"
    r"|neq|cs|cd|ov|sl|sr|nxr|nxl|adj|isdistinct"
    r"|(?:pl|ph|w)?fts(?:\([A-Za-z0-9_ $]+\))?"
    r")\."
)


class Role(Enum):
    """What a parameter is for, by its name."""

    SELECT = "select"
    COLUMNS = "columns"
    ON_CONFLICT = "on_conflict"
    ORDER = "order"
    LIMIT = "limit"
    OFFSET = "offset"
    LOGIC = "logic"
    FILTER = "filter"


class Parameter(NamedTuple):
    """One parameter, decoded; ``split`` is where the value begins in a filter, 0 when it cannot be told."""

    name: str
    value: str
    role: Role
    split: int = 0


_BY_NAME = {role.value: role for role in (Role.SELECT, Role.COLUMNS, Role.ON_CONFLICT)}
_ONCE = frozenset((Role.SELECT, Role.COLUMNS, Role.ON_CONFLICT))
_BY_LAST_WORD = {
    "order": Role.ORDER,
    "limit": Role.LIMIT,
    "offset": Role.OFFSET,
    "and": Role.LOGIC,
    "or": Role.LOGIC,
}


@lru_cache(maxsize=1024)
def role_of(name: str) -> Role:
    """The role of a parameter of this name."""
    return _BY_LAST_WORD.get(name.rsplit(".", 1)[-1]) or _BY_NAME.get(name) or Role.FILTER


def split_filter(value: str) -> int:
    """Where the value of ``not.eq.VALUE`` begins; 0 when the text needs the whole grammar."""
    match = _VALUED.match(value)
    return match.end() if match else 0


def _pairs(query: str) -> list[tuple[bytes, bytes | None]]:
    pairs: list[tuple[bytes, bytes | None]] = []
    for part in _SEPARATORS.split(query) if ";" in query else query.split("&"):
        name, equals, value = part.partition("=")
        pairs.append((_decode(name), _decode(value) if equals else None))
    if pairs[-1] == (b"", None):  # behind the last separator is nothing; between two there is a nameless one
        pairs.pop()
    return pairs


def _decode(text: str) -> bytes:
    return unquote_to_bytes(text.replace("+", " ")) if "%" in text or "+" in text else text.encode()


def parse_query(query: str) -> list[Parameter]:
    """The parameters that have a value, in order; ``+`` is a space, ``;`` separates like ``&``.

    Of a parameter that may stand once the first counts: when that has no value, there is none.
    """
    parameters = []
    without_value = set()
    for raw_name, raw_value in _pairs(query):
        name = raw_name.decode(errors="replace")
        if raw_value is None:
            without_value.add(name)
            continue
        role = role_of(name)
        if role in _ONCE and name in without_value:
            continue
        value = raw_value.decode(errors="replace")
        parameters.append(Parameter(name, value, role, split_filter(value) if role is Role.FILTER else 0))
    return parameters


def parse_form(body: bytes) -> list[tuple[str, str]]:
    """The fields of an ``application/x-www-form-urlencoded`` body, in order."""
    pairs = [pair for pair in _pairs(body.decode("latin-1")) if pair != (b"", None)]
    return [(name.decode(errors="replace"), (value or b"").decode(errors="replace")) for name, value in pairs]


_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~")


def _encode(text: bytes) -> str:
    # PostgREST encodes the UTF-8 bytes once more as if they were characters of Latin-1; so do we.
    again = text if text.isascii() else text.decode("latin-1").encode()
    return "".join(chr(byte) if byte in _UNRESERVED else f"%{byte:02X}" for byte in again)


def canonical(query: str) -> str:
    """The query string sorted by name, values of one name joined by commas: what Content-Location tells."""
    grouped: dict[bytes, list[bytes]] = {}
    for name, value in sorted(_pairs(query), key=lambda pair: pair[0]):
        grouped.setdefault(name, []).append(value or b"")
    return "&".join(f"{_encode(name)}={','.join(map(_encode, values))}" for name, values in grouped.items())


def decode_segment(raw: str) -> str:
    """One percent-decoded path segment."""
    return unquote_to_bytes(raw).decode(errors="replace") if "%" in raw else raw


def split_path(path: str) -> Sequence[str]:
    """The raw path below the mount as decoded segments; ``%2F`` stays inside its segment.

    A trailing slash makes an empty last segment: a key to ``/query``, and to ``/rest`` one segment too many.
    """
    trimmed = path[1:] if path.startswith("/") else path
    parts = trimmed.split("/") if trimmed else []
    return [decode_segment(part) for part in parts] if "%" in trimmed else parts
