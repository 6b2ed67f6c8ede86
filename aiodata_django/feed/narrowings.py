"""What a socket's subscriptions narrow their tables to, each query string read once.

What lives here: when a query string is read, where, and for how long that is remembered. What does not: how
it is read (``core.state.narrowing``).

A socket may ask for a thousand subscriptions, and for tens of thousands of filters in them; a filter takes
some 100 µs to read. Neither that, nor reading all again for each subscription more, may hold up the others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor

from ..core.errors import ApiError
from ..core.names import QualifiedName
from ..core.schema import Schema
from ..core.state.narrowing import Narrowing, parse_narrowing

LONG = 1 << 10
"""Bytes of a query string that is read in a thread."""

_READER = ThreadPoolExecutor(1, "aiodata-subscriptions")
"""One query string at a time, whoever asks: more threads would take more from the event loop."""

Asked = tuple[str, QualifiedName]
"""A query string, and the table it is for."""


class Narrowings:
    """Those of one socket. Made for ``schema()``, and anew when that has changed."""

    def __init__(self, schema: Callable[[], Schema]) -> None:
        self._schema = schema
        self._made_for: Schema | None = None
        self._known: dict[Asked, Narrowing | ApiError] = {}

    async def prepare(self, asked: Collection[Asked]) -> None:
        """Read all that :meth:`get` will be asked for, with turns for others in between; forget the rest."""
        while True:
            schema = self._schema()
            before = self._known if schema is self._made_for else {}
            self._known = {one: before[one] for one in asked if one in before}
            self._made_for = schema
            for one in asked:
                if one not in self._known:
                    self._known[one] = await _read_apart(one, schema)
            if schema is self._schema():
                return

    def get(self, query: str, table: QualifiedName) -> Narrowing:
        """What a query string says of a table. Raises RequestError for what is not understood."""
        schema = self._schema()
        known = self._known.get((query, table)) if schema is self._made_for else None
        read = known or _read((query, table), schema)
        if isinstance(read, ApiError):
            raise read.with_traceback(None)
        return read


async def _read_apart(one: Asked, schema: Schema) -> Narrowing | ApiError:
    if len(one[0]) > LONG:
        return await asyncio.get_running_loop().run_in_executor(_READER, _read, one, schema)
    await asyncio.sleep(0)
    return _read(one, schema)


def _read(one: Asked, schema: Schema) -> Narrowing | ApiError:
    try:
        return parse_narrowing(one[0], schema, one[1])
    except ApiError as error:
        return error
