"""The Channels consumer by itself; what it does on real sockets is proven in ``tests/feed``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiodata_django.conf import Settings
from aiodata_django.consumers import StateConsumer


class _Gone(OSError):
    """What servers raise for a socket that is no more (ASGI, version 2.4)."""


async def test_a_socket_that_is_gone_fails_neither_frames_nor_its_closing() -> None:
    tried = []

    async def send(message: Mapping[str, Any]) -> None:
        tried.append(message["type"])
        raise _Gone

    consumer = StateConsumer(feed=None, authenticator=None, settings=Settings)
    consumer.base_send = send
    await consumer.send('{"op":"pong"}')
    await consumer.close(4408, "too slow")
    assert tried == ["websocket.send", "websocket.close"]
