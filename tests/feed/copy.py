"""A client in a few lines: the session's pure part, a dict for a copy, no socket."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import msgspec

from aiodata_django.core.identity import Identity
from aiodata_django.core.state.incoming import RowDeleted, RowPut, Truncated
from aiodata_django.core.state.session import (
    ClientSession,
    Committed,
    Failed,
    Passed,
    Ready,
    Resync,
    SchemaChanged,
    SnapshotBegun,
    SnapshotComplete,
    SnapshotPart,
    Subscription,
)
from aiodata_django.feed.outlet import Outlet

Key = tuple[Any, ...]


def hashable(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, list | dict) else value


class Copy(Outlet):
    """Follows a feed as a client does, over as many connections as it takes; keeps what it was told.

    ``rows``: (sub, table) -> key -> row as JSON text. ``story``: what happened to each key, one entry a net
    change: (kind, table, key, old, new), as callbacks would tell it.
    """

    def __init__(
        self, feed: Any, role: str, *subs: Subscription, expires: float | None = None, **claims: Any
    ):
        self.feed = feed
        self.identity = Identity(role, {"role": role, **claims}, True, expires)
        self.session = ClientSession(subs or (Subscription(0, "*"),))
        self.rows: dict[tuple[int, str], dict[Key, str]] = {}
        self.keys: dict[str, tuple[str, ...]] = {}
        self.story: list[tuple[str, str, Key, str | None, str | None]] = []
        self.events: list[Any] = []
        self.commits: list[Committed] = []
        self.staged: dict[tuple[int, str], list[bytes]] = {}
        self.closed: tuple[int, str] | None = None
        self.reader: Any = None
        self.task: asyncio.Task[None] | None = None
        self.heard = 0  # frames
        self.deaf = False  # reads nothing, acknowledges nothing
        self.tokens: dict[str, Identity] = {}
        self._news = asyncio.Event()
        self._hello = False

    # The outlet ---------------------------------------------------------------------------------------

    async def send(self, text: str, /) -> None:
        self.heard += 1
        if not self.deaf:
            for event in self.session.receive(text, time.monotonic()):
                self.events.append(event)
                self.take(event)
            self.say(*self.session.data_to_send(time.monotonic()))
        self._news.set()

    async def close(self, code: int, reason: str, /) -> None:
        self.closed = (code, reason)
        self._news.set()

    def say(self, *frames: str) -> None:
        for frame in frames:
            self.reader.line.receive(frame)

    async def connect(self) -> Copy:
        self.closed = None
        self.staged.clear()
        self.reader = await self.feed.attach_v2(self, self.identity, self.authenticate)
        self.task = self.feed.run(self.reader)
        self.say(self.session.connected(time.monotonic()))
        return self

    def authenticate(self, token: str | None) -> Identity:
        return self.tokens[token or ""]

    async def drop(self) -> None:
        """The connection is lost, whatever was on the way with it."""
        if self.task is not None:
            self.task.cancel()
            await asyncio.gather(self.task, return_exceptions=True)
        self.session.disconnected()

    async def until(self, condition: Any, seconds: float = 15.0) -> None:
        async with asyncio.timeout(seconds):
            while not condition():
                self._news.clear()
                await self._news.wait()

    async def live(self) -> Copy:
        await self.until(lambda: self.session.state == "live" or self.closed)
        assert self.closed is None, self.closed
        return self

    async def synced(self) -> Copy:
        """Wait until everything committed before now is in the copy."""
        row = await self.feed.control.row(b"select pg_catalog.pg_current_wal_insert_lsn()::text")
        number, frame = self.session.sync(row[0])
        self.say(frame)
        await self.until(lambda: Passed(number) in self.events or self.closed)
        assert self.closed is None, self.closed
        return self

    # The copy -----------------------------------------------------------------------------------------

    def take(self, event: Any) -> None:
        match event:
            case Ready():
                for table, description in event.schema.items():
                    self.keys[table] = tuple(description["key"])
            case SchemaChanged():
                self.keys[event.table] = event.key
            case SnapshotBegun():
                self.staged.clear()
            case SnapshotPart():
                rows = msgspec.json.decode(event.rows, type=list[msgspec.Raw])
                self.staged.setdefault((event.sub, event.table), []).extend(map(bytes, rows))
            case SnapshotComplete():
                before = self.merged()
                for part in event.parts:
                    rows = self.staged.pop(part, [])
                    self.rows[part] = {self.key(part[1], row): row.decode() for row in rows}
                self.tell(before)
            case Committed():
                self.commits.append(event)
                before = self.merged()
                for change in event.changes:
                    self.apply(change)
                self.tell(before)

    def key(self, table: str, row: bytes | str) -> Key:
        values = json.loads(row)
        return tuple(hashable(values[name]) for name in self.keys[table])

    def apply(self, change: Any) -> None:
        if isinstance(change, Truncated):
            for (_, table), rows in self.rows.items():
                if table == change.table:
                    rows.clear()
            return
        for sub in change.subs:
            rows = self.rows[sub, change.table]
            if isinstance(change, RowPut):
                if change.old_key:
                    rows.pop(tuple(map(hashable, json.loads(bytes(change.old_key)))), None)
                rows[self.key(change.table, bytes(change.row))] = bytes(change.row).decode()
            elif isinstance(change, RowDeleted):
                rows.pop(tuple(map(hashable, json.loads(bytes(change.key)))), None)
            else:
                key = tuple(map(hashable, json.loads(bytes(change.key))))
                known = msgspec.json.decode(rows[key], type=dict[str, msgspec.Raw])
                known.update(msgspec.json.decode(change.row, type=dict[str, msgspec.Raw]))
                rows[key] = msgspec.json.encode(known).decode()

    def merged(self) -> dict[tuple[str, Key], str]:
        """All rows, whichever subscription holds them."""
        return {(table, key): row for (_, table), rows in self.rows.items() for key, row in rows.items()}

    def table(self, name: str) -> dict[Key, str]:
        return {key: row for (table, key), row in self.merged().items() if table == name}

    def tell(self, before: dict[tuple[str, Key], str]) -> None:
        now = self.merged()
        for place in {**before, **now}:
            old, new = before.get(place), now.get(place)
            if old != new:
                kind = "create" if old is None else "delete" if new is None else "update"
                self.story.append((kind, *place, old, new))

    @property
    def resyncs(self) -> list[str]:
        return [event.why for event in self.events if isinstance(event, Resync)]

    @property
    def failures(self) -> list[Failed]:
        return [event for event in self.events if isinstance(event, Failed)]
