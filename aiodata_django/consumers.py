"""``/state`` on Channels: one consumer a socket, thin; the feed decides what is sent.

What lives here: who is there (header, query parameter), accepting and closing. What does not: what is sent
and when (``feed``), tokens (``auth``).

A socket that may not stay is accepted first and closed with a code and a reason right after: a refused
handshake is an HTTP 403 to browsers, who then see neither.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

from channels.generic.websocket import AsyncWebsocketConsumer

from .auth import Authenticator
from .conf import Settings
from .core.errors import ApiError
from .core.identity import Identity
from .feed.service import Feed, FeedUnavailable

UNAUTHORIZED, FORBIDDEN, UNAVAILABLE = 4401, 4403, 1013
_REASON_BYTES = 123  # RFC 6455, 5.5: a close frame holds 125, two of them the code


class StateConsumer(AsyncWebsocketConsumer):
    """One socket. ``feed`` is the server's; ``authenticator`` and ``settings`` answer the current ones."""

    def __init__(
        self,
        *args: Any,
        feed: Feed,
        authenticator: Callable[[], Authenticator],
        settings: Callable[[], Settings],
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._feed = feed
        self._authenticator = authenticator
        self._settings = settings
        self._task: asyncio.Task[None] | None = None

    async def connect(self) -> None:
        """Find out who is there, join the feed, accept."""
        try:
            reader = await self._feed.attach(self._identity(), self)
        except ApiError as error:
            await self._refuse(UNAUTHORIZED if error.status == 401 else FORBIDDEN, str(error))
        except FeedUnavailable as error:
            await self._refuse(UNAVAILABLE, str(error))
        else:
            await self.accept()
            self._task = self._feed.run(reader)

    async def _refuse(self, code: int, reason: str) -> None:
        await self.accept()
        await self.close(code, reason)

    def _identity(self) -> Identity:
        """Who is there. Raises ApiError."""
        return self._authenticator().authenticate(self._authorization(), time.time())

    def _authorization(self) -> str | None:
        """The ``Authorization`` header, or for browsers, who cannot set one, the parameter ``token``."""
        for name, value in self.scope["headers"]:
            if name == b"authorization":
                return str(value.decode("latin-1"))
        token = parse_qs(self.scope["query_string"].decode("latin-1")).get("token")
        return f"Bearer {token[0]}" if token else None

    async def close(self, code: int | bool | None = None, reason: str | None = None) -> None:
        """Close with a code and a reason that fits into the frame."""
        text = (reason or "").encode()[:_REASON_BYTES].decode("utf-8", "ignore")
        await super().close(code=code, reason=text)

    async def disconnect(self, code: int) -> None:
        """The socket is gone."""
        if self._task is not None:
            self._task.cancel()
