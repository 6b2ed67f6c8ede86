"""How long to wait before the next attempt to connect. Time and chance come in as arguments."""

from __future__ import annotations

from collections.abc import Callable

FIRST = 0.5  # seconds
LONGEST = 30.0
HEALTHY = 60.0  # a connection that lasted this long starts the count anew


class Backoff:
    """Waits that double from half a second to half a minute, each cut short by chance.

    ``chance`` gives numbers in [0, 1): with it, a thousand clients of a restarted server do not come back
    in the same instant.
    """

    def __init__(self, chance: Callable[[], float]) -> None:
        self._chance = chance
        self._next = FIRST

    def delay(self, lasted: float) -> float:
        """Seconds to wait after a connection that lasted ``lasted`` seconds."""
        longest = FIRST if lasted >= HEALTHY else self._next
        self._next = min(2 * longest, LONGEST)
        return longest * (0.5 + self._chance() / 2)
