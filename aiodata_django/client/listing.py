"""The tables a client shows: what the server describes, and the caches their rows are read from."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping

from ..core.state.cache import Cache
from ..core.state.entry import decode
from .description import Description, descriptions
from .error import Error, Unreachable
from .origin import Origin
from .table import Table, Tables, replace_tables

PATIENCE = 30.0  # seconds for a description, which takes milliseconds


class Listing:
    """Keeps ``tables`` what was last described and shown. ``cache`` is what reads come from."""

    def __init__(self, origin: Origin, tables: Tables, new_table: Callable[[Description], Table]) -> None:
        self._origin = origin
        self._tables = tables
        self._new_table = new_table
        self.described: list[Description] = []
        self.cache = Cache(())
        self.problems: Mapping[str, Error] = {}

    async def describe(self) -> None:
        """Ask the server for its description. Raises Error; Unreachable when no answer comes in time."""
        try:
            async with asyncio.timeout(PATIENCE):
                answer = await self._origin.request("GET", "/")
        except TimeoutError:
            raise Unreachable(f"the server has not described itself within {PATIENCE:.0f} s") from None
        self.described = descriptions(decode(answer.body))

    def show(self, cache: Cache, problems: Mapping[str, Error]) -> None:
        """Let all tables be as described, and read from ``cache``; ``problems`` say why some do not.

        A table whose rows came before its description, as when it was granted just now, is shown as well:
        whoever is called back about its rows finds it.
        """
        self.cache, self.problems = cache, problems
        known = {each.name for each in self.described}
        tables = {}
        for description in (*self.described, *map(self._copied, cache.tables.keys() - known)):
            name = description.name
            table = self._tables[name] if name in self._tables else self._new_table(description)
            table.describe(description, cache.tables.get(name))
            table.problem = problems.get(name)
            tables[name] = table
        replace_tables(self._tables, tables)

    def _copied(self, name: str) -> Description:
        table = self.cache.tables[name]
        return Description.of_copy(name, table.rows.columns, table.key)

    def fits(self, *, whole: bool) -> bool:
        """Whether the description has the columns that the cache has, and if that is ``whole`` no others."""
        described = {each.name: {name for name, _ in each.columns} for each in self.described}
        shown = {name: set(table.rows.names) for name, table in self.cache.tables.items() if len(table)}
        return all(
            described.get(name) == columns if whole else columns <= described.get(name, set())
            for name, columns in shown.items()
        )

    def uncovered(self, names: Iterable[str]) -> list[str]:
        """Tables with a key which are not among ``names``."""
        known = set(names)
        return [each.name for each in self.described if each.key and each.name not in known]
