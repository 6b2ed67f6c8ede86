"""Requests with a token, and errors raised as such: what every part of the client asks with."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from .error import error_of
from .transport import Answer, Headers, Socket, Stream, Transport

Token = str | Callable[[], str | Awaitable[str | None] | None] | None
JSON = {"Accept": "application/json"}
JSON_BODY = {**JSON, "Content-Type": "application/json"}


class Origin:
    """One server, and who is asking. ``token`` is a JWT, or a callable that gives one, sync or async."""

    def __init__(self, transport: Transport, token: Token = None) -> None:
        self.transport = transport
        self._token = token

    @property
    def renewable(self) -> bool:
        """Whether a token asked for again may be another."""
        return callable(self._token)

    async def token(self) -> str | None:
        """The token to use now."""
        given = self._token() if callable(self._token) else self._token
        return await given if inspect.isawaitable(given) else given

    async def _authorized(self, headers: Headers) -> dict[str, str]:
        token = await self.token()
        return {**headers, "Authorization": f"Bearer {token}"} if token else dict(headers)

    async def request(
        self, method: str, target: str, body: bytes | None = None, headers: Headers | None = None
    ) -> Answer:
        """A request and its answer. Raises Error for status 400 and above, Unreachable for none."""
        headers = headers if headers is not None else JSON if body is None else JSON_BODY
        answer = await self.transport.request(method, target, await self._authorized(headers), body)
        if answer.status >= 400:
            raise error_of(answer.status, answer.body)
        return answer

    @asynccontextmanager
    async def stream(self, target: str) -> AsyncIterator[Stream]:
        """A GET whose answer is read piece by piece. Raises as :meth:`request`, while reading too."""
        async with self.transport.stream("GET", target, await self._authorized(JSON)) as answer:
            if answer.status >= 400:
                raise error_of(answer.status, b"".join([piece async for piece in answer.pieces]))
            yield answer

    async def connect(self, target: str, protocols: tuple[str, ...] = ()) -> Socket:
        """A websocket. Raises Error when it is refused, Unreachable when nobody answers."""
        return await self.transport.connect(target, await self._authorized({}), protocols)
