"""The reader of ``/state`` version 2: one socket's subscriptions, snapshots and transactions.

What lives here: what is sent when. What does not: the texts (``core.state.frames``, ``encoding``), the
snapshots that mend a copy (``standing``), what the client says (``line``), what sockets in step are sent
together (``cohort``).

One routine serves join, resync, added subscription and changed role: while it reads a snapshot, the socket's
position stands still; afterwards it goes on from there, leaving out what the snapshot has seen.
"""

from __future__ import annotations

import asyncio
import math
import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from ..core.errors import ApiError
from ..core.schema import Schema
from ..core.state import frames
from ..core.state.audience import Viewer
from ..core.state.cursor import Cursor
from ..core.state.serversession import MAX_SUBSCRIPTIONS, MAX_UNACKED, AddSub, Auth, Need, Sub, Unsub
from .cohort import Cohorts
from .digest import Digest
from .encoding import Layout, age_ms, encoded, layouts_of, transaction_frame
from .hub import Hub
from .line import Line
from .log import LogTrimmed
from .need import Needs
from .outlet import Outlet
from .reader import CLOSE_TOO_MANY, Closed
from .resting import HEARTBEAT, Resting
from .standing import (
    ADDED,
    EPOCH,
    JOIN,
    OPAQUE,
    POLICY,
    RETRY_SECONDS,
    ROLE,
    SCHEMA,
    SIZE,
    TRIMMED,
)
from .subscriptions import Subscriptions

HELLO_SECONDS = 10.0
CATCH_UP_SECONDS = 10.0
AUTH_SOON = 60.0
BIG_TRANSACTION = 100_000


class V2Reader(Resting):
    """A version 2 socket; ``run`` sends until it is to be closed."""

    def __init__(
        self,
        hub: Hub,
        cohorts: Cohorts,
        line: Line,
        outlet: Outlet,
        *,
        schema: Callable[[], Schema],
        resynced: Callable[[str], None],
    ) -> None:
        super().__init__(hub, cohorts, line, outlet, resynced)
        line.on_news = self.wake
        self._schema = schema
        self._warned = False
        self._needs = Needs(hub)

    @property
    def state(self) -> str:
        """What the socket is doing, for the status view."""
        if self.line.hello is None:
            return "connecting"
        if self.line.full:
            return "waiting"
        return "live" if self._caught_up else "syncing"

    async def _read(self) -> None:
        await self._open()
        while True:
            await self._step()

    def _leave(self) -> None:
        self._take_key(None)
        super()._leave()
        self.line.close()

    async def _step(self) -> None:
        """One thing after another; the order is what the protocol promises."""
        self.line.check()
        await self._answer()
        if self.epoch != self.hub.epoch:
            await self._begin_again(EPOCH)
        while self._subs.version != self.hub.catalogue.version:
            await self._look_again(SCHEMA)
        try:
            transaction = self.next()
        except LogTrimmed:
            if self.hub.position < self.hub.start:
                await self.sleep(RETRY_SECONDS)  # so is the hub, which is about to begin anew
            else:
                await self._begin_again(TRIMMED)
            return
        if self._stale and time.monotonic() >= self._stale_until:
            await self._resync()
        elif transaction is not None and self.silence <= 0:  # nothing of what was read was to be told
            self._caught_up = False
            await self._pos(None, age_ms(transaction))
        elif transaction is not None:
            await self._transaction(self.hub.digest(transaction))
        elif self._needs:
            await self._satisfy()
        else:
            await self._idle()

    # Opening ------------------------------------------------------------------------------------------

    async def _open(self) -> None:
        """Wait for token and hello, answer ``ready``, send what is to be had first."""
        hello = await self.line.greeting(HELLO_SECONDS)
        if len(hello.subs) > MAX_SUBSCRIPTIONS:
            raise Closed(CLOSE_TOO_MANY, f"more than {MAX_SUBSCRIPTIONS} subscriptions")
        assert self.line.identity is not None  # the greeting's promise
        self._subs = Subscriptions(self.hub.catalogue, self._schema, Viewer.of(self.line.identity))
        self._subs.subs = {sub.id: sub for sub in hello.subs}
        refused = await self._subs.look()
        self.hub.subscribe(self, self._subs.watched())
        resumed = await self._resume(hello.cursor)
        self._at = hello.at if resumed else None
        await self._ready(resumed)
        await self._refuse(refused)
        if not resumed:
            self._mark(self._subs.pieces, JOIN)
            await self._resync()

    async def _resume(self, cursor: Cursor | None) -> bool:
        """Stand where the client says it stands, if that can be; at the present otherwise."""
        self.epoch = self.hub.epoch
        if cursor is not None and (cursor.epoch, cursor.shape) == (self.epoch, self._subs.shape):
            with suppress(TimeoutError):  # a server that has just begun reads again what clients had
                async with asyncio.timeout(CATCH_UP_SECONDS):
                    await self.hub.passed(cursor.lsn)
            if self.hub.start <= cursor.lsn <= self.hub.position and self.epoch == self.hub.epoch:
                self._cursor, self.position = cursor, cursor.lsn
                self._mark(cursor.stale & self._subs.pieces.keys(), OPAQUE)
                return True
        self._stand_at_present()
        return False

    async def _ready(self, resumed: bool) -> None:
        left = self.line.token_seconds
        await self.line.send(
            frames.frame(
                "ready",
                session=secrets.token_hex(8),
                epoch=self.epoch,
                resumed=resumed,
                expires_in=None if left is None else round(left, 3),
                heartbeat=HEARTBEAT,
                max_unacked=MAX_UNACKED,
                max_unacked_bytes=self.line.window_bytes,
                schema=self._subs.described({oid for _, oid in self._subs.pieces}),
            )
        )

    async def _refuse(self, refused: Iterable[tuple[int, ApiError]]) -> None:
        for sub, error in refused:
            await self._error(error, sub)

    # Requests -----------------------------------------------------------------------------------------

    async def _answer(self) -> None:
        await self.line.pong()
        requests = self.line.requests
        while requests:
            match requests.popleft():
                case AddSub(sub=sub):
                    self._add(sub)
                    # One look for all that were asked for at once: each goes through every subscription.
                    while requests and isinstance(more := requests[0], AddSub) and self._new(more.sub):
                        requests.popleft()
                        self._add(more.sub)
                    await self._look_again(ADDED)
                case Unsub(id=sub_id):
                    await self._drop(sub_id)
                case Need() as need:
                    self._mark(self._needs.add(need, self._subs), OPAQUE)
                case Auth(token=token):
                    await self._renew(token)
            await asyncio.sleep(0)  # however much one socket asks for, the others have their turn

    def _new(self, sub: Sub) -> bool:
        return sub.id not in self._subs.subs

    def _add(self, sub: Sub) -> None:
        if len(self._subs.subs) >= MAX_SUBSCRIPTIONS:
            raise Closed(CLOSE_TOO_MANY, f"more than {MAX_SUBSCRIPTIONS} subscriptions")
        self._subs.ask(sub)

    async def _drop(self, sub_id: int) -> None:
        self._subs.end(sub_id)
        for piece in [piece for piece in self._stale if piece[0] == sub_id]:
            self._settled(piece)
        await self._look_again(ADDED)

    async def _renew(self, token: str) -> None:
        viewer = Viewer.of(self.line.renew(token))
        self._warned = False
        if viewer != self._subs.viewer:
            self._subs.viewer = viewer
            await self._look_again(ROLE)

    # Definitions --------------------------------------------------------------------------------------

    async def _look_again(self, why: str) -> None:
        """Find the audiences anew; what is another audience now, or another table, starts over."""
        before = self._subs.state()
        refused = await self._subs.look()
        now = self._subs.state()
        self.hub.subscribe(self, self._subs.watched())
        self._cursor = replace(self._cursor, shape=self._subs.shape)
        changed = self._subs.changed_since(before)
        redefined = {o for _, o in changed if before.definitions.get(o) != now.definitions.get(o)}
        for table, description in self._subs.described(redefined).items():
            await self.line.send(frames.frame("schema", description, table=table))
        await self._refuse(refused)
        self._mark(changed, why)
        for piece in before.pieces.keys() - now.pieces.keys():
            await self._forget(piece, self._subs.name(piece[1]))
        await self._announce()

    async def _begin_again(self, why: str) -> None:
        """Nothing is known of what happened since the client's position."""
        if self._subs.version != self.hub.catalogue.version:
            await self._look_again(SCHEMA)
        self._stand_at_present()
        self._mark(self._subs.pieces, why)
        await self._resync()

    # Transactions -------------------------------------------------------------------------------------

    async def _transaction(self, digest: Digest) -> None:
        """Send what these subscriptions see of a transaction, and note what it makes stale."""
        transaction = digest.transaction
        fresh = {
            piece: audience
            for piece, audience in self._subs.pieces.items()
            if piece not in self._stale
            and piece not in self._subs.paused
            and not self._cursor.has_seen(piece, transaction.xid, transaction.lsn)
        }
        self._mark((p for p in self._subs.dependents(self._touched_now(digest)) if p in fresh), POLICY)
        if len(transaction.buffer) > BIG_TRANSACTION:
            self._mark((piece for piece in fresh if piece[1] in digest.touched), SIZE)
        await self._announce()
        told = {p: a for p, a in fresh.items() if p[1] in digest.touched and p not in self._stale}
        if told:
            await self._changes(digest, layouts_of(told, self._subs.name))
        self.position = transaction.lsn

    def _touched_now(self, digest: Digest) -> frozenset[int]:
        """What this transaction and those already received after it touch, of the tables policies read.

        Policies are judged in the present: where membership has changed since, the past cannot be told.
        """
        read = self._subs.read
        touched = digest.touched & read
        if read:
            for later in self.hub.log.after(digest.transaction.lsn):
                touched |= self.hub.digest(later).touched & read
        return touched

    async def _changes(self, digest: Digest, layouts: tuple[Layout, ...]) -> None:
        start, at = self._at or "", str(self._cursor.moved(digest.transaction.lsn))
        waiting: str | None = None
        number, last = 0, False
        while not last:
            for batch in await self._encoded(digest, number, layouts):
                if waiting is not None:
                    await self.line.tell(transaction_frame(digest, waiting, start, at, more=True))
                waiting = batch
            last = digest.part(number).last
            number += 1
        await self._announce()  # or the client would take what it is told next for all there is
        if waiting is not None:
            cursor = self._placed(self._cursor.moved(digest.transaction.lsn))  # all parts have been judged
            at = str(cursor)
            await self.line.tell(transaction_frame(digest, waiting, start, at))
            self._cursor, self._at = cursor, at

    async def _encoded(self, digest: Digest, number: int, layouts: tuple[Layout, ...]) -> Sequence[str]:
        try:
            known = await encoded(digest, number, layouts, self.hub.gate)
        except ApiError:
            return await self._encoded_singly(digest, number, layouts)
        lost = known.lost
        self._mark((p for p, a in self._subs.pieces.items() if a in lost), OPAQUE)
        return known.batches

    async def _encoded_singly(
        self, digest: Digest, number: int, layouts: tuple[Layout, ...]
    ) -> Sequence[str]:
        """A policy raised: audiences that can be judged are. The others' rows are read: that tells whether
        the database was away, or definitions had changed, or it is the policy that raises."""
        if len(layouts) > 1:
            return [b for layout in layouts for b in await self._encoded(digest, number, (layout,))]
        self._mark((piece for piece, a in self._subs.pieces.items() if a == layouts[0].audience), OPAQUE)
        return ()

    async def _satisfy(self) -> None:
        """Tell a row that the client has only a part of, as a transaction of its own."""
        self.asleep = False  # the position stands still meanwhile
        answer = await self._needs.answer(self._subs, self._stale.keys() | self._subs.paused, self.position)
        self._mark(answer.lost, OPAQUE)
        if answer.changes:
            start, place = self._at or "", max(self._cursor.lsn, self.position)
            self._cursor = self._placed(self._cursor.moved(place))
            self._at = str(self._cursor)
            now = datetime.now(UTC).isoformat()
            await self.line.send(frames.txn(start, self._at, 0, now, answer.changes, more=False), self._at)

    # Nothing to do ------------------------------------------------------------------------------------

    async def _idle(self) -> None:
        """Caught up: say so, answer syncs, warn of expiry, keep the line warm, sleep."""
        self.position = self.hub.position
        done = [] if self._stale else self.line.passed(self.position)
        for number in done:
            await self._pos(number)
        if self.silence <= 0 or not (done or self._caught_up or self._stale):
            await self._pos(None)
        self._caught_up = not self._stale and not self._told_lag
        seconds = await self._expiry()
        if self._stale:
            seconds = min(seconds, self._stale_until - time.monotonic())
        if self._quiet():
            await self._rest(seconds)

    async def _pos(self, number: int | None, behind: int = 0) -> None:
        self._cursor = self._placed(self._cursor.moved(max(self._cursor.lsn, self.position)))
        at = str(self._cursor)
        lag = max(self.hub.lag_ms(), behind)
        self._told_lag = lag > 0  # a copy that takes itself for stale is to hear when it no longer is
        fields: dict[str, Any] = {"from": self._at, "at": at, "lag_ms": lag}
        if number is not None:
            fields["n"] = number
        await self.line.send(frames.frame("pos", fields), at)
        self._at = at

    async def _expiry(self) -> float:
        """Warn of the token's expiry when it is near; how long to sleep at most."""
        left = self.line.token_seconds
        if left is None:
            return math.inf
        if left <= AUTH_SOON and not self._warned:
            self._warned = True
            await self.line.send(frames.frame("auth_soon", {"in": round(max(left, 0.0), 3)}))
        return left - AUTH_SOON if left > AUTH_SOON else left

    def _quiet(self) -> bool:
        """Whether nothing came while the last frames were sent."""
        moved = self.epoch != self.hub.epoch or self._subs.version != self.hub.catalogue.version
        answered = -1 if self._stale else self.hub.position  # syncs wait until nothing is stale
        return self.asleep and not moved and not self.line.expected(answered)
