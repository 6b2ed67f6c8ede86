"""Why there are no events, and what to run: one sentence for each way replication can be refused."""

from __future__ import annotations

import psycopg
from psycopg import errors

from ..db.replication import SlotLost

WAITING = (
    "No change events yet: PostgreSQL makes the replication slot only after every open write transaction has "
    "ended; look for long ones in pg_stat_activity and pg_prepared_xacts."
)


def problem_of(error: Exception, role: str, slot: str) -> str:
    """The sentence for ``error``; ``role`` is the login role, ``slot`` the durable slot's name."""
    if isinstance(error, SlotLost):
        return (
            f'The replication slot "{slot}" is lost, because the WAL it needed was removed: run "manage.py '
            'aiodata_feed drop" and "manage.py aiodata_feed create", and raise max_slot_wal_keep_size.'
        )
    text = str(error).strip()
    if "wal_level" in text:
        return (
            "No change events: PostgreSQL's wal_level is too low; run "
            '"ALTER SYSTEM SET wal_level = logical" as superuser and restart PostgreSQL.'
        )
    # A refused connection has no SQLSTATE here, only words: "WAL sender", before 16 "walsender".
    if "WAL sender" in text or "walsender" in text or "replication role" in text:
        return (
            f'No change events: role "{role}" has no REPLICATION right; run '
            f'"ALTER ROLE {role} REPLICATION" as superuser.'
        )
    if isinstance(error, errors.ConfigurationLimitExceeded):
        return (
            "No change events: all replication slots are in use; raise max_replication_slots and restart "
            "PostgreSQL, or drop slots that pg_replication_slots shows as not active."
        )
    if isinstance(error, errors.TooManyConnections):
        return (
            "No change events: all WAL senders or connections are in use; raise max_wal_senders or "
            "max_connections and restart PostgreSQL."
        )
    # What pgoutput misses, such as the publication before 18, is told with the slot's name for context.
    if isinstance(error, errors.UndefinedObject) and "replication slot" in text:
        return f'The replication slot "{slot}" is gone: run "manage.py aiodata_feed create".'
    if isinstance(error, psycopg.OperationalError):
        return f"No change events: PostgreSQL cannot be reached ({_first_line(text)}); trying again."
    line = _first_line(text)
    return line if line.startswith("No change events") else f"No change events: {line}"


def _first_line(text: str) -> str:
    return text.splitlines()[0] if text else "the replication session ended"
