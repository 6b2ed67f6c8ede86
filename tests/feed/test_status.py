"""The figures tell what happened, as JSON values and in Prometheus' format."""

import asyncio

from prometheus_client.parser import text_string_to_metric_families

from aiodata_django.core.state.session import Subscription
from aiodata_django.feed import service
from aiodata_django.feed.metrics import prometheus

from .copy import Copy

SCHEMA = """
create schema api;
create table api.pets (id int primary key);
grant usage on schema api to auth;
grant select on api.pets to auth;
"""


async def test_figures_count_what_happened(stage) -> None:
    here = await stage(SCHEMA)
    copy = await (await Copy(here.feed, "auth", Subscription(1, "pets", "id=gt.0")).connect()).live()
    await here.listen("auth")
    await here.write("insert into api.pets values (1), (2)")
    await copy.synced()
    status = here.feed.status()
    assert (status.problem, status.streaming, status.slot_temporary) == (None, True, True)
    assert (status.transactions >= 1, status.changes, status.checks) == (True, 2, 2)
    assert status.sockets == {"live": 1, "version 1": 1}
    assert status.resyncs == {"join": 1}
    assert status.position == status.received
    assert status.ring_bytes > 0
    families = {family.name: family for family in text_string_to_metric_families(prometheus(status).decode())}
    assert families["aiodata_feed_changes"].type == "counter"
    samples = {
        (sample.name, *sample.labels.values()): sample.value
        for family in families.values()
        for sample in family.samples
    }
    assert samples["aiodata_feed_changes_total",] == 2
    assert samples["aiodata_feed_sockets", "live"] == 1
    assert samples["aiodata_feed_resyncs_total", "join"] == 1
    assert samples["aiodata_feed_ring_bytes",] == status.ring_bytes


async def test_what_the_slot_keeps_and_how_fast_changes_come_is_told(stage, monkeypatch) -> None:
    monkeypatch.setattr(service, "WATCH_SECONDS", 0.2)
    here = await stage(SCHEMA)
    rates = []
    async with asyncio.timeout(15):
        while not rates or max(rates) == 0 or here.feed.status().retained_bytes is None:
            await here.write("insert into api.pets select max(id) + 1 from (table api.pets union select 0) x")
            await asyncio.sleep(0.05)
            rates.append(here.feed.status().changes_per_second)
    status = here.feed.status()
    assert status.retained_bytes is not None
    assert status.retained_bytes >= 0
    assert status.lag_bytes is not None
    text = prometheus(status).decode()
    assert "aiodata_feed_retained_bytes " in text
    assert "aiodata_feed_lag_bytes " in text
