"""The servers as the commands start them."""

from __future__ import annotations

import gc

import aiohttp
import pytest

from aiodata_django import runtime


@pytest.mark.parametrize("server", ["daphne", "uvicorn"])
async def test_a_websocket_is_pinged_as_often_as_the_settings_say(make_aiodata_server, server):
    environment = {"PGRST_STATE_PING_INTERVAL": "0.5"}
    live = make_aiodata_server(server=server, environment=environment)
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(live.url + "/state", autoping=False) as socket,
    ):
        message = await socket.receive(timeout=10)
        assert message.type is aiohttp.WSMsgType.PING
        await socket.pong(message.data)
        assert (await socket.receive(timeout=10)).type is aiohttp.WSMsgType.PING


def test_what_lives_as_long_as_the_process_is_set_aside_from_the_collector_once():
    gc.unfreeze()
    try:
        runtime._spare_the_collector()
        aside = gc.get_freeze_count()
        assert aside > 10_000  # modules and what is in them
        later = [[] for _ in range(1000)]
        runtime._spare_the_collector()
        assert gc.get_freeze_count() <= aside
        assert len(later) == 1000
    finally:
        gc.unfreeze()
