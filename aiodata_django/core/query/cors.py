"""Cross-origin requests: which headers let a browser read an answer.

Source: https://docs.postgrest.org/en/v16/references/api/cors.html, the Fetch standard
"""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import Header
from .request import HttpRequest
from .response import Response

_METHODS = ("GET", "POST", "PATCH", "PUT", "DELETE", "OPTIONS", "HEAD")
_SIMPLE_HEADERS = ("Accept", "Accept-Language", "Content-Language")
_EXPOSED = (
    "Content-Encoding, Content-Location, Content-Range, Content-Type, Date, Location, Server,"
    " Transfer-Encoding, Range-Unit"
)
_MAX_AGE = "86400"  # seconds


def preflight(request: HttpRequest, allowed: Sequence[str]) -> Response | None:
    """The answer to a browser that asks before it sends; None for any other request.

    ``allowed`` are the origins; none listed allows any.
    """
    if request.method != "OPTIONS" or request.header("access-control-request-method") not in _METHODS:
        return None
    origin = _allow(request, allowed)
    if not origin:
        return None
    asked = request.header("access-control-request-headers")
    return Response(
        200,
        [
            *origin,
            ("Access-Control-Allow-Methods", ", ".join(_METHODS)),
            *([("Access-Control-Allow-Headers", _allowed_headers(asked))] if asked is not None else []),
            ("Access-Control-Max-Age", _MAX_AGE),
            ("Content-Length", "0"),
        ],
    )


def _allowed_headers(asked: str) -> str:
    """All that were asked for, and those that need not be."""
    names = ["Authorization", *(name.strip() for name in asked.split(","))]
    known = {name.lower() for name in names}
    return ", ".join([*names, *(name for name in _SIMPLE_HEADERS if name.lower() not in known)])


def headers(request: HttpRequest, allowed: Sequence[str]) -> list[Header]:
    """What an answer to a cross-origin request carries; nothing for other requests and other origins.

    OPTIONS says all by itself, to everybody (``response.respond_info``).
    """
    if request.method == "OPTIONS":
        return []
    origin = _allow(request, allowed)
    return [*origin, ("Access-Control-Expose-Headers", _EXPOSED)] if origin else []


def _allow(request: HttpRequest, allowed: Sequence[str]) -> list[Header]:
    origin = request.header("origin")
    if origin is None:
        return []
    if not allowed:
        return [("Access-Control-Allow-Origin", "*")]
    if origin not in allowed:
        return []
    return [("Access-Control-Allow-Origin", origin), ("Access-Control-Allow-Credentials", "true")]
