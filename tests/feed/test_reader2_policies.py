"""Version 2 under row security: both images are judged, whatever the policies look at."""

from __future__ import annotations

import time

import pytest

from aiodata_django.core.state.session import Subscription

from .copy import Copy
from .zoo import SCHEMA, equal


async def test_rows_move_in_and_out_of_sight_under_row_security(stage) -> None:
    here = await stage(SCHEMA)
    await here.write("insert into api.notes values (1, 'me', 'a'), (2, 'you', 'b')")
    mine = await (await Copy(here.feed, "auth", sub="me").connect()).live()
    yours = await (await Copy(here.feed, "auth", sub="you").connect()).live()
    await here.write(
        "update api.notes set body = 'c'",
        "update api.notes set owner = 'you' where id = 1",
        "insert into api.notes values (3, 'me', 'd')",
        "delete from api.notes where id = 2",
    )
    await mine.synced()
    await yours.synced()
    await equal(mine, here, "notes", "owner = 'me'")
    await equal(yours, here, "notes", "owner = 'you'")
    told = [(kind, key) for kind, _, key, _, _ in mine.story]
    assert told == [("create", (1,)), ("update", (1,)), ("delete", (1,)), ("create", (3,))]
    assert mine.resyncs == yours.resyncs == []


async def test_a_change_of_membership_moves_other_tables_rows(stage) -> None:
    here = await stage(SCHEMA)
    await here.write("insert into api.messages values (1, 10, 'a'), (2, 20, 'b')")
    copy = await (await Copy(here.feed, "auth", Subscription(1, "messages"), sub="me").connect()).live()
    assert copy.table("messages") == {}
    await here.write("insert into api.members values ('me', 10)")
    await copy.until(lambda: list(copy.table("messages")) == [(1,)])
    await here.write("update api.members set room = 20", "insert into api.messages values (3, 20, 'c')")
    await copy.until(lambda: list(copy.table("messages")) == [(2,), (3,)])
    assert set(copy.resyncs) == {"policy"}


async def test_rows_that_a_membership_moved_are_said_to_be_stale_at_once(stage) -> None:
    here = await stage(SCHEMA)
    copy = await (await Copy(here.feed, "auth", Subscription(1, "messages"), sub="me").connect()).live()
    copy.reader._stale_until = time.monotonic() + 60  # as after a snapshot that took long
    await here.write("insert into api.members values ('me', 1)")
    await copy.until(lambda: copy.session.state == "stale")
    assert copy.resyncs == ["policy"]


async def test_without_full_identity_row_security_still_holds(stage) -> None:
    here = await stage(SCHEMA + "alter table api.notes replica identity default;")
    await here.write("insert into api.notes values (1, 'me', 'a'), (2, 'you', 'b'), (3, 'me', 'c')")
    copy = await (await Copy(here.feed, "auth", Subscription(1, "notes"), sub="me").connect()).live()
    await here.write(
        "update api.notes set owner = 'you' where id = 1",
        "delete from api.notes where id = 3",
        "delete from api.notes where id = 2",
    )
    await copy.until(lambda: copy.table("notes") == {})
    assert {key for _, _, key, _, _ in copy.story} == {(1,), (3,)}


async def test_a_policy_changes_while_streaming(stage) -> None:
    here = await stage(SCHEMA)
    await here.write("insert into api.notes values (1, 'me', 'a'), (2, 'you', 'b')")
    copy = await (await Copy(here.feed, "auth", Subscription(1, "notes"), sub="me").connect()).live()
    await here.write("alter policy mine on api.notes using (owner <> 'me')")
    await here.feed.reload()
    await copy.until(lambda: list(copy.table("notes")) == [(2,)])
    await here.write("insert into api.notes values (3, 'me', 'a'), (4, 'them', 'b')")
    await copy.synced()
    assert list(copy.table("notes")) == [(2,), (4,)]


async def test_a_policy_that_raises_stops_its_own_table_only(stage) -> None:
    here = await stage(SCHEMA)
    copy = await (await Copy(here.feed, "auth", sub="me").connect()).live()
    await here.write("alter policy mine on api.notes using (1 / (id - 2) = 0 or owner = 'me')")
    await here.feed.reload()
    await copy.synced()
    await here.write("insert into api.notes values (2, 'me', 'a')", "insert into api.pets values (1)")
    await copy.synced()
    assert [failure.code for failure in copy.failures] == ["22012"]
    assert list(copy.table("pets")) == [(1,)]


async def test_generated_columns_decide_in_policies_and_filters(stage) -> None:
    here = await stage(
        SCHEMA + "create table api.sums (id int primary key, a int, note text,"
        " b int generated always as (a * 2) stored);"
        "alter table api.sums replica identity full, enable row level security;"
        "create policy large on api.sums using (b > 10); grant select on api.sums to auth;"
    )
    subs = Subscription(1, "sums"), Subscription(2, "sums", "b=lt.100&select=b")
    copy = await (await Copy(here.feed, "auth", *subs).connect()).live()
    await here.write(
        "insert into api.sums values (1, 5), (2, 6), (3, 60)",
        "update api.sums set a = 7, note = 'x' where id = 1",
        "update api.sums set a = 1 where id = 2",
        "delete from api.sums where id = 3",
    )
    await copy.synced()
    assert copy.rows[1, "sums"] == {(1,): '{"id":1,"a":7,"note":"x","b":14}'}
    assert copy.rows[2, "sums"] == {(1,): '{"id":1,"b":14}'}
    assert [(kind, key) for kind, _, key, _, _ in copy.story] == [
        ("create", (2,)),
        ("create", (3,)),
        ("create", (1,)),
        ("delete", (2,)),
        ("delete", (3,)),
    ]
    assert copy.resyncs == []


@pytest.mark.parametrize("policy", ["tableoid = 'api.odd'::regclass", "ctid is not null"])
async def test_policies_that_cannot_be_put_to_images_are_asked_of_the_table(stage, policy) -> None:
    here = await stage(
        SCHEMA + "create table api.odd (id int primary key, what text);"
        "alter table api.odd replica identity full, enable row level security;"
        f"create policy odd on api.odd using ({policy}); grant select on api.odd to auth;"
        "insert into api.odd values (1, 'a');"
    )
    copy = await (await Copy(here.feed, "auth", Subscription(1, "odd")).connect()).live()
    await here.write("update api.odd set what = 'b'", "insert into api.odd values (2, 'c')")
    expected = {(1,): '{"id":1,"what":"b"}', (2,): '{"id":2,"what":"c"}'}
    await copy.until(lambda: copy.table("odd") == expected)
    assert copy.failures == []
    assert set(copy.resyncs) == {"opaque"}


FUNCTIONS = """
create function api.is_member(r int) returns boolean language sql stable security definer as $$
    select exists (
        select from api.members
        where who = current_setting('request.jwt.claims', true)::json ->> 'sub' and room = r) $$;
alter policy joined on api.messages using (api.is_member(room));
create function api.own_note(i int) returns boolean language plpgsql stable security definer as $$
begin
    return (select owner from api.notes where id = i)
        = current_setting('request.jwt.claims', true)::json ->> 'sub';
end $$;
alter policy mine on api.notes using (api.own_note(id));
"""


async def test_policies_behind_functions_with_bodies_of_text_are_followed(stage) -> None:
    here = await stage(SCHEMA + FUNCTIONS)
    await here.write("insert into api.messages values (1, 10, 'a')")
    copy = await (await Copy(here.feed, "auth", Subscription(1, "messages"), sub="me").connect()).live()
    await here.write("insert into api.members values ('me', 10)")
    await copy.until(lambda: list(copy.table("messages")) == [(1,)])


async def test_policies_that_look_their_own_row_up_are_right_for_rows_that_are_gone(stage) -> None:
    here = await stage(SCHEMA + FUNCTIONS)
    await here.write("insert into api.notes values (1, 'me', 'a'), (2, 'you', 'b'), (3, 'me', 'c')")
    copy = await (await Copy(here.feed, "auth", Subscription(1, "notes"), sub="me").connect()).live()
    assert list(copy.table("notes")) == [(1,), (3,)]
    await here.write("delete from api.notes where id = 1", "update api.notes set owner = 'you' where id = 3")
    await copy.until(lambda: not copy.table("notes"))
    await here.write("update api.notes set owner = 'me'")
    await copy.until(lambda: list(copy.table("notes")) == [(2,), (3,)])
