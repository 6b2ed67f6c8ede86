"""Version 1 of ``/state`` as heard: one JSON text a changed row, ``[method, table, key, rows]``.

What lives here: text to changes. What does not: the socket, and the copy the changes are applied to.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from ..core.state.cache import Change, Put, Remove

_MESSAGE = msgspec.json.Decoder(tuple[str, str, list[Any], list[msgspec.Raw]], float_hook=Decimal)


def changes(text: str) -> list[Change]:
    """The changes in a message. Raises ValueError for text that is none."""
    method, table, key, rows = _MESSAGE.decode(text)
    if method == "POST":
        return [Put(table, row) for row in rows]
    if method == "PATCH":
        return [Put(table, row, tuple(key)) for row in rows]
    if method == "DELETE":
        return [Remove(table, tuple(key))]
    raise ValueError(f"unknown method {method!r}")
