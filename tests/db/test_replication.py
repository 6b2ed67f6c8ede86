"""Streams on a real server: slots that leave nothing behind or go on; tables that must not be published."""

import asyncio
import time

import psycopg
import pytest

from aiodata_django.core.changes.pgoutput import Insert, LogicalMessage, decode
from aiodata_django.core.changes.position import lsn_text, parse_lsn
from aiodata_django.core.changes.transaction import Assembler, Transaction
from aiodata_django.db.published import load_publication, load_published, mending, publishable
from aiodata_django.db.replication import ReplicationStream, Slot

SCHEMA = """
create schema api;
create table api.pets (id int primary key, name text);
create publication p for table api.pets;
"""


async def transactions(
    stream: ReplicationStream, count: int, assembler: Assembler | None = None
) -> list[Transaction]:
    assembler, done = assembler or Assembler(), []
    async with asyncio.timeout(20):
        while len(done) < count:
            for payload in await stream.receive():
                if isinstance(one := assembler.feed(payload), Transaction) and len(one.buffer):
                    done.append(one)
    return done


async def test_a_temporary_slot_streams_commits_and_goes_with_its_session(make_database) -> None:
    uri = make_database(SCHEMA)
    with psycopg.connect(uri, autocommit=True) as writer:
        async with ReplicationStream(uri, publication="p") as stream:
            assert stream.slot.temporary
            writer.execute("insert into api.pets values (1, 'a')")
            writer.execute("insert into api.pets values (2, 'b')")
            told = await transactions(stream, 2)
        assert [[c.new for c in t.changes()] for t in told] == [[(b"1", b"a")], [(b"2", b"b")]]
        assert told[0].lsn < told[1].lsn
        left = "select count(*) from pg_replication_slots where slot_name = %s"
        deadline = time.monotonic() + 10
        while writer.execute(left, [stream.slot.name]).fetchone()[0]:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.02)


async def test_a_durable_slot_goes_on_where_it_was_confirmed(make_database) -> None:
    uri = make_database(SCHEMA)
    with psycopg.connect(uri, autocommit=True) as writer:
        name = f"durable_{writer.info.backend_pid}"
        writer.execute("select pg_create_logical_replication_slot(%s, 'pgoutput')", [name])
        writer.execute("insert into api.pets values (1, 'a')")
        async with ReplicationStream(uri, publication="p", slot=name) as stream:
            assert not stream.slot.temporary
            assembler = Assembler()
            (first,) = await transactions(stream, 1, assembler)
            stream.received = stream.confirmed = first.lsn
            stream.send_feedback(now=True)
            await until(writer, "confirmed_flush_lsn >= %s::pg_lsn", lsn_text(first.lsn), name)
            writer.execute("insert into api.pets values (2, 'b')")
            await transactions(stream, 1, assembler)
        await until(writer, "not active", name)
        async with ReplicationStream(uri, publication="p", slot=name) as stream:
            (again,) = await transactions(stream, 1)
        assert [change.new for change in again.changes()] == [(b"2", b"b")]


async def until(writer: psycopg.Connection, condition: str, *params: object) -> None:
    query = f"select {condition} from pg_replication_slots where slot_name = %s"
    for _ in range(500):
        if writer.execute(query, params).fetchone()[0]:
            return
        await asyncio.sleep(0.02)
    raise AssertionError(condition)


async def test_a_slot_in_use_is_left_alone(make_database) -> None:
    uri = make_database(SCHEMA)
    with psycopg.connect(uri, autocommit=True) as writer:
        name = f"shared_{writer.info.backend_pid}"
        writer.execute("select pg_create_logical_replication_slot(%s, 'pgoutput')", [name])
        async with (
            ReplicationStream(uri, publication="p", slot=name) as first,
            ReplicationStream(uri, publication="p", slot=name) as second,
        ):
            assert first.slot == Slot(name, False, first.slot.start)
            assert second.slot.temporary


async def test_idle_streams_learn_how_far_the_wal_is(make_database) -> None:
    uri = make_database(SCHEMA)
    with psycopg.connect(uri, autocommit=True) as writer:
        async with ReplicationStream(uri, publication="p") as stream:
            writer.execute("create table api.unpublished (id int)")
            writer.execute("set synchronous_commit = on; insert into api.unpublished values (1)")
            lsn = parse_lsn(writer.execute("select pg_current_wal_flush_lsn()::text").fetchone()[0])
            async with asyncio.timeout(10):
                while stream.keepalive < lsn:
                    await stream.receive()


async def test_messages_arrive_at_their_place(make_database) -> None:
    uri = make_database(SCHEMA)
    with psycopg.connect(uri, autocommit=True) as writer:
        async with ReplicationStream(uri, publication="p") as stream:
            with writer.transaction():
                writer.execute("insert into api.pets values (1, 'a')")
                writer.execute("select pg_logical_emit_message(true, 'aiodata', 'here')")
                writer.execute("insert into api.pets values (2, 'b')")
            seen = []
            async with asyncio.timeout(10):
                while len(seen) < 3:
                    for message in map(decode, await stream.receive()):
                        if isinstance(message, Insert | LogicalMessage):
                            seen.append(message)
    assert [type(message) for message in seen] == [Insert, LogicalMessage, Insert]


async def test_a_terminated_session_is_an_error_not_silence(make_database) -> None:
    uri = make_database(SCHEMA)
    with psycopg.connect(uri, autocommit=True) as writer:
        async with ReplicationStream(uri, publication="p") as stream:
            query = "select pg_terminate_backend(active_pid) from pg_replication_slots where slot_name = %s"
            writer.execute(query, [stream.slot.name])
            with pytest.raises(psycopg.Error):
                await transactions(stream, 1)


@pytest.mark.parametrize(
    ("definition", "obstacle"),
    [
        ("(a int)", "no primary key"),
        ("(a int primary key deferrable)", "deferrable"),
        ("(a int primary key); alter table api.t replica identity nothing", "nothing"),
        (
            "(a int primary key, b int generated always as (a) virtual);"
            " alter table api.t replica identity full",
            "virtual",
        ),
        (
            "(a int primary key); drop table api.t; create unlogged table api.t (a int primary key)",
            "permanent",
        ),
    ],
)
async def test_what_would_break_the_applications_writes_is_never_published(
    make_database, definition: str, obstacle: str
) -> None:
    if obstacle == "virtual" and version_of(make_database()) < 180000:
        pytest.skip("virtual generated columns are PostgreSQL 18's")
    uri = make_database(
        f"create schema api; create table api.good (id int primary key); create table api.t {definition}"
    )
    async with await psycopg.AsyncConnection.connect(
        uri, autocommit=True, options="-c search_path="
    ) as connection:
        published = await load_published(connection, ["api"])
        (table,) = [t for t in published.tables.values() if t.name == "t"]
        assert obstacle in (table.obstacle or "")
        assert [t.name for t in publishable(published)] == ["good"]
        version = connection.info.server_version
        for statement in mending(published, None, "p", version):
            await connection.execute(statement)
        publication = await load_publication(connection, "p")
        assert publication is not None
        assert {name.name for name in publication.members} == {"good"}
        assert mending(published, publication, "p", version) == []
        await connection.execute("insert into api.t values (1)")
        await connection.execute("delete from api.t")


async def test_a_generated_key_is_published_where_generated_columns_are(make_database) -> None:
    uri = make_database(
        "create schema api; create table api.t (a int, b int generated always as (a * 2) stored primary key)"
    )
    async with await psycopg.AsyncConnection.connect(
        uri, autocommit=True, options="-c search_path="
    ) as connection:
        published = await load_published(connection, ["api"])
    (table,) = published.tables.values()
    if version_of(uri) >= 180000:
        assert table.obstacle is None
    else:
        assert "generated column" in (table.obstacle or "")


def version_of(uri: str) -> int:
    with psycopg.connect(uri) as connection:
        return connection.info.server_version


async def test_a_published_table_that_loses_its_key_is_taken_out(make_database) -> None:
    uri = make_database(SCHEMA + "alter table api.pets drop constraint pets_pkey")
    async with await psycopg.AsyncConnection.connect(
        uri, autocommit=True, options="-c search_path="
    ) as connection:
        published = await load_published(connection, ["api"])
        publication = await load_publication(connection, "p")
        for statement in mending(published, publication, "p", connection.info.server_version):
            await connection.execute(statement)
        await connection.execute("insert into api.pets values (1, 'a')")
        await connection.execute("delete from api.pets")


async def test_partitions_are_published_by_their_root_and_tell_their_own_name(make_database) -> None:
    uri = make_database(
        """create schema api;
        create table api.days (day int primary key) partition by range (day);
        create table api.days_1 partition of api.days for values from (0) to (10);"""
    )
    async with await psycopg.AsyncConnection.connect(
        uri, autocommit=True, options="-c search_path="
    ) as connection:
        published = await load_published(connection, ["api"])
        for statement in mending(published, None, "p", connection.info.server_version):
            await connection.execute(statement)
        async with ReplicationStream(uri, publication="p") as stream:
            await connection.execute("insert into api.days values (3)")
            (told,) = await transactions(stream, 1)
        (change,) = told.changes()
        assert change.relation.name == "days_1"
        root = published.root(change.relation.oid)
        assert root is not None
        assert root.name == "days"
