"""The publication changes under open sockets, by other hands: what was missed meanwhile is made up for."""

from __future__ import annotations

import asyncio

import psycopg
import pytest

from aiodata_django.core.state.session import Subscription
from aiodata_django.feed.setup import Names, opened

from .copy import Copy
from .zoo import equal

SCHEMA = """
create schema api;
create table api.pets (id int primary key, name text);
create table api.notes (id int primary key);
create table api.days (day int primary key) partition by list (day);
create table api.monday partition of api.days for values in (1);
create table api.others partition of api.days default;
grant usage on schema api to auth;
grant select on all tables in schema api to auth;
"""
PETS = Subscription(1, "pets")
HARM = {
    "table dropped": "alter publication aiodata drop table only api.pets",
    "publication dropped": "drop publication aiodata",
    "deletes left out": "alter publication aiodata set (publish = 'insert, update, truncate')",
    "by its root": "alter publication aiodata set (publish_via_partition_root = true)",
    "row filter": "alter publication aiodata set table api.pets where (id > 5), api.notes, api.days",
    "column list": "alter publication aiodata set table api.pets (id), api.notes, api.days",
    "schema": "alter publication aiodata set tables in schema api",
}
LATER = ("row filter", "column list", "schema")  # than PostgreSQL 14


@pytest.mark.parametrize("harm", HARM)
async def test_what_a_publication_left_out_for_a_while_is_made_up_for(stage, harm) -> None:
    here = await stage(SCHEMA)
    version = int(await here.value("select current_setting('server_version_num')"))
    if version < 150000 and harm in LATER:
        pytest.skip("PostgreSQL 14 has nothing of the kind")
    await here.write("insert into api.pets values (1, 'a'), (2, 'b')")
    there, away = [await (await Copy(here.feed, "auth", PETS).connect()).live() for _ in range(2)]
    await away.synced()
    await away.drop()
    await here.write(
        HARM[harm],
        "insert into api.pets values (3, 'c')",
        "update api.pets set name = 'x' where id = 1",
        "delete from api.pets where id = 2",
    )
    await here.feed.hub.refresh()
    await here.write("insert into api.pets values (4, 'd')")
    async with asyncio.timeout(15):  # before PostgreSQL 18 a session without publication ends
        while here.feed.problem is not None:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.05)
    await away.connect()
    for copy in (there, away):
        await copy.until(lambda copy=copy: len(copy.table("pets")) == 3)
        await copy.synced()
        await equal(copy, here, "pets")
        assert (copy.closed, copy.failures) == (None, [])
    status = here.feed.status()
    assert status.problem is None


async def test_a_schema_that_is_published_no_more_is_noticed(stage) -> None:
    here = await stage(SCHEMA)
    if int(await here.value("select current_setting('server_version_num')")) < 150000:
        pytest.skip("PostgreSQL 14 publishes no schemas")
    await here.write("alter publication aiodata set tables in schema api")
    await here.feed.hub.refresh()
    copy = await (await Copy(here.feed, "auth", PETS).connect()).live()
    await here.write(
        "alter publication aiodata drop tables in schema api", "insert into api.pets values (1, 'a')"
    )
    await here.feed.hub.refresh()
    await here.write("insert into api.pets values (2, 'b')")
    await copy.until(lambda: len(copy.table("pets")) == 2)


async def test_what_a_transaction_wrote_before_its_table_was_published_comes_when_it_commits(stage) -> None:
    here = await stage(SCHEMA)
    copy = await (await Copy(here.feed, "auth", PETS).connect()).live()
    async with await psycopg.AsyncConnection.connect(here.uri) as other:
        await here.write("alter publication aiodata drop table only api.pets")
        await other.execute("insert into api.pets values (1, 'before')")
        await here.feed.hub.refresh()
        await other.execute("insert into api.pets values (2, 'after')")
        await copy.synced()
        assert copy.table("pets") == {}
        await other.commit()
    await here.feed.hub.refresh()
    await copy.synced()
    await equal(copy, here, "pets")
    assert len(copy.table("pets")) == 2
    settled = len(copy.resyncs)
    await here.feed.hub.refresh()
    await here.write("insert into api.pets values (3, 'c')")
    await copy.synced()
    assert len(copy.resyncs) == settled


async def test_a_partition_that_comes_while_a_client_is_away_is_not_missed(stage) -> None:
    here = await stage(SCHEMA + "create table api.tuesday (day int primary key);")
    copy = await (await Copy(here.feed, "auth", Subscription(1, "days")).connect()).live()
    await copy.synced()
    await copy.drop()
    await here.write(
        "insert into api.tuesday values (2)",
        "alter table api.days attach partition api.tuesday for values in (2)",
    )
    await here.feed.hub.refresh()
    await (await copy.connect()).synced()
    await equal(copy, here, "days")


async def test_wrong_options_are_told_with_what_to_run(make_database) -> None:
    uri = make_database(
        SCHEMA
        + "create table api.keyless (a int);"
        + "create publication aiodata for table api.pets, api.notes, api.days"
        " with (publish = 'insert', publish_via_partition_root = true);"
    )
    async with opened(uri, Names(("api",))) as setup:
        (problem,) = await setup.publication_problems()
        assert "set (publish = 'insert, update, delete, truncate', publish_via" in problem
        await setup.create(slot=False)
        assert await setup.publication_problems() == []


async def test_tables_published_with_their_schema_that_suffer_from_it_are_told(make_database) -> None:
    uri = make_database(
        SCHEMA + "create table api.keyless (a int); create publication aiodata for all tables"
    )
    async with opened(uri, Names(("api",))) as setup:
        (problem,) = await setup.publication_problems()
        assert all(part in problem for part in ("api.keyless", "no primary key", "aiodata_feed create"))
