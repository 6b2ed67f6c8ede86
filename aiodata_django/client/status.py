"""Where a client's copy stands: the one word, and who waits for it."""

from __future__ import annotations

import asyncio

from ..core.state.session import State


class Status:
    """``state`` is connecting, syncing, live or stale; ``synced`` whether the copy was ever complete."""

    def __init__(self) -> None:
        self.state: State = "connecting"
        self.synced = False
        self.live = asyncio.Event()

    def become(self, state: State) -> None:
        """The copy is in this state now."""
        self.state = state
        if state == "live":
            self.synced = True
            self.live.set()
        else:
            self.live.clear()

    def lost(self) -> None:
        """Nobody tells changes any more: what is there was right once, or is not complete yet."""
        self.become("stale" if self.synced else "connecting")
