"""Version 1 of ``/state`` as heard: one JSON text a changed row, ``[method, table, key, rows]``.

What lives here: text to changes of the copy. What does not: the socket, and whom the events are told.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, Literal, get_args

import msgspec

from ..core.state.cache import Cache, TableCache
from ..core.state.net import Event

_Method = Literal["POST", "PATCH", "DELETE"]
_Key = tuple[Any, ...]
_Message = tuple[_Method, str, _Key, tuple[Any, ...]]
_generic: Callable[[str], _Message] = msgspec.json.Decoder(
    tuple[_Method, str, _Key, tuple[msgspec.Raw, ...]], float_hook=Decimal
).decode


_SHORTEST = len('["POST","')  # characters before a table's name, at least


class MessageReader:
    """Applies messages to a cache: their rows become its entries in a single pass."""

    def __init__(self, cache: Cache) -> None:
        self._tables = cache.tables
        # By how a message begins: its method and table. Of a name with a quote there is none.
        self._known: dict[str, tuple[TableCache, Callable[[str], _Message]]] = {}
        for name, table in cache.tables.items():
            decoder = table.rows.decoder(lambda entry: tuple[_Method, str, _Key, tuple[entry, ...]])  # type: ignore[valid-type]
            for method in get_args(_Method):
                self._known[f'["{method}","{name}'] = table, decoder

    def apply(self, text: str) -> tuple[Event, ...]:
        """Apply a message; the events that follow. Raises ValueError for text that is none."""
        known = self._known.get(text[: text.find('",[', _SHORTEST)])
        if known is not None:
            table, decoder = known
            try:
                method, _, key, rows = decoder(text)
            except msgspec.ValidationError:
                known = None  # a column's type has changed, and the copy takes its values as they come
        if known is None:
            method, name, key, rows = _generic(text)
            if name not in self._tables:
                return ()
            table = self._tables[name]
        if method == "DELETE":
            return table.remove(key)
        old_key = key if method == "PATCH" else None
        if len(rows) == 1:
            return table.put(rows[0], old_key)
        return tuple(event for row in rows for event in table.put(row, old_key))
