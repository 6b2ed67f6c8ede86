"""The published pgrest client, unmodified, against a server: python drive_pgrest.py URL TOKEN

Keeps to what works in that client: its filters and preferences stay on the session, so each step has its own.
Runs in the environment of requirements-pgrest.txt.
"""

import asyncio
import sys

from pgrest import Client, Column
from pgrest._sync_client import SyncClient

PETS = [
    {"type": "Dog", "breed": "Akita", "name": "Luna", "color": 1},
    {"type": "Dog", "breed": "Shiba Inu", "name": "Munch", "color": 2},
]


def client(kind, base, token):
    return kind(base, schema="api").auth(token)


def drive_sync(base, token):
    with client(SyncClient, base, token) as pets:
        rows, _ = pets.from_("pets").insert_many(PETS).execute()
        assert [row["name"] for row in rows] == ["Luna", "Munch"], rows
        assert rows[0]["groomed"] is False
    with client(SyncClient, base, token) as pets:
        rows, count = pets.from_("pets").select("name", count="exact").eq("type", "Dog").limit(1).execute()
        assert (len(rows), count) == (1, 2), (rows, count)
    with client(SyncClient, base, token) as pets:
        condition = (Column("type") == "Dog") & ((Column("color") > 1) | (Column("name") == "nobody"))
        rows, _ = pets.from_("pets").select("name").where(condition).execute()
        assert rows == [{"name": "Munch"}], rows
    with client(SyncClient, base, token) as pets:
        rows, _ = pets.from_("pets").insert({**PETS[0], "color": 9}, upsert=True).execute()
        assert rows[0]["color"] == 9, rows
    with client(SyncClient, base, token) as pets:
        row, _ = pets.from_("pets").select("color").eq("name", "Luna").single().execute()
        assert row == {"color": 9}, row


async def drive_async(base, token):
    async with client(Client, base, token) as pets:
        rows, _ = await pets.from_("pets").update({"groomed": True}).eq("type", "Dog").execute()
        assert {row["name"] for row in rows} == {"Luna", "Munch"}, rows
    async with client(Client, base, token) as pets:
        rows, _ = await pets.rpc("paint", {"type": "Dog", "color": 5}).execute()
        assert {row["color"] for row in rows} == {5}, rows
    async with client(Client, base, token) as pets:
        rows, _ = await pets.from_("pets").delete().eq("type", "Dog").execute()
        assert len(rows) == 2, rows
    async with client(Client, base, token) as pets:
        error, _ = await pets.from_("cars").select("*").execute()
        assert error["code"] == "PGRST205", error


url, token = sys.argv[1:]
for mount in ("/rest", "/query"):
    drive_sync(url + mount, token)
    asyncio.run(drive_async(url + mount, token))
