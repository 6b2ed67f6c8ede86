"""Version 1 of ``/state`` as heard: one JSON text a changed row, ``[method, table, key, rows]``.

What lives here: text to changes. What does not: the socket, and the copy the changes are applied to.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec

from ..core.state.cache import Cache, Change, Put, Remove

_GENERIC = msgspec.json.Decoder(tuple[str, str, list[Any], list[msgspec.Raw]], float_hook=Decimal).decode


class MessageReader:
    """Reads messages about the tables of one cache: their rows become its entries in a single pass."""

    def __init__(self, cache: Cache) -> None:
        self._decoders: dict[str, Callable[[str], Any]] = {
            name: table.rows.decoder(lambda entry: tuple[str, str, list[Any], list[entry]])  # type: ignore[valid-type]
            for name, table in cache.tables.items()
        }

    def changes(self, text: str) -> list[Change]:
        """The changes in a message. Raises ValueError for text that is none."""
        method, table, key, rows = self._decode(text)
        if method == "POST":
            return [Put(table, row) for row in rows]
        if method == "PATCH":
            return [Put(table, row, tuple(key)) for row in rows]
        if method == "DELETE":
            return [Remove(table, tuple(key))]
        raise ValueError(f"unknown method {method!r}")

    def _decode(self, text: str) -> Any:
        # The table's name is the second string. Where it is not, as in a name with a quote, none is found.
        parts = text.split('"', 4)
        decoder = self._decoders.get(parts[3]) if len(parts) == 5 else None
        if decoder is not None:
            try:
                return decoder(text)
            except msgspec.ValidationError:
                pass  # a column's type has changed: the copy takes its values as they come
        return _GENERIC(text)
