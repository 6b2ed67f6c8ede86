"""What subscriptions narrow their tables to: read once, and while others go on."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from aiodata_django.core.errors import ApiError
from aiodata_django.core.names import QualifiedName
from aiodata_django.core.state.narrowing import parse_narrowing
from aiodata_django.feed.narrowings import LONG, Narrowings
from tests.core.films import SCHEMA

FILMS = QualifiedName("api", "films")
LONG_QUERY = "&".join(f"id=neq.{number}" for number in range(LONG))


async def turns_meanwhile(work) -> int:
    """How often another task had its turn while that was done."""
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    counting = asyncio.create_task(count())
    await asyncio.sleep(0)
    before = turns
    await work
    counting.cancel()
    return turns - before


@pytest.mark.parametrize(
    ("queries", "least"), [([f"id=eq.{number}" for number in range(100)], 100), ([LONG_QUERY], 3)]
)
async def test_others_have_their_turns_while_queries_are_read(queries, least):
    narrowings = Narrowings(lambda: SCHEMA)
    turns = await turns_meanwhile(narrowings.prepare([(query, FILMS) for query in queries]))
    # A thread is left after 5 ms at the latest (sys.getswitchinterval), and the long one takes far longer.
    assert turns >= least
    for query in queries:
        assert narrowings.get(query, FILMS) == parse_narrowing(query, SCHEMA, FILMS)


async def test_a_query_is_read_once_as_long_as_it_is_asked_for_and_the_schema_stays():
    schema = SCHEMA
    narrowings = Narrowings(lambda: schema)
    one, other = ("id=eq.1", FILMS), ("id=eq.2", FILMS)
    await narrowings.prepare([one])
    first = narrowings.get(*one)
    await narrowings.prepare([one, other])
    assert narrowings.get(*one) is first
    await narrowings.prepare([other])
    await narrowings.prepare([one])
    assert narrowings.get(*one) is not first
    again = narrowings.get(*one)
    schema = replace(SCHEMA)
    assert narrowings.get(*one) is not again
    await narrowings.prepare([one])
    assert narrowings.get(*one) is not again
    assert narrowings.get(*one) == again


async def test_a_schema_that_changes_meanwhile_is_read_for():
    schemas = [SCHEMA, replace(SCHEMA)]
    narrowings = Narrowings(lambda: schemas[0])
    preparing = asyncio.create_task(narrowings.prepare([(LONG_QUERY, FILMS)]))
    await asyncio.sleep(0)
    schemas.pop(0)
    await preparing
    assert narrowings.get(LONG_QUERY, FILMS) is narrowings.get(LONG_QUERY, FILMS)


async def test_what_is_not_understood_is_refused_each_time():
    narrowings = Narrowings(lambda: SCHEMA)
    await narrowings.prepare([("order=id", FILMS), ("id=eq.1", FILMS)])
    for _ in range(2):
        with pytest.raises(ApiError, match="order has no meaning"):
            narrowings.get("order=id", FILMS)
    assert narrowings.get("id=eq.1", FILMS).condition is not None
