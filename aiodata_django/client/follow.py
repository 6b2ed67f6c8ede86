"""Keeping the copy: connect, describe, fill, replay, listen; and all of it again when the socket is lost.

The socket is open before the first row is asked for, so what is committed meanwhile is heard, and applied
after the fill. Version 1 of ``/state`` has neither positions nor transactions. Hence its limits: a change may
be heard again after a fill that had seen it (the copy then steps back and forth until the stream has passed
it), rows of one transaction come one by one, and a lost connection costs a whole new fill, of which the
callback hears the net differences.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal

from ..core.state.cache import Cache, Event, TableCache
from ..core.state.entry import Entry, decode
from .backoff import Backoff
from .conditions import Column, Condition
from .description import Description, descriptions
from .error import Error, Unreachable
from .frames import MessageReader
from .inbox import Inbox
from .origin import Origin
from .query import Query, result
from .table import Table, Tables, replace_tables
from .transport import SocketClosed

logger = logging.getLogger("aiodata_django.client")

State = Literal["connecting", "syncing", "live", "stale"]
FILLS_AT_ONCE = 8
_PIECE_OF_EVENTS = 500  # callbacks between two breaths of the event loop


class Follower:
    """Keeps ``tables`` equal to the server's, and tells every change of theirs.

    ``state`` is connecting, syncing, live, or stale: the copy was right once, and its socket is lost.
    """

    def __init__(
        self,
        origin: Origin,
        *,
        query: str,
        state: str,
        tables: Tables,
        new_table: Callable[[Description], Table],
        tell: Callable[[Iterable[Event]], None],
    ) -> None:
        self._origin = origin
        self._query = query
        self._state_target = state
        self._tables = tables
        self._new_table = new_table
        self._tell = tell
        self._cache = Cache(())
        self._reader = MessageReader(self._cache)
        self.state: State = "connecting"
        self.synced = False  # once the copy has been complete
        self.live = asyncio.Event()

    async def run(self, ready: asyncio.Future[None]) -> None:
        """Follow until cancelled. ``ready`` is done when the copy is complete for the first time.

        An error of the server's before that ends it, and is raised there; afterwards it is logged, and tried
        again. A server that cannot be reached is tried again always.
        """
        backoff = Backoff(random.random)
        loop = asyncio.get_running_loop()
        while True:
            started = loop.time()
            try:
                await self._follow(ready)
            except (Unreachable, SocketClosed) as lost:
                self._lost(f"the connection is lost: {lost}")
            except Exception as error:
                if not ready.done():
                    ready.set_exception(error)
                    return
                self._lost(f"the server refuses: {error}", exc_info=not isinstance(error, Error))
            await asyncio.sleep(backoff.delay(loop.time() - started))

    def stopped(self) -> None:
        """Nobody follows any longer: the copy is not current from now on."""
        self.live.clear()
        self.state = "stale" if self.synced else "connecting"

    def _lost(self, why: str, *, exc_info: bool = False) -> None:
        self.stopped()
        logger.warning("%s; trying again", why, exc_info=exc_info)

    async def _follow(self, ready: asyncio.Future[None]) -> None:
        inbox = Inbox(await self._origin.connect(self._state_target))
        try:
            # A server without a feed closes at once, saying why. Its rows are worth having once, not always.
            if await inbox.outlives(0.05) or not self.synced:
                await self._sync(inbox)
            if not ready.done():
                ready.set_result(None)
            while True:
                await self._hear(await inbox.next())
        finally:
            await inbox.close()

    async def _hear(self, messages: Iterable[str]) -> None:
        events: list[Event] = []
        for message in messages:
            events.extend(self._reader.apply(message))
        await self._tell_all(events)

    async def _tell_all(self, events: list[Event]) -> None:
        for start in range(0, len(events), _PIECE_OF_EVENTS):
            if start:
                await asyncio.sleep(0)
            self._tell(events[start : start + _PIECE_OF_EVENTS])

    # --- making the copy

    async def _sync(self, inbox: Inbox) -> None:
        """Make a second copy beside the first, and let it take the first's place all at once."""
        if not self.synced:
            self.state = "syncing"
        described = descriptions(decode((await self._origin.request("GET", "/")).body))
        fresh = Cache(self._blank(description) for description in described if description.key)
        problems = await self._fill_all(fresh)
        reader = MessageReader(fresh)
        for message in inbox.waiting():
            reader.apply(message)
        events = await self._differences(fresh) if self.synced else []
        self._publish(described, fresh, problems)
        self.synced = True
        if inbox.closed is None:
            self.state = "live"
            self.live.set()
        await self._tell_all(events)

    def _blank(self, description: Description) -> TableCache:
        """An empty copy; of the same class of rows while the columns are the same, so that rows compare."""
        old = self._cache.tables.get(description.name)
        if old is not None and old.rows.columns == tuple(description.columns) and old.key == description.key:
            return old.blank()
        return TableCache(description.name, description.columns, description.key)

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
        events: list[Event] = []
        for name in {**self._cache.tables, **fresh.tables}:
            new = fresh.tables.get(name)
            old = self._cache.tables.get(name) or _nothing(new)
            for event in old.differences(new if new is not None else old.blank()):
                if event is None:
                    await asyncio.sleep(0)
                else:
                    events.append(event)
        return events

    def _publish(self, described: Iterable[Description], fresh: Cache, problems: Mapping[str, Error]) -> None:
        self._cache = fresh
        self._reader = MessageReader(fresh)
        tables = {}
        for description in described:
            name = description.name
            table = self._tables[name] if name in self._tables else self._new_table(description)
            table.describe(description, fresh.tables.get(name))
            table.problem = problems.get(name)
            tables[name] = table
        replace_tables(self._tables, tables)


def beyond(key: Sequence[str], row: Entry) -> Condition:
    """Rows that come after this one in the order of the key."""
    first = Column(key[0])
    after = first.compare("gt", row[key[0]])
    if len(key) == 1:
        return after
    return after | (first.compare("eq", row[key[0]]) & beyond(key[1:], row))


def _nothing(like: TableCache | None) -> TableCache:
    assert like is not None
    return like.blank()
