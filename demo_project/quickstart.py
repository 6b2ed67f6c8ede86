"""The quickstart: a client with a live copy, three pets, and every change printed as it is heard.

Run by `make demo`; by hand: python demo_project/quickstart.py [URL]. Exits with 0 only if every event came.
"""

import asyncio
import sys

from aiodata_django.client import Client

# {"role": "auth"}, signed (HS256) with the secret of postgrest.conf.
TOKEN = (
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJyb2xlIjoiYXV0aCJ9.jOVzPENev84OP1c0E1uVT1YvmBZPXQUD7pz_vlAAZx4"
)

FISH = ("Fish", "Koi", "Aqui")
DOG = ("Dog", "Shiba Inu", "Munch")
OTHER_DOG = ("Dog", "Akita", "Luna")

EXPECTED = [
    *(("create", key) for key in (FISH, OTHER_DOG, DOG)),
    ("update", DOG),
    ("update", OTHER_DOG),
    ("delete", FISH),
    ("delete", DOG),
    ("delete", OTHER_DOG),
]

heard = asyncio.Queue()


def callback(action, table, entries):
    """Called with every change, whoever made it: here, in the admin, in psql."""
    for entry in entries:
        old, new = entry if action == "update" else (None, entry)
        print(f"  heard: {action} {table} {new}" + (f"  (was {old})" if old else ""))
        if table == "pets":
            heard.put_nowait((action, (new.type, new.breed, new.name)))


async def main(url):
    client = Client(url, TOKEN, callback=callback)
    await client.start()
    try:
        return await play(client.tables.pets)
    finally:
        await client.stop()


async def play(pets):
    # What an earlier run left behind.
    for key in (FISH, DOG, OTHER_DOG):
        if pets.get(*key):
            await pets.delete(*key)
            while await heard.get() != ("delete", key):
                pass

    print("Three pets. What a row leaves out takes its default:")
    created = await (
        pets.create(*FISH, color=0xFF7F50).create(*OTHER_DOG, color=0xF4A460, groomed=False).create(*DOG)
    )
    (aqui, luna, munch) = created
    print(f"  {aqui.name}, {luna.name} and {munch.name}; is {munch.name} groomed? {munch.groomed}")

    print("Every dog to the groomer; the beginning of a key is enough:")
    await pets.update("Dog", groomed=True)

    print("The koi are given away:")
    await pets.delete("Fish", "Koi")

    print("The dogs go home:")
    await pets.delete("Dog")

    missing = await events(EXPECTED)
    print(f"Our fish, from the copy, without asking anybody: {pets.get('Fish')}")
    for action, key in missing:
        print(f"not heard: {action} of {key}", file=sys.stderr)
    return 1 if missing else 0


async def events(expected):
    """Wait for these events; those that did not come in ten seconds."""
    missing = list(expected)
    try:
        async with asyncio.timeout(10):
            while missing:
                event = await heard.get()
                if event in missing:
                    missing.remove(event)
    except TimeoutError:
        pass
    return missing


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "http://localhost:4000")))
