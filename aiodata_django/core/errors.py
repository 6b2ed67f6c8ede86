"""Errors that reach a caller: PostgREST's body ``{code, message, details, hint}`` and an HTTP status.

What lives here: the exception every stage raises, its JSON form, and the table from SQLSTATE to HTTP status.
What does not: where an error is raised, and how it is sent.

    ApiError                 any answer that is not a success
    ├── RequestError         PGRST1xx: the request itself
    ├── SchemaError          PGRST2xx: the request against the schema
    ├── AuthError            PGRST3xx: who is asking
    ├── InternalError        PGRST0xx and PGRSTX00: the server's own troubles
    └── DatabaseError        an SQLSTATE, as PostgreSQL raised it

Source: https://docs.postgrest.org/en/v16/references/errors.html
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

Header = tuple[str, str]

_PASSING = frozenset(("PGRST000", "PGRST001", "PGRST002", "PGRST003", "08", "40", "53", "55", "57", "58"))
# Of the SQLSTATEs their classes: connection, rollback, resources, object in use, operator, system.
# https://www.postgresql.org/docs/18/errcodes-appendix.html


class ApiError(Exception):
    """An answer that is not a success.

    Attributes: ``status`` (HTTP status), ``code`` (PGRSTxxx or SQLSTATE), ``message``, ``details`` (text or
    any JSON value), ``hint``, ``headers`` (extra response headers).
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        details: Any = None,
        hint: str | None = None,
        headers: Sequence[Header] = (),
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.details = details
        self.hint = hint
        self.headers = tuple(headers)

    @property
    def passing(self) -> bool:
        """Whether the same may succeed a moment later: the database is away, overloaded, or in conflict."""
        return self.code in _PASSING or (len(self.code) == 5 and self.code[:2] in _PASSING)

    def body(self, *, minimal: bool = False) -> bytes:
        """The JSON body, keys in PostgREST's order; a ``minimal`` one keeps details and hint to ourselves."""
        told = {"code": self.code, "details": self.details, "hint": self.hint, "message": self.message}
        if minimal:
            told = {"code": self.code, "message": self.message}
        return json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


class RequestError(ApiError):
    """PGRST1xx: the request cannot be understood."""


def too_large(limit: int) -> RequestError:
    """413 for a body of more than ``limit`` bytes; PostgREST has no such bound, hence a code of our own."""
    return RequestError(
        413,
        "AIOD103",
        "The request body is too large",
        details=f"At most {limit} bytes are taken.",
        hint="Send it in parts, or raise max-body-bytes.",
        headers=[("connection", "close")],  # the rest of the body is not read
    )


def too_long(limit: int) -> RequestError:
    """414 for a path and query string of more than ``limit`` bytes; as with bodies, the code is ours."""
    return RequestError(
        414,
        "AIOD104",
        "The request's path and query string are too long",
        details=f"At most {limit} bytes are taken.",
        hint="Ask in parts, or send the values in the body of a call of a function.",
    )


def too_complex(details: str) -> RequestError:
    """400 for a text that would take the server longer to read than anybody shall wait."""
    return RequestError(400, "AIOD105", "The request is too complex", details=details)


class SchemaError(ApiError):
    """PGRST2xx: the request names what the schema does not have."""


class AuthError(ApiError):
    """PGRST3xx: the token is missing, bad or expired."""


class InternalError(ApiError):
    """PGRST0xx: no connection, pool exhausted, schema not loaded; PGRSTX00: a fault of ours."""


class DatabaseError(ApiError):
    """An error raised by PostgreSQL; ``code`` is its SQLSTATE."""


# First match wins: whole codes, then classes (two letters).
_STATUS_BY_CODE = {
    "23503": 409,  # foreign_key_violation
    "23505": 409,  # unique_violation
    "25006": 405,  # read_only_sql_transaction
    "42883": 404,  # undefined_function
    "42P01": 404,  # undefined_table
    "42P17": 500,  # infinite_recursion
    "53400": 500,  # configuration_limit_exceeded
    "57P01": 503,  # admin_shutdown
    "P0001": 400,  # raise_exception
}
_STATUS_BY_CLASS = {
    "08": 503,
    "09": 500,
    "0L": 403,
    "0P": 403,
    "25": 500,
    "28": 403,
    "2D": 500,
    "38": 500,
    "39": 500,
    "3B": 500,
    "40": 500,
    "53": 503,
    "54": 500,
    "55": 500,
    "57": 500,
    "58": 500,
    "F0": 500,
    "HV": 500,
    "P0": 500,
    "XX": 500,
}


def sqlstate_status(sqlstate: str, *, authenticated: bool) -> int:
    """HTTP status for an SQLSTATE; ``42501`` is 403 for a known caller and 401 for the anonymous one.

    Source: https://docs.postgrest.org/en/v16/references/errors.html#http-status-codes
    """
    if sqlstate == "42501":
        return 403 if authenticated else 401
    return _STATUS_BY_CODE.get(sqlstate) or _STATUS_BY_CLASS.get(sqlstate[:2], 400)
