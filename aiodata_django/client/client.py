"""The asynchronous client: a copy of the tables that is always current, and writes beside it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

from ..core.state.session import State, Subscription
from .description import Description
from .dispatch import Callback, Dispatcher
from .error import Error, Unreachable
from .follow import Follower
from .origin import Origin, Token
from .query import Query, call, result
from .table import Entries, Table, Tables
from .transport import Answer, HttpTransport, Transport
from .values import body_of, table_path


class Client:
    """A live copy of a server's tables.

    ``url`` is the server's address, with the path it is mounted below if any. ``token`` is a JWT, a callable
    that gives one (sync or async, asked before each request), or None for the anonymous role. ``query`` and
    ``state`` are the paths of the tables and of the websocket. ``callback(action, table, entries)`` is told
    each change: ``action`` is ``create``, ``update`` or ``delete``, ``entries`` a tuple of entries, or of
    ``(old, new)`` pairs for an update. It may be async; what it raises is logged.

    Every table with a primary key is copied whole, or what ``subscribe`` names: ``["owners",
    "pets?type=eq.Dog"]``. Reads come from the copy and never wait; a transaction is in it whole or not at
    all. ``intern`` keeps equal texts once: much less memory for tables that repeat them, and a slower start.
    ``transport`` replaces the network.
    """

    def __init__(
        self,
        url: str = "http://localhost:4000",
        token: Token = None,
        query: str = "/query",
        state: str = "/state",
        callback: Callback | None = None,
        *,
        subscribe: Iterable[str | Query] | None = None,
        intern: bool = False,
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
            dispatcher=self._dispatcher,
            subscriptions=subscriptions(subscribe),
            intern=intern,
        )
        self._task: asyncio.Task[None] | None = None
        self._number = 0

    @property
    def tables(self) -> Tables:
        """The tables by name; empty before the first start."""
        return self._tables

    @property
    def state(self) -> State:
        """``connecting``, ``syncing``, ``live``, or ``stale`` while a lost connection is made anew."""
        return self._follower.status.state

    @property
    def version(self) -> int | None:
        """The version of ``/state`` that the server speaks: 2, or 1 with the limits of the reference's."""
        return self._follower.version

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
        self._follower.stop()

    async def live(self) -> None:
        """Wait until the copy is complete and current. Raises RuntimeError when the client is not started."""
        if self._task is None:
            raise RuntimeError("the client is not started")
        await self._follower.status.live.wait()

    async def synced(self, lsn: str) -> None:
        """Wait until the copy contains everything committed up to ``lsn``, a write's ``Aiodata-LSN``.

        Raises RuntimeError when the client is not started, Error when the server speaks version 1.
        """
        if self._task is None:
            raise RuntimeError("the client is not started")
        if self._follower.version != 2:
            raise Error("version 1 of /state has no positions to wait for")
        await self._follower.second.synced(lsn)

    async def subscribe(self, what: str | Query) -> Subscription:
        """Copy more: a table, or rows and columns of it: ``"pets?type=eq.Dog&select=name"``, or a query.

        Returns when the rows are in the copy; the callback hears them as created. Raises Error when the
        server refuses, RuntimeError when the client is not started.
        """
        if self._task is None:
            raise RuntimeError("the client is not started")
        if self._follower.version != 2:
            raise Error("version 1 of /state has no subscriptions")
        numbers = [each.id for each in self._follower.second.subscriptions]
        self._number = max(self._number, *numbers, 0) + 1
        subscription = subscription_of(what, self._number)
        await self._follower.second.subscribe(subscription)
        return subscription

    async def unsubscribe(self, subscription: Subscription) -> None:
        """End a subscription; rows that no other holds leave the copy, which the callback hears."""
        self._dispatcher.tell(await self._follower.second.unsubscribe(subscription.id))

    @property
    def subscriptions(self) -> list[Subscription]:
        """What is subscribed to; ``*`` is every table."""
        return self._follower.second.subscriptions

    def from_(self, table: str) -> Query:
        """A query of a table or view, past the copy: ``await client.from_("pets").eq("type", "Dog")``."""
        return Query((table,), run=self.run)

    def rpc(self, function: str, arguments: Mapping[str, Any] | None = None, *, get: bool = False) -> Query:
        """A function call, read-only if ``get``: ``await client.rpc("add", {"a": 1, "b": 2})``."""
        return call(function, arguments or {}, get=get, run=self.run)

    async def run(self, query: Query, *, wait: bool = True) -> Any:
        """Run a query. Raises Error.

        One that writes returns when the copy contains what it wrote, unless ``wait`` is false.
        """
        target = query.target(self._query)
        answer = await self._origin.request(query.method, target, query.body, query.request_headers())
        await self._contain(answer, wait)
        return result(answer)

    async def _contain(self, answer: Answer, wait: bool) -> None:
        """Wait until the copy contains what an answer's request has written; the write itself is done."""
        lsn = answer.headers.get("aiodata-lsn")
        if wait and lsn and self._task is not None and self._follower.version == 2:
            with suppress(Unreachable):  # stopped meanwhile
                await self._follower.second.synced(lsn)

    async def __aenter__(self) -> Client:
        await self.start()
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.stop()

    def _new_table(self, description: Description) -> Table:
        return Table(description, self._write)

    async def _write(self, table: Table, method: str, key: tuple[Any, ...], rows: Any, wait: bool) -> Entries:
        body = None if rows is None else body_of(rows)
        answer = await self._origin.request(method, table_path(self._query, table.name, key), body)
        await self._contain(answer, wait and table.copied)
        return table.entries(answer.body)

    def __repr__(self) -> str:
        return f"<Client {self.state}, {len(self._tables)} tables>"


def subscriptions(what: Iterable[str | Query] | None) -> list[Subscription]:
    """What a client subscribes to at its start; every table for None."""
    if what is None:
        return [Subscription(0, "*")]
    return [subscription_of(each, number) for number, each in enumerate(what, 1)]


def subscription_of(what: str | Query, number: int) -> Subscription:
    """``table?filters`` or a query as a subscription. Raises ValueError for a query that is no plain read."""
    if isinstance(what, Query):
        if what.method != "GET" or len(what.path) != 1:
            raise ValueError("only a query that reads rows of one table can be subscribed to")
        _, _, parameters = what.target("").partition("?")
        return Subscription(number, what.path[0], parameters)
    table, _, parameters = what.partition("?")
    return Subscription(number, table, parameters)


def _path(path: str) -> str:
    """A mount as it is put before tables: with a slash at the beginning and none at the end."""
    return "/" + path.strip("/") if path.strip("/") else ""
