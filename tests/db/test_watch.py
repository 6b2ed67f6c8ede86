"""Notifications arrive in order, and a lost connection is found again and told of."""

from __future__ import annotations

import asyncio

import psycopg
import pytest

from aiodata_django.db.watch import Watch


class Listener:
    """What a watch told."""

    def __init__(self) -> None:
        self.told: asyncio.Queue[str] = asyncio.Queue()

    async def notified(self, payload: str) -> None:
        await self.told.put(payload)
        if payload == "fail":
            raise ValueError("on purpose")

    async def reconnected(self) -> None:
        await self.told.put("(reconnected)")

    async def next(self) -> str:
        async with asyncio.timeout(10):
            return await self.told.get()


@pytest.fixture
def uri(make_database) -> str:
    return make_database()


def watch(uri: str, listener: Listener, **options) -> Watch:
    options.setdefault("first_delay", 0.02)
    return Watch(uri, notified=listener.notified, reconnected=listener.reconnected, **options)


def notify(uri: str, *payloads: str, channel: str = "pgrst") -> None:
    with psycopg.connect(uri, autocommit=True) as connection:
        for payload in payloads:
            connection.execute("select pg_notify(%s, %s)", [channel, payload])


async def test_notifications_arrive_in_order(uri: str) -> None:
    listener = Listener()
    async with watch(uri, listener) as watching:
        await watching.listening.wait()
        notify(uri, "reload schema", "", "ü")
        assert [await listener.next() for _ in range(3)] == ["reload schema", "", "ü"]


async def test_channels_with_any_name_are_listened_to_and_others_are_not(uri: str) -> None:
    listener = Listener()
    async with watch(uri, listener, channel='My "own"') as watching:
        await watching.listening.wait()
        notify(uri, "not for us", channel="my own")
        notify(uri, "for us", channel='My "own"')
        assert await listener.next() == "for us"


async def test_a_failing_callback_ends_nothing(uri: str, caplog) -> None:
    listener = Listener()
    async with watch(uri, listener) as watching:
        await watching.listening.wait()
        notify(uri, "fail", "go on")
        assert [await listener.next(), await listener.next()] == ["fail", "go on"]
    assert "on purpose" in caplog.text


async def test_a_lost_connection_is_made_again_and_told_of(uri: str) -> None:
    listener = Listener()
    async with watch(uri, listener) as watching:
        await watching.listening.wait()
        with psycopg.connect(uri, autocommit=True) as connection:
            ours = "application_name = 'aiodata watch' and datname = current_database()"
            connection.execute(f"select pg_terminate_backend(pid) from pg_stat_activity where {ours}")
        assert await listener.next() == "(reconnected)"
        notify(uri, "again")
        assert await listener.next() == "again"


async def test_a_database_that_is_away_is_waited_for(own_postgres, caplog) -> None:
    listener = Listener()
    own_postgres.crash()
    async with watch(own_postgres.uri(), listener, last_delay=0.1) as watching:
        await asyncio.sleep(0.1)
        assert not watching.listening.is_set()
        await asyncio.to_thread(own_postgres.restart)
        async with asyncio.timeout(10):
            await watching.listening.wait()
        assert await listener.next() == "(reconnected)"
        notify(own_postgres.uri(), "here")
        assert await listener.next() == "here"
    assert "next try" in caplog.text


async def test_stop_closes_the_connection_and_leaves_no_task(uri: str) -> None:
    listener = Listener()
    watching = watch(uri, listener)
    watching.start()
    await watching.listening.wait()
    await watching.stop()
    await watching.stop()
    assert not watching.listening.is_set()
    assert len(asyncio.all_tasks()) == 1
