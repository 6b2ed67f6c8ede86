"""Signals: every commit of any writer reaches Django's receivers, once, in order, as rows of the models."""

from __future__ import annotations

import asyncio
import datetime as dt
import uuid
from contextlib import asynccontextmanager
from decimal import Decimal

import psycopg
import pytest
from asgiref.sync import sync_to_async
from django.contrib.admin import site
from django.db import connections
from django.test import override_settings

from aiodata_django import registry, signals
from aiodata_django.conf import Settings, django_sources
from aiodata_django.db.pool import Pool
from aiodata_django.feed.service import Feed
from aiodata_django.relay import Relay
from aiodata_django.runtime import Runtime
from aiodata_django.tables.rows import row_of

from .test_fields import ARRAYS, SCALARS

pytestmark = [
    pytest.mark.django_db(databases=["default", "aiodata"], transaction=True),
    pytest.mark.usefixtures("schema"),
]


class Heard:
    """A receiver of all row signals, and what it heard."""

    def __init__(self) -> None:
        self.signals = []
        for name in ("row_created", "row_updated", "row_deleted", "table_truncated", "changes_missed"):
            receiver = self.receiver(name)
            setattr(self, name, receiver)  # signals hold receivers weakly
            getattr(signals, name).connect(receiver)

    def receiver(self, name):
        def receive(sender, **facts):
            self.signals.append((name, sender, facts))

        return receive

    async def count(self, number):
        async with asyncio.timeout(20):
            while len(self.signals) < number:  # noqa: ASYNC110  receivers run in threads
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        assert len(self.signals) == number
        return self.signals


@asynccontextmanager
async def relayed(uri):
    async with Pool(uri, size=2) as pool:
        settings = Settings(db_uri=uri, db_schemas=("api",))
        feed = Feed(conninfo=uri, pool=pool, schema=registry.current, settings=settings)
        await feed.start()
        relay = Relay(feed.subscribe_transactions(), using="aiodata")
        task = asyncio.create_task(relay.run())
        try:
            await feed.ready()
            await asyncio.sleep(0.2)
            yield relay
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await feed.stop()


@pytest.fixture
async def write(uri):
    async with await psycopg.AsyncConnection.connect(uri, autocommit=True) as connection:
        yield connection.execute
        for table in ("pets", "scalars", "arrays", "defaults", "parted", "keyless"):
            await connection.execute(f"alter table api.{table} replica identity default")
            await connection.execute(f"truncate api.{table} cascade")


async def test_changes_of_any_writer_are_heard_in_commit_order(uri, write):
    pets = registry.model("api", "pets")
    heard = Heard()
    async with relayed(uri) as relay:
        await write("insert into api.pets values ('Dog', 'Poodle', 'Rex', 1)")
        await sync_to_async(pets.objects.filter(pk="Dog,Poodle,Rex").update)(color=2)
        await write("update api.pets set name = 'Max'")
        await write("delete from api.pets")
        told = await heard.count(4)
        await asyncio.sleep(0.1)
        assert relay.acknowledged == told[-1][2]["lsn"]
    assert [(name, sender) for name, sender, _ in told] == [
        ("row_created", pets),
        ("row_updated", pets),
        ("row_updated", pets),
        ("row_deleted", pets),
    ]
    created, coloured, renamed, deleted = (facts for *_, facts in told)
    assert (created["row"].pk, created["row"].color) == (("Dog", "Poodle", "Rex"), 1)
    assert (coloured["row"].color, coloured["old"]) == (2, None)
    assert (renamed["row"].name, renamed["old"].name) == ("Max", "Rex")
    assert deleted["row"].pk == ("Dog", "Poodle", "Max")
    assert deleted["row"].get_deferred_fields() == {"color", "groomed"}
    lsns = [facts["lsn"] for *_, facts in told]
    assert lsns == sorted(set(lsns))
    assert {facts["using"] for *_, facts in told} == {"aiodata"}
    assert abs(created["committed"] - dt.datetime.now(dt.UTC)) < dt.timedelta(minutes=1)


async def test_the_old_row_is_whole_under_replica_identity_full(uri, write):
    heard = Heard()
    await write("alter table api.pets replica identity full")
    async with relayed(uri):
        await write("insert into api.pets values ('Dog', 'Poodle', 'Rex', 1)")
        await write("update api.pets set color = 2")
        await write("delete from api.pets")
        _, updated, deleted = (facts for *_, facts in await heard.count(3))
    assert (updated["old"].color, updated["row"].color) == (1, 2)
    assert deleted["row"].color == 2


async def test_a_receiver_that_raises_stops_nobody(uri, write, caplog):
    def broken(**_):
        raise ValueError("on purpose")

    signals.row_created.connect(broken)
    heard = Heard()
    try:
        async with relayed(uri):
            await write("insert into api.pets values ('Dog', 'Poodle', 'Rex'), ('Dog', 'Poodle', 'Max')")
            await heard.count(2)
    finally:
        signals.row_created.disconnect(broken)
    assert "on purpose" in caplog.text


async def test_receivers_may_be_coroutines_and_may_use_the_orm(uri, write):
    counted = []

    async def count(sender, row, **_):
        counted.append((row.name, await sender.objects.acount()))

    def read(sender, row, **_):
        counted.append(sender.objects.get(pk=row.pk).name)
        connections["aiodata"].close()

    signals.row_created.connect(count, sender="Pets")
    signals.row_created.connect(read, sender=registry.model("api", "pets"))
    heard = Heard()
    try:
        async with relayed(uri):
            await write("insert into api.keyless values (1, 'no key, no signal')")
            await write("insert into api.parted values (1, '2024-01-01', 'another table')")
            await write("insert into api.pets values ('Dog', 'Poodle', 'Rex')")
            await heard.count(2)
    finally:
        signals.row_created.disconnect(count, sender="Pets")
        signals.row_created.disconnect(read, sender="aiodata.pets")
    assert sorted(counted, key=str) == [("Rex", 1), "Rex"]


async def test_a_transaction_is_heard_whole_and_a_rollback_not_at_all(uri, write):
    heard = Heard()
    async with relayed(uri):
        await write("begin; insert into api.pets values ('Cat', 'x', 'gone'); rollback")
        await write("insert into api.pets select 'Dog', 'Poodle', n::text from generate_series(1, 500) n")
        told = await heard.count(500)
    assert [facts["row"].name for *_, facts in told] == [str(n) for n in range(1, 501)]
    assert len({facts["xid"] for *_, facts in told}) == 1


async def test_truncate_is_one_signal(uri, write):
    heard = Heard()
    async with relayed(uri):
        await write("truncate api.parted")
        [(name, sender, _)] = await heard.count(1)
    assert (name, sender) == ("table_truncated", registry.model("api", "parted"))


async def test_rows_hold_what_reading_them_gives(uri, write):
    heard = Heard()
    cases = [("scalars", *case) for case in SCALARS] + [("arrays", *case) for case in ARRAYS]
    async with relayed(uri):
        for table, column, text, _ in cases:
            await write(f"insert into api.{table} ({column}) values (%s)", [text])
        await write("insert into api.defaults default values")
        told = await heard.count(len(cases) + 1)
    for _, sender, facts in told:
        row = facts["row"]
        read = await sync_to_async(sender.objects.get)(pk=row.pk)
        for field in sender._meta.concrete_fields:
            if field.attname in row.__dict__:
                mine, theirs = getattr(row, field.attname), getattr(read, field.attname)
                assert (mine, type(mine)) == (plain(theirs), type(plain(theirs))), field.name


def plain(value):
    return bytes(value) if isinstance(value, memoryview) else value


async def test_a_serving_process_relays_changes_and_follows_the_schema(
    schema, uri, write, settings, tmp_path
):
    own = {
        **settings.AIODATA,
        "db_uri": uri,
        "schema_file": str(tmp_path / "schema.json"),
        "db_config": False,
    }
    heard = Heard()
    with override_settings(AIODATA=own):
        runtime = Runtime(django_sources())
        await runtime.start()
        try:
            await runtime.feed.ready()
            await asyncio.sleep(0.3)
            await write("insert into api.pets values ('Dog', 'Poodle', 'Rex')")
            await heard.count(1)
            await write("create table api.toys (id int primary key)")
            runtime.reload()
            async with asyncio.timeout(20):
                while not any(m.__name__ == "Toys" for m in tuple(site._registry)):  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
            assert site.is_registered(registry.model("api", "toys"))
        finally:
            await runtime.stop()
            await write("drop table api.toys")
            await sync_to_async(registry.swap)(schema)


def test_a_row_of_json_has_the_models_types():
    scalars = registry.model("api", "scalars")
    key = "0f5f2a5e-4d7a-4f3e-9d3a-1c2b3a4d5e6f"
    row = row_of(
        scalars,
        {"id": 1, "c_uuid": key, "c_numeric": Decimal("1.10"), "c_timestamptz": "infinity", "unknown": 1},
        "aiodata",
    )
    assert (row.c_uuid, str(row.c_numeric), row.c_timestamptz) == (uuid.UUID(key), "1.10", "infinity")
    assert "c_text" in row.get_deferred_fields()
