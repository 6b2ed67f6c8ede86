"""Definitions and privileges change under open sockets: nobody is told nonsense, nobody else is hurt."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from aiodata_django.core.state.session import Subscription

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
    await here.write("insert into api.pets values (1, 'Aqui', 'red')", "alter table api.pets drop column color")
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
