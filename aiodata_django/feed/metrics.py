"""The feed's figures as Prometheus metrics.

What lives here: their names, types and help texts. What does not: the figures (``status``), and who may ask
for them (``statusviews``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from .status import FeedStatus

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
_PREFIX = "aiodata_feed_"


class _Figures(Collector):
    """One reading, as a collector: the feed counts by itself, and keeps no second set of counters here."""

    def __init__(self, status: FeedStatus) -> None:
        self._status = status

    def collect(self) -> Iterator[Metric]:
        """The families, always in this order."""
        status = self._status
        yield _gauge("streaming", "Whether changes are streamed from PostgreSQL.", status.streaming)
        yield _gauge("lag_seconds", "How far readers may be behind.", status.lag)
        if status.lag_bytes is not None:
            yield _gauge("lag_bytes", "PostgreSQL's log that is not received yet.", status.lag_bytes)
        if status.retained_bytes is not None:
            yield _gauge("retained_bytes", "PostgreSQL's log that the slot keeps.", status.retained_bytes)
        yield _gauge("ring_bytes", "Memory held by recent transactions.", status.ring_bytes)
        yield _gauge("ring_seconds", "How far back clients may resume.", status.ring_seconds)
        yield _counter("transactions", "Transactions received.", status.transactions)
        yield _counter("changes", "Row changes received.", status.changes)
        yield _counter("sessions", "Replication sessions begun.", status.sessions)
        yield _counter("checks", "Row images judged under row security or filters.", status.checks)
        yield _gauge("unacked_messages", "Messages sent and not acknowledged.", status.unacked)
        yield _labelled(
            GaugeMetricFamily(_PREFIX + "sockets", "Sockets by state.", labels=["state"]), status.sockets
        )
        resyncs = CounterMetricFamily(_PREFIX + "resyncs", "Snapshots sent, by cause.", labels=["why"])
        yield _labelled(resyncs, status.resyncs)


def prometheus(status: FeedStatus | None) -> bytes:
    """In Prometheus' text format, version 0.0.4; nothing where this process serves no feed."""
    registry = CollectorRegistry()
    if status is not None:
        registry.register(_Figures(status))
    return generate_latest(registry)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(_PREFIX + name, text, value=float(value))


def _counter(name: str, text: str, value: float) -> Metric:
    """The library ends the name in ``_total``, as counters are to be named."""
    return CounterMetricFamily(_PREFIX + name, text, value=float(value))


def _labelled(family: GaugeMetricFamily | CounterMetricFamily, values: Mapping[str, int]) -> Metric:
    for label, value in sorted(values.items()):
        family.add_metric([label], float(value))
    return family
