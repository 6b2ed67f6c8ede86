"""Sockets in step: one reader for all of them, and each still gets everything once, in order."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest

from aiodata_django.core.changes.transaction import Transaction
from aiodata_django.core.state.session import Subscription
from aiodata_django.feed.encoding import Encoded, encoded
from aiodata_django.feed.log import RingLog
from aiodata_django.feed.outlet import begun

from .copy import Copy
from .zoo import SCHEMA

PETS = Subscription(1, "pets")
MINE = Subscription(1, "notes")


async def in_step(here: Any, *copies: Copy, count: int | None = None) -> None:
    """Wait until so many (all) of the copies' sockets rest together."""
    for copy in copies:
        await copy.live()
    wanted = len(copies) if count is None else count
    async with asyncio.timeout(15):
        number = 0
        # A socket alone rests alone: the first of them joins the others after the next transaction.
        while here.feed.cohorts.seated < wanted:
            number += 1
            await here.write(f"insert into api.pets values ({-number}); delete from api.pets where id < 0")
            await asyncio.gather(*[copy.synced() for copy in copies])


async def join(here: Any, count: int, *subs: Subscription, **claims: Any) -> list[Copy]:
    copies = [await Copy(here.feed, "auth", *(subs or (PETS,)), **claims).connect() for _ in range(count)]
    await in_step(here, *copies)
    for copy in copies:
        copy.story.clear()
    return copies


async def test_all_get_every_transaction_once_and_in_order(stage) -> None:
    here = await stage(SCHEMA)
    copies = await join(here, 5)
    for number in range(50):
        await here.write(
            f"insert into api.pets values ({number}, 'Dog', 'Kü{number}')",
            f"update api.pets set owner = 'me' where id = {number // 2}",
        )
    for copy in copies:
        await copy.synced()
        assert (copy.story, copy.rows) == (copies[0].story, copies[0].rows)
        assert copy.resyncs == []
    assert [key for kind, _, (key,), _, _ in copies[0].story if kind == "create"] == list(range(50))
    await in_step(here, *copies)


async def test_each_starts_from_where_it_stands(stage) -> None:
    here = await stage(SCHEMA)
    copies = await join(here, 2)
    for number in range(6):
        # Other tables move the log on; who joins now stands elsewhere than those who were here before.
        await here.write(f"insert into api.toys values ({number}, 'ball', 1)")
        copies.append(await (await Copy(here.feed, "auth", PETS).connect()).live())
        await copies[number % 3].synced()
    await here.write("insert into api.pets values (1), (2)", "delete from api.pets where id = 1")
    for copy in copies:
        await copy.synced()
        assert copy.closed is None
        assert set(copy.table("pets")) == {(2,)}
        assert copy.session.state == "live"
    await in_step(here, *copies)


class HeldLog(RingLog):
    """A ring that gets nothing while it is held, as when the stream is slow."""

    held: deque[Callable[[], object]] | None = None

    def append(self, transaction: Transaction) -> bool:
        if self.held is None:
            return super().append(transaction)
        self.held.append(partial(super().append, transaction))
        return True

    def advance(self, lsn: int) -> None:
        if self.held is None:
            super().advance(lsn)
        else:
            self.held.append(partial(super().advance, lsn))

    def release(self) -> None:
        while self.held:
            self.held.popleft()()
        self.held = None


async def test_what_a_newcomers_snapshot_had_is_not_told_to_it_again(stage) -> None:
    here = await stage(SCHEMA, make_log=HeldLog)
    copies = await join(here, 2)
    here.feed.log.held = deque()
    await here.write("insert into api.pets values (1)", "update api.pets set owner = 'me' where id = 1")
    newcomer = await (await Copy(here.feed, "auth", PETS).connect()).live()
    async with asyncio.timeout(15):
        while here.feed.cohorts.seated < 3:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)
    here.feed.log.release()
    await here.write("insert into api.pets values (2)")
    for copy in (*copies, newcomer):
        await copy.synced()
    assert [kind for kind, *_ in copies[0].story] == ["create", "update", "create"]
    assert [(kind, key) for kind, _, key, _, _ in newcomer.story] == [("create", (1,)), ("create", (2,))]


async def test_who_has_read_what_others_are_about_to_be_told_is_not_told_again(stage, monkeypatch) -> None:
    here = await stage(SCHEMA)
    copies = await join(here, 3)
    before = [len(copy.commits) for copy in copies]
    reached, free = asyncio.Event(), asyncio.Event()

    async def held(*args: Any) -> Encoded:
        reached.set()
        await free.wait()
        return await encoded(*args)

    monkeypatch.setattr("aiodata_django.feed.cohort.encoded", held)
    await asyncio.gather(here.write("insert into api.pets values (1)"), reached.wait())
    copies[0].say('{"op":"ping","n":1}')  # to read on alone
    await copies[0].until(lambda: (1,) in copies[0].table("pets"))
    async with asyncio.timeout(15):
        while here.feed.cohorts.seated < 3:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)
    free.set()
    await asyncio.gather(*[copy.synced() for copy in copies])
    assert [len(copy.commits) - count for copy, count in zip(copies, before, strict=True)] == [1, 1, 1]


@pytest.fixture
def impatient_silence(monkeypatch) -> float:
    """Seconds after which a server breaks its silence: not so many."""
    for module in ("cohort", "resting"):
        monkeypatch.setattr(f"aiodata_django.feed.{module}.SILENCE", 0.5)
    return 0.5


async def test_a_heartbeat_reaches_all_and_takes_nobody_out_of_step(stage, impatient_silence) -> None:
    here = await stage(SCHEMA)
    copies = await join(here, 4)
    await here.write("insert into api.pets values (1)")
    for copy in copies:
        await copy.until(lambda copy=copy: (1,) in copy.table("pets"))
    # Seated anew, for asking takes a socket out of step; from now on nobody asks for anything.
    await in_step(here, *copies)
    heard = [copy.heard for copy in copies]
    spoke = [copy.reader.line.spoke_at for copy in copies]  # moves when it leaves the others
    for turn in range(1, 4):
        for copy, before in zip(copies, heard, strict=True):
            await copy.until(lambda copy=copy, wanted=before + turn: copy.heard >= wanted)
    assert [copy.reader.line.spoke_at for copy in copies] == spoke
    await here.write("insert into api.pets values (2)")
    for copy in copies:
        await copy.until(lambda copy=copy: (2,) in copy.table("pets"))
        assert (copy.resyncs, copy.closed) == ([], None)
        assert copy.story == copies[0].story


async def test_who_is_told_of_transactions_stays_in_step(stage, impatient_silence) -> None:
    here = await stage(SCHEMA)
    copies = await join(here, 4)
    spoke = [copy.reader.line.spoke_at for copy in copies]  # moves when it leaves the others
    for number in range(30):  # for much longer than the silence may be
        await here.write(f"insert into api.pets values ({number})")
        await copies[0].until(lambda wanted=(number,): wanted in copies[0].table("pets"))
        await asyncio.sleep(impatient_silence / 10)
    assert [copy.reader.line.spoke_at for copy in copies] == spoke
    for copy in copies:
        await copy.synced()
        assert [key for _, _, key, _, _ in copy.story] == [(number,) for number in range(30)]


async def test_a_stream_that_is_away_is_told_of_to_all_who_are_in_step(stage, impatient_silence) -> None:
    here = await stage(SCHEMA)
    copies = await join(here, 3)
    here.feed.hub.capturing = lambda: 0.0  # since the loop's time began
    for copy in copies:
        await copy.until(lambda copy=copy: copy.session.state == "stale")
    here.feed.hub.capturing = lambda: None
    for copy in copies:
        await copy.live()
    await in_step(here, *copies)


async def test_who_may_see_other_rows_is_in_step_with_others(stage) -> None:
    here = await stage(SCHEMA)
    mine = await join(here, 3, MINE, sub="me")
    yours = [await Copy(here.feed, "auth", MINE, sub="you").connect() for _ in range(3)]
    await in_step(here, *mine, *yours)
    await here.write(
        "insert into api.notes values (1, 'me', 'a'), (2, 'you', 'b')",
        "update api.notes set owner = 'you' where id = 1",
        "update api.notes set owner = 'me' where id = 2",
    )
    for copy, who in [(copy, "me") for copy in mine] + [(copy, "you") for copy in yours]:
        await copy.synced()
        assert [owner for row in copy.table("notes").values() if (owner := row)] == [
            f'{{"id":{2 if who == "me" else 1},"owner":"{who}","body":"{"b" if who == "me" else "a"}"}}'
        ]


async def test_a_socket_that_makes_the_sender_wait_delays_nobody_and_misses_nothing(stage) -> None:
    here = await stage(SCHEMA)
    stalled, *others = await join(here, 4)
    free = asyncio.Event()
    send = stalled.send

    async def slow(text: str, /) -> None:
        await free.wait()
        await send(text)

    stalled.send = slow  # type: ignore[method-assign]
    for number in range(20):
        await here.write(f"insert into api.pets values ({number})")
        for copy in others:
            await copy.synced()
    assert stalled.story == []
    free.set()
    await stalled.synced()
    assert stalled.story == others[0].story
    await in_step(here, stalled, *others)


async def test_a_socket_whose_window_is_shut_delays_nobody_and_goes_on_later(stage, monkeypatch) -> None:
    monkeypatch.setattr("aiodata_django.feed.line.PATIENCE", 1.0)
    here = await stage(SCHEMA, state_queue_bytes=5000)
    deaf, *others = await join(here, 4)
    deaf.deaf = True
    for number in range(60):
        await here.write(
            f"insert into api.pets values ({number}, 'Dog', 'some bytes to fill the window with')"
        )
    for copy in others:
        await copy.synced()
        assert len(copy.table("pets")) == 60
    await deaf.until(lambda: deaf.closed)
    assert deaf.closed is not None
    assert deaf.closed[0] == 4408
    deaf.deaf = False
    await deaf.drop()
    await (await deaf.connect()).synced()
    assert deaf.story == others[0].story
    assert deaf.resyncs == []


async def test_a_socket_that_breaks_is_closed_and_the_others_go_on(stage) -> None:
    here = await stage(SCHEMA)
    broken, *others = await join(here, 3)

    async def fail(text: str, /) -> None:
        raise RuntimeError("the outlet is broken")

    broken.send = fail  # type: ignore[method-assign]
    await here.write("insert into api.pets values (1)", "insert into api.pets values (2)")
    await broken.until(lambda: broken.closed)
    assert broken.closed is not None
    assert broken.closed[0] == 4011
    for copy in others:
        await copy.synced()
        assert len(copy.table("pets")) == 2


async def test_nothing_is_sent_after_the_token_has_expired(stage) -> None:
    here = await stage(SCHEMA)
    brief = await Copy(here.feed, "auth", PETS, expires=time.time() + 3).connect()
    others = [await Copy(here.feed, "auth", PETS).connect() for _ in range(2)]
    await in_step(here, brief, *others)
    await asyncio.sleep(max(0.0, brief.identity.expires - time.time()))
    await here.write("insert into api.pets values (1)")
    await brief.until(lambda: brief.closed)
    assert brief.closed is not None
    assert brief.closed[0] == 4401
    assert brief.table("pets") == {}
    for copy in others:
        await copy.synced()
        assert len(copy.table("pets")) == 1


@pytest.mark.parametrize("lanes", [True, False], ids=["in lanes", "sent nothing together yet"])
async def test_a_token_that_ended_while_the_machine_slept_ends_before_anything_is_sent(
    stage, monkeypatch, lanes
) -> None:
    """Timers do not count the time that a suspended machine sleeps; the clock that tokens end by does."""
    here = await stage(SCHEMA)
    brief = await Copy(here.feed, "auth", PETS, expires=time.time() + 3600).connect()
    others = [await Copy(here.feed, "auth", PETS).connect() for _ in range(2)]
    await in_step(here, brief, *others)  # who has just asked whether it has all is sent to by itself
    if lanes:
        await here.write("insert into api.pets values (0)")
        for copy in (brief, *others):
            await copy.until(partial(copy.table, "pets"))
    later = SimpleNamespace(time=lambda: time.time() + 7200, monotonic=time.monotonic)
    for module in ("cohort", "line", "resting"):
        monkeypatch.setattr(f"aiodata_django.feed.{module}.time", later)
    await here.write("insert into api.pets values (1)")
    for copy in others:
        await copy.synced()
        assert len(copy.table("pets")) == 1 + lanes
    await brief.until(lambda: brief.closed)
    assert brief.closed is not None
    assert brief.closed[0] == 4401
    assert len(brief.table("pets")) == lanes


@pytest.mark.parametrize(
    ("statement", "resyncs"),
    [
        ("insert into api.pets select n, 'Dog', repeat('x', 300) from generate_series(3000, 9000) n", []),
        ("alter table api.pets add column age int", ["schema"]),
        ("truncate api.pets", []),
        ("update api.pets set id = id + 10000", []),
    ],
    ids=["in parts", "another shape", "truncate", "keys"],
)
async def test_what_is_out_of_the_ordinary_reaches_all(stage, statement, resyncs) -> None:
    here = await stage(SCHEMA)
    await here.write("insert into api.pets values (1001), (1002)")
    copies = await join(here, 3)
    await here.write("insert into api.pets values (1003)", statement, "insert into api.pets values (2000)")
    rows = await here.value("select json_agg(row_to_json(t)::text) from api.pets t")
    for copy in copies:
        await copy.synced()
        await copy.until(lambda copy=copy: sorted(copy.table("pets").values()) == sorted(rows))
        assert copy.closed is None
        assert copy.resyncs == resyncs
        kinds = [(kind, key) for kind, _, key, _, _ in copy.story]
        assert kinds.count(("create", (2000,))) == 1
    await in_step(here, *copies)


async def test_a_lost_session_starts_all_over(stage) -> None:
    here = await stage(SCHEMA)
    copies = await join(here, 3)
    await here.write(
        "select pg_terminate_backend(active_pid) from pg_replication_slots"
        " where database = current_database()",
        "insert into api.pets values (7)",
    )
    for copy in copies:
        await copy.until(lambda copy=copy: set(copy.table("pets")) == {(7,)})
        assert copy.resyncs == ["epoch"]
    await in_step(here, *copies)


async def test_sockets_that_come_and_go_leave_nothing_behind(stage) -> None:
    here = await stage(SCHEMA)
    copies = await join(here, 4)
    for copy in copies[:2]:
        await copy.drop()
    await here.write("insert into api.pets values (1)")
    for copy in copies[2:]:
        await copy.synced()
        assert set(copy.table("pets")) == {(1,)}
        await copy.drop()
    assert here.feed.cohorts.seated == 0
    back = await join(here, 2)
    await here.write("insert into api.pets values (2)")
    for copy in back:
        await copy.synced()
        assert set(copy.table("pets")) == {(1,), (2,)}


async def test_what_is_begun_goes_on_where_it_waited() -> None:
    told: list[str] = []
    first, second = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        told.append("begun")
        await first.wait()
        told.append("half")
        with suppress(TimeoutError):
            async with asyncio.timeout(0.01):
                await second.wait()
        told.append("done")

    async def at_once() -> None:
        told.append("at once")

    assert begun(at_once()) is None
    rest = begun(work())
    assert rest is not None
    assert told == ["at once", "begun"]
    asyncio.get_running_loop().call_soon(first.set)

    async def wait() -> None:
        await rest

    await asyncio.create_task(wait())
    assert told == ["at once", "begun", "half", "done"]


async def test_what_is_begun_ends_when_its_waiter_is_cancelled() -> None:
    told: list[str] = []

    async def work() -> None:
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            told.append("cancelled")
            raise

    rest = begun(work())
    assert rest is not None
    task = asyncio.ensure_future(rest)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert told == ["cancelled"]
