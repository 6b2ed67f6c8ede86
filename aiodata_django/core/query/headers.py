"""The headers of a request, and what is made of them alone: made once, for clients send the same ones again.

What lives here: the record, how bytes become text, the two settings that functions read headers by. What does
not: what a header asks for (``preferences``, ``media``, ``ranges``).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import cast

LATELY, LARGEST = 512, 1 << 13
"""Sets of headers that are remembered, and bytes of the largest: clients may send whatever they like."""


class Headers(tuple[tuple[str, str], ...]):
    """Names, in lower case, and values, in the order in which they were sent."""

    @cached_property
    def first(self) -> Mapping[str, str]:
        """Of each name the value that was sent first."""
        return dict(reversed(self))

    @cached_property
    def settings(self) -> tuple[bytes, bytes]:
        """``request.headers`` and ``request.cookies`` as JSON; of a header sent twice the last.

        Source: https://docs.postgrest.org/en/v16/references/transactions.html#request-headers-cookies-and-jwt-claims
        """
        return _json({name: value for name, value in self if name != "cookie"}), _cookies(self.first)


def _cookies(first: Mapping[str, str]) -> bytes:
    header = first.get("cookie")
    if header is None:
        return b"{}"
    pairs = (part.strip().partition("=") for part in header.split(";"))
    return _json({name: value for name, _, value in pairs if name})


def _json(told: Mapping[str, str]) -> bytes:
    return json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()


def header_text(value: bytes) -> str:
    """The value of a header: UTF-8 as it is sent today, else Latin-1 as it once was (RFC 9110, 5.5)."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


_known: dict[tuple[tuple[bytes, bytes], ...], Headers] = {}


def read_headers(sent: Iterable[Iterable[bytes]]) -> Headers:
    """The headers as text, the names of which came in lower case; the same record for the same bytes.

    ASGI promises pairs, no tuples: middleware and test clients send lists, too.
    """
    key = cast("tuple[tuple[bytes, bytes], ...]", tuple(map(tuple, sent)))
    known = _known.get(key)
    if known is not None:
        return known
    read = Headers([(name.decode("latin-1"), header_text(value)) for name, value in key])
    if sum([len(name) + len(value) for name, value in key]) <= LARGEST:
        if len(_known) >= LATELY:
            _known.clear()
        _known[key] = read
    return read
