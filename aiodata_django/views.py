"""The same API as Django views, for those who ``include()`` it and want their middleware around it.

What lives here: Django's request to the pipeline's, its response to Django's, and the event loop it runs on.
What does not: everything else (``pipeline``). In front of Django (``asgi``) a request costs a tenth.

A pool belongs to one event loop. Django may run each request in a loop of its own (WSGI, the test client), so
that the views use the server's runtime where it lives in their loop, and else one in a thread of their own.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from functools import cache
from typing import Any, TypeVar
from urllib.parse import quote

from django.core.signals import setting_changed
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.views.decorators.csrf import csrf_exempt

from . import docspage
from .conf import current
from .core.errors import ApiError, too_large
from .core.query import request as core
from .core.query.headers import Headers, header_text
from .core.query.request import Dialect
from .core.query.response import Response
from .runtime import Runtime, end_views_runtime, started_runtime, views_runtime

T = TypeVar("T")


def api_view(dialect: Dialect) -> Callable[..., Coroutine[Any, Any, HttpResponseBase]]:
    """A view of one dialect, for any method; its pattern gives the path below its mount as ``rest``."""

    async def view(request: HttpRequest, rest: str | None = None) -> HttpResponseBase:
        runtime, home = await _runtime()
        limit = runtime.settings.max_body_bytes
        body = request.read(limit + 1)
        if len(body) > limit:
            return _error(too_large(limit))
        asked = _core_request(request, rest or "", body)
        return _django_response(request, await home.run(runtime.pipeline.respond(asked, dialect)), home)

    return csrf_exempt(view)  # a bearer token is no cookie: there is nothing to forge


async def describe(request: HttpRequest) -> HttpResponseBase:
    """``GET /``: the schema, as the caller's role may see it."""
    runtime, home = await _runtime()
    authorization = request.headers.get("Authorization")
    return _django_response(request, await home.run(runtime.pipeline.describe(authorization)), home)


def docs(request: HttpRequest, name: str = "") -> HttpResponseBase:
    """The page that shows the API, and its files."""
    settings = current()
    page = docspage.answer(request.method or "GET", f"{settings.docs_path}/{name}", settings)
    if page is None:
        raise Http404
    answer = HttpResponse(page.body, headers=dict(page.headers))
    answer.xframe_options_exempt = True  # its policy says more
    return answer


class Home:
    """Where a runtime lives: the loop we are in (``loop`` None), or one in another thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self.loop = loop

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run there, and return here."""
        if self.loop is None:
            return await work
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self.loop))

    async def pieces(self, source: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The pieces of a stream that is read there."""
        try:
            while True:
                piece = await self.run(_next(source))
                if piece is None:
                    return
                yield piece
        finally:
            close = getattr(source, "aclose", None)
            if close is not None:
                await self.run(close())


async def _next(source: AsyncIterator[bytes]) -> bytes | None:
    return await anext(source, None)


async def _runtime() -> tuple[Runtime, Home]:
    runtime = started_runtime()
    if runtime is not None:
        return runtime, Home()
    home = Home(_thread_loop())
    runtime = await home.run(views_runtime())
    return runtime, home


@cache
def _thread_loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="aiodata views", daemon=True).start()
    setting_changed.connect(_forget, dispatch_uid="aiodata_django.views")
    return loop


def _forget(*, setting: str, **_: Any) -> None:
    """Settings overridden in a test: the runtime of the old ones ends."""
    if setting in ("AIODATA", "DATABASES"):
        asyncio.run_coroutine_threadsafe(end_views_runtime(), _thread_loop()).result(timeout=10)


def _core_request(request: HttpRequest, rest: str, body: bytes) -> core.HttpRequest:
    """Our record of a Django request; the raw path where the server keeps it, so that %2F stays in a key."""
    scope = getattr(request, "scope", {})
    raw = scope.get("raw_path") or request.META.get("RAW_URI", "").split("?")[0].encode()
    path = raw.decode("latin-1") or quote(request.path, safe="/~!$&'()*+,;=:@")
    mount = request.path[: len(request.path) - len(rest)]
    headers = Headers([(name.lower(), _as_sent(value)) for name, value in request.headers.items()])
    query = request.META.get("QUERY_STRING", "")
    below = path[len(quote(mount, safe="/~!$&'()*+,;=:@")) :]
    return core.HttpRequest(request.method or "GET", below or "/", query, headers, body, mount)


def _as_sent(value: str) -> str:
    """A header that Django read as Latin-1, whatever it is; test clients may give any letters."""
    try:
        return header_text(value.encode("latin-1"))
    except UnicodeEncodeError:
        return value


def _django_response(request: HttpRequest, response: Response, home: Home) -> HttpResponseBase:
    answer: HttpResponseBase
    if isinstance(response.body, bytes):
        answer = HttpResponse(b"" if request.method == "HEAD" else response.body, status=response.status)
    else:
        answer = StreamingHttpResponse(home.pieces(response.body), status=response.status)
    del answer.headers["Content-Type"]
    for name, value in response.headers:
        # Django's headers are a mapping: of a header given twice the values are listed (RFC 9110, 5.3).
        told = value.encode().decode("latin-1")
        answer.headers[name] = f"{answer.headers[name]}, {told}" if name in answer.headers else told
    return answer


def _error(error: ApiError) -> HttpResponse:
    return HttpResponse(error.body(), status=error.status, content_type="application/json; charset=utf-8")
