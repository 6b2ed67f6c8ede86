"""What goes wrong, as the client's user sees it: an answer that is an error, or no answer at all."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import msgspec

from ..core.state.entry import Entry, decode, entry


class Error(Exception):
    """The server refused, in PostgREST's words: ``code``, ``message``, ``details``, ``hint``; and ``status``.

    ``code`` is PGRSTxxx or an SQLSTATE, None when the answer came from something in between. ``status`` is
    the HTTP status. Source: https://docs.postgrest.org/en/v16/references/errors.html
    """

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        details: Any = None,
        hint: str | None = None,
        status: int | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.details = details
        self.hint = hint
        self.status = status

    @cached_property
    def info(self) -> Entry:
        """Everything the server said, as an entry."""
        names = ("code", "details", "hint", "message", "status")
        return entry({name: getattr(self, name) for name in names})

    def __str__(self) -> str:
        head = f"{self.code}: {self.message}" if self.code else self.message
        more = [str(part) for part in (self.details, self.hint) if part]
        return f"{head} ({'; '.join(more)})" if more else head

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (self.message, self.code, self.details, self.hint, self.status)


def _restored(message: str, code: str | None, details: Any, hint: str | None, status: int | None) -> Error:
    return Error(message, code=code, details=details, hint=hint, status=status)


class Unreachable(Error):
    """No answer: no connection, a broken one, or a gateway in between that found nobody."""


def error_of(status: int, body: bytes) -> Error:
    """The exception for an answer of status 400 and above."""
    try:
        answer = decode(body)
    except msgspec.DecodeError:
        answer = None
    if status in (502, 503, 504) and not isinstance(answer, Mapping):
        return Unreachable(f"the server cannot be reached: HTTP status {status}", status=status)
    if not isinstance(answer, Mapping):
        text = body[:200].decode(errors="replace").strip()
        return Error(f"HTTP status {status}", details=text or None, status=status)
    return Error(
        str(answer.get("message") or f"HTTP status {status}"),
        code=answer.get("code"),
        details=answer.get("details"),
        hint=answer.get("hint"),
        status=status,
    )
