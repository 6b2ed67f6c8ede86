"""What the database cannot answer for a moment is asked again; only what a policy says itself is final."""

from __future__ import annotations

import asyncio
import time

import psycopg
import pytest

from aiodata_django.core.state.cursor import Cursor
from aiodata_django.core.state.session import Committed, Resync, SnapshotComplete, Subscription
from aiodata_django.feed.reader import CLOSE_RESTART
from aiodata_django.feed.reader2 import V2Reader

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
create table api.zoos (id int primary key);
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
    assert copy.session.state == "stale"
    await here.write("delete from public.trouble")
    await copy.synced()
    assert list(copy.table("notes")) == [(3,)]
    assert copy.failures == []


@pytest.mark.parametrize("code", [LIMITED, WRONG])
async def test_a_part_of_a_transaction_is_never_shown_as_current(stage, code: str) -> None:
    here = await stage(SCHEMA)
    copy = await watching(here)
    await here.write(
        f"insert into public.trouble values ('{code}')",
        "insert into api.notes values (3, 'a'); insert into api.pets values (1, 'b')",
    )
    await copy.until(lambda: list(copy.table("pets")) == [(1,)])
    places = [n for n, event in enumerate(copy.events) if isinstance(event, Resync | Committed)]
    assert [type(copy.events[n]) for n in places] == [Resync, Committed]


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


async def test_what_cannot_be_judged_is_said_to_be_stale_at_once(stage) -> None:
    here = await stage(SCHEMA)
    copy = await watching(here)
    copy.reader._stale_until = time.monotonic() + 60  # as after a snapshot that took long
    await here.write(
        f"insert into public.trouble values ('{LIMITED}')", "insert into api.notes values (3, 'a')"
    )
    await copy.until(lambda: copy.session.state == "stale")
    assert copy.resyncs == ["opaque"]


async def test_who_waits_for_a_commit_while_a_table_is_stale_keeps_nobody_busy(stage, monkeypatch) -> None:
    here = await stage(SCHEMA)
    copy = await told_but_for_notes(here, LIMITED)
    turns = 0
    idle = V2Reader._idle

    async def counted(reader: V2Reader) -> None:
        nonlocal turns
        turns += 1
        await idle(reader)

    monkeypatch.setattr(V2Reader, "_idle", counted)
    waiting, resyncs = asyncio.create_task(copy.synced()), len(copy.resyncs)
    await copy.until(lambda: len(copy.resyncs) >= resyncs + 3)  # each attempt is announced
    assert turns < 100
    await here.write("delete from public.trouble")
    await waiting


async def test_who_waited_for_what_never_comes_leaves_nothing_behind(stage) -> None:
    here = await stage(SCHEMA)
    copy = await watching(here)
    for _ in range(5):
        copy.say(copy.session.sync("FFFFFFFF/0")[1])
    await copy.until(lambda: len(here.feed.hub._passing) == 5)
    await copy.drop()
    await here.write("insert into api.pets values (1, 'a')")
    await (await copy.connect()).synced()
    assert not here.feed.hub._passing


async def test_a_table_that_is_gone_hides_not_that_others_are_stale(stage) -> None:
    here = await stage(
        SCHEMA + "create table api.gone (id int primary key); grant select on api.gone to auth"
    )
    copy = await (await Copy(here.feed, "auth", Subscription(0, "*")).connect()).live()
    copy.reader._stale_until = time.monotonic() + 60  # as after a snapshot that took long
    await here.write(
        f"insert into public.trouble values ('{LIMITED}')", "insert into api.notes values (3, 'a')"
    )
    await copy.until(lambda: copy.session.state == "stale")
    await here.write("drop table api.gone")
    await here.feed.hub.refresh()
    await copy.until(
        lambda: any(isinstance(e, SnapshotComplete) and e.parts == ((0, "gone"),) for e in copy.events)
    )
    await copy.until(lambda: copy.session.state == "stale")
    await here.write("insert into api.pets values (1, 'b')")
    await copy.until(lambda: list(copy.table("pets")) == [(1,)])
    assert copy.session.state == "stale"


OPEN = "update pg_database set datallowconn = true where datname = current_database()"
SHUT = """
update pg_database set datallowconn = false where datname = current_database();
select pg_terminate_backend(pid, 5000) from pg_stat_activity
    where datname = current_database() and application_name = 'aiodata control'
"""
LONG = "insert into api.pets select n, repeat('b', 1000) from generate_series(1, 2000) n"


async def test_a_wait_for_a_commit_outlives_a_database_that_takes_no_sessions(stage) -> None:
    here = await stage(SCHEMA)
    await watching(here)
    _, lsn = await here.feed.control.present()
    await here.write(SHUT)
    waiting = asyncio.create_task(here.feed.hub.passed(lsn + 1_000_000))
    async with asyncio.timeout(20):
        done, _ = await asyncio.wait((waiting,), timeout=0.5)  # meanwhile the nudge is refused
        assert not done
        await here.write(
            OPEN, "insert into api.pets select n, repeat('b', 1000) from generate_series(1, 2000) n"
        )
        await waiting


async def test_a_socket_is_told_to_come_again_when_the_database_is_away(stage) -> None:
    here = await stage(SCHEMA)
    copy = await watching(here)

    async def fail(text: str, /) -> None:
        raise psycopg.OperationalError("the connection is lost")

    copy.send = fail  # type: ignore[method-assign]
    await here.write("insert into api.pets values (1, 'b')")
    await copy.until(lambda: copy.closed)
    assert copy.closed == (CLOSE_RESTART, "the database is away: connect again")


@pytest.mark.parametrize("code", [LIMITED, WRONG])
async def test_who_joins_all_tables_is_live_when_all_are_there_that_can_be(stage, code: str) -> None:
    here = await stage(SCHEMA)
    await here.write(
        f"insert into public.trouble values ('{code}')",
        "insert into api.notes values (3, 'a')",
        "insert into api.pets values (1, 'b')",
        "insert into api.zoos values (1)",
    )
    copy = Copy(here.feed, "auth", Subscription(0, "*"))
    missing, take = [], copy.take

    def noting(event: object) -> None:
        take(event)
        if isinstance(event, SnapshotComplete) and copy.session.state == "live":
            missing.append({"notes", "pets", "zoos"} - {table for table, _ in copy.merged()})

    copy.take = noting  # type: ignore[method-assign]
    await copy.connect()
    if code == LIMITED:
        await asyncio.sleep(0.5)
        await here.write("delete from public.trouble")
    await copy.live()
    await copy.synced()
    assert missing[0] == (set() if code == LIMITED else {"notes"})
