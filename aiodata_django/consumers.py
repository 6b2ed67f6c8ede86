"""``/state`` on Channels: one consumer a socket, thin; the feed decides what is sent.

What lives here: which version, who is there (header, query parameter), accepting and closing. What does not:
what is sent and when (``feed``), tokens (``auth``).

Nobody is known by a cookie: a page of another origin opens a socket as whoever its token says, without one as
the anonymous role. So the ``Origin`` of the handshake decides nothing and is not asked for.

A socket that may not stay is accepted first and closed with a code and a reason right after: a refused
handshake is an HTTP 403 to browsers, who then see neither.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qs

from channels.consumer import get_handler_name
from channels.exceptions import StopConsumer
from channels.generic.websocket import AsyncWebsocketConsumer

from .auth import Authenticator
from .conf import Settings
from .core.errors import ApiError
from .core.identity import Identity
from .core.state.serversession import MAX_MESSAGE, TOO_LARGE
from .core.state.session import SUBPROTOCOL
from .feed.outlet import SharedFrame, begun
from .feed.reader2 import V2Reader
from .feed.service import Feed, FeedUnavailable
from .feed.wire import Pipe
from .servers import SocketFlow, abort_socket, close_with_reason
from .sockets import PipePush, Push, direct_push

# UNAVAILABLE would be 1013, but Daphne refuses to send codes below 3000.
UNAUTHORIZED, FORBIDDEN, UNAVAILABLE, BAD_MESSAGE = 4401, 4403, 4503, 4400
CLOSING_SECONDS = 5.0
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
        self.push: Push = self._first_push  # without waiting: what is left to wait for, or None
        self._second: V2Reader | None = None
        self._flow: SocketFlow | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Take what the server says, until the socket is gone.

        Channels would also listen to a channel layer, which has nothing for us, and for each message ask a
        thread to close the ORM's old connections, which nothing here uses.
        """
        self.scope, self.base_send = scope, send
        with suppress(StopConsumer):
            while True:
                message = await receive()
                await getattr(self, get_handler_name(message))(message)

    async def connect(self) -> None:
        """Find out who is there, join the feed, accept."""
        subprotocol = SUBPROTOCOL if SUBPROTOCOL in self.scope.get("subprotocols", ()) else None
        query = parse_qs(self.scope["query_string"].decode("latin-1"))
        token = self._token(query)
        try:
            if subprotocol or query.get("v") == ["2"]:
                identity = None if token is None else self._identity(token)
                reader: Any = await self._feed.attach_v2(self, identity, self._identity)
                self._second = reader
            else:
                reader = await self._feed.attach(self._identity(token), self)
        except ApiError as error:
            await self._refuse(UNAUTHORIZED if error.status == 401 else FORBIDDEN, str(error), subprotocol)
        except FeedUnavailable as error:
            await self._refuse(UNAVAILABLE, str(error), subprotocol)
        else:
            await self.accept(subprotocol)
            self._flow = SocketFlow(self.base_send)
            self._task = self._feed.run(reader)

    async def _refuse(self, code: int, reason: str, subprotocol: str | None) -> None:
        await self.accept(subprotocol)
        await self.close(code, reason)

    def _identity(self, token: str | None) -> Identity:
        """Who is there. Raises ApiError."""
        return self._authenticator().authenticate(token and f"Bearer {token}", time.time())

    def _token(self, query: dict[str, list[str]]) -> str | None:
        """From the ``Authorization`` header, or for browsers, who cannot set one, the parameter ``token``."""
        for name, value in self.scope["headers"]:
            if name == b"authorization":
                scheme, _, token = value.decode("latin-1").partition(" ")
                return token.strip() if scheme.lower() == "bearer" else None
        return query.get("token", [None])[0]

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """A client's frame; version 1 clients have nothing to say."""
        frame = text_data if text_data is not None else bytes_data
        if self._second is not None:
            self._second.line.receive(frame)
        elif len(frame or "") > MAX_MESSAGE:
            await self.close(BAD_MESSAGE, TOO_LARGE)

    async def send(  # type: ignore[override]  # Channels' own class overrides it so
        self, text_data: str | None = None, bytes_data: bytes | None = None, close: bool = False
    ) -> None:
        """Send a frame, and wait while the client is behind.

        A socket that is gone already takes it, as ``disconnect`` is about to say so.
        """
        try:
            await self.base_send({"type": "websocket.send", "text": text_data, "bytes": bytes_data})
        except OSError:  # what ASGI says servers raise then
            return
        if self._flow is not None:
            await self._flow.writable()

    def _first_push(self, frame: SharedFrame) -> Awaitable[None] | None:
        # Not before the first frame: only after the handshake it is known what was agreed on.
        direct = self._settings().state_direct_writes
        self.push = direct_push(self.base_send, self._asgi_push) if direct else self._asgi_push
        return self.push(frame)

    @property
    def pipe(self) -> Pipe | None:
        """The transport, once it is known that frames may be written to it."""
        return self.push.pipe if isinstance(self.push, PipePush) else None

    def _asgi_push(self, frame: SharedFrame) -> Awaitable[None] | None:
        return begun(self.send(frame.text))

    async def close(self, code: int | bool | None = None, reason: str | None = None) -> None:
        """Close with a code and a reason that fits into the frame."""
        self.push = self._asgi_push  # nothing may follow a close frame
        text = (reason or "").encode()[:_REASON_BYTES].decode("utf-8", "ignore")
        if text and code and close_with_reason(self.base_send, int(code), text):
            return
        try:
            async with asyncio.timeout(CLOSING_SECONDS):
                await super().close(code=code, reason=text)
        except TimeoutError:  # an OSError too
            abort_socket(self.base_send)
        except OSError:
            pass  # it is gone already

    async def disconnect(self, code: int) -> None:
        """The socket is gone."""
        if self._task is not None:
            self._task.cancel()

    async def websocket_disconnect(self, message: Any) -> None:
        """The last message there is."""
        await self.disconnect(message["code"])
        raise StopConsumer
