"""The witness that is a user of the real client: its callback and its copy, nothing below.

What lives here: that. What does not: the witness of the wire (``clients``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import pytest

from aiodata_django.client import Client, backoff
from aiodata_django.client.transport import Headers, HttpSocket, HttpTransport
from aiodata_django.core.state.entry import Entry, asdict

from .clients import Key, Piece, Rows, Told, Witness
from .world import Seat

LONGEST_WAIT = 1.0
"""Seconds between attempts to connect: what lasts half a minute in life must not in a minute's soak."""


@contextmanager
def in_haste() -> Iterator[None]:
    """Real clients wait no longer than that while the block runs; other tests' clients do afterwards."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backoff, "LONGEST", LONGEST_WAIT)
        yield


def exact(value: Any) -> Any:
    """A value as ``parsed`` has it."""
    if isinstance(value, float | Decimal):
        return Decimal(repr(value) if isinstance(value, float) else value).normalize()
    if isinstance(value, Mapping):
        return {name: exact(each) for name, each in value.items()}
    return [exact(each) for each in value] if isinstance(value, list | tuple) else value


def row_of(entry: Entry) -> dict[str, Any]:
    """An entry as the other witnesses keep rows."""
    return {name: exact(value) for name, value in asdict(entry).items()}


class _Transport(HttpTransport):
    """The network, for one who does not always listen."""

    def __init__(self, url: str, hearing: asyncio.Event) -> None:
        super().__init__(url)
        self._hearing = hearing

    async def connect(self, target: str, headers: Headers, protocols: tuple[str, ...] = ()) -> Any:
        socket = await super().connect(target, headers, protocols)
        return _Socket(socket, self._hearing)


class _Socket:
    """A websocket from which nothing is read while its owner does not hear."""

    def __init__(self, socket: HttpSocket, hearing: asyncio.Event) -> None:
        self._socket = socket
        self._hearing = hearing
        self.protocol = socket.protocol
        self.send = socket.send
        self.close = socket.close

    async def receive(self) -> str:
        await self._hearing.wait()
        return await self._socket.receive()


class ClientWitness(Witness):
    """One :class:`Client` after the other. Rows of a table are those of all subscriptions that cover it."""

    merged = True

    def __init__(self, seat: Seat, seed: int, url: Callable[[], str]) -> None:
        super().__init__(seat, seed)
        self._url = url
        self._client: Client | None = None
        self._keys: dict[str, tuple[str, ...]] = {}
        self._anew = asyncio.Event()

    @property
    def state(self) -> str:
        """As the client says."""
        return self._client.state if self._client is not None else "connecting"

    def copy(self) -> Mapping[Piece, Rows]:
        """All rows, by table."""
        tables = self._client.tables if self._client is not None else {}
        return {
            (0, name): {self._key(name, row): row for row in map(row_of, tables[name])}
            for name in tables
            if tables[name].key
        }

    def _key(self, table: str, row: Mapping[str, Any]) -> Key:
        assert self._client is not None
        if table in self._client.tables:  # of one that is gone, the last rows are told now
            self._keys[table] = self._client.tables[table].key
        return tuple(row[name] for name in self._keys[table])

    async def forget(self) -> None:
        """Another client takes over."""
        self.joins += 1
        self._anew.set()

    async def run(self) -> None:
        """Start a client, and the next when that is to be forgotten."""
        while True:
            self._anew.clear()
            self.step("forget", ())
            client = self._client = self._new_client()
            anew = asyncio.ensure_future(self._anew.wait())
            starting = asyncio.ensure_future(client.start())
            try:
                await asyncio.wait((starting, anew), return_when=asyncio.FIRST_COMPLETED)
                if starting.done() and starting.exception() is None:
                    await anew
            finally:
                starting.cancel()
                anew.cancel()
                await asyncio.gather(starting, anew, return_exceptions=True)
                await client.stop()
            await asyncio.sleep(0.1)

    def _new_client(self) -> Client:
        asked = [f"{w.table}?{w.query}" if w.query else w.table for w in self.seat.watched]
        return Client(
            self._url(),
            token=self.token,
            callback=self._told,
            subscribe=None if asked == ["*"] else asked,
            transport=_Transport(self._url(), self.hearing),
        )

    def _told(self, action: str, table: str, entries: tuple[Any, ...]) -> None:
        told: list[Told] = []
        for each in entries:
            old, new = each if action == "update" else (None, each) if action == "create" else (each, None)
            told += self._net(table, old, new)
        self.step("told", told)
        assert self._client is not None
        if "accounts" in self._client.tables:
            accounts = self._client.tables["accounts"]
            self.check_sum({(entry["id"],): asdict(entry) for entry in accounts})

    def _net(self, table: str, old: Entry | None, new: Entry | None) -> list[Told]:
        """The change by keys: a row whose key changes is gone under one and there under the other."""
        before, after = (None if entry is None else row_of(entry) for entry in (old, new))
        keys = [None if row is None else self._key(table, row) for row in (before, after)]
        if None not in keys and keys[0] != keys[1]:
            return [*self._net(table, old, None), *self._net(table, None, new)]
        key = keys[0] if keys[0] is not None else keys[1]
        assert key is not None
        return [Told((0, table), key, before, after)]
