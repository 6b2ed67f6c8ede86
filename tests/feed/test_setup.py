"""What the feed needs is made and removed without a trace; checks say what to do."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg

from aiodata_django.feed import capture, service
from aiodata_django.feed.setup import Names, Setup, opened

from .conftest import Stage, staged
from .copy import Copy

SCHEMA = """
create schema api;
create table api.pets (id int primary key, name text);
create table api.notes (id int primary key, owner text);
alter table api.notes enable row level security;
create policy p on api.notes using (true);
create table api.keyless (a int);
grant usage on schema api to auth;
grant select on all tables in schema api to auth;
"""


def names(uri: str) -> Names:
    return Names(("api",), "aiodata", "slot_of_" + uri.rpartition("/")[2])


@asynccontextmanager
async def durable(uri: str) -> AsyncIterator[tuple[Setup, Names]]:
    """What the feed needs, with a durable slot, until the block ends."""
    known = names(uri)
    async with opened(uri, known) as setup:
        await setup.create()
        try:
            yield setup, known
        finally:
            await setup.drop()


async def with_a_pet(here: Stage) -> Copy:
    """A copy that has heard of the first pet."""
    await here.feed.ready()
    copy = await (await Copy(here.feed, "auth").connect()).live()
    await here.write("insert into api.pets values (1, 'a')")
    await copy.synced()
    return copy


async def test_what_is_created_is_dropped(make_database) -> None:
    uri = make_database(SCHEMA)
    async with opened(uri, names(uri)) as setup:
        before = await setup.status()
        assert not (await setup.create()).failed
        assert not (await setup.create()).failed
        status = await setup.status()
        assert status["publication"]["tables"] == ["api.notes", "api.pets"]
        assert status["slot"]["wal_status"] == "reserved"
        assert {t["name"]: t["identity"] for t in status["tables"]}["api.notes"] == "f"
        assert not (await setup.drop()).failed
        assert await setup.status() == before


async def test_checks_say_what_to_do(make_database) -> None:
    uri = make_database(SCHEMA)
    async with opened(uri, names(uri)) as setup:
        problems, warnings = map("\n".join, await setup.check())
        assert "create publication" in problems
        assert "api.keyless gives no events: it has no primary key" in warnings
        assert 'ALTER TABLE "api"."notes" REPLICA IDENTITY FULL' in warnings
        await setup.create(slot=False)
        problems, warnings = await setup.check()
        assert problems == []
        assert ["keyless" in warning for warning in warnings] == [True]


async def test_the_event_trigger_makes_definitions_change_at_their_place(make_database) -> None:
    uri = make_database(SCHEMA)
    async with opened(uri, names(uri)) as setup:
        await setup.create(slot=False)
    async with staged(uri) as here:
        await here.feed.ready()
        copy = await (await Copy(here.feed, "auth").connect()).live()
        await here.write(
            "begin; alter policy p on api.notes using (owner = 'me');"
            " insert into api.notes values (1, 'me'), (2, 'you'); commit"
        )
        await copy.synced()
        assert list(copy.table("notes")) == [(1,)]


async def test_a_durable_slot_lets_clients_go_on_after_a_restart_of_the_server(make_database) -> None:
    uri = make_database(SCHEMA)
    async with durable(uri) as (_, known):
        async with staged(uri, feed_slot=known.slot) as here:
            copy = await with_a_pet(here)
        copy.session.disconnected()
        async with await psycopg.AsyncConnection.connect(uri, autocommit=True) as writer:
            await writer.execute("insert into api.pets values (2, 'b')")
        async with staged(uri, feed_slot=known.slot) as here:
            await here.feed.ready()
            copy.feed = here.feed
            await (await copy.connect()).synced()
            told = [(kind, key) for kind, _, key, _, _ in copy.story]
            assert told == [("create", (1,)), ("create", (2,))]
            assert copy.resyncs == []
            assert [e.resumed for e in copy.events if type(e).__name__ == "Ready"] == [False, True]


async def test_a_durable_slot_made_while_serving_is_taken_and_nobody_notices(
    make_database, monkeypatch
) -> None:
    monkeypatch.setattr(service, "WATCH_SECONDS", 0.2)
    uri = make_database(SCHEMA)
    known = names(uri)
    async with opened(uri, known) as setup, staged(uri, feed_slot=known.slot) as here:
        await here.feed.ready()
        copy = await (await Copy(here.feed, "auth").connect()).live()
        first = await here.listen("auth")
        assert here.feed.status().slot_temporary
        written = 0
        try:
            await setup.create()
            async with asyncio.timeout(15):
                while here.feed.status().slot != known.slot or written < 20:
                    written += 1
                    await here.write(f"insert into api.pets values ({written})")
            await copy.synced()
            assert [key for _, table, key, _, _ in copy.story if table == "pets"] == [
                (number,) for number in range(1, written + 1)
            ]
            assert (copy.closed, first.closed) == (None, None)
            assert set(copy.resyncs) <= {"schema"}  # of the table whose identity was made full
            assert [frame[3][0]["id"] for frame in await first.heard(written)] == list(range(1, written + 1))
        finally:
            await here.feed.stop()
            await setup.drop()


async def test_a_slot_made_again_in_a_moment_is_not_taken_for_the_old_one(make_database, monkeypatch) -> None:
    monkeypatch.setattr(capture, "_BACKOFF", (1.0,))
    uri = make_database(SCHEMA)
    async with durable(uri) as (setup, known), staged(uri, feed_slot=known.slot) as here:
        copy = await with_a_pet(here)
        await here.write(
            f"select pg_terminate_backend(active_pid, 5000) from pg_replication_slots"
            f" where slot_name = '{known.slot}'",
            f"select pg_drop_replication_slot('{known.slot}')",
            "insert into api.pets values (2, 'b')",
        )
        await setup.create()
        assert here.feed.capture.stream is None
        await here.write("insert into api.pets values (3, 'c')")
        await copy.synced()
        assert sorted(copy.table("pets")) == [(1,), (2,), (3,)]
        assert copy.resyncs == ["epoch"]
