"""The client on the real server: what it copies, hears, writes and refuses."""

import asyncio

import psycopg
import pytest

from aiodata_django.client import Client
from tests.live import token


class Heard(list):
    """A callback that remembers, and can be waited for."""

    def __init__(self):
        self._more = asyncio.Event()

    def __call__(self, action, table, entries):
        self.append((action, table, entries))
        self._more.set()

    async def wait(self, count):
        async with asyncio.timeout(10):
            while len(self) < count:
                self._more.clear()
                await self._more.wait()


@pytest.fixture
def heard():
    return Heard()


@pytest.fixture
async def client(aiodata_server, heard):
    async with Client(aiodata_server.url, token(), callback=heard) as client:
        await client.live()
        yield client
        for table in ("pets", "visits", "opening_hours"):
            await client.tables[table].delete()


def sql(aiodata_server, *statements):
    with psycopg.connect(aiodata_server.admin_uri, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)


async def test_the_copy_is_what_the_tables_hold(client, aiodata_server):
    pets = client.tables.pets
    assert (
        {pet.name for pet in pets}
        == {pet["name"] for pet in pets.get()}
        == {"Aja", "Bo", "Melekush", "A/B 100%"}
    )
    assert [pet.name for pet in pets.get("Cat", "Persian", "Bo")] == ["Bo"]
    assert {pet.name for pet in pets.get("Cat")} == {"Aja", "Bo"}
    assert pets.get("Cow") == ()
    assert client.state == "live"


async def test_writes_answer_with_entries_and_are_heard(client, heard):
    pets = client.tables.pets
    created = await pets.create("Fish", "Koi", "Aqui", color=1).create(
        "Dog", breed="Akita", name="Luna", groomed=True
    )
    assert [(pet.name, pet.color, pet.groomed) for pet in created] == [
        ("Aqui", 1, False),
        ("Luna", None, True),
    ]
    (luna,) = await pets.update("Dog", color=7)
    (gone,) = await pets.delete("Fish", "Koi")
    assert gone == created[0]
    await heard.wait(4)
    assert heard == [
        ("create", "pets", (created[0],)),
        ("create", "pets", (created[1],)),
        ("update", "pets", ((created[1], luna),)),
        ("delete", "pets", (gone,)),
    ]
    assert pets.get("Dog") == (luna,)
