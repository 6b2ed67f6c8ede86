"""The page at ``/docs/``: a description of the API to read and to try, made from its OpenAPI document.

What lives here: which path below ``docs_path`` answers with which file, and the headers that let the page do
no more than it must. What does not: the page (``docs_page``), and the document (``core.query.openapi``).
"""

from __future__ import annotations

import posixpath
from functools import cache
from pathlib import Path

from .conf import Settings
from .core.query.response import Response

_DIRECTORY = Path(__file__).parent / "docs_page"
_TYPES = {
    "": ("index.html", "text/html; charset=utf-8"),
    "docs.css": ("docs.css", "text/css; charset=utf-8"),
    "docs.js": ("docs.js", "text/javascript; charset=utf-8"),
    "request.js": ("request.js", "text/javascript; charset=utf-8"),
}
# Scripts and styles are files of ours, requests go where the page came from, and nobody may frame it: a token
# is pasted here. Source: https://www.w3.org/TR/CSP3/
_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)


def answer(method: str, path: str, settings: Settings) -> Response | None:
    """The answer to a request for the page or one of its files, None for every other request.

    There is no page where it is switched off, and where there is no document for it to show.
    """
    mount = settings.docs_path
    if mount is None or settings.openapi_mode == "disabled" or method not in ("GET", "HEAD"):
        return None
    if path == mount:
        # Its files are named relative to the page, so that it works below any prefix.
        return Response(307, [("Location", posixpath.basename(mount) + "/")])
    directory, _, name = path.rpartition("/")
    if directory != mount or name not in _TYPES:
        return None
    return _respond(name, posixpath.relpath(settings.rest_path, mount))


def _respond(name: str, rest: str) -> Response:
    file, content_type = _TYPES[name]
    body = _file(file).replace(b"{rest}", rest.encode()) if not name else _file(file)
    return Response(200, _headers(content_type, len(body)), body)


@cache
def _file(name: str) -> bytes:
    return (_DIRECTORY / name).read_bytes()


def _headers(content_type: str, length: int) -> list[tuple[str, str]]:
    return [
        ("Content-Type", content_type),
        ("Content-Length", str(length)),
        ("Content-Security-Policy", _POLICY),
        ("X-Content-Type-Options", "nosniff"),
        ("Referrer-Policy", "no-referrer"),
        ("Cache-Control", "no-cache"),
    ]
