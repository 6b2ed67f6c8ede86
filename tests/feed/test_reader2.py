"""Version 2: snapshot and stream without a gap, resume, resync."""

from __future__ import annotations

import asyncio
import json

import psycopg
import pytest

from aiodata_django.core.errors import ApiError
from aiodata_django.core.names import QualifiedName
from aiodata_django.core.state.audience import Audience, Viewer
from aiodata_django.core.state.incoming import RowPart
from aiodata_django.core.state.narrowing import Condition
from aiodata_django.core.state.session import Subscription
from aiodata_django.feed.snapshot import Section, read_snapshot

from .copy import Copy
from .zoo import SCHEMA, equal


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


async def test_filters_of_more_values_than_a_statement_takes_are_read_one_after_the_other(stage) -> None:
    """Told apart from a database that is away: for that one waits, and tries the same again."""
    here = await stage(SCHEMA)
    await here.write("insert into api.pets values (7)")
    table = here.feed.catalogue.published.by_name[QualifiedName("api", "pets")]
    values = Condition("pets.id in (" + ",".join(["\x00"] * 40_000) + ")", (b"7",) * 40_000)
    audience = Audience(Viewer("auth", "{}"), table.oid, ("id",), values)
    sections = [Section((number, table.oid), table, audience, "pets") for number in (1, 2)]
    with pytest.raises(ApiError) as refused:
        _ = [rows async for rows in read_snapshot(here.feed.gate, sections, [])]
    assert not refused.value.passing
    for section in sections:
        (only,) = [rows async for rows in read_snapshot(here.feed.gate, [section], [])]
        assert only.rows == [b'{"id":7}']


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


async def test_truncate_empties_the_copy_whole(stage) -> None:
    here = await stage(SCHEMA)
    await here.write("insert into api.pets values (1), (2)")
    copy = await (await Copy(here.feed, "auth").connect()).live()
    await here.write("begin; truncate api.pets; insert into api.pets values (3); commit")
    await copy.synced()
    assert list(copy.table("pets")) == [(3,)]
    assert copy.resyncs == []


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
