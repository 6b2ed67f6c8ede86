"""The published postgrest client, unmodified, against a server: python drive_postgrest.py URL TOKEN

Runs in the environment of requirements-postgrest.txt.
"""

import asyncio
import sys

from postgrest import APIError, AsyncPostgrestClient, CountMethod, SyncPostgrestClient

PETS = [
    {"type": "Dog", "breed": "Akita", "name": "Luna", "color": 1},
    {"type": "Dog", "breed": "Shiba Inu", "name": "Munch", "color": 2},
]


def drive_sync(base, token):
    with SyncPostgrestClient(base, schema="api").auth(token) as client:
        pets = client.from_("pets")
        made = pets.insert(PETS).execute().data
        assert [row["name"] for row in made] == ["Luna", "Munch"], made
        answer = (
            pets.select("name, color", count=CountMethod.exact)
            .eq("type", "Dog")
            .order("color", desc=True)
            .execute()
        )
        assert (answer.count, answer.data[0]) == (2, {"name": "Munch", "color": 2}), answer
        page = pets.select("name").eq("type", "Dog").order("color").range(1, 1).execute().data
        assert page == [{"name": "Munch"}], page
        found = (
            pets.select("name").or_('name.eq.Luna,name.eq."a,b"').in_("type", ["Dog", "a,b"]).execute().data
        )
        assert found == [{"name": "Luna"}], found
        (luna,) = pets.upsert({**PETS[0], "color": 9}).execute().data
        assert luna["color"] == 9, luna
        assert pets.select("color").eq("name", "Luna").single().execute().data == {"color": 9}
        assert pets.select("color").eq("name", "nobody").maybe_single().execute() is None
        kept = (
            client.from_("owners")
            .select("name, keepings(name, pets(color))")
            .eq("name", "Ben")
            .execute()
            .data
        )
        assert kept[0]["keepings"][0]["name"] == "Melekush", kept
        assert isinstance(kept[0]["keepings"][0]["pets"]["color"], int), kept
        assert client.from_("pets").select("*", head=True, count=CountMethod.exact).execute().count == 6


async def drive_async(base, token):
    async with AsyncPostgrestClient(base, schema="api").auth(token) as client:
        pets = client.from_("pets")
        groomed = (await pets.update({"groomed": True}).eq("type", "Dog").execute()).data
        assert {row["name"] for row in groomed} == {"Luna", "Munch"}, groomed
        painted = (await client.rpc("paint", {"type": "Dog", "color": 5}).execute()).data
        assert {row["color"] for row in painted} == {5}, painted
        assert await refusal(pets.insert(PETS[0])) == "23505"
        gone = (await pets.delete().eq("type", "Dog").execute()).data
        assert len(gone) == 2, gone


async def refusal(query):
    """The code of a query's error."""
    try:
        await query.execute()
    except APIError as error:
        return error.code
    return "no refusal"


url, token = sys.argv[1:]
for mount in ("/rest", "/query"):
    drive_sync(url + mount, token)
    asyncio.run(drive_async(url + mount, token))
