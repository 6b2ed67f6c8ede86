"""Whatever the log loses, repeats or delays, no copy is silently wrong and no change is told twice."""

import asyncio
import random
from functools import partial

import pytest

from aiodata_django.core.state.session import Subscription

from .copy import Copy
from .unreliable import UnreliableLog

SCHEMA = """
create schema api;
create table api.pets (id int primary key, name text);
grant usage on schema api to auth;
grant select on all tables in schema api to auth;
"""


async def write_some(here, seed: int, count: int = 60) -> None:
    chance = random.Random(seed)
    for number in range(count):
        key = chance.randrange(12)
        await here.write(
            f"delete from api.pets where id = {key}"
            if chance.random() < 0.3
            else f"insert into api.pets values ({key}, '{number}') on conflict (id) do update"
            " set name = excluded.name"
        )
        if chance.random() < 0.3:
            await asyncio.sleep(chance.uniform(0, 0.02))


async def rows(here) -> list[str]:
    return await here.value(
        "select coalesce(json_agg(row_to_json(p)::text order by id), '[]') from api.pets p"
    )


def held(copy: Copy) -> list[str]:
    return [row for _, row in sorted(copy.table("pets").items())]


@pytest.mark.parametrize("seed", range(3))
async def test_delays_and_repeats_cost_nothing_but_time(stage, seed: int) -> None:
    log = partial(UnreliableLog, random=random.Random(seed), repeat=0.5, delay=0.02)
    here = await stage(SCHEMA, make_log=log)
    copies = [await (await Copy(here.feed, "auth", Subscription(1, "pets")).connect()).live()]
    writing = asyncio.create_task(write_some(here, seed))
    for _ in range(5):  # joins look back into a log that is behind the database
        await asyncio.sleep(0.02)
        copies.append(await (await Copy(here.feed, "auth", Subscription(1, "pets")).connect()).live())
    await writing
    expected = await rows(here)
    for copy in copies:
        await copy.synced()
        assert held(copy) == expected
        assert copy.resyncs == []
        assert told_once(copy)
    assert here.feed.log.repeated > 0


@pytest.mark.parametrize("seed", range(3))
async def test_what_is_lost_is_noticed_and_sent_anew(stage, seed: int) -> None:
    log = partial(UnreliableLog, random=random.Random(seed), drop=0.2, repeat=0.2, delay=0.01)
    here = await stage(SCHEMA, make_log=log)
    copy = await (await Copy(here.feed, "auth", Subscription(1, "pets")).connect()).live()
    await write_some(here, seed)
    await until(lambda: here.feed.log.dropped)
    here.feed.log.drop = 0.0
    await copy.synced()
    assert held(copy) == await rows(here)
    assert set(copy.resyncs) == {"epoch"}
    assert told_once(copy)


async def test_the_newest_of_all_may_be_the_one_that_is_lost(stage) -> None:
    here = await stage(SCHEMA, make_log=partial(UnreliableLog, random=random.Random(1)))
    copy = await (await Copy(here.feed, "auth", Subscription(1, "pets")).connect()).live()
    here.feed.log.drop = 1.0
    await here.write("insert into api.pets values (1, 'lost')")
    await here.feed.control.heartbeat()
    await copy.until(lambda: held(copy) == ['{"id":1,"name":"lost"}'])
    assert copy.resyncs == ["epoch"]


async def test_a_follower_is_told_of_the_gap_and_nothing_twice(stage) -> None:
    here = await stage(SCHEMA, make_log=partial(UnreliableLog, random=random.Random(2), delay=0.01))
    heard: list[tuple[str, bool]] = []

    async def follow() -> None:
        async for transaction in here.feed.subscribe_transactions():
            heard.extend((change.row["name"], transaction.gap) for change in transaction.changes())

    following = asyncio.create_task(follow())
    await asyncio.sleep(0.05)
    for name in "abcdefgh":
        here.feed.log.drop = 1.0 if name in "cf" else 0.0
        received = here.feed.capture.transactions
        await here.write(f"insert into api.pets values ({ord(name)}, '{name}')")
        await until(lambda before=received: here.feed.capture.transactions > before)
    await until(lambda: heard and heard[-1][0] == "h")
    following.cancel()
    assert heard == [("a", False), ("b", False), ("d", True), ("e", False), ("g", True), ("h", False)]


async def until(condition) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110  nothing tells
            await asyncio.sleep(0.01)


def told_once(copy: Copy) -> bool:
    """Whether each key's story is a chain: every change begins where the one before ended."""
    known: dict = {}
    for _, _, key, old, new in copy.story:
        if known.get(key) != old:
            return False
        known[key] = new
    return True
