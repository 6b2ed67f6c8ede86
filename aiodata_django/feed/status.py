"""How the feed is doing: one record of plain values.

What lives here: names and meanings of the figures. What does not: the same for Prometheus (``metrics``), who
may ask for them, and the database's side of it, which ``setup`` tells.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field


@dataclass(frozen=True, slots=True)
class FeedStatus:
    """The figures of one process. Sizes are bytes, times seconds.

    ``lag`` is how far readers may be behind; ``ring_seconds`` how far back a client may resume; ``resyncs``
    are snapshots sent, by cause, joins included; ``checks`` row images judged by PostgreSQL. As of a few
    seconds ago: ``lag_bytes`` of PostgreSQL's log not received yet, ``retained_bytes`` of it that the slot
    keeps (None while nothing streams), ``changes_per_second`` of rows.
    """

    problem: str | None
    streaming: bool
    epoch: str
    slot: str | None
    slot_temporary: bool
    position: str
    received: str
    lag: float
    lag_bytes: int | None
    retained_bytes: int | None
    changes_per_second: float
    ring_bytes: int
    ring_seconds: float
    ring_transactions: int
    transactions: int
    changes: int
    sessions: int
    checks: int
    sockets: Mapping[str, int] = field(default_factory=dict)
    unacked: int = 0
    resyncs: Mapping[str, int] = field(default_factory=dict)

    def as_dict(self) -> dict[str, object]:
        """As JSON values."""
        return asdict(self)


def counted(states: Iterable[str]) -> dict[str, int]:
    """How many of each."""
    return dict(Counter(states))
