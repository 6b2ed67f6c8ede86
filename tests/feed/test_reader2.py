"""Version 2: snapshot and stream without a gap, row security on both images, resume, resync."""

import asyncio
import json
import time

import psycopg
import pytest

from aiodata_django.core.identity import Identity
from aiodata_django.core.state.incoming import RowPart
from aiodata_django.core.state.session import AuthSoon, Subscription

from .copy import Copy

SCHEMA = """
create schema api;
create table api.pets (id int primary key, type text default 'Dog', name text, owner text);
create table api.toys (pet int, name text, price numeric(8,2), primary key (pet, name));
create table api.notes (id int primary key, owner text, body text);
alter table api.notes replica identity full;
alter table api.notes enable row level security;
create policy mine on api.notes to auth
    using (owner = current_setting('request.jwt.claims', true)::json ->> 'sub');
create table api.members (who text, room int, primary key (who, room));
create table api.messages (id int primary key, room int, body text);
alter table api.messages enable row level security;
alter table api.messages replica identity full;
create policy joined on api.messages using (exists (
    select from api.members m
    where m.who = current_setting('request.jwt.claims', true)::json ->> 'sub' and m.room = messages.room));
create table api.keyless (a int);
grant usage on schema api to anon, auth;
grant select on all tables in schema api to auth;
grant select on api.pets to anon;
"""


async def equal(copy: Copy, here, table: str, where: str = "true", claims: dict | None = None) -> None:
    """The copy of a table is what its role selects (as superuser with ``where`` for row security)."""
    query = f"select coalesce(json_agg(row_to_json(t)::text), '[]') from api.{table} t where {where}"
    expected = await here.value(query)
    assert sorted(copy.table(table).values()) == sorted(expected)


async def test_a_join_takes_what_is_there_and_then_hears_what_changes(stage) -> None:
    here = await stage(SCHEMA)
    await here.write("insert into api.pets values (1, 'Dog', 'Aqui', 'me'), (2, 'Cat', 'Mu', null)")
    copy = await (await Copy(here.feed, "auth").connect()).live()
    await equal(copy, here, "pets")
    await here.write(
        "insert into api.toys values (1, 'ball', 2.50)",
        "update api.toys set name = 'red ball'",
        "update api.pets set name = 'Luna' where id = 1",
        "delete from api.pets where id = 2",
    )
    await copy.synced()
    await equal(copy, here, "pets")
    await equal(copy, here, "toys")
    assert [(kind, table, key) for kind, table, key, _, _ in copy.story[2:]] == [
        ("create", "toys", (1, "ball")),
        ("delete", "toys", (1, "ball")),
        ("create", "toys", (1, "red ball")),
        ("update", "pets", (1,)),
        ("delete", "pets", (2,)),
    ]


async def test_a_transaction_is_one_step(stage) -> None:
    here = await stage(SCHEMA)
    await here.write("insert into api.pets select n, 'Dog', 'x' from generate_series(1, 10) n")
    copy = await (await Copy(here.feed, "auth").connect()).live()
    await here.write(
        "begin; update api.pets set name = 'y'; insert into api.toys values (1, 'a', 1);"
        " delete from api.toys; update api.pets set name = 'z' where id = 1; commit"
    )
    await copy.synced()
    (commit,) = copy.commits
    assert len(commit.changes) == 13
    assert [key for kind, _, key, _, _ in copy.story[10:] if kind == "update"] == [(n,) for n in range(1, 11)]


async def test_filters_and_columns_narrow_a_subscription(stage) -> None:
    here = await stage(SCHEMA)
    await here.write("insert into api.pets values (1, 'Dog', 'Aqui', 'me'), (2, 'Cat', 'Mu', 'me')")
    dogs = Subscription(7, "pets", "type=eq.Dog&select=name")
    either = Subscription(8, "pets", "or=(name.like.M*,owner.is.null)&id=in.(2,3,4)")
    copy = await (await Copy(here.feed, "auth", dogs, either).connect()).live()
    assert copy.rows[7, "pets"] == {(1,): '{"id":1,"name":"Aqui"}'}
    assert list(copy.rows[8, "pets"]) == [(2,)]
    await here.write(
        "update api.pets set type = 'Dog' where id = 2",
        "update api.pets set type = 'Cat' where id = 1",
        "insert into api.pets values (3, 'Dog', 'Rex', null), (5, 'Dog', 'Max', null)",
        "update api.pets set id = 4 where id = 3",
        "update api.pets set owner = 'you' where id = 4",
    )
    await copy.synced()
    assert copy.rows[7, "pets"] == {
        (2,): '{"id":2,"name":"Mu"}',
        (4,): '{"id":4,"name":"Rex"}',
        (5,): '{"id":5,"name":"Max"}',
    }
    assert list(copy.rows[8, "pets"]) == [(2,)]


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


async def test_a_client_goes_on_where_it_left(stage) -> None:
    here = await stage(SCHEMA)
    copy = await (await Copy(here.feed, "auth").connect()).live()
    await here.write("insert into api.pets values (1), (2)")
    await copy.synced()
    await copy.drop()
    assert copy.session.state == "stale"
    await here.write("update api.pets set name = 'x' where id = 1", "delete from api.pets where id = 2")
    await (await copy.connect()).synced()
    assert copy.events[[type(e).__name__ for e in copy.events].index("Ready", 1)].resumed
    assert [(kind, key) for kind, _, key, _, _ in copy.story] == [
        ("create", (1,)),
        ("create", (2,)),
        ("update", (1,)),
        ("delete", (2,)),
    ]
    assert copy.resyncs == []


async def test_a_lost_session_costs_a_resync_that_tells_differences_only(stage) -> None:
    here = await stage(SCHEMA)
    await here.write("insert into api.pets select n, 'Dog', 'x' from generate_series(1, 50) n")
    copy = await (await Copy(here.feed, "auth").connect()).live()
    await here.write(
        "select pg_terminate_backend(active_pid) from pg_replication_slots"
        " where database = current_database()",
        "update api.pets set name = 'y' where id = 7",
    )
    await copy.until(lambda: "epoch" in copy.resyncs)
    await copy.synced()
    await equal(copy, here, "pets")
    assert [(kind, key) for kind, _, key, _, _ in copy.story[50:]] == [("update", (7,))]


async def test_subscriptions_come_and_go_on_a_live_socket(stage) -> None:
    here = await stage(SCHEMA)
    await here.write("insert into api.pets values (1)", "insert into api.toys values (1, 'ball', 1)")
    copy = await (await Copy(here.feed, "auth", Subscription(1, "pets")).connect()).live()
    copy.say(copy.session.subscribe(Subscription(2, "toys")))
    await copy.until(lambda: (2, "toys") in copy.rows)
    await here.write("update api.toys set price = 3", "update api.pets set name = 'x'")
    await copy.synced()
    await equal(copy, here, "pets")
    await equal(copy, here, "toys")
    copy.say(copy.session.unsubscribe(2))
    await here.write("delete from api.toys", "delete from api.pets")
    await copy.synced()
    assert copy.table("pets") == {}
    assert len(copy.rows[2, "toys"]) == 1


async def test_refused_subscriptions_do_not_hurt_the_others(stage) -> None:
    here = await stage(SCHEMA)
    copy = Copy(
        here.feed,
        "anon",
        Subscription(1, "nothing"),
        Subscription(2, "toys"),
        Subscription(3, "keyless"),
        Subscription(4, "pets", "id=strange.1"),
        Subscription(5, "pets", "select=id,toys(*)"),
        Subscription(6, "pets", "select=nosuch"),
        Subscription(7, "pets", "nosuch=eq.1"),
        Subscription(8, "pets", "id=eq.x"),
        Subscription(9, "pets"),
    )
    await copy.connect()
    await copy.until(lambda: copy.session.state == "live")
    codes = {failure.sub: failure.code for failure in copy.failures}
    assert codes == {
        1: "PGRST205",
        2: "42501",
        3: "55000",
        4: "PGRST100",
        5: "PGRST100",
        6: "42703",
        7: "42703",
        8: "22P02",
    }
    await here.write("insert into api.pets values (1)")
    await copy.synced()
    assert list(copy.rows[9, "pets"]) == [(1,)]


async def test_truncate_empties_the_copy_whole(stage) -> None:
    here = await stage(SCHEMA)
    await here.write("insert into api.pets values (1), (2)")
    copy = await (await Copy(here.feed, "auth").connect()).live()
    await here.write("begin; truncate api.pets; insert into api.pets values (3); commit")
    await copy.synced()
    assert list(copy.table("pets")) == [(3,)]
    assert copy.resyncs == []


async def test_definitions_change_while_streaming(stage) -> None:
    here = await stage(SCHEMA)
    await here.write("insert into api.pets values (1, 'Dog', 'Aqui', 'me')")
    copy = await (await Copy(here.feed, "auth", Subscription(1, "pets")).connect()).live()
    await here.write(
        "alter table api.pets add column age int default 3",
        "insert into api.pets values (2, 'Cat', 'Mu', null, 4)",
    )
    await copy.until(lambda: "schema" in copy.resyncs)
    await copy.synced()
    await equal(copy, here, "pets")
    await here.write("alter table api.pets alter id type bigint, drop column owner")
    await here.feed.reload()
    await here.write("update api.pets set name = 'x'")
    await copy.synced()
    await equal(copy, here, "pets")


async def test_a_table_dropped_or_revoked_is_emptied(stage) -> None:
    here = await stage(SCHEMA)
    await here.write("insert into api.pets values (1)", "insert into api.toys values (1, 'a', 1)")
    copy = await (await Copy(here.feed, "auth").connect()).live()
    await here.write("drop table api.pets", "revoke select on api.toys from auth")
    await here.feed.reload()
    await copy.until(lambda: not copy.table("pets") and not copy.table("toys"))
    await here.write("create table api.fresh (id int primary key)", "grant select on api.fresh to auth")
    await here.feed.reload()
    await here.write("insert into api.fresh values (1)")
    await copy.until(lambda: copy.table("fresh"))


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


async def test_a_token_is_renewed_and_another_one_changes_what_is_seen(stage) -> None:
    here = await stage(SCHEMA)
    await here.write("insert into api.notes values (1, 'me', 'a'), (2, 'you', 'b')")
    copy = Copy(here.feed, "auth", Subscription(1, "notes"), sub="me", expires=time.time() + 30)
    copy.tokens["longer"] = Identity("auth", {"role": "auth", "sub": "me"}, True, time.time() + 3000)
    copy.tokens["other"] = Identity("auth", {"role": "auth", "sub": "you"}, True, time.time() + 3000)
    await (await copy.connect()).live()
    await copy.until(lambda: any(isinstance(event, AuthSoon) for event in copy.events))
    copy.say(copy.session.authenticate("longer"))
    await copy.synced()
    assert copy.resyncs == []
    copy.say(copy.session.authenticate("other"))
    await copy.until(lambda: list(copy.table("notes")) == [(2,)])
    assert copy.resyncs == ["role"]


async def test_an_expired_token_closes_the_socket(stage) -> None:
    here = await stage(SCHEMA)
    copy = await (await Copy(here.feed, "auth", expires=time.time() + 0.3).connect()).live()
    await copy.until(lambda: copy.closed)
    assert copy.closed == (4401, "the token has expired")


@pytest.mark.parametrize(
    "frame", ["", "{", "[]", '{"op":"nonsense"}', '{"op":"ack","n":99}', '{"op":"hello"}']
)
async def test_nonsense_closes_its_own_socket_only(stage, frame: str) -> None:
    here = await stage(SCHEMA)
    good = await (await Copy(here.feed, "auth").connect()).live()
    bad = await (await Copy(here.feed, "auth").connect()).live()
    bad.say(frame)
    await bad.until(lambda: bad.closed)
    assert bad.closed is not None
    assert bad.closed[0] == 4400
    await good.synced()


async def test_a_client_that_never_acknowledges_is_paused_then_closed_and_resumes(stage, monkeypatch) -> None:
    monkeypatch.setattr("aiodata_django.feed.line.PATIENCE", 0.5)
    here = await stage(SCHEMA, state_queue_bytes=20_000)
    slow = await (await Copy(here.feed, "auth").connect()).live()
    quick = await (await Copy(here.feed, "auth").connect()).live()
    slow.deaf = True
    for n in range(300):
        await here.write(f"insert into api.pets values ({n}, 'Dog', 'a name that takes some bytes to send')")
    await quick.synced()
    assert len(quick.table("pets")) == 300
    await slow.until(lambda: slow.closed)
    assert slow.closed is not None
    assert slow.closed[0] == 4408
    slow.deaf = False
    await slow.drop()
    await (await slow.connect()).synced()
    assert slow.rows == quick.rows
    assert slow.resyncs == []
    assert len(slow.story) == 300


async def test_big_transactions_come_in_parts_and_are_applied_whole(stage) -> None:
    here = await stage(SCHEMA)
    copy = await (await Copy(here.feed, "auth").connect()).live()
    await here.write("insert into api.pets select n, 'Dog', repeat('x', 500) from generate_series(1, 5000) n")
    await copy.synced()
    (commit,) = copy.commits
    assert len(commit.changes) == 5000
    await equal(copy, here, "pets")


async def test_a_transaction_beyond_all_measure_becomes_a_resync(stage, monkeypatch) -> None:
    monkeypatch.setattr("aiodata_django.feed.reader2.BIG_TRANSACTION", 1000)
    here = await stage(SCHEMA)
    copy = await (await Copy(here.feed, "auth").connect()).live()
    await here.write("insert into api.pets select n from generate_series(1, 1500) n")
    await copy.until(lambda: len(copy.table("pets")) == 1500)
    assert copy.resyncs == ["size"]


async def test_unchanged_toast_is_neither_lost_nor_invented(stage) -> None:
    here = await stage(SCHEMA + "alter table api.pets alter name set storage external;")
    await here.write("insert into api.pets values (1, 'Dog', repeat('x', 5000), 'me')")
    copy = await (await Copy(here.feed, "auth", Subscription(1, "pets")).connect()).live()
    await here.write("update api.pets set owner = 'you'")
    await copy.synced()
    assert isinstance(copy.commits[-1].changes[0], RowPart)
    assert json.loads(copy.table("pets")[(1,)]) == {
        "id": 1,
        "type": "Dog",
        "name": "x" * 5000,
        "owner": "you",
    }
    await here.write("update api.pets set id = 2")
    await copy.until(lambda: list(copy.table("pets")) == [(2,)])
    await equal(copy, here, "pets")


async def test_a_row_of_which_only_a_part_came_is_told_whole(stage) -> None:
    here = await stage(
        SCHEMA + "create table api.odd (a numeric, b text, c text, primary key (b, a));"
        "grant select on api.odd to auth;"
    )
    await here.write(
        "insert into api.pets values (1, 'Dog', 'Aqui', 'me'), (2, 'Cat', 'Mu', 'you')",
        """insert into api.odd values (12345678901234567890.10, 'x"y', 'z')""",
        "insert into api.notes values (1, 'you', 'b')",
    )
    dogs = Subscription(2, "pets", "type=eq.Dog&select=name")
    copy = Copy(
        here.feed, "auth", Subscription(1, "pets"), dogs, Subscription(3, "odd"), Subscription(4, "notes")
    )
    await (await copy.connect()).live()
    before = dict(copy.rows)
    for _ in range(3):  # a client that has lost its rows, while others write
        for rows in copy.rows.values():
            rows.clear()
        copy.say(
            copy.session.need("pets", b"[1]"),
            copy.session.need("pets", b"[2]"),
            copy.session.need("odd", b'[12345678901234567890.10,"x\\"y"]'),
            copy.session.need("notes", b"[1]"),
            copy.session.need("nothing", b"[1]"),
        )
        await here.write("update api.toys set price = 1", "update api.pets set owner = owner || '!'")
        await copy.synced()
        await copy.until(lambda: len(copy.rows[3, "odd"]) == 1)
        await copy.synced()
        whole = await here.value("select json_agg(row_to_json(p)::text order by id) from api.pets p")
        assert [row for _, row in sorted(copy.rows[1, "pets"].items())] == whole
        await equal(copy, here, "odd")
        assert copy.rows[2, "pets"] == {(1,): '{"id":1,"name":"Aqui"}'}
        assert copy.table("notes") == {}
    assert set(copy.resyncs) <= {"opaque"}
    assert before.keys() == copy.rows.keys()


async def test_a_row_is_read_alone_where_nobody_writes(stage) -> None:
    here = await stage(SCHEMA)
    await here.write("insert into api.pets values (1, 'Dog', 'Aqui', 'me')")
    copy = await (await Copy(here.feed, "auth", Subscription(1, "pets")).connect()).live()
    copy.rows[1, "pets"].clear()
    copy.say(copy.session.need("pets", b"[1]"), copy.session.need("pets", b"[2]"))
    await copy.until(lambda: len(copy.commits) == 2)
    await equal(copy, here, "pets")
    assert copy.resyncs == []
    copy.say(copy.session.need("pets", b'["nonsense"]'))  # what cannot be read alone is read whole
    await copy.until(lambda: copy.resyncs == ["opaque"])
    copy.say(copy.session.need("pets", b"[1,2]"))
    await copy.until(lambda: copy.resyncs == ["opaque"] * 2)
    await copy.synced()


async def test_partitions_speak_with_their_roots_name_and_come_and_go(stage) -> None:
    here = await stage(
        SCHEMA
        + """create table api.days (day int primary key, what text) partition by range (day);
        create table api.days_1 partition of api.days for values from (0) to (10);
        create table api.days_2 partition of api.days for values from (10) to (20);
        grant select on api.days to auth;"""
    )
    await here.write("insert into api.days values (1, 'a'), (11, 'b')")
    copy = await (await Copy(here.feed, "auth", Subscription(1, "days")).connect()).live()
    await here.write("update api.days set day = 12 where day = 1", "insert into api.days values (2, 'c')")
    await copy.synced()
    await equal(copy, here, "days")
    await here.write("truncate api.days_2")
    await copy.until(lambda: list(copy.table("days")) == [(2,)])
    await here.write("alter table api.days detach partition api.days_1")
    await here.feed.reload()
    await copy.until(lambda: copy.table("days") == {})
    await here.write("alter table api.days attach partition api.days_1 for values from (0) to (10)")
    await here.feed.reload()
    await copy.until(lambda: list(copy.table("days")) == [(2,)])


async def test_generated_columns_are_there(stage) -> None:
    here = await stage(SCHEMA)
    kinds = ["stored", "virtual"] if await here.value("show server_version_num") >= "180000" else ["stored"]
    for kind in kinds:
        await here.write(
            f"create table api.g_{kind}"
            f" (id int primary key, a int, b int generated always as (a * 2) {kind})",
            f"grant select on api.g_{kind} to auth",
        )
    await here.feed.reload()
    copy = await (await Copy(here.feed, "auth").connect()).live()
    for kind in kinds:
        await here.write(f"insert into api.g_{kind} values (1, 5)", f"update api.g_{kind} set a = 6")
    await copy.synced()
    for kind in kinds:
        assert copy.table(f"g_{kind}") == {(1,): '{"id":1,"a":6,"b":12}'}


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


async def test_joins_under_load_are_all_right(stage) -> None:
    """Copies joined at random moments between commits of four writers are what the table is in the end."""
    here = await stage(SCHEMA)
    stop = False

    async def write(first: int) -> None:
        async with await psycopg.AsyncConnection.connect(here.uri, autocommit=True) as connection:
            number = 0
            while not stop:
                number += 1
                key = first + 4 * (number % 20)
                await connection.execute(
                    f"insert into api.pets values ({key}, 'Dog', '{number}') on conflict (id) do update"
                    f" set name = excluded.name"
                    if number % 3
                    else f"delete from api.pets where id = {key}"
                )

    writers = [asyncio.create_task(write(n)) for n in range(4)]
    copies = []
    for _ in range(40):
        copies.append(await Copy(here.feed, "auth", Subscription(1, "pets")).connect())
        await copies[-1].live()
    stop = True
    await asyncio.gather(*writers)
    expected = await here.value("select json_object_agg(id, row_to_json(p)::text) from api.pets p")
    for copy in copies:
        await copy.synced()
        assert {str(key[0]): row for key, row in copy.table("pets").items()} == expected
        for kind, _, _, old, new in copy.story:
            assert (old is None, new is None) == (kind == "create", kind == "delete")


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
