"""Version 1 of ``/state`` as heard: one JSON text a changed row, ``[method, table, key, rows]``.

What lives here: text to changes of the copy. What does not: the socket, and whom the events are told.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, Literal

import msgspec

from ..core.state.cache import Cache
from ..core.state.net import Event

_Method = Literal["POST", "PATCH", "DELETE"]
_Key = tuple[Any, ...]
_Message = tuple[_Method, str, _Key, tuple[Any, ...]]
_generic: Callable[[str], _Message] = msgspec.json.Decoder(
    tuple[_Method, str, _Key, tuple[msgspec.Raw, ...]], float_hook=Decimal
).decode


class MessageReader:
    """Applies messages to a cache: their rows become its entries in a single pass."""

    def __init__(self, cache: Cache) -> None:
        self._tables = cache.tables
        self._decoders: dict[str, Callable[[str], _Message]] = {
            name: table.rows.decoder(lambda entry: tuple[_Method, str, _Key, tuple[entry, ...]])  # type: ignore[valid-type]
            for name, table in cache.tables.items()
        }

    def apply(self, text: str) -> tuple[Event, ...]:
        """Apply a message; the events that follow. Raises ValueError for text that is none."""
        try:
            # The table's name is the second string. Of a name with a quote there is a piece, which is none.
            method, name, key, rows = self._decoders.get(text.split('"', 4)[3], _generic)(text)
        except (IndexError, msgspec.ValidationError):
            # A column's type has changed, and the copy takes its values as they come; or it is no message.
            method, name, key, rows = _generic(text)
        table = self._tables.get(name)
        if table is None:
            return ()
        if method == "DELETE":
            return table.remove(key)
        old_key = key if method == "PATCH" else None
        if len(rows) == 1:
            return table.put(rows[0], old_key)
        return tuple(event for row in rows for event in table.put(row, old_key))
