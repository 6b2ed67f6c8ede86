"""Answers to requests that failed: PostgREST's body, status and headers.

What lives here: what an error of PostgreSQL means to HTTP, and errors that functions raise on purpose.

Sources: https://docs.postgrest.org/en/v16/references/errors.html
"""

from __future__ import annotations

import json
from typing import Any

from ..errors import ApiError, DatabaseError, InternalError, sqlstate_status
from .overrides import is_final_status, is_framing, is_header
from .response import JSON_TYPE, Response


def refuse(error: ApiError, *, authenticated: bool, minimal: bool = False) -> Response:
    """The answer to a request that failed: PostgREST's body, status and headers.

    ``minimal`` is ``client-error-verbosity``: code and message are all that the client is told.
    """
    status, headers, reason = error.status, list(error.headers), None
    if isinstance(error, DatabaseError):
        raised = error.code == "PGRST"
        error, status, reason = _database_error(error, authenticated)
        headers = list(error.headers)
        if status == 401 and not raised:
            headers = [("WWW-Authenticate", "Bearer")]
    body = error.body(minimal=minimal)
    base = [("Content-Length", str(len(body))), ("Proxy-Status", f"PostgREST; error={error.code}"), JSON_TYPE]
    names = {name.lower() for name, _ in headers}
    return Response(status, [h for h in base if h[0].lower() not in names] + headers, body, reason)


def _database_error(error: DatabaseError, authenticated: bool) -> tuple[ApiError, int, str | None]:
    code, message = error.code, error.message
    if code == "PGRST":
        return _raised(error)
    if code.startswith("PT"):
        known = code[2:].isdigit() and is_final_status(int(code[2:]))
        return (error, int(code[2:]), message) if known else (error, 500, None)
    return error, _status(code, message, authenticated), None


def _status(code: str, message: str, authenticated: bool) -> int:
    if code == "21000":
        return 400 if message.endswith("requires a WHERE clause") else 500
    if code == "22023" and message.startswith("role") and message.endswith("does not exist"):
        return 401
    if code == "42883" and message.startswith("function xmlagg("):
        return 406
    return sqlstate_status(code, authenticated=authenticated)


def _raised(error: DatabaseError) -> tuple[ApiError, int, str | None]:
    """``RAISE SQLSTATE 'PGRST'``: the function says everything itself."""
    shape = "'code', 'message' and optional keys: 'details', 'hint'"
    message = _object(error.message)
    if message is None or not _is_message(message):
        return _unparsable(f"Invalid JSON value for MESSAGE: '{error.message}'", "MESSAGE", shape)
    shape = "'status', 'headers' and optional key: 'status_text'"
    if error.details is None:
        return _unparsable("DETAIL is missing in the RAISE statement", "DETAIL", shape)
    detail = _object(str(error.details))
    if detail is None or not _is_detail(detail):
        return _unparsable(f"Invalid JSON value for DETAIL: '{error.details}'", "DETAIL", shape)
    raised = ApiError(
        detail["status"],
        message["code"],
        message["message"],
        details=message.get("details"),
        hint=message.get("hint"),
        headers=[(name, value) for name, value in detail["headers"].items() if not is_framing(name)],
    )
    return raised, raised.status, detail.get("status_text")


def _object(text: str) -> dict[str, Any] | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _is_message(message: dict[str, Any]) -> bool:
    given = all(isinstance(message.get(key), str) for key in ("code", "message"))
    optional = all(isinstance(message.get(key), str | None) for key in ("details", "hint"))
    return given and optional and is_header("code", message["code"])


def _is_detail(detail: dict[str, Any]) -> bool:
    status, headers = detail.get("status"), detail.get("headers")
    if type(status) is not int or not is_final_status(status) or not isinstance(headers, dict):
        return False
    texts = all(isinstance(value, str) and is_header(name, value) for name, value in headers.items())
    return texts and isinstance(detail.get("status_text"), str | None)


def _unparsable(details: str, part: str, keys: str) -> tuple[ApiError, int, str | None]:
    error = InternalError(
        500,
        "PGRST121",
        "Could not parse JSON in the \"RAISE SQLSTATE 'PGRST'\" error",
        details=details,
        hint=f"{part} must be a JSON object with obligatory keys: {keys}.",
    )
    return error, 500, None
