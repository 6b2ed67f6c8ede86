"""The servers as the commands start them."""

from __future__ import annotations

import aiohttp
import pytest


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
