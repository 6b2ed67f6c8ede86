"""Keeping the copy right: what is committed while it is made, lost connections, restarts, cut answers."""

import asyncio
import signal
import socket
import threading

import psycopg
import pytest

from aiodata_django.client import Client, asdict
from tests.client.heard import Heard
from tests.live import DEMO_SCHEMA, LiveServer, token


def sql(server, *statements):
    with psycopg.connect(server.admin_uri, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)


def pets_in(server):
    with psycopg.connect(server.admin_uri) as connection:
        return set(connection.execute("select type, breed, name, color, groomed from api.pets"))


def pets_of(client):
    return {tuple(asdict(pet).values()) for pet in client.tables.pets}


async def test_a_lost_connection_is_made_anew_and_only_net_differences_are_told(make_aiodata_server):
    server, heard = make_aiodata_server(), Heard()
    async with Client(server.url, token(), callback=heard) as client:
        await client.live()
        before = {pet.name: pet for pet in client.tables.pets}
        server.kill()
        async with asyncio.timeout(5):
            while client.state == "live":  # noqa: ASYNC110 - its own state has no event for leaving one
                await asyncio.sleep(0.01)
        assert client.state == "stale"
        assert set(pets_of(client)) == {tuple(asdict(pet).values()) for pet in before.values()}
        sql(
            server,
            "insert into api.pets values ('Cow', 'x', 'new'), ('Cow', 'x', 'short-lived')",
            "delete from api.pets where name in ('short-lived', 'Bo')",
            "update api.pets set color = 77 where name = 'Aja'",
            "update api.pets set color = color where name = 'Melekush'",
        )
        server.start()
        await heard.wait(3, 20)
        await client.live()
        pets = [(action, entries) for action, table, entries in heard if table == "pets"]
        assert sorted(action for action, _ in pets) == ["create", "delete", "update"]
        assert dict(pets)["delete"] == (before["Bo"],)
        assert dict(pets)["update"][0][0] is before["Aja"]
        assert pets_of(client) == pets_in(server)
        await client.tables.pets.create("Cow", "x", "after")
        await heard.until(lambda: client.tables.pets.get("Cow", "x", "after"))


async def test_nothing_committed_while_a_client_starts_is_missed(make_aiodata_server):
    server = make_aiodata_server(DEMO_SCHEMA + "alter table api.pets set (autovacuum_enabled = false);")
    stop = threading.Event()
    writer = threading.Thread(target=write_until, args=(server, stop))
    writer.start()
    clients, heard = [], Heard()
    try:
        for _ in range(12):
            client = Client(server.url, token(), callback=heard)
            await client.start()
            clients.append(client)
    finally:
        stop.set()
        await asyncio.to_thread(writer.join)
    sql(server, "insert into api.pets values ('the', 'very', 'last')")
    rows = pets_in(server)
    await heard.until(lambda: all(client.tables.pets.get("the", "very", "last") for client in clients))
    copies = [pets_of(client) for client in clients]
    for client in clients:
        await client.stop()
    assert [len(copy ^ rows) for copy in copies] == [0] * len(copies)


def write_until(server, stop):
    with psycopg.connect(server.admin_uri, autocommit=True) as connection:
        number = 0
        while not stop.is_set():
            number += 1
            connection.execute("insert into api.pets values ('Ant', 'x', %s, 0)", [str(number)])
            connection.execute("update api.pets set color = %s where name = %s", [number, str(number - 5)])
            if number % 3 == 0:
                connection.execute("delete from api.pets where name = %s", [str(number - 20)])


async def test_a_server_that_is_not_there_yet_is_waited_for(make_aiodata_server):
    server = make_aiodata_server()
    server.stop()
    client = Client(server.url, token())
    starting = asyncio.ensure_future(client.start())
    await asyncio.sleep(0.3)
    assert (starting.done(), client.state, list(client.tables)) == (False, "connecting", [])
    server.start()
    await asyncio.wait_for(starting, 20)
    assert client.tables.pets.get("Cat")
    await client.stop()
    assert client.state == "stale"
    assert client.tables.pets.get("Cat")


async def test_a_start_can_be_given_up():
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        client = Client(f"http://127.0.0.1:{nobody.getsockname()[1]}")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.start(), 0.3)
        with pytest.raises(RuntimeError, match="not started"):
            await client.live()


async def test_a_client_can_be_stopped_and_started_again(make_aiodata_server):
    server, heard = make_aiodata_server(), Heard()
    client = Client(server.url, token(), callback=heard)
    for name in ("first", "second"):
        await client.start()
        await client.live()
        await client.tables.pets.create("Cow", "x", name)
        await heard.until(lambda name=name: client.tables.pets.get("Cow", "x", name))
        await client.stop()
        sql(server, f"insert into api.pets values ('Cow', 'x', 'unheard {name}')")
    assert [(action, entries[0].name) for action, _, entries in heard] == [
        ("create", "first"),
        ("create", "unheard first"),
        ("create", "second"),
    ]


async def test_answers_cut_short_by_the_server_are_completed(make_aiodata_server):
    rows = "insert into api.pets select 'Ant', (n % 7)::text, n::text from generate_series(1, 2500) n;"
    server = make_aiodata_server(DEMO_SCHEMA + rows, environment={"PGRST_DB_MAX_ROWS": "400"})
    async with Client(server.url, token()) as client:
        assert pets_of(client) == pets_in(server)


async def test_a_server_below_a_path_is_reached(make_aiodata_server):
    server, heard = make_aiodata_server(module="tests.client.mounted", path="/shop"), Heard()
    assert server.url.endswith("/shop")
    async with Client(server.url + "/", token(), callback=heard) as client:
        await client.live()
        (created,) = await client.tables.pets.create("Cow", "a/b", "x")
        await heard.wait(1)
        assert client.tables.pets.get("Cow", "a/b") == (created,)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
async def test_daphne_serves_the_same(make_aiodata_server, number):
    server, heard = make_aiodata_server(server="daphne"), Heard()
    async with Client(server.url, token(), callback=heard) as client:
        await client.live()
        await client.tables.pets.create("Cow", "a/b", "x")
        await heard.wait(1)
        server.signal(number)
        server.stop()
        sql(server, "delete from api.pets where type = 'Cow'")
        server.start()
        await heard.wait(2, 20)
    assert [action for action, _, _ in heard] == ["create", "delete"]


async def test_without_a_feed_the_tables_are_read_once_and_the_reason_is_told(make_database, as_user, caplog):
    uri = make_database(DEMO_SCHEMA)
    server = LiveServer(as_user(uri, "authenticator"), environment={"PGRST_FEED_ENABLED": "false"})
    try:
        server.start()
        client = Client(server.url, token())
        await client.start()
        assert len(client.tables.pets.get("Cat")) == 2
        async with asyncio.timeout(5):
            while client.state != "stale":  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        await client.stop()
    finally:
        server.close()
    assert "4503" in caplog.text
