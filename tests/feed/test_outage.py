"""What the database cannot answer for a moment is asked again; only what a policy says itself is final."""

from __future__ import annotations

import pytest

from aiodata_django.core.state.cursor import Cursor
from aiodata_django.core.state.session import Subscription

from .copy import Copy

SCHEMA = """
create schema api;
create table public.trouble (code text);
create function public.guard(id int) returns boolean language plpgsql as $$
declare code text;
begin
    for code in select t.code from public.trouble t loop
        if id = 3 then raise exception 'trouble' using errcode = code; end if;
    end loop;
    return true;
end $$;
create table api.notes (id int primary key, body text);
create table api.pets (id int primary key, name text);
alter table api.notes replica identity full;
alter table api.notes enable row level security;
create policy guarded on api.notes to auth using (public.guard(id));
grant usage on schema api to auth;
grant select on all tables in schema api to auth;
grant select on public.trouble to auth;
"""
LIMITED = "53300"  # too many connections: another time there are fewer
WRONG = "22012"  # division by zero: it will be the same next time


async def watching(here) -> Copy:
    return await (
        await Copy(here.feed, "auth", Subscription(1, "notes"), Subscription(2, "pets")).connect()
    ).live()


async def told_but_for_notes(here, code: str) -> Copy:
    """A copy that heard of a pet, and not of the note written before, which fails to be judged."""
    copy = await watching(here)
    await here.write(
        f"insert into public.trouble values ('{code}')",
        "insert into api.notes values (3, 'a')",
        "insert into api.pets values (1, 'b')",
    )
    await copy.until(lambda: list(copy.table("pets")) == [(1,)])
    return copy


async def test_a_change_that_cannot_be_judged_for_a_moment_comes_when_it_can(stage) -> None:
    here = await stage(SCHEMA)
    copy = await told_but_for_notes(here, LIMITED)
    assert copy.table("notes") == {}
    await copy.until(lambda: copy.session.state != "live")  # told in a frame behind the transaction
    await here.write("delete from public.trouble")
    await copy.synced()
    assert list(copy.table("notes")) == [(3,)]
    assert copy.failures == []


@pytest.mark.parametrize("code", [LIMITED, WRONG])
async def test_what_could_not_be_told_is_told_to_one_who_left_meanwhile(stage, code: str) -> None:
    here = await stage(SCHEMA)
    copy = await told_but_for_notes(here, code)
    await copy.drop()
    assert Cursor.parse(copy.session.cursor).stale
    await here.write("delete from public.trouble")
    await (await copy.connect()).synced()
    assert list(copy.table("notes")) == [(3,)]


async def test_a_snapshot_that_is_given_up_leaves_nothing_behind(stage) -> None:
    here = await stage(SCHEMA)
    await here.write(
        "insert into api.pets select n, repeat('x', 1000) from generate_series(1, 3000) n",
        "insert into api.notes values (3, 'a')",
        f"insert into public.trouble values ('{LIMITED}')",
    )
    copy = Copy(here.feed, "auth", Subscription(1, "pets"), Subscription(2, "notes"))
    await copy.connect()
    await copy.until(lambda: copy.staged)
    await here.write("delete from api.pets where id = 1", "delete from public.trouble")
    await copy.synced()
    assert len(copy.table("pets")) == 2999
    assert list(copy.table("notes")) == [(3,)]
