"""The control connection: one ordinary session of the login role, for what belongs to no request.

What lives here: snapshots to tell whether a commit is visible, markers and heartbeats in the WAL, the
catalogue and the publication. What does not: anything done under another role (``gate``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
from psycopg import AsyncConnection, AsyncRawCursor
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from ..core.changes.position import Snapshot, parse_lsn

PREFIX = "aiodata"
"""Prefix of the messages we put into the WAL."""

_FORMATS = (
    "select current_setting('TimeZone'), current_setting('IntervalStyle'), current_setting('bytea_output')"
)

_FINGERPRINT = """
select pg_catalog.md5(pg_catalog.concat_ws('|',
    (select string_agg(pg_catalog.concat_ws(',', c.oid, c.relname, c.relnamespace, c.relowner, c.relacl::text,
            c.relrowsecurity, c.relforcerowsecurity, c.relreplident, c.relkind), ';' order by c.oid)
        from pg_class c where c.relkind in ('r', 'p') and c.relpersistence = 'p' and c.oid >= 16384),
    (select string_agg(pg_catalog.concat_ws(',', a.attrelid, a.attnum, a.attname, a.atttypid, a.attacl::text,
            a.attgenerated, a.attnotnull, a.xmin), ';' order by a.attrelid, a.attnum)
        from pg_attribute a join pg_class c on c.oid = a.attrelid
        where c.relkind in ('r', 'p', 'c') and c.relpersistence = 'p' and c.oid >= 16384 and a.attnum > 0),
    (select string_agg(pg_catalog.concat_ws(',', p.oid, p.xmin), ';' order by p.oid) from pg_policy p),
    (select string_agg(pg_catalog.concat_ws(',', i.indexrelid, i.indrelid, i.indkey, i.indimmediate,
            i.indisvalid, i.indisreplident), ';' order by i.indexrelid)
        from pg_index i where i.indexrelid >= 16384 and (i.indisprimary or i.indisreplident)),
    (select string_agg(pg_catalog.concat_ws(',', i.inhrelid, i.inhparent), ';' order by i.inhrelid)
        from pg_inherits i),
    (select string_agg(pg_catalog.concat_ws(',', m.roleid, m.member, m.xmin), ';' order by m.roleid, m.member)
        from pg_auth_members m),
    (select string_agg(pg_catalog.concat_ws(',', r.oid, r.rolname, r.rolsuper, r.rolbypassrls), ';'
            order by r.oid) from pg_roles r),
    (select string_agg(pg_catalog.concat_ws(',', n.oid, n.nspname, n.nspacl::text), ';' order by n.oid)
        from pg_namespace n),
    (select string_agg(pg_catalog.concat_ws(',', p.oid, p.xmin), ';' order by p.oid)
        from pg_publication p),
    (select string_agg(pg_catalog.concat_ws(',', p.prrelid, p.prpubid, p.xmin), ';' order by p.oid)
        from pg_publication_rel p),
    {schemas}
    (select string_agg(pg_catalog.concat_ws(',', t.oid, t.xmin), ';' order by t.oid)
        from pg_type t where t.typtype in ('d', 'e') and t.oid >= 16384),
    (select string_agg(pg_catalog.concat_ws(',', e.oid, e.xmin), ';' order by e.oid) from pg_enum e),
    (select string_agg(pg_catalog.concat_ws(',', p.oid, p.xmin), ';' order by p.oid)
        from pg_proc p where p.oid >= 16384),
    (select string_agg(pg_catalog.concat_ws(',', w.oid, w.xmin), ';' order by w.oid)
        from pg_rewrite w join pg_class c on c.oid = w.ev_class
        where w.oid >= 16384 and c.relpersistence = 'p')
))
"""
_SCHEMAS = """
    (select string_agg(pg_catalog.concat_ws(',', s.pnnspid, s.pnpubid, s.xmin), ';' order by s.oid)
        from pg_publication_namespace s),
"""
"""Schemas published whole, from PostgreSQL 15 on."""


class Control:
    """A session with an empty search_path that is opened anew when it broke.

    Raises psycopg.Error from every method while the database is away.
    """

    def __init__(self, conninfo: str) -> None:
        given = str(conninfo_to_dict(conninfo).get("options") or "")
        # The catalogue's query is large, its tables are small: compiling it takes seconds, running it none.
        ours = "-c search_path= -c synchronous_commit=local -c statement_timeout=30s -c jit=off"
        options = f"{given} {ours}".strip()
        self._conninfo = make_conninfo(
            conninfo, options=options, client_encoding="UTF8", application_name="aiodata control"
        )
        self._connection: AsyncConnection[Any] | None = None
        self._opening = asyncio.Lock()

    async def connection(self) -> AsyncConnection[Any]:
        """The open session."""
        async with self._opening:
            if self._connection is None or self._connection.closed:
                self._connection = await AsyncConnection.connect(
                    self._conninfo, autocommit=True, prepare_threshold=2
                )
            return self._connection

    async def close(self) -> None:
        """End the session."""
        if self._connection is not None:
            await self._connection.close()

    async def row(self, statement: bytes, params: Sequence[Any] = ()) -> tuple[Any, ...]:
        """The first row of a statement with ``$1`` parameters."""
        cursor = await AsyncRawCursor(await self.connection()).execute(statement, params or None)
        row = await cursor.fetchone()
        if row is None:
            raise psycopg.DataError("no row")
        return tuple(row)

    async def execute(self, statement: str) -> None:
        """Run a statement that answers nothing."""
        await (await self.connection()).execute(statement.encode())

    async def snapshot(self) -> Snapshot:
        """What is visible now."""
        return Snapshot.parse((await self.row(b"select pg_catalog.pg_current_snapshot()::text"))[0])

    async def present(self) -> tuple[Snapshot, int]:
        """What is visible now, and an LSN up to which every commit that is visible has ended."""
        snapshot, lsn = await self.row(
            b"select pg_catalog.pg_current_snapshot()::text, pg_catalog.pg_current_wal_insert_lsn()::text"
        )
        return Snapshot.parse(snapshot), parse_lsn(lsn)

    async def fingerprint(self) -> str:
        """Changes whenever a definition or a privilege does that decides what is sent to whom."""
        version = (await self.connection()).info.server_version
        sql = _FINGERPRINT.replace("{schemas}", _SCHEMAS if version >= 150000 else "")
        return str((await self.row(sql.encode()))[0])

    async def formats(self) -> Mapping[str, str]:
        """How sessions of this database write values, so that events and answers agree."""
        zone, interval, bytea = await self.row(_FORMATS.encode())
        return {"TimeZone": zone, "IntervalStyle": interval, "bytea_output": bytea}

    async def marker(self, content: str) -> int:
        """Commit a message into the WAL and flush it; the stream passes the LSN returned soon."""
        row = await self.row(
            b"select pg_catalog.pg_logical_emit_message(true, $1, $2)::text", [PREFIX, content]
        )
        return parse_lsn(row[0])

    async def heartbeat(self) -> None:
        """A message outside any transaction: the slot's position can move though nobody writes."""
        await self.row(b"select pg_catalog.pg_logical_emit_message(false, $1, 'heartbeat')::text", [PREFIX])
