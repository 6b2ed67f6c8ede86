"""A socket is never silent for long, also when there is much to read of which it is told nothing."""

from __future__ import annotations

import asyncio

import pytest

from aiodata_django.core.state.cursor import Cursor
from aiodata_django.core.state.session import Subscription

from .copy import Copy
from .test_cohort import in_step
from .zoo import SCHEMA

SLOWLY = """
create function public.slowly() returns boolean language plpgsql stable as $$
begin perform pg_sleep(0.05); return true; end $$;
drop policy mine on api.notes;
create policy mine on api.notes to auth using (
    (select public.slowly()) and owner = current_setting('request.jwt.claims', true)::json ->> 'sub');
"""
MINE = Subscription(1, "notes")


@pytest.fixture(autouse=True)
def impatient_silence(monkeypatch) -> None:
    for module in ("cohort", "resting"):
        monkeypatch.setattr(f"aiodata_django.feed.{module}.SILENCE", 0.3)


@pytest.mark.parametrize("count", [1, 3], ids=["alone", "in step"])
async def test_who_reads_for_long_what_it_may_not_see_is_heard_of_meanwhile(stage, count: int) -> None:
    here = await stage(SCHEMA + SLOWLY)
    await here.write("insert into api.notes values (1, 'you', '')")
    copies = [await (await Copy(here.feed, "auth", MINE, sub="me").connect()).live() for _ in range(count)]
    if count > 1:
        await in_step(here, *copies)
    for copy in copies:
        await copy.synced()
    await here.write(*[f"update api.notes set body = '{number}' where id = 1" for number in range(40)])
    end = await here.value("select pg_catalog.pg_current_wal_insert_lsn() - '0/0'::pg_lsn")
    heard, behind = [copy.heard for copy in copies], 0
    async with asyncio.timeout(30):
        while here.feed.hub.position < end:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)
        for copy, before in zip(copies, heard, strict=True):
            await copy.until(lambda copy=copy, wanted=before + 2: copy.heard >= wanted)
            # Some of that was said before everything was read: cursors are told that are not at the end.
            behind += Cursor.parse(copy.session.cursor).lsn < end
    assert behind == count
    for copy in copies:
        await copy.synced()
        assert (copy.session.state, copy.resyncs, copy.closed, copy.story) == ("live", [], None, [])


async def test_a_lag_that_was_told_is_taken_back(stage, monkeypatch) -> None:
    monkeypatch.setattr("aiodata_django.core.state.session.STALE_LAG", 0.1)
    here = await stage(SCHEMA + SLOWLY)
    await here.write("insert into api.notes values (1, 'you', '')")
    copies = [await (await Copy(here.feed, "auth", MINE, sub="me").connect()).live() for _ in range(3)]
    await in_step(here, *copies)
    await here.write(*[f"update api.notes set body = '{number}' where id = 1" for number in range(40)])
    monkeypatch.setattr("aiodata_django.feed.resting.SILENCE", 1000.0)
    monkeypatch.setattr("aiodata_django.feed.cohort.SILENCE", 1000.0)
    for copy in copies:
        await copy.until(lambda copy=copy: copy.session.state == "stale")
    for copy in copies:
        await copy.live()
