"""The ASGI application: the API and the websocket answered here, everything else by Django.

What lives here: choosing by path, reading bodies up to the limit, sending answers, lifespan. What does not:
what a request means (``pipeline``), what a socket hears (``consumers``), starting and stopping (``runtime``).

This path is hot, and Django's own handler costs ten times all of it: no middleware, no task, one send.
"""

from __future__ import annotations

import asyncio
import time
from functools import cache
from typing import Any
from urllib.parse import quote, urlsplit

from django.core.asgi import get_asgi_application
from django.core.handlers.asgi import ASGIHandler

from . import docspage
from .conf import Settings
from .core.errors import ApiError, InternalError, RequestError, too_large
from .core.query.headers import Headers, read_headers
from .core.query.request import Dialect, HttpRequest
from .core.query.response import Response
from .observe import RequestAnswered, logger, observe, wants
from .runtime import Runtime, runtime_of
from .servers import Application, RawHeaders, Receive, Scope, Send, Stream, send_whole


class ClientLeft(Exception):
    """The client closed the connection before its request was whole."""


class AiodataApplication:
    """The ASGI application; made by :func:`aiodata_asgi`."""

    def __init__(self, http_app: Application | None) -> None:
        self._http_app = http_app
        self._runtime: Runtime | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._mounts: tuple[tuple[str, int, Dialect], ...] = ()
        self._description = self._state = ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection, as ASGI has it."""
        kind = scope["type"]
        if kind == "lifespan":
            await self._lifespan(receive, send)
            return
        runtime = self._runtime
        if runtime is None or self._loop is not asyncio.get_running_loop():
            runtime = await self._start()
        if kind == "http":
            await self._http(runtime, scope, receive, send)
        elif kind == "websocket":
            await self._websocket(runtime, scope, receive, send)

    async def _start(self) -> Runtime:
        """The runtime of this event loop, started by whichever scope comes first: Daphne has no lifespan."""
        runtime = runtime_of()
        await runtime.start()
        self._mount(runtime.settings)
        self._runtime, self._loop = runtime, asyncio.get_running_loop()
        return runtime

    def _mount(self, settings: Settings) -> None:
        mounts = ((settings.query_path, Dialect.QUERY), (settings.rest_path, Dialect.REST))
        self._mounts = tuple((mount, len(mount), dialect) for mount, dialect in mounts)
        self._description, self._state = settings.description_path, settings.state_path

    async def _http(self, runtime: Runtime, scope: Scope, receive: Receive, send: Send) -> None:
        path = _raw_path(scope)
        for mount, length, dialect in self._mounts:
            if path.startswith(mount) and (len(path) == length or path[length] == "/"):
                await _answer(runtime, scope, receive, send, path[length:] or "/", mount, dialect)
                return
        page = docspage.answer(scope["method"], path, runtime.settings)
        if page is not None:
            await _send(scope, receive, send, page)
        elif path == self._description and scope["method"] in ("GET", "HEAD") and self._describes(scope):
            await _send(
                scope, receive, send, await runtime.pipeline.describe(_header(scope, b"authorization"))
            )
        elif self._http_app is not None:
            await self._http_app(scope, receive, send)
        else:
            error = RequestError(404, "PGRST125", "Invalid path specified in request URL")
            await _send(scope, receive, send, _error_response(error))

    def _describes(self, scope: Scope) -> bool:
        """Whether the root is asked for its JSON; a browser gets the site's own page, if there is one."""
        accept = _header(scope, b"accept")
        return self._http_app is None or accept is None or not prefers_html(accept)

    async def _websocket(self, runtime: Runtime, scope: Scope, receive: Receive, send: Send) -> None:
        if _raw_path(scope) == self._state:
            await runtime.serve_socket(scope, receive, send)
        elif self._http_app is None or isinstance(self._http_app, ASGIHandler):
            # Django's handler knows no websockets and would answer 500 with a traceback.
            await receive()
            await send({"type": "websocket.close", "code": 4404, "reason": "nothing is served here"})
        else:
            await self._http_app(scope, receive, send)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                try:
                    await self._start()
                except Exception as error:
                    await send({"type": "lifespan.startup.failed", "message": str(error)})
                    raise
                await send({"type": "lifespan.startup.complete"})
            else:
                await runtime_of().stop()
                self._runtime = None
                await send({"type": "lifespan.shutdown.complete"})
                return


def aiodata_asgi(http_app: Application | None = None) -> AiodataApplication:
    """The API, ``/state`` and the description in front of ``http_app`` (Django's, or none at all).

    Paths come from the settings; what they do not match goes to ``http_app``.
    """
    return AiodataApplication(http_app)


def prefers_html(accept: str) -> bool:
    """Whether an Accept header ranks HTML above JSON, as browsers' do (RFC 9110, 12.5.1)."""
    qualities = {"text/html": 0.0, "application/json": 0.0}
    for part in accept.split(","):
        name, *parameters = (piece.strip() for piece in part.lower().split(";"))
        if name in qualities:
            qualities[name] = max(qualities[name], _quality(parameters))
    return qualities["text/html"] > qualities["application/json"]


def _quality(parameters: list[str]) -> float:
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                return float(parameter[2:])
            except ValueError:
                return 0.0
    return 1.0


def _raw_path(scope: Scope) -> str:
    """The path as sent, percent-encoded, below the root path; test clients do not give it."""
    raw: bytes | None = scope.get("raw_path")
    path = raw.decode("latin-1") if raw else quote(scope["path"], safe="/~!$&'()*+,;=:@")
    if not path.startswith("/"):  # a whole URL, as through a proxy: not every server takes it apart
        path = urlsplit(path).path or "/"
    root = scope.get("root_path")
    return path.removeprefix(root) if root else path


def _header(scope: Scope, name: bytes) -> str | None:
    return next((value.decode("latin-1") for header, value in scope["headers"] if header == name), None)


async def _answer(
    runtime: Runtime, scope: Scope, receive: Receive, send: Send, path: str, mount: str, dialect: Dialect
) -> None:
    method = scope["method"]
    headers = read_headers(scope["headers"])
    body = b""
    if method not in ("GET", "HEAD"):
        try:
            body = await _read_body(receive, headers, runtime.settings.max_body_bytes)
        except ClientLeft:
            return
        except ApiError as error:
            await _send(scope, receive, send, _error_response(error))
            return
    request = HttpRequest(method, path, scope["query_string"].decode("latin-1"), headers, body, mount)
    await _send(scope, receive, send, await _respond(runtime, request, dialect))


async def _respond(runtime: Runtime, request: HttpRequest, dialect: Dialect) -> Response:
    began = time.perf_counter()
    try:
        response = await runtime.pipeline.respond(request, dialect)
    except Exception:
        logger.exception("a fault while answering %s %s%s", request.method, request.mount, request.path)
        response = _error_response(InternalError(500, "PGRSTX00", "Internal server error"))
    if wants(response.status):
        path, seconds = request.mount + request.path, time.perf_counter() - began
        observe(RequestAnswered(request.method, path, response.status, seconds))
    return response


async def _read_body(receive: Receive, headers: Headers, limit: int) -> bytes:
    """The whole body. Raises RequestError (413) above the limit, ClientLeft when it does not come."""
    for name, value in headers:
        if name == "content-length" and value.isdecimal() and int(value) > limit:
            raise too_large(limit)
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body", False):
        body: bytes = message.get("body", b"")
        if len(body) > limit:
            raise too_large(limit)
        return body
    parts = bytearray()
    while message["type"] == "http.request":
        parts += message.get("body", b"")
        if len(parts) > limit:
            raise too_large(limit)
        if not message.get("more_body", False):
            return bytes(parts)
        message = await receive()
    raise ClientLeft


def _error_response(error: ApiError) -> Response:
    headers = [("content-type", "application/json; charset=utf-8"), *error.headers]
    return Response(error.status, headers, error.body())


async def _send(scope: Scope, receive: Receive, send: Send, response: Response) -> None:
    headers: RawHeaders = [(name.lower().encode(), value.encode()) for name, value in response.headers]
    body = response.body
    if not isinstance(body, bytes):
        await _stream(Stream(receive, send), response.status, headers, body)
        return
    head = scope["method"] == "HEAD"
    # To HEAD nobody says how long the body would have been: it was not made (RFC 9110, 8.6).
    bodiless = head or response.status in (204, 304)
    if not bodiless and b"content-length" not in dict(headers):
        headers.append((b"content-length", b"%d" % len(body)))
    await send_whole(send, response.status, headers, b"" if head else body, response.reason)


async def _stream(stream: Stream, status: int, headers: RawHeaders, pieces: Any) -> None:
    """Send a body in pieces; whatever ends it early closes its source, so that no connection waits for us."""
    try:
        await stream.start(status, headers)
        async for piece in pieces:
            if stream.gone:
                break
            await stream.write(piece)
        await stream.finish()
    except BaseException:
        stream.abort()
        raise
    finally:
        close = getattr(pieces, "aclose", None)
        if close is not None:
            await close()


def __getattr__(name: str) -> Any:
    """``application``, ready-made: the API in front of Django; made when it is first asked for (PEP 562)."""
    if name != "application":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return _ready_made()


@cache
def _ready_made() -> AiodataApplication:
    return aiodata_asgi(get_asgi_application())
