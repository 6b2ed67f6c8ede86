"""Version 1 of ``/state``, the reference's: fill by GET, replay what came meanwhile, then hear row by row.

The socket is open before the first row is asked for, so what is committed meanwhile is heard. But messages
have neither positions nor transactions. Hence its limits: a change may be heard again after a fill that had
seen it (the copy then steps back and forth until the stream has passed it), one that became visible late may
be missed, rows of one transaction come one by one, writes return before the copy has them, and a lost
connection costs a whole new fill, of which the callback hears the net differences.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Sequence

from ..core.state.cache import Cache, TableCache
from ..core.state.entry import Entry
from ..core.state.net import Event
from .conditions import Column, Condition
from .description import Description
from .error import Error, Unreachable
from .frames import MessageReader
from .inbox import Inbox
from .listing import Listing
from .origin import Origin
from .query import Query, result
from .status import Status

logger = logging.getLogger("aiodata_django.client")

FILLS_AT_ONCE = 8


class Version1:
    """Follows version 1 sockets. ``query`` is the mount of the tables."""

    def __init__(self, origin: Origin, query: str, listing: Listing, status: Status, *, intern: bool) -> None:
        self._origin = origin
        self._query = query
        self._listing = listing
        self._status = status
        self._intern = intern

    async def follow(
        self, inbox: Inbox, tell: Callable[[Sequence[Event]], object], ready: Callable[[], None]
    ) -> None:
        """Keep the copy right until the socket is lost. ``ready`` is called when it is complete."""
        # A server without a feed closes at once, saying why. Its rows are worth having once, not always.
        if await inbox.outlives(0.05) or not self._status.synced:
            tell(await self.sync(inbox))
        ready()
        reader = MessageReader(self._listing.cache)
        while True:
            for message in await inbox.next():
                tell(reader.apply(message))

    async def sync(self, inbox: Inbox) -> list[Event]:
        """Make a second copy beside the first, and let it take the first's place all at once.

        Answers the net differences, none at the first time.
        """
        await self._listing.describe()
        blanks = [self._blank(each) for each in self._listing.described if each.key]
        fresh = Cache(blanks)
        problems = await self._fill_all(fresh)
        reader = MessageReader(fresh)
        for message in inbox.waiting():
            reader.apply(message)
        events = await self._differences(fresh) if self._status.synced else []
        self._listing.show(fresh, problems)
        self._status.synced = True
        if inbox.closed is None:
            self._status.become("live")
        return events

    def _blank(self, description: Description) -> TableCache:
        """An empty copy; of the same class of rows while the columns are the same, so that rows compare."""
        old = self._listing.cache.tables.get(description.name)
        if old is not None and old.rows.columns == tuple(description.columns) and old.key == description.key:
            return old.blank()
        return TableCache(description.name, description.columns, description.key, intern=self._intern)

    async def _fill_all(self, fresh: Cache) -> dict[str, Error]:
        """Fill all tables, some at a time; why those that could not be filled were not."""
        few = asyncio.Semaphore(FILLS_AT_ONCE)
        problems: dict[str, Error] = {}

        async def fill(table: TableCache) -> None:
            async with few:
                try:
                    await self._fill(table)
                except Unreachable:
                    raise
                except Error as error:
                    logger.warning("%s is not copied: %s", table.name, error)
                    problems[table.name] = error

        fills = [asyncio.ensure_future(fill(table)) for table in fresh.tables.values()]
        try:
            await asyncio.gather(*fills)
        finally:
            for task in fills:
                task.cancel()
        for name in problems:
            del fresh.tables[name]
        return problems

    async def _fill(self, table: TableCache) -> None:
        """All rows of a table. A server may cut its answers short (``db-max-rows``) and does not say so."""
        everything = Query((table.name,)).select(*map(Column, table.rows.names))
        count, _ = await self._read(table, everything)
        rest = Query((table.name,)).select(*map(Column, table.key)).limit(1, offset=count)
        if not count or not result(await self._origin.request("GET", rest.target(self._query))):
            return
        for name in table.key:
            everything = everything.order(Column(name))
        last = None
        while count:
            page = everything if last is None else everything.where(beyond(table.key, last))
            count, last = await self._read(table, page)

    async def _read(self, table: TableCache, query: Query) -> tuple[int, Entry | None]:
        """Fill with the rows of an answer; how many they were, and the last."""
        reader, count, last = table.reader(), 0, None
        async with self._origin.stream(query.target(self._query)) as answer:
            async for piece in answer.pieces:
                if rows := reader.feed(piece):
                    count, last = count + len(rows), rows[-1]
                    table.fill(rows)
                await asyncio.sleep(0)  # what has arrived already would else be decoded in one go
        rows = reader.close()
        table.fill(rows)
        return count + len(rows), rows[-1] if rows else last

    async def _differences(self, fresh: Cache) -> list[Event]:
        shown = self._listing.cache.tables
        pairs = [(shown.get(name), fresh.tables.get(name)) for name in {**shown, **fresh.tables}]
        return [event for old, new in pairs async for event in _breathing(_between(old, new))]


async def _breathing(events: Iterable[Event | None]) -> AsyncIterator[Event]:
    for event in events:
        if event is None:
            await asyncio.sleep(0)
        else:
            yield event


def _between(old: TableCache | None, new: TableCache | None) -> Iterable[Event | None]:
    if old is not None:
        return old.differences(new if new is not None else old.blank())
    return new.blank().differences(new) if new is not None else ()


def beyond(key: Sequence[str], row: Entry) -> Condition:
    """Rows that come after this one in the order of the key."""
    first = Column(key[0])
    after = first.compare("gt", row[key[0]])
    if len(key) == 1:
        return after
    return after | (first.compare("eq", row[key[0]]) & beyond(key[1:], row))
