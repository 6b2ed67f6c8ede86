"""PostgreSQL's and libpq's failures as the errors of ``core.errors``.

What lives here: the translation. What does not: when a failure happens (``connection``, ``pool``), and the
HTTP status an anonymous caller gets in place of 403 (the request pipeline).
"""

from __future__ import annotations

from psycopg import pq
from psycopg.pq.abc import PGresult

from aiodata_django.core.errors import DatabaseError, InternalError, sqlstate_status

_SQLSTATE = int(pq.DiagnosticField.SQLSTATE)
_MESSAGE = int(pq.DiagnosticField.MESSAGE_PRIMARY)
_DETAIL = int(pq.DiagnosticField.MESSAGE_DETAIL)
_HINT = int(pq.DiagnosticField.MESSAGE_HINT)
_FUNCTION = int(pq.DiagnosticField.SOURCE_FUNCTION)

# A prepared statement that the server lost, has twice, or can no longer run as it was described.
_STALE_SQLSTATES = frozenset({b"26000", b"42P05"})


def database_error(result: PGresult) -> DatabaseError:
    """The error of a failed result; ``status`` is that of a caller who is known."""
    sqlstate = _text(result.error_field(_SQLSTATE)) or "XX000"
    return DatabaseError(
        sqlstate_status(sqlstate, authenticated=True),
        sqlstate,
        _text(result.error_field(_MESSAGE)) or _text(result.error_message) or "",
        details=_text(result.error_field(_DETAIL)),
        hint=_text(result.error_field(_HINT)),
    )


def is_stale_statement(result: PGresult) -> bool:
    """Whether a failed result says that a prepared statement must be prepared anew.

    "cached plan must not change result type" has no SQLSTATE of its own and is translated into the server's
    language; the C function that raises it tells it for sure.
    """
    if result.error_field(_SQLSTATE) in _STALE_SQLSTATES:
        return True
    return result.error_field(_FUNCTION) == b"RevalidateCachedQuery"


def unreachable(reason: object) -> InternalError:
    """No connection could be made; ``reason`` is the driver's account of it."""
    return InternalError(503, "PGRST000", "Database connection error.", details=_trimmed(reason))


def connection_lost(reason: object) -> InternalError:
    """The connection ended while a request was on it."""
    message = "Database client error. Retrying the connection."
    return InternalError(503, "PGRST001", message, details=_trimmed(reason))


def no_connection_free() -> InternalError:
    """The wait for a free connection took too long."""
    return InternalError(504, "PGRST003", "Timed out acquiring connection from connection pool.")


def reader_stalled() -> InternalError:
    """A streamed answer's reader took nothing for too long, so its connection was taken back."""
    return InternalError(504, "PGRST003", "The reader of a streamed response stopped reading.")


def null_character() -> DatabaseError:
    """A value holds U+0000, which libpq would take for the value's end and PostgreSQL's text cannot hold."""
    return DatabaseError(400, "22021", 'invalid byte sequence for encoding "UTF8": 0x00')


def copy_not_possible() -> DatabaseError:
    """A statement was a COPY from or to the client, which a pipeline cannot carry."""
    return DatabaseError(500, "0A000", "COPY from or to the client is not supported")


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("utf-8", "replace")


def _trimmed(reason: object) -> str | None:
    return str(reason).strip() or None
