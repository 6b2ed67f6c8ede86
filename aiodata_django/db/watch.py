"""LISTEN on a channel for as long as the process lives, whatever happens to the connection.

What lives here: the connection of its own, its loss and return. What does not: what a notification means; the
caller decides, "reload schema" for example.

Source: https://www.postgresql.org/docs/18/sql-notify.html
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Self

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

_logger = logging.getLogger(__name__)

Callback = Callable[[str], Awaitable[None]]
Reconnected = Callable[[], Awaitable[None]]


class Watch:
    """Listens on ``channel`` and awaits ``notified(payload)`` for each notification, in order.

    Wait for ``listening`` before reading what notifications tell of, and nothing is missed at the start.
    ``reconnected()`` is awaited when a connection could be made after all, or again: what was notified
    meanwhile is lost, so whatever notifications tell of may have changed. Their exceptions are logged and
    end nothing. Lost connections are made again after ``first_delay`` seconds, doubled at each failure up
    to ``last_delay``.
    """

    def __init__(
        self,
        conninfo: str,
        *,
        channel: str = "pgrst",
        notified: Callback,
        reconnected: Reconnected,
        first_delay: float = 0.1,
        last_delay: float = 30.0,
        application_name: str = "aiodata watch",
    ) -> None:
        self.channel = channel
        self.listening = asyncio.Event()
        """Set while notifications are being received."""
        self._conninfo = conninfo
        self._notified = notified
        self._reconnected = reconnected
        self._first_delay = first_delay
        self._last_delay = last_delay
        self._application_name = application_name
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin listening, in a task on the running event loop; a database that is away is waited for."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run(), name=f"watch {self.channel}")

    async def stop(self) -> None:
        """End listening and close the connection."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def __aenter__(self) -> Self:
        self.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.stop()

    async def _run(self) -> None:
        delay = self._first_delay
        missed = False
        while True:
            try:
                async with await self._connect() as connection:
                    delay = self._first_delay
                    self.listening.set()
                    if missed:
                        await self._tell(self._reconnected())
                    async for notification in connection.notifies():
                        await self._tell(self._notified(notification.payload))
            except (psycopg.Error, OSError) as error:
                missed = True
                _logger.warning(
                    "listening on %r interrupted, next try in %.1f s: %s", self.channel, delay, error
                )
            finally:
                self.listening.clear()
            await asyncio.sleep(delay)
            delay = min(self._last_delay, 2 * delay)

    async def _connect(self) -> psycopg.AsyncConnection[tuple[object, ...]]:
        defaults = {"connect_timeout": "10", "fallback_application_name": self._application_name}
        # A connection on which nothing comes would never notice that the other side is gone.
        defaults |= {"keepalives_idle": "30", "keepalives_interval": "10", "keepalives_count": "3"}
        parameters: dict[str, Any] = {**defaults, **conninfo_to_dict(self._conninfo)}
        connection = await psycopg.AsyncConnection.connect(**parameters, autocommit=True)
        try:
            await connection.execute(sql.SQL("listen {}").format(sql.Identifier(self.channel)))
        except BaseException:
            await connection.close()
            raise
        return connection

    async def _tell(self, told: Awaitable[None]) -> None:
        try:
            await told
        except Exception:
            _logger.exception("handling a notification on %r failed", self.channel)
