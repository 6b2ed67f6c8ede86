"""What functions set of an answer: ``response.status`` and ``response.headers``.

What lives here: reading the two settings, and what HTTP can carry. What does not: the answer they are put
into (``response``).

Source: https://docs.postgrest.org/en/v16/references/transactions.html#response-headers
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from ..errors import Header, RequestError


def is_final_status(status: int) -> bool:
    """Whether HTTP can end an answer with that status (RFC 9110, 15)."""
    return 200 <= status <= 999


def is_header(name: str, value: str) -> bool:
    """Whether HTTP can carry the header: a token, and of control characters the tab alone (RFC 9110, 5)."""
    return _TOKEN.fullmatch(name) is not None and _CONTROLS.search(value) is None


def is_framing(name: str) -> bool:
    """Whether the header tells where the body ends, which the server alone can tell (RFC 9112, 6)."""
    return name.lower() in ("content-length", "transfer-encoding")


_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


def overridden_status(text: bytes | None) -> int | None:
    """The status a function set, None for none. Raises RequestError (PGRST112)."""
    if text is None:
        return None
    match = re.match(rb"[0-9]+", text)
    if match is None or not is_final_status(int(match[0][:9])):
        raise RequestError(500, "PGRST112", "response.status guc must be a valid status code")
    return int(match[0])


def overridden(headers: Sequence[Header], text: bytes | None) -> list[Header]:
    """The headers with those a function set, which replace ours of the same name; framing stays ours.

    Raises RequestError (PGRST111).
    """
    if text is None:
        return list(headers)
    own = _header_list(text)
    names = {name.lower() for name, _ in own}
    return [*(header for header in headers if header[0].lower() not in names), *own]


def _header_list(text: bytes) -> list[Header]:
    try:
        given = json.loads(text)
    except ValueError:
        given = None
    valid = isinstance(given, list) and all(
        isinstance(item, dict)
        and len(item) == 1
        and all(isinstance(value, str) and is_header(name, value) for name, value in item.items())
        for item in given
    )
    if not valid:
        shape = "a JSON array composed of objects with a single key and a string value"
        raise RequestError(500, "PGRST111", f"response.headers guc must be {shape}")
    return [(str(name), str(value)) for item in given for name, value in item.items() if not is_framing(name)]
