"""The asynchronous client: a copy of the tables that is always current, and writes beside it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from .description import Description
from .dispatch import Callback, Dispatcher
from .follow import Follower, State
from .origin import Origin, Token
from .query import Query, call, result
from .table import Entries, Table, Tables
from .transport import HttpTransport, Transport
from .values import body_of, table_path


class Client:
    """A live copy of a server's tables.

    ``url`` is the server's address, with the path it is mounted below if any. ``token`` is a JWT, a callable
    that gives one (sync or async, asked before each request), or None for the anonymous role. ``query`` and
    ``state`` are the paths of the tables and of the websocket. ``callback(action, table, entries)`` is told
    each change: ``action`` is ``create``, ``update`` or ``delete``, ``entries`` a tuple of entries, or of
    ``(old, new)`` pairs for an update. It may be async; what it raises is logged. ``transport`` replaces the
    network.

    Every table with a primary key is copied whole. Reads come from the copy and never wait.
    """

    def __init__(
        self,
        url: str = "http://localhost:4000",
        token: Token = None,
        query: str = "/query",
        state: str = "/state",
        callback: Callback | None = None,
        *,
        transport: Transport | None = None,
    ) -> None:
        self._transport = transport if transport is not None else HttpTransport(url)
        self._origin = Origin(self._transport, token)
        self._query = _path(query)
        self._dispatcher = Dispatcher(callback)
        self._tables = Tables()
        self._follower = Follower(
            self._origin,
            query=self._query,
            state=_path(state),
            tables=self._tables,
            new_table=self._new_table,
            tell=self._dispatcher.tell,
        )
        self._task: asyncio.Task[None] | None = None

    @property
    def tables(self) -> Tables:
        """The tables by name; empty before the first start."""
        return self._tables

    @property
    def state(self) -> State:
        """``connecting``, ``syncing``, ``live``, or ``stale`` while a lost connection is made anew."""
        return self._follower.state

    async def start(self) -> None:
        """Connect, make the copy, and listen until :meth:`stop`.

        Returns when the copy is complete. A server that cannot be reached is waited for; bound the wait with
        :func:`asyncio.timeout`. Raises Error when the server refuses.
        """
        if self._task is not None:
            raise RuntimeError("the client is started already")
        await self._transport.open()
        ready = asyncio.get_running_loop().create_future()
        self._task = asyncio.ensure_future(self._follower.run(ready))
        try:
            await ready
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Close the connections. The copy stays readable, and grows stale."""
        task, self._task = self._task, None
        if task is not None and task is not asyncio.current_task():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await self._dispatcher.stop()
        await self._transport.close()
        self._follower.stopped()

    async def live(self) -> None:
        """Wait until the copy is complete and current. Raises RuntimeError when the client is not started."""
        if self._task is None:
            raise RuntimeError("the client is not started")
        await self._follower.live.wait()

    def from_(self, table: str) -> Query:
        """A query of a table or view, past the copy: ``await client.from_("pets").eq("type", "Dog")``."""
        return Query((table,), run=self.run)

    def rpc(self, function: str, arguments: Mapping[str, Any] | None = None, *, get: bool = False) -> Query:
        """A function call, read-only if ``get``: ``await client.rpc("add", {"a": 1, "b": 2})``."""
        return call(function, arguments or {}, get=get, run=self.run)

    async def run(self, query: Query) -> Any:
        """Run a query. Raises Error."""
        target = query.target(self._query)
        return result(await self._origin.request(query.method, target, query.body, query.request_headers()))

    async def __aenter__(self) -> Client:
        await self.start()
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.stop()

    def _new_table(self, description: Description) -> Table:
        return Table(description, self._write)

    async def _write(self, table: Table, method: str, key: tuple[Any, ...], rows: Any) -> Entries:
        body = None if rows is None else body_of(rows)
        answer = await self._origin.request(method, table_path(self._query, table.name, key), body)
        return table.entries(answer.body)

    def __repr__(self) -> str:
        return f"<Client {self.state}, {len(self._tables)} tables>"


def _path(path: str) -> str:
    """A mount as it is put before tables: with a slash at the beginning and none at the end."""
    return "/" + path.strip("/") if path.strip("/") else ""
