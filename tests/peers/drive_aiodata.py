"""The published aiodata client, unmodified, against a server: python drive_aiodata.py URL TOKEN

Follows the reference's quickstart. Runs in the environment of requirements-aiodata.txt.
"""

import asyncio
import collections
import collections.abc
import sys

# What the client's own dependency needs on Python 3.10 and later; nothing of the client is touched.
collections.Mapping = collections.abc.Mapping

from aiodata import Client  # noqa: E402


async def main(url, token):
    heard = asyncio.Queue()
    client = Client(url, token, callback=lambda *event: heard.put_nowait(event))
    await client.start()
    assert {"pets", "owners", "visits"} <= set(client.tables), list(client.tables)
    pets = client.tables.pets
    assert [(field.name, field.main, field.type) for field in pets.fields] == [
        ("type", True, "text"),
        ("breed", True, "text"),
        ("name", True, "text"),
        ("color", False, "int4"),
        ("groomed", False, "bool"),
    ]
    assert [pet.name for pet in pets.get("Cat", "Persian", "Bo")] == ["Bo"]

    (aqui, luna, munch) = await (
        pets.create("Fish", "Koi", "Aqui", color=1)
        .create("Dog", "Akita", "Luna", color=2, groomed=True)
        .create("Dog", breed="Shiba Inu", name="Munch")
    )
    assert (aqui.color, luna.groomed, munch.groomed, munch.color) == (1, True, False, None)
    for name in ("Aqui", "Luna", "Munch"):
        action, table, (entry,) = await heard.get()
        assert (action, table, entry.name) == ("create", "pets", name)
    assert [pet.name for pet in pets.get("Dog", "Akita")] == ["Luna"]

    updated = list(await pets.update("Dog", color=7))
    assert sorted(pet.name for pet in updated) == ["Luna", "Munch"]
    changed = {}
    for _ in updated:
        action, table, ((old, new),) = await heard.get()
        assert (action, table, new.color) == ("update", "pets", 7)
        changed[new.name] = old.color
    assert changed == {"Luna": 2, "Munch": None}
    (munch,) = pets.get("Dog", "Shiba Inu", "Munch")
    assert munch.color == 7

    # A key that is no text: the copy of the reference's own server went stale here.
    (owner,) = await client.tables.owners.create(name="Eve")
    assert (await heard.get())[0] == "create"
    list(await client.tables.owners.update(owner.id, name="Eva"))
    action, table, ((old, new),) = await heard.get()
    assert (action, table, old.name, new.name) == ("update", "owners", "Eve", "Eva")
    list(await client.tables.owners.delete(owner.id))
    action, table, (entry,) = await heard.get()
    assert (action, table, entry.name) == ("delete", "owners", "Eva")
    assert client.tables.owners.get(owner.id) == ()

    assert [pet.name for pet in await pets.delete("Fish", "Koi")] == ["Aqui"]
    action, table, (entry,) = await heard.get()
    assert (action, table, entry.name) == ("delete", "pets", "Aqui")
    assert pets.get("Fish") == ()
    list(await pets.delete("Dog"))
    assert [(await heard.get())[0] for _ in range(2)] == ["delete", "delete"]
    assert "23505" in await refusal(pets.create("Cat", "Persian", "Bo"))
    await client.stop()


async def refusal(query):
    """What the server says to a query that it refuses."""
    try:
        await query
    except Exception as error:
        return str(error)
    return "no refusal"


asyncio.run(asyncio.wait_for(main(*sys.argv[1:]), 30))
