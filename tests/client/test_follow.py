"""Keeping the copy right: what is committed while it is made, lost connections, restarts, cut answers."""

import asyncio
import signal
import socket
import threading
import time

import psycopg
import pytest

from aiodata_django.client import Client, Error, Unreachable, asdict
from aiodata_django.client.transport import HttpTransport
from tests.client.heard import Heard
from tests.live import DEMO_SCHEMA, LiveServer, token


class Version1(HttpTransport):
    """The network, to a server that is asked for version 1."""

    async def connect(self, target, headers, protocols=()):
        return await super().connect(target, headers)


class Recorded(HttpTransport):
    """The network, with all that websockets bring and take, and with the means to lose the last of them."""

    def __init__(self, url):
        super().__init__(url)
        self.texts = []
        self.said = []

    async def connect(self, target, headers, protocols=()):
        self.socket = await super().connect(target, headers, protocols)
        receive = self.socket.receive

        async def recorded():
            self.texts.append(await receive())
            return self.texts[-1]

        send = self.socket.send

        async def said(text):
            self.said.append(text)
            await send(text)

        self.socket.receive, self.socket.send = recorded, said
        return self.socket

    async def drop(self):
        await self.socket.close()


def client_of(version, server, heard=None, **options):
    transport = Version1(server.url) if version == 1 else None
    return Client(server.url, token(), callback=heard, transport=transport, **options)


both_versions = pytest.mark.parametrize("version", [1, 2])


def sql(server, *statements):
    with psycopg.connect(server.admin_uri, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)


def pets_in(server):
    with psycopg.connect(server.admin_uri) as connection:
        return set(connection.execute("select type, breed, name, color, groomed from api.pets"))


def pets_of(client):
    return {tuple(asdict(pet).values()) for pet in client.tables.pets}


@both_versions
async def test_a_lost_connection_is_made_anew_and_only_net_differences_are_told(make_aiodata_server, version):
    server, heard = make_aiodata_server(), Heard()
    async with client_of(version, server, heard) as client:
        await client.live()
        assert client.version == version
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


@both_versions
async def test_nothing_committed_while_a_client_starts_is_missed(make_aiodata_server, version):
    server = make_aiodata_server(DEMO_SCHEMA + "alter table api.pets set (autovacuum_enabled = false);")
    stop = threading.Event()
    writer = threading.Thread(target=write_until, args=(server, stop))
    writer.start()
    clients, heard = [], Heard()
    try:
        for _ in range(12):
            client = client_of(version, server, heard)
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
            time.sleep(0.001)  # the clients share two cores with all the rest


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


@both_versions
async def test_a_client_can_be_stopped_and_started_again(make_aiodata_server, version):
    server, heard = make_aiodata_server(), Heard()
    client = client_of(version, server, heard)
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


@both_versions
async def test_answers_cut_short_by_the_server_are_completed(make_aiodata_server, version):
    rows = "insert into api.pets select 'Ant', (n % 7)::text, n::text from generate_series(1, 2500) n;"
    server = make_aiodata_server(DEMO_SCHEMA + rows, environment={"PGRST_DB_MAX_ROWS": "400"})
    async with client_of(version, server) as client:
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


async def test_version_1_hears_each_row_by_itself_and_does_not_wait_for_it(make_aiodata_server):
    server, heard = make_aiodata_server(), Heard()
    async with client_of(1, server, heard) as client:
        await client.live()
        created = await client.tables.pets.create("Cow", "x", "y").create("Cow", "x", "z")
        await client.tables.pets.update("Cow", "x", "z", name="zz")
        await client.tables.pets.delete("Cow", "x", "y")
        await heard.wait(4)
        assert [action for action, _, _ in heard] == ["create", "create", "update", "delete"]
        assert heard[:2] == [("create", "pets", created[:1]), ("create", "pets", created[1:])]
        assert [pet.name for pet in client.tables.pets.get("Cow")] == ["zz"]
        with pytest.raises(Error, match="version 1"):
            await client.synced("0/0")
        with pytest.raises(Error, match="version 1"):
            await client.subscribe("pets")
    with pytest.raises(Error, match="version 1"):
        await client_of(1, server, subscribe=["pets"]).start()


async def test_a_dropped_socket_is_resumed_where_it_broke_off(make_aiodata_server):
    """Not filled again: what had been heard is not asked for a second time."""
    server, heard = make_aiodata_server(), Heard()
    transport = Recorded(server.url)
    async with Client(token=token(), callback=heard, transport=transport) as client:
        await client.live()
        snapshots = sum('"op":"snap"' in text for text in transport.texts)
        for number in range(2):
            await client.tables.pets.create("Cow", "x", str(number))
            await transport.drop()
            sql(server, f"update api.pets set color = {number} where type = 'Cow' and name = '{number}'")
            await heard.wait(2 * number + 2)
        await client.live()
    assert [action for action, _, _ in heard] == ["create", "update"] * 2
    assert sum('"resumed":true' in text for text in transport.texts) == 2
    assert sum('"op":"snap"' in text for text in transport.texts) == snapshots


async def test_the_last_of_what_was_heard_is_acknowledged_though_nothing_follows(make_aiodata_server):
    server, heard = make_aiodata_server(), Heard()
    transport = Recorded(server.url)
    async with Client(token=token(), callback=heard, transport=transport) as client:
        await client.live()
        for count in (1, 2):
            sql(server, f"insert into api.pets values ('Cow', 'x', '{count}')")
            await heard.wait(count)
            number = len(transport.texts)
            async with asyncio.timeout(10):
                while not any(f'"n":{number}' in text for text in transport.said):  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
            assert len(transport.texts) == number


async def test_a_write_made_while_the_socket_is_lost_is_waited_for(make_aiodata_server):
    transport = Recorded(make_aiodata_server().url)
    async with Client(token=token(), transport=transport) as client:
        await client.live()
        await transport.drop()
        (created,) = await client.tables.pets.create("Cow", "x", "y")
        assert client.tables.pets.get("Cow") == (created,)


async def test_who_waits_for_a_stopped_client_is_told(make_aiodata_server):
    server = make_aiodata_server()
    client = client_of(2, server)
    await client.start()
    waiting = asyncio.ensure_future(client.synced("FFFFFFFF/0"))
    await asyncio.sleep(0.2)
    assert not waiting.done()
    await client.stop()
    with pytest.raises(Unreachable, match="stopped"):
        await waiting


async def test_a_table_granted_while_following_is_there_when_its_rows_are_told(make_aiodata_server):
    server = make_aiodata_server(DEMO_SCHEMA + "revoke all on api.owners from auth, anon;")
    shown, heard = [], Heard()

    def told(action, table, entries):
        shown.append(table in client.tables and len(client.tables[table]))
        heard(action, table, entries)

    async with Client(server.url, token(), callback=told) as client:
        await client.live()
        assert "owners" not in client.tables
        with psycopg.connect(server.admin_uri) as connection:
            (count,) = connection.execute("select count(*) from api.owners").fetchone()
        sql(server, "grant select on api.owners to auth")
        await heard.wait(count, 20)
        assert [table for _, table, _ in heard] == ["owners"] * count
        assert shown == [count] * count
        assert client.tables.owners.key == ("id",)
