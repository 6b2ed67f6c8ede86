"""What a version 2 socket says, and what becomes of it: subscriptions, tokens, nonsense, silence."""

from __future__ import annotations

import time

import pytest

from aiodata_django.core.identity import Identity
from aiodata_django.core.state.session import AuthSoon, Subscription

from .copy import Copy
from .zoo import SCHEMA, equal


async def test_subscriptions_come_and_go_on_a_live_socket(stage) -> None:
    here = await stage(SCHEMA)
    await here.write("insert into api.pets values (1)", "insert into api.toys values (1, 'ball', 1)")
    copy = await (await Copy(here.feed, "auth", Subscription(1, "pets")).connect()).live()
    copy.say(copy.session.subscribe(Subscription(2, "toys")))
    await copy.until(lambda: (2, "toys") in copy.rows)
    await here.write("update api.toys set price = 3", "update api.pets set name = 'x'")
    await copy.synced()
    await equal(copy, here, "pets")
    await equal(copy, here, "toys")
    copy.say(copy.session.unsubscribe(2))
    await here.write("delete from api.toys", "delete from api.pets")
    await copy.synced()
    assert copy.table("pets") == {}
    assert len(copy.rows[2, "toys"]) == 1


async def test_refused_subscriptions_do_not_hurt_the_others(stage) -> None:
    here = await stage(SCHEMA)
    copy = Copy(
        here.feed,
        "anon",
        Subscription(1, "nothing"),
        Subscription(2, "toys"),
        Subscription(3, "keyless"),
        Subscription(4, "pets", "id=strange.1"),
        Subscription(5, "pets", "select=id,toys(*)"),
        Subscription(6, "pets", "select=nosuch"),
        Subscription(7, "pets", "nosuch=eq.1"),
        Subscription(8, "pets", "id=eq.x"),
        Subscription(9, "pets"),
    )
    await copy.connect()
    await copy.until(lambda: copy.session.state == "live")
    codes = {failure.sub: failure.code for failure in copy.failures}
    assert codes == {
        1: "PGRST205",
        2: "42501",
        3: "55000",
        4: "PGRST100",
        5: "PGRST100",
        6: "42703",
        7: "42703",
        8: "22P02",
    }
    await here.write("insert into api.pets values (1)")
    await copy.synced()
    assert list(copy.rows[9, "pets"]) == [(1,)]


async def test_a_token_is_renewed_and_another_one_changes_what_is_seen(stage) -> None:
    here = await stage(SCHEMA)
    await here.write("insert into api.notes values (1, 'me', 'a'), (2, 'you', 'b')")
    copy = Copy(here.feed, "auth", Subscription(1, "notes"), sub="me", expires=time.time() + 30)
    copy.tokens["longer"] = Identity("auth", {"role": "auth", "sub": "me"}, True, time.time() + 3000)
    copy.tokens["other"] = Identity("auth", {"role": "auth", "sub": "you"}, True, time.time() + 3000)
    await (await copy.connect()).live()
    await copy.until(lambda: any(isinstance(event, AuthSoon) for event in copy.events))
    copy.say(copy.session.authenticate("longer"))
    await copy.synced()
    assert copy.resyncs == []
    copy.say(copy.session.authenticate("other"))
    await copy.until(lambda: list(copy.table("notes")) == [(2,)])
    assert copy.resyncs == ["role"]


async def test_an_expired_token_closes_the_socket(stage) -> None:
    here = await stage(SCHEMA)
    copy = await (await Copy(here.feed, "auth", expires=time.time() + 0.3).connect()).live()
    await copy.until(lambda: copy.closed)
    assert copy.closed == (4401, "the token has expired")


@pytest.mark.parametrize(
    "frame", ["", "{", "[]", '{"op":"nonsense"}', '{"op":"ack","n":99}', '{"op":"hello"}']
)
async def test_nonsense_closes_its_own_socket_only(stage, frame: str) -> None:
    here = await stage(SCHEMA)
    good = await (await Copy(here.feed, "auth").connect()).live()
    bad = await (await Copy(here.feed, "auth").connect()).live()
    bad.say(frame)
    await bad.until(lambda: bad.closed)
    assert bad.closed is not None
    assert bad.closed[0] == 4400
    await good.synced()


async def test_a_client_that_never_acknowledges_is_paused_then_closed_and_resumes(stage, monkeypatch) -> None:
    monkeypatch.setattr("aiodata_django.feed.line.PATIENCE", 0.5)
    here = await stage(SCHEMA, state_queue_bytes=20_000)
    slow = await (await Copy(here.feed, "auth").connect()).live()
    quick = await (await Copy(here.feed, "auth").connect()).live()
    slow.deaf = True
    for n in range(300):
        await here.write(f"insert into api.pets values ({n}, 'Dog', 'a name that takes some bytes to send')")
    await quick.synced()
    assert len(quick.table("pets")) == 300
    await slow.until(lambda: slow.closed)
    assert slow.closed is not None
    assert slow.closed[0] == 4408
    slow.deaf = False
    await slow.drop()
    await (await slow.connect()).synced()
    assert slow.rows == quick.rows
    assert slow.resyncs == []
    assert len(slow.story) == 300
