"""Reading the hub: what every kind of reader shares, and the reader of ``/state`` version 1.

What lives here: the loop from transaction to transaction, sleeping when there is none, audiences of a viewer.
What does not: version 2 (``reader2``), and how text reaches a socket (the outlet is the consumer's).
"""

from __future__ import annotations

import asyncio
import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Sequence

import psycopg

from ..core.changes.position import Snapshot
from ..core.changes.published import PublishedTable
from ..core.changes.transaction import Transaction
from ..core.errors import ApiError
from ..core.identity import Identity
from ..core.state.audience import Audience, Viewer
from ..core.state.frames import CREATE, DELETE, UPDATE, v1_frame
from .digest import Digest
from .gate import DEL, EMPTY, PART, PUT, RESYNC, Seen
from .hub import Hub
from .log import LogTrimmed
from .outlet import Outlet

logger = logging.getLogger("aiodata.feed")

CLOSE_BAD, CLOSE_UNAUTHORIZED, CLOSE_EXPIRED, CLOSE_FORBIDDEN = 4400, 4401, 4401, 4403
CLOSE_SLOW, CLOSE_LOST, CLOSE_TOO_MANY = 4408, 4410, 4429
# 1012 and 1011 by their meaning, but Daphne refuses to send codes between 1000 and 3000.
CLOSE_RESTART, CLOSE_FAULT = 4012, 4011


PATIENCE = 30.0
"""Seconds a client may take no frame, or leave the window shut."""


class Closed(Exception):
    """The socket is to be closed, with a code and a reason."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


async def finish(sending: Awaitable[None]) -> None:
    """Wait until a frame is taken. Raises Closed for a client that does not take it."""
    try:
        async with asyncio.timeout(PATIENCE):
            await sending
    except TimeoutError:
        raise Closed(CLOSE_SLOW, "too slow: connect again") from None


class HubReader:
    """Reads visible transactions one after another. Subclasses say what to do with each."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.position = 0
        self.asleep = False
        self.epoch = ""
        self.version = -1
        self._until = 0
        self._snapshot: Snapshot | None = None
        self._wakened: asyncio.Future[None] | None = None

    def wake(self) -> None:
        """There is something new."""
        if self._wakened is not None and not self._wakened.done():
            self._wakened.set_result(None)

    async def sleep(self, seconds: float | None = None) -> bool:
        """Wait until woken, at most ``seconds``; whether that was it."""
        self._wakened = asyncio.get_running_loop().create_future()
        woken, _ = await asyncio.wait((self._wakened,), timeout=seconds)
        self._wakened = None
        return bool(woken)

    async def join(self) -> None:
        """Begin at the present: what a snapshot taken now sees is left out."""
        self.position, self._snapshot, self._until = await self.hub.join()
        self.epoch = self.hub.epoch

    def next(self) -> Transaction | None:
        """The next transaction to read, None (and asleep) when there is none. Raises LogTrimmed."""
        for transaction in self.hub.visible(self.position):
            if not self._seen_before(transaction):
                return transaction
            self.position = transaction.lsn
        self.asleep = True
        return None

    def _seen_before(self, transaction: Transaction) -> bool:
        if self._snapshot is None:
            return False
        if transaction.lsn > self._until:
            self._snapshot = None  # what ended after the snapshot was taken cannot be in it
            return False
        return self._snapshot.sees(transaction.xid)


class SocketReader(HubReader, ABC):
    """Reads for a socket, and closes it with what ends the reading."""

    def __init__(self, hub: Hub, outlet: Outlet) -> None:
        super().__init__(hub)
        self._outlet = outlet

    async def run(self) -> None:
        """Send until the socket is to be closed, then close it."""
        try:
            await self._read()
        except Closed as closed:
            await self._outlet.close(closed.code, closed.reason)
        except ApiError as error:
            await self._outlet.close(CLOSE_RESTART if error.passing else CLOSE_FORBIDDEN, str(error))
        except (psycopg.OperationalError, psycopg.InterfaceError):
            await self._outlet.close(CLOSE_RESTART, "the database is away: connect again")
        except Exception:
            # A fault of ours: the client is told to come again rather than left with silence.
            logger.exception("a socket's reader failed")
            await self._outlet.close(CLOSE_FAULT, "internal error: connect again")
        finally:
            self._leave()

    @abstractmethod
    async def _read(self) -> None:
        """Send what there is, without end. Raises Closed, ApiError."""

    def _leave(self) -> None:
        self.hub.unsubscribe(self)


class V1Reader(SocketReader):
    """A version 1 socket: every change of every table of the first exposed schema its role may see."""

    def __init__(self, hub: Hub, identity: Identity, outlet: Outlet, schema: str) -> None:
        super().__init__(hub, outlet)
        self.identity = identity
        self.viewer = Viewer.of(identity)
        self._schema = schema
        self._audiences: dict[int, Audience] = {}
        self._tables: dict[int, PublishedTable] = {}

    @property
    def state(self) -> str:
        """What the socket is doing, for the status view."""
        return "version 1"

    async def start(self) -> None:
        """Begin at the present. Raises ApiError when the role cannot be taken."""
        await self._look()
        await self.join()

    async def _look(self) -> None:
        """Find out which tables the viewer may read."""
        catalogue = self.hub.catalogue
        grants = await catalogue.grants(self.viewer.role)
        self.version = catalogue.version
        self._audiences.clear()
        self._tables = {
            table.oid: table
            for table in catalogue.published.by_name.values()
            if table.schema == self._schema and table.obstacle is None
        }
        for oid, table in self._tables.items():
            if audience := grants.audience(self.viewer, table):
                self._audiences[oid] = audience
        self.hub.subscribe(self, self._audiences)

    async def _read(self) -> None:
        while True:
            if self.epoch != self.hub.epoch:
                raise Closed(CLOSE_RESTART, "the change feed started anew: connect and read again")
            while self.version != self.hub.catalogue.version:
                await self._look()
            try:
                transaction = self.next()
            except LogTrimmed:
                raise Closed(CLOSE_SLOW, "too slow: connect and read again") from None
            if transaction is None:
                await self.sleep(self._patience())
            else:
                await self._send(self.hub.digest(transaction))
                self.position = transaction.lsn

    def _patience(self) -> float | None:
        """Seconds until the token expires. Raises Closed when it has."""
        if self.identity.expires is None:
            return None
        left = self.identity.expires - time.time()
        if left <= 0:
            raise Closed(CLOSE_EXPIRED, "the token has expired")
        return left

    async def _send(self, digest: Digest) -> None:
        self._patience()
        number = 0
        while True:
            for text in await self._told(digest, number):
                await finish(self._outlet.send(text))
            if digest.part(number).last:
                return
            number += 1

    async def _told(self, digest: Digest, number: int) -> Sequence[str]:
        try:
            return await self._frames(digest, number)
        except ApiError as error:
            if not error.passing and await self.hub.left_behind(self.version):
                raise Closed(CLOSE_RESTART, "definitions changed: connect and read again") from error
            raise

    async def _frames(self, digest: Digest, number: int) -> Sequence[str]:
        audiences = [a for oid, a in self._audiences.items() if oid in digest.touched]
        who = ("v1", number, *audiences)
        frames = digest.encoded(who)
        if frames is None:
            frames = await self._encode(digest, number, audiences)
            digest.keep(who, frames, sum(map(len, frames)))
        return frames  # type: ignore[return-value]

    async def _encode(self, digest: Digest, number: int, audiences: Sequence[Audience]) -> Sequence[str]:
        found: list[tuple[int, str]] = []
        for audience in audiences:
            name = self._tables[audience.table].name
            for seen in await digest.seen(number, audience, self.hub.gate):
                if text := _frame(name, seen):
                    found.append((seen.order, text))
        found.sort(key=lambda item: item[0])
        return [text for _, text in found]


def _frame(table: str, seen: Seen) -> str | None:
    if seen.op in (EMPTY, RESYNC):
        raise Closed(CLOSE_LOST, f"{table} changed in a way version 1 cannot tell: connect and read again")
    if seen.op == DEL:
        return v1_frame(DELETE, table, seen.key, seen.row)
    if seen.op in (PUT, PART):
        if seen.entered:
            return v1_frame(CREATE, table, b"[]", seen.row)
        return v1_frame(UPDATE, table, seen.old_key or seen.key, seen.row)
    return None
