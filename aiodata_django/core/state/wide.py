"""A large mapping that grows in small steps.

What lives here: as much of a dict as an index needs. What does not: keys' meaning, and when a dict is large.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from itertools import chain
from typing import Any

_PARTS = 1021  # a prime, so that keys with a common divisor are spread as well
_RUN = 10  # bits: numbers of one run of 1024 share a part, so that parts do not outgrow their room together


class WideDict:
    """A dict in parts.

    A dict that outgrows its room is copied in one step; with a million keys that takes tens of milliseconds,
    in which an event loop does nothing else. The price is a look-up that takes about twice as long.
    """

    __slots__ = ("_parts",)

    def __init__(self, items: Iterable[tuple[Any, Any]]) -> None:
        self._parts: list[dict[Any, Any]] = [{} for _ in range(_PARTS)]
        self.update(items)

    def _part(self, key: Any) -> dict[Any, Any]:
        return self._parts[(hash(key) >> _RUN) % _PARTS]

    def update(self, items: Iterable[tuple[Any, Any]]) -> None:
        """Set many."""
        parts = self._parts
        for key, value in items:
            parts[(hash(key) >> _RUN) % _PARTS][key] = value

    def get(self, key: Any) -> Any:
        """The value, or None."""
        return self._parts[(hash(key) >> _RUN) % _PARTS].get(key)

    def __getitem__(self, key: Any) -> Any:
        return self._part(key)[key]

    def __setitem__(self, key: Any, value: Any) -> None:
        self._part(key)[key] = value

    def __delitem__(self, key: Any) -> None:
        del self._part(key)[key]

    def __len__(self) -> int:
        return sum(map(len, self._parts))

    def __bool__(self) -> bool:
        return any(self._parts)  # a thousand lengths are not wanted for this

    def collections(self) -> Iterator[Collection[Any]]:
        """The values, part by part."""
        return map(dict.values, self._parts)

    def values(self) -> Iterator[Any]:
        """The values."""
        return chain.from_iterable(self.collections())
