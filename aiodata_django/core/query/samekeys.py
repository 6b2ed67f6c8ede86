"""Whether the objects of a long JSON array all have the same keys, told faster than by looking at each.

What lives here: the quick answer, yes or "cannot tell". What does not: the error, and short bodies
(``payload``), which are looked at row by row.

A record type is made of the first object's keys, all of them required and no others allowed, and the array is
decoded into it: one pass in C. Whatever it does not take (other keys, numbers beyond a float, odd names) is
left to the slow look, whose answer counts.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

import msgspec

LEAST = 16_384
"""Bytes below which the quick way is none."""

_FIRST = 65_536  # bytes within which the first object must end
_DECODER = json.JSONDecoder()


def common_keys(body: bytes) -> tuple[str, ...] | None:
    """The keys that all objects of an array have; None where that cannot be told. ``body`` is UTF-8."""
    first = _first_object(body)
    if not first:
        return None
    nested = tuple([isinstance(value, dict | list) for value in first.values()])
    try:
        _records(tuple(first), nested).decode(body)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None
    return tuple(first)


def _first_object(body: bytes) -> dict[str, Any] | None:
    start = body.find(b"{", 0, _FIRST)
    try:
        found, _ = _DECODER.raw_decode(body[start : start + _FIRST].decode(errors="replace"))
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


@lru_cache(maxsize=64)
def _records(keys: tuple[str, ...], nested: tuple[bool, ...]) -> msgspec.json.Decoder[Any]:
    """A decoder of arrays of such objects. Raises ValueError for keys that no field can be named by."""
    # What is nested is skipped; a plain value is read faster than it is set aside.
    fields = [(f"f{n}", msgspec.Raw if skip else Any) for n, skip in enumerate(nested)]
    names = {f"f{n}": key for n, key in enumerate(keys)}
    record = msgspec.defstruct("Record", fields, rename=names, forbid_unknown_fields=True, gc=False)
    return msgspec.json.Decoder(list[record])  # type: ignore[valid-type]
