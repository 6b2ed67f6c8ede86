"""PostgreSQL crashes, or another server takes its place at its address: clients are right afterwards."""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any

import psycopg
import pytest

from aiodata_django.db.embedded import EmbeddedPostgres
from aiodata_django.feed.service import FeedUnavailable
from aiodata_django.feed.setup import Names, opened
from tests.conftest import Server, as_user_of, prepared

from .conftest import staged
from .copy import Copy

SCHEMA = """
create schema api;
create table api.pets (id int primary key, name text);
create publication aiodata for table api.pets;
grant usage on schema api to auth;
grant select on api.pets to auth;
insert into api.pets values (1, 'a'), (2, 'b');
"""
SERVED = "failover"
NAMES = Names(("api",))


def write(postgres: EmbeddedPostgres, *statements: str) -> None:
    with psycopg.connect(postgres.uri(SERVED), autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


@pytest.fixture
def primary(own_postgres: EmbeddedPostgres) -> Iterator[EmbeddedPostgres]:
    """The server that clients are connected to at first, with a database to serve."""
    make_database(own_postgres)
    yield own_postgres
    own_postgres.restart()
    with psycopg.connect(own_postgres.uri(), autocommit=True) as admin:
        admin.execute(
            "select pg_drop_replication_slot(slot_name) from pg_replication_slots where not temporary"
        )
        admin.execute(f"drop database {SERVED} with (force)".encode())


def make_database(postgres: EmbeddedPostgres) -> None:
    with psycopg.connect(postgres.uri(), autocommit=True) as admin:
        admin.execute(f"create database {SERVED}".encode())
    write(postgres, *SCHEMA.strip().split(";\n"))


@asynccontextmanager
async def followed(primary: EmbeddedPostgres, *, durable: bool) -> Any:
    """A feed of the address, and a copy of somebody who stays connected."""
    if durable:
        async with opened(primary.uri(SERVED), NAMES) as setup:
            assert not (await setup.create(trigger=False)).failed
    login = as_user_of(primary.uri(SERVED), "authenticator")
    async with staged(primary.uri(SERVED), login) as here:
        await here.feed.ready()
        copy = await (await Copy(here.feed, "auth").connect()).live()
        assert here.feed.status().slot_temporary is not durable
        yield here.feed, copy


async def caught_up(feed: Any, copy: Copy) -> None:
    """Wait until events flow again and the copy has all that is there."""
    async with asyncio.timeout(30):
        while True:
            with suppress(FeedUnavailable, psycopg.Error):
                await feed.ready()
                await copy.synced()
                return
            await asyncio.sleep(0.05)


def named(copy: Copy) -> dict[Any, str]:
    return {key[0]: row for key, row in copy.table("pets").items()}


async def test_a_crash_loses_nothing_and_costs_a_durable_slots_clients_nothing(primary) -> None:
    async with followed(primary, durable=True) as (_, copy):
        for number in range(3, 6):
            await asyncio.to_thread(write, primary, f"insert into api.pets values ({number})", "checkpoint")
            await asyncio.to_thread(primary.restart, "immediate")
        await asyncio.to_thread(write, primary, "insert into api.pets values (6)")
        await copy.until(lambda: 6 in named(copy), 30)
        assert sorted(named(copy)) == [1, 2, 3, 4, 5, 6]
        assert [kind for kind, *_ in copy.story] == ["create"] * 6
        assert copy.resyncs == []


async def test_postgresql_stops_without_waiting_for_what_a_durable_slot_keeps(primary) -> None:
    async with followed(primary, durable=True) as (_, copy):
        await asyncio.to_thread(write, primary, "insert into api.pets values (3)")
        await copy.until(lambda: 3 in named(copy))
        await asyncio.to_thread(primary.stop)  # by force when it takes a minute
        assert primary.log_path.read_text().rstrip().endswith("database system is shut down")
        await asyncio.to_thread(primary.restart)
        await asyncio.to_thread(write, primary, "insert into api.pets values (4)")
        await copy.until(lambda: 4 in named(copy), 30)
        assert [kind for kind, *_ in copy.story] == ["create"] * 4
        assert copy.resyncs == []


@contextmanager
def promoted(primary: EmbeddedPostgres) -> Iterator[EmbeddedPostgres]:
    """A standby of the primary as it is now, on a timeline of its own once it is started."""
    standby = EmbeddedPostgres(
        primary.data_dir.with_name("standby"),
        settings={**primary.settings, "restore_command": "false"},
        port=primary.port,
    )
    for name in ("data", "data.password"):
        target = str(primary.data_dir.with_name(name.replace("data", "standby")))
        subprocess.run(["cp", "-a", str(primary.data_dir.with_name(name)), target], check=True)
    (standby.data_dir / "recovery.signal").touch()
    try:
        yield standby
    finally:
        standby.remove()


@contextmanager
def rebuilt(primary: EmbeddedPostgres) -> Iterator[EmbeddedPostgres]:
    """Another server, filled from a dump."""
    other = EmbeddedPostgres(
        primary.data_dir.with_name("rebuilt"), settings=primary.settings, port=primary.port
    )
    other.start()
    prepared(Server(other.uri()))
    make_database(other)
    other.stop()
    try:
        yield other
    finally:
        other.remove()


def take_over(successor: EmbeddedPostgres) -> None:
    """Start it, and wait until it takes writes."""
    successor.start()
    deadline = time.monotonic() + 30
    with psycopg.connect(successor.uri(), autocommit=True) as admin:
        while admin.execute("select pg_is_in_recovery()").fetchone() == (True,):
            assert time.monotonic() < deadline
            time.sleep(0.02)


@pytest.mark.parametrize(("successor", "durable"), [(promoted, True), (rebuilt, False)])
async def test_who_takes_the_place_of_a_server_is_not_taken_for_it(primary, successor, durable) -> None:
    async with followed(primary, durable=durable) as (feed, copy):
        away = await (await Copy(feed, "auth").connect()).live()
        port = primary.port
        await asyncio.to_thread(primary.stop)
        with successor(primary) as other:
            await asyncio.to_thread(primary.restart)
            assert primary.port == port
            write(primary, "insert into api.pets values (3, 'only there')")
            for each in (copy, away):
                await caught_up(feed, each)
            assert sorted(named(copy)) == sorted(named(away)) == [1, 2, 3]
            await away.drop()
            await asyncio.to_thread(primary.stop, "immediate")
            await asyncio.to_thread(take_over, other)
            write(other, "insert into api.pets values (4, 'only here')", "delete from api.pets where id = 1")
            await copy.until(lambda: 4 in named(copy), 30)
            await caught_up(feed, copy)
            await (await away.connect()).live()
            for each in (copy, away):
                await caught_up(feed, each)
                assert sorted(named(each)) == [2, 4]
            assert copy.resyncs  # not taken for the same, whatever was noticed first
