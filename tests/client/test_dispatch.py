"""Callbacks: in order, one at a time, and whatever they do, the next one comes."""

import asyncio

from aiodata_django.client.dispatch import Dispatcher
from aiodata_django.core.state.net import Event


def events(*tables):
    return [Event("create", table, ()) for table in tables]


async def test_a_plain_callback_runs_at_once():
    heard = []
    Dispatcher(lambda *event: heard.append(event)).tell(events("a", "b"))
    assert heard == [("create", "a", ()), ("create", "b", ())]


async def test_an_asynchronous_callback_is_awaited_before_the_next():
    heard = []

    async def callback(action, table, entries):
        heard.append(f"begin {table}")
        await asyncio.sleep(0.01)
        heard.append(f"end {table}")

    dispatcher = Dispatcher(callback)
    dispatcher.tell(events("a", "b"))
    dispatcher.tell(events("c"))
    await asyncio.sleep(0.1)
    assert heard == ["begin a", "end a", "begin b", "end b", "begin c", "end c"]


async def test_a_returned_future_is_awaited(caplog):
    heard = []

    def callback(action, table, entries):
        heard.append(table)
        future = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_later(0.01, future.set_exception, ValueError(table))
        return future

    Dispatcher(callback).tell(events("a", "b"))
    assert heard == ["a"]
    await asyncio.sleep(0.1)
    assert heard == ["a", "b"]
    assert caplog.text.count("ValueError") == 2


async def test_what_fails_is_logged_and_the_next_event_comes(caplog):
    heard = []

    def callback(action, table, entries):
        heard.append(table)
        raise ValueError(f"no {table}")

    Dispatcher(callback).tell(events("a", "b"))
    assert heard == ["a", "b"]
    assert "no a" in caplog.text
    assert "no b" in caplog.text


async def test_what_is_cancelled_does_not_cancel_the_rest(caplog):
    heard = []

    async def callback(action, table, entries):
        heard.append(table)
        raise asyncio.CancelledError

    Dispatcher(callback).tell(events("a", "b"))
    await asyncio.sleep(0.05)
    assert heard == ["a", "b"]


async def test_stopping_from_within_a_callback_ends_the_callbacks():
    heard = []

    async def callback(action, table, entries):
        heard.append(table)
        await dispatcher.stop()

    dispatcher = Dispatcher(callback)
    dispatcher.tell(events("a", "b"))
    await asyncio.sleep(0.05)
    assert heard == ["a"]


async def test_stopping_cancels_a_callback_that_is_waiting():
    ended = []

    async def callback(action, table, entries):
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(table)

    dispatcher = Dispatcher(callback)
    dispatcher.tell(events("a", "b"))
    await asyncio.sleep(0)
    await dispatcher.stop()
    assert ended == ["a"]


async def test_a_callback_may_be_an_empty_container():
    class Heard(list):
        def __call__(self, *event):
            self.append(event)

    heard = Heard()
    Dispatcher(heard).tell(events("a"))
    assert heard == [("create", "a", ())]
