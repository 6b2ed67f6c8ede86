"""A callback that remembers what it was told, and can be waited for."""

import asyncio


class Heard(list):
    """The events, each ``(action, table, entries)``."""

    def __init__(self):
        self._more = asyncio.Event()

    def __call__(self, action, table, entries):
        self.append((action, table, entries))
        self._more.set()

    async def until(self, condition, seconds=10):
        """Until it holds; asked after each event. Raises TimeoutError."""
        async with asyncio.timeout(seconds):
            while not condition():
                self._more.clear()
                await self._more.wait()

    async def wait(self, count, seconds=10):
        """Until there are so many events. Raises TimeoutError."""
        await self.until(lambda: len(self) >= count, seconds)
