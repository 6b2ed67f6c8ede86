"""Callbacks, one after the other: never two at once, never out of order, never the end of the listening."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from ..core.state.net import Event

logger = logging.getLogger("aiodata_django.client")

CROWD = 100_000  # events
Callback = Callable[[str, str, tuple[Any, ...]], Any]


def _unheard(action: str, table: str, entries: tuple[Any, ...]) -> None:
    """The callback of a client without one."""


class Dispatcher:
    """Calls back with events in the order they were told.

    A plain callback runs at once. One that returns an awaitable is waited for before the next event is
    called; the copy goes on changing meanwhile, so a callback may wait for what it writes itself.
    """

    def __init__(self, callback: Callback | None) -> None:
        self._callback: Callback = _unheard if callback is None else callback
        self._events: deque[Event] = deque()
        self._waiting: asyncio.Task[None] | None = None

    @property
    def crowded(self) -> bool:
        """Whether so many events wait for a callback that no more should be made."""
        return len(self._events) > CROWD

    def tell(self, events: Iterable[Event]) -> None:
        """Call back with these events, now or when those before them are done."""
        self._events.extend(events)
        if self._waiting is None and (answer := self._run()) is not None:
            self._waiting = asyncio.ensure_future(self._finish(answer))

    def _run(self) -> Awaitable[Any] | None:
        """Call until a callback has to be waited for, or no event is left."""
        events = self._events
        while events:
            event = events.popleft()
            try:
                answer = self._callback(event.action, event.table, event.entries)
            except Exception:
                logger.exception("the callback failed on %s of %s", event.action, event.table)
                continue
            if answer is not None and inspect.isawaitable(answer):  # to ask takes longer than most callbacks
                return answer
        return None

    async def _finish(self, answer: Awaitable[Any] | None) -> None:
        while answer is not None:
            try:
                await answer
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if task and task.cancelling():
                    raise
                logger.warning("what the callback returned was cancelled")
            except Exception:
                logger.exception("what the callback returned failed")
            answer = self._run()
        self._waiting = None

    async def stop(self) -> None:
        """Forget the events that are waiting, and cancel what is running unless it is who asks."""
        self._events.clear()
        waiting, self._waiting = self._waiting, None
        if waiting and waiting is not asyncio.current_task():
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
