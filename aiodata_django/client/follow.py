"""Following the server: connecting, choosing the version of ``/state``, and trying again when it is lost."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable

from ..core.state.session import Subscription
from .backoff import Backoff
from .description import Description
from .dispatch import Dispatcher
from .error import Error, Unreachable
from .inbox import Inbox
from .listing import Listing
from .origin import Origin
from .status import Status
from .table import Table, Tables
from .transport import SocketClosed
from .version1 import Version1
from .version2 import SUBPROTOCOL, Version2

logger = logging.getLogger("aiodata_django.client")

# Closed with these codes, the socket would be closed again; before the copy is complete they end the start.
_REFUSALS = {4400: 400, 4401: 401, 4403: 403, 4404: 404, 4429: 429}

# Closed with these codes, we are to come back at once: seconds within which, by chance. 1012: the server
# restarts (IANA's registry of close codes, for RFC 6455); 4012: its feed does; 4408: we read too slowly.
_AT_ONCE = {1012: 2.0, 4012: 2.0, 4408: 0.5}


class Follower:
    """Keeps ``tables`` equal to the server's, and tells ``dispatcher`` every change of theirs.

    ``status`` says where the copy stands; ``second`` is the version 2 session, used or not.
    """

    def __init__(
        self,
        origin: Origin,
        *,
        query: str,
        state: str,
        tables: Tables,
        new_table: Callable[[Description], Table],
        dispatcher: Dispatcher,
        subscriptions: list[Subscription],
        intern: bool,
    ) -> None:
        self._origin = origin
        self._state_target = state
        self._dispatcher = dispatcher
        self.status = Status()
        listing = Listing(origin, tables, new_table)
        self._first = Version1(origin, query, listing, self.status, intern=intern)
        self.second = Version2(
            origin,
            listing,
            self.status,
            subscriptions,
            intern=intern,
            crowded=lambda: dispatcher.crowded,
        )
        self.version: int | None = None  # of the last socket

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
            except Unreachable as lost:
                self._lost(str(lost))
            except SocketClosed as closed:
                if closed.code in _REFUSALS and not ready.done():
                    ready.set_exception(Error(closed.reason or str(closed), status=_REFUSALS[closed.code]))
                    return
                self._lost(f"the connection is lost: {closed}")
                if closed.code in _AT_ONCE:
                    await asyncio.sleep(random.random() * _AT_ONCE[closed.code])  # noqa: S311
                    continue
            except Exception as error:
                if not ready.done():
                    ready.set_exception(error)
                    return
                self._lost(f"the server refuses: {error}", exc_info=not isinstance(error, Error))
            await asyncio.sleep(backoff.delay(loop.time() - started))

    def _lost(self, why: str, *, exc_info: bool = False) -> None:
        self.status.lost()
        logger.warning("%s; trying again", why, exc_info=exc_info)

    def stop(self) -> None:
        """Nobody follows any longer: the copy is not current from now on."""
        self.status.lost()
        self.second.stop()

    async def _follow(self, ready: asyncio.Future[None]) -> None:
        socket = await self._origin.connect(self._state_target, (SUBPROTOCOL,))
        inbox = Inbox(socket)
        self.version = 2 if socket.protocol == SUBPROTOCOL else 1

        def complete() -> None:
            if not ready.done():
                ready.set_result(None)

        if not self.status.synced:
            self.status.become("syncing")
        try:
            # A server without a feed closes at once, saying why: its rows are worth having, once.
            if self.version == 2 and (self.status.synced or await inbox.outlives(0.05)):
                await self.second.follow(socket, inbox, self._dispatcher.tell, complete)
            elif self.version == 1 and not self._whole:
                raise Error("the server speaks version 1 of /state only, which has no subscriptions")
            else:
                await self._first.follow(inbox, self._dispatcher.tell, complete)
        finally:
            await inbox.close()

    @property
    def _whole(self) -> bool:
        return any(subscription.table == "*" for subscription in self.second.subscriptions)
