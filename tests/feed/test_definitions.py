"""Definitions and privileges change under open sockets: nobody is told nonsense, nobody else is hurt."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress

import psycopg
import pytest

from aiodata_django.core.identity import Identity
from aiodata_django.core.state.session import SchemaChanged, Subscription
from aiodata_django.feed.service import FeedUnavailable

from .conftest import staged
from .copy import Copy

SCHEMA = """
create schema api;
create table api.pets (id int primary key, name text, color text);
create table api.notes (id int primary key, owner text);
grant usage on schema api to auth;
grant select on all tables in schema api to auth;
"""


async def test_a_column_that_went_before_we_heard_of_it_is_no_error(stage) -> None:
    here = await stage(SCHEMA)
    copy = await (await Copy(here.feed, "auth", Subscription(1, "notes")).connect()).live()
    await here.write(
        "insert into api.pets values (1, 'Aqui', 'red')", "alter table api.pets drop column color"
    )
    copy.say(copy.session.subscribe(Subscription(2, "pets")))
    await copy.synced()
    assert copy.table("pets") == {(1,): '{"id":1,"name":"Aqui"}'}
    assert copy.failures == []


async def test_a_privilege_that_went_before_we_heard_of_it_empties_the_table_without_an_error(stage) -> None:
    here = await stage(SCHEMA)
    await here.write("insert into api.pets values (1)", "insert into api.notes values (1)")
    copy = await (await Copy(here.feed, "auth").connect()).live()
    await here.write("revoke select on api.pets from auth", "truncate api.notes")
    await here.write("insert into api.notes values (2)")
    await here.feed.reload()
    await copy.synced()
    assert list(copy.merged()) == [("notes", (2,))]
    assert copy.failures == []


async def test_a_column_granted_and_revoked_comes_and_goes_for_that_role(stage) -> None:
    here = await stage(
        SCHEMA + "grant usage on schema api to anon; grant select (id, name) on api.pets to anon;"
    )
    await here.write("insert into api.pets values (1, 'Aqui', 'red')")
    copy = await (await Copy(here.feed, "anon", Subscription(1, "pets")).connect()).live()
    other = await (await Copy(here.feed, "auth", Subscription(1, "pets")).connect()).live()
    assert copy.table("pets") == {(1,): '{"id":1,"name":"Aqui"}'}
    await here.write("grant select (color) on api.pets to anon")
    await here.feed.reload()
    copy.say(copy.session.subscribe(Subscription(2, "pets", "select=id,color")))
    await here.write("insert into api.pets values (2, 'Bea', 'blue')")
    await copy.synced()
    assert copy.rows[1, "pets"] == {
        (1,): '{"id":1,"name":"Aqui","color":"red"}',
        (2,): '{"id":2,"name":"Bea","color":"blue"}',
    }
    assert copy.rows[2, "pets"] == {(1,): '{"id":1,"color":"red"}', (2,): '{"id":2,"color":"blue"}'}
    assert (copy.resyncs, copy.failures) == (["schema"], [])
    await here.write("revoke select (color) on api.pets from anon")
    await here.feed.reload()
    await here.write("update api.pets set color = 'secret', name = 'Cleo' where id = 1")
    await copy.synced()
    assert copy.rows[1, "pets"] == {(1,): '{"id":1,"name":"Cleo"}', (2,): '{"id":2,"name":"Bea"}'}
    assert [(failure.sub, failure.code) for failure in copy.failures] == [(2, "42501")]
    assert "secret" not in repr(copy.events)
    await other.synced()
    assert set(other.resyncs) <= {"schema"}  # the whole table's definition counts as changed
    assert "secret" in other.table("pets")[1,]


@pytest.fixture
def guest(postgres) -> Iterator[str]:
    """A role that may be dropped."""
    with psycopg.connect(postgres.admin_uri, autocommit=True) as admin:
        admin.execute("drop role if exists guest; create role guest nologin in role auth")
        yield "guest"
        admin.execute("drop role if exists guest")


async def test_a_role_that_is_dropped_is_shut_out_and_nobody_else(stage, guest) -> None:
    here = await stage(SCHEMA)
    gone = await (await Copy(here.feed, guest).connect()).live()
    copy = await (await Copy(here.feed, "auth").connect()).live()
    await here.write("drop role guest")
    await here.feed.reload()
    await gone.until(lambda: gone.closed)
    assert gone.closed is not None
    assert gone.closed[0] == 4403
    await here.write("alter table api.pets add column age int", "insert into api.pets values (1)")
    await copy.synced()
    assert list(copy.table("pets")) == [(1,)]
    assert here.feed.problem is None


CHANGES = {
    "precision": "alter table api.toys alter price type numeric(8,4)",
    "rewritten": "alter table api.toys alter size type int using size * 2",
    "other type": "alter table api.toys alter size type text",
    "renamed": "alter table api.toys rename size to height",
    "label": "alter type api.mood rename value 'sad' to 'blue'",
    "label in an array": "alter type api.mood rename value 'glad' to 'happy'",
    "attribute": "alter type api.place rename attribute x to left_of",
    "generated": "alter table api.toys drop double; alter table api.toys add double int"
    " generated always as (base * 3) stored",
    "key": "alter table api.toys drop constraint toys_pkey; alter table api.toys add primary key (name)",
    "key's type": "alter table api.toys alter id type text",
    "default": "alter table api.toys add column fresh int default 7",
}
TOYS = """
create schema api;
create type api.mood as enum ('sad', 'glad');
create type api.place as (x int, y int);
create table api.toys (id int primary key, name text not null, price numeric(8,2), size int, mood api.mood,
    moods api.mood[], place api.place, base int default 5, double int generated always as (base * 2) stored);
insert into api.toys values (1, 'ball', 1.5, 3, 'sad', '{glad}', '(1,2)');
grant usage on schema api to auth;
grant select on all tables in schema api to auth;
"""


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
async def test_what_rewrites_rows_without_an_event_is_noticed(stage, change: str) -> None:
    here = await stage(TOYS)
    copy = await (await Copy(here.feed, "auth").connect()).live()
    await here.write(change)
    expected = await here.value("select row_to_json(t)::text from api.toys t")
    await here.feed.hub.refresh()  # as is done every few seconds, or where the event trigger marks it
    await copy.until(lambda: list(copy.table("toys").values()) == [expected])
    await here.write("insert into api.toys (id, name) values (2, 'doll')")
    await copy.synced()
    assert len(copy.table("toys")) == 2


FUNCTIONS = """
create schema api;
create table public.secrets (id int);
create view public.known as select id from public.secrets where id < 10;
create function public.mine(id int) returns bool language sql as 'select id < 10';
create function public.indirectly(id int) returns bool language sql begin atomic; select public.mine(id); end;
create table api.plain (id int primary key);
create table api.byview (id int primary key);
do $$
declare name text;
begin
    foreach name in array array['plain', 'byview'] loop
        execute format('alter table api.%1$I replica identity full;
            alter table api.%1$I enable row level security;
            insert into api.%1$I values (1), (20)', name);
    end loop;
end $$;
create policy p on api.plain using (public.indirectly(id));
create policy p on api.byview using (id < 10 or exists (select from public.known k where k.id = byview.id));
insert into public.secrets values (20);
grant usage on schema api to auth;
grant select on all tables in schema api to auth;
grant select on public.known to auth;
"""


@pytest.mark.parametrize(
    ("table", "change"),
    [
        (
            "plain",
            "create or replace function public.mine(id int) returns bool language sql as 'select true'",
        ),
        ("byview", "create or replace view public.known as select id from public.secrets"),
    ],
    ids=["function", "view"],
)
async def test_what_a_policy_calls_is_part_of_it(stage, table: str, change: str) -> None:
    here = await stage(FUNCTIONS)
    copy = await (await Copy(here.feed, "auth", Subscription(1, table)).connect()).live()
    assert list(copy.table(table)) == [(1,)]
    await here.write(change)
    await here.feed.hub.refresh()
    await copy.until(lambda: sorted(copy.table(table)) == [(1,), (20,)])


async def test_what_a_role_or_subscription_more_sees_of_a_table_is_described(stage) -> None:
    grants = "grant usage on schema api to anon; grant select (id, name) on api.pets to anon;"
    here = await stage(SCHEMA + grants)
    copy = Copy(here.feed, "auth", Subscription(1, "pets", "select=name"), expires=time.time() + 30)
    copy.tokens["anon"] = Identity("anon", {"role": "anon"}, True, None)
    await (await copy.connect()).live()
    copy.say(copy.session.subscribe(Subscription(2, "pets", "select=color")))
    await copy.synced()
    copy.say(copy.session.unsubscribe(2), copy.session.unsubscribe(1))
    copy.say(copy.session.subscribe(Subscription(3, "pets")))
    await copy.synced()
    copy.say(copy.session.authenticate("anon"))
    await copy.until(lambda: "role" in copy.resyncs)
    described = [list(event.columns) for event in copy.events if isinstance(event, SchemaChanged)]
    assert described == [["id", "name", "color"], ["id", "name", "color"], ["id", "name"]]


PARTLY = """
create schema api;
create table api.pets (id int primary key);
create table api.toys (id int primary key);
create table api.days (day int primary key) partition by list (day);
create table api.monday partition of api.days for values in (1);
create table api.others partition of api.days default;
create publication aiodata for table api.pets, api.monday
    with (publish_via_partition_root = false);
insert into api.toys values (1);
grant usage on schema api to auth;
grant select on all tables in schema api to auth;
"""


async def test_a_table_that_is_not_published_is_not_offered_until_it_is(make_database, as_user) -> None:
    uri = make_database(PARTLY)
    async with staged(uri, as_user(uri, "authenticator")) as here:
        with suppress(FeedUnavailable):  # of some tables
            await here.feed.ready()
        copy = await (await Copy(here.feed, "auth").connect()).live()
        named = Copy(here.feed, "auth", Subscription(1, "toys"), Subscription(2, "days"))
        await named.connect()
        await named.until(lambda: len(named.failures) == 2)
        assert [failure.code for failure in named.failures] == ["55000", "55000"]
        assert sorted(copy.keys) == ["pets"]
        await here.write("insert into api.toys values (2)")
        await here.write("alter publication aiodata add table api.toys, api.days")
        await here.feed.hub.refresh()
        await here.write("insert into api.toys values (3)", "insert into api.days values (1)")
        await copy.synced()
        assert sorted(copy.merged()) == [("days", (1,)), ("toys", (1,)), ("toys", (2,)), ("toys", (3,))]
