"""How the feed is doing: one record of plain values, and the same as Prometheus text.

What lives here: names and meanings of the figures. What does not: who may ask for them, and the database's
side of it, which ``setup`` tells.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field


@dataclass(frozen=True, slots=True)
class FeedStatus:
    """The figures of one process. Sizes are bytes, times seconds.

    ``lag`` is how far readers may be behind; ``ring_seconds`` how far back a client may resume; ``resyncs``
    are snapshots sent, by cause, joins included; ``checks`` row images judged by PostgreSQL.
    """

    problem: str | None
    streaming: bool
    epoch: str
    slot: str | None
    slot_temporary: bool
    position: str
    received: str
    lag: float
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

    def prometheus(self) -> str:
        """In Prometheus' text format, version 0.0.4."""
        return "\n".join(self._lines()) + "\n"

    def _lines(self) -> Iterator[str]:
        plain: tuple[tuple[str, str, str, float], ...] = (
            ("streaming", "gauge", "Whether changes are streamed from PostgreSQL", self.streaming),
            ("lag_seconds", "gauge", "How far readers may be behind", self.lag),
            ("ring_bytes", "gauge", "Memory held by recent transactions", self.ring_bytes),
            ("ring_seconds", "gauge", "How far back clients may resume", self.ring_seconds),
            ("transactions_total", "counter", "Transactions received", self.transactions),
            ("changes_total", "counter", "Row changes received", self.changes),
            ("sessions_total", "counter", "Replication sessions begun", self.sessions),
            ("checks_total", "counter", "Row images judged under row security or filters", self.checks),
            ("unacked_messages", "gauge", "Messages sent and not acknowledged", self.unacked),
        )
        for name, kind, text, value in plain:
            yield from _metric(name, kind, text, [("", float(value))])
        yield from _metric("sockets", "gauge", "Sockets by state", _labelled("state", self.sockets))
        yield from _metric(
            "resyncs_total", "counter", "Snapshots sent, by cause", _labelled("why", self.resyncs)
        )


def _labelled(label: str, values: Mapping[str, int]) -> list[tuple[str, float]]:
    return [(f'{{{label}="{name}"}}', float(value)) for name, value in sorted(values.items())]


def _metric(name: str, kind: str, text: str, values: Iterable[tuple[str, float]]) -> Iterator[str]:
    yield f"# HELP aiodata_feed_{name} {text}."
    yield f"# TYPE aiodata_feed_{name} {kind}"
    for labels, value in values:
        yield f"aiodata_feed_{name}{labels} {value:g}"


def counted(states: Iterable[str]) -> dict[str, int]:
    """How many of each."""
    return dict(Counter(states))
