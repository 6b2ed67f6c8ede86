"""What the feed needs in the database: made, removed, looked at and judged, by the tables' owner.

What lives here: publication, durable slot, replica identities, the event trigger that marks DDL in the WAL.
What does not: the commands that call this (``management``), the feed that uses it (``service``).

Nothing else makes a durable slot: one that nobody reads keeps WAL until the disk is full.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg

from ..core.changes.published import Published, PublishedTable
from ..core.names import quote_ident, quote_literal
from ..db.published import harmed, load_publication, load_published, mending, publishable
from .control import PREFIX, Control

_TAGS = (
    "CREATE TABLE",
    "CREATE TABLE AS",
    "ALTER TABLE",
    "DROP TABLE",
    "CREATE POLICY",
    "ALTER POLICY",
    "DROP POLICY",
    "CREATE FUNCTION",
    "ALTER FUNCTION",
    "DROP FUNCTION",
    "CREATE VIEW",
    "ALTER VIEW",
    "DROP VIEW",
    "ALTER TYPE",
    "ALTER DOMAIN",
    "ALTER SCHEMA",
    "DROP SCHEMA",
    "DROP OWNED",
    "GRANT",
    "REVOKE",
)

_TRIGGER = f"""
create schema if not exists aiodata;
create or replace function aiodata.mark_ddl() returns event_trigger language plpgsql as $$
begin
    perform pg_catalog.pg_logical_emit_message(true, '{PREFIX}', 'ddl ' || tg_tag);
end $$;
drop event trigger if exists aiodata_mark_ddl;
create event trigger aiodata_mark_ddl on ddl_command_end
    when tag in ({", ".join(f"'{tag}'" for tag in _TAGS)}) execute function aiodata.mark_ddl();
"""
_NO_TRIGGER = """
drop event trigger if exists aiodata_mark_ddl;
drop function if exists aiodata.mark_ddl();
drop schema if exists aiodata;
"""

_SLOT = b"""
select json_build_object(
    'name', s.slot_name, 'database', s.database, 'here', s.database = current_database(),
    'active', s.active, 'wal_status', s.wal_status, 'safe_wal_size', s.safe_wal_size,
    'confirmed', s.confirmed_flush_lsn::text, 'restart', s.restart_lsn::text,
    'retained_bytes', pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), s.restart_lsn)::bigint,
    'lag_bytes', pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), s.confirmed_flush_lsn)::bigint
) from pg_catalog.pg_replication_slots s where s.slot_name = $1
"""

_SERVER = b"""
select json_build_object(
    'wal_level', pg_catalog.current_setting('wal_level'),
    'keep_size', pg_catalog.current_setting('max_slot_wal_keep_size', true),
    'slots', pg_catalog.current_setting('max_replication_slots')::int,
    'slots_used', (select count(*) from pg_catalog.pg_replication_slots),
    'user', current_user::text,
    'replication', (select r.rolreplication or r.rolsuper from pg_catalog.pg_roles r
                    where r.rolname = current_user),
    'superuser', (select r.rolsuper from pg_catalog.pg_roles r where r.rolname = current_user),
    'comment', (select pg_catalog.obj_description(p.oid, 'pg_publication') from pg_catalog.pg_publication p
                where p.pubname = $1)
)
"""


@dataclass
class Report:
    """What was done (``done``) and what could not be (``failed``), one sentence each."""

    done: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Names:
    """What things are called: ``schemas`` exposed, the publication, the durable slot."""

    schemas: Sequence[str]
    publication: str = "aiodata"
    slot: str = "aiodata"


class Setup:
    """The feed's things in one database; open it with :func:`opened`. Raises psycopg.Error."""

    def __init__(self, control: Control, names: Names) -> None:
        self._control = control
        self._names = names

    async def create(self, *, slot: bool = True, identities: bool = True, trigger: bool = True) -> Report:
        """Make what is missing. Safe to repeat."""
        report = Report()
        await self._publish(report)
        if identities:
            await self._widen_identities(report)
        if trigger:
            await self._install_trigger(report)
        if slot:
            await self._create_slot(report)
        return report

    async def drop(self) -> Report:
        """Remove all that :meth:`create` made."""
        report = Report()
        await self._drop_slot(report)
        publication = quote_ident(self._names.publication)
        for name in await self._widened():
            sql = f"alter table only {name} replica identity default"
            await self._try(report, sql, f"{name} has its default replica identity again")
        await self._try(
            report, f"drop publication if exists {publication}", f"publication {publication} is gone"
        )
        if (await self._server())["superuser"]:
            await self._try(report, _NO_TRIGGER, "the event trigger is gone")
        return report

    async def status(self) -> dict[str, Any]:
        """Slot, publication and tables as they are, as JSON values."""
        published, publication = await self._published()
        return {
            "server": await self._server(),
            "slot": await self._slot(),
            "publication": None
            if publication is None
            else {"name": publication.name, "tables": sorted(map(str, publication.members))},
            "tables": [_described(table) for table in published.by_name.values()],
        }

    async def check(self) -> tuple[list[str], list[str]]:
        """What keeps events from flowing, and what only makes them fewer or dearer; both say what to do."""
        server, slot = await self._server(), await self._slot()
        published, _ = await self._published()
        problems = [*_server_problems(server), *_slot_problems(server, slot)]
        problems += await self.publication_problems()
        warnings = _slot_warnings(server, slot)
        for table in published.by_name.values():
            warnings += _table_warnings(table)
        return problems, warnings

    async def publication_problems(self) -> list[str]:
        """What the publication lacks, or does that it should not, with what to run."""
        published, publication = await self._published()
        name = self._names.publication
        problems = [
            f"run as the tables' owner: {sql}"
            for sql in mending(published, publication, name, await self._version())
        ]
        return problems + [
            f"{table.qualified} is published by {name} with its whole schema or database, and its updates and"
            f" deletes may fail for that: {table.obstacle}; mend the table, or drop the publication and run"
            ' "manage.py aiodata_feed create", which names the tables one by one'
            for table in harmed(published, publication)
        ]

    # Parts --------------------------------------------------------------------------------------------

    async def _version(self) -> int:
        return (await self._control.connection()).info.server_version

    async def _published(self) -> tuple[Published, Any]:
        connection = await self._control.connection()
        published = await load_published(connection, self._names.schemas)
        return published, await load_publication(connection, self._names.publication)

    async def _server(self) -> dict[str, Any]:
        row = await self._control.row(_SERVER, [self._names.publication])
        return dict(row[0])

    async def _slot(self) -> dict[str, Any] | None:
        try:
            row = await self._control.row(_SLOT, [self._names.slot])
        except psycopg.DataError:
            return None
        return dict(row[0])

    async def _try(self, report: Report, sql: str, done: str) -> None:
        try:
            await self._control.execute(sql)
        except psycopg.Error as error:
            report.failed.append(f"{str(error).splitlines()[0]}: {sql.strip()}")
        else:
            report.done.append(done)

    async def _publish(self, report: Report) -> None:
        published, publication = await self._published()
        for sql in mending(published, publication, self._names.publication, await self._version()):
            await self._try(report, sql, sql)

    async def _widened(self) -> list[str]:
        """The tables whose identity we made full, as we noted it on the publication."""
        try:
            noted = json.loads((await self._server())["comment"] or "{}")
            return [str(name) for name in noted.get("full", [])]
        except (ValueError, AttributeError):
            return []

    async def _widen_identities(self, report: Report) -> None:
        """FULL where row security is on: otherwise nobody can tell who saw a row that is gone."""
        published, _ = await self._published()
        noted = await self._widened()
        for table in publishable(published):
            root = published.tables[table.root]
            virtual = any(column.generated == "v" for column in table.columns)
            if root.row_security and table.identity == "d" and not virtual:
                name = table.qualified.sql
                await self._try(
                    report, f"alter table only {name} replica identity full", f"{name}: replica identity full"
                )
                noted.append(name)
        comment = quote_literal(json.dumps({"full": list(dict.fromkeys(noted))}))
        if noted:
            sql = f"comment on publication {quote_ident(self._names.publication)} is {comment}"
            await self._try(report, sql, "noted for drop")

    async def _install_trigger(self, report: Report) -> None:
        if (await self._server())["superuser"]:
            await self._try(report, _TRIGGER, "event trigger aiodata_mark_ddl marks DDL in the WAL")
        else:
            report.done.append("no event trigger (a superuser's right): definitions are compared instead")

    async def _create_slot(self, report: Report) -> None:
        slot = await self._slot()
        if slot is not None:
            if slot["here"]:
                report.done.append(f"slot {self._names.slot} is there already")
            else:
                report.failed.append(_elsewhere(slot))
            return
        failover = ", failover => true" if await self._version() >= 170000 else ""
        name = quote_literal(self._names.slot)
        sql = f"select pg_catalog.pg_create_logical_replication_slot({name}, 'pgoutput'{failover})"
        await self._try(report, sql, f"durable slot {self._names.slot}")

    async def _drop_slot(self, report: Report) -> None:
        slot = await self._slot()
        if slot is not None and slot["here"]:
            sql = f"select pg_catalog.pg_drop_replication_slot({quote_literal(self._names.slot)})"
            await self._try(report, sql, f"slot {self._names.slot} is gone")


def _described(table: PublishedTable) -> dict[str, Any]:
    return {
        "name": str(table.qualified),
        "identity": table.identity,
        "row_security": table.row_security,
        "obstacle": table.obstacle,
    }


def _server_problems(server: dict[str, Any]) -> list[str]:
    problems = []
    if server["wal_level"] != "logical":
        problems.append('run "ALTER SYSTEM SET wal_level = logical" as superuser and restart PostgreSQL')
    if not server["replication"]:
        problems.append(f'run "ALTER ROLE {server["user"]} REPLICATION" as superuser')
    return problems


def _elsewhere(slot: dict[str, Any]) -> str:
    return f"slot {slot['name']} is of database {slot['database']}: set feed-slot to another name here"


def _slot_problems(server: dict[str, Any], slot: dict[str, Any] | None) -> list[str]:
    if slot is None:
        if server["slots_used"] >= server["slots"]:
            return ["all replication slots are in use: raise max_replication_slots"]
        return []
    if not slot["here"]:
        return [_elsewhere(slot)]
    if slot["wal_status"] == "lost":
        return [f'slot {slot["name"]} is lost: run "manage.py aiodata_feed drop", then "create"']
    return []


def _slot_warnings(server: dict[str, Any], slot: dict[str, Any] | None) -> list[str]:
    if slot is not None and slot["here"] and server["keep_size"] in (None, "-1"):
        return [
            "set max_slot_wal_keep_size: without it a durable slot that nobody reads keeps WAL until the disk"
            " is full"
        ]
    return []


def _table_warnings(table: PublishedTable) -> list[str]:
    if table.obstacle is not None:
        return [f"{table.qualified} gives no events: {table.obstacle}"]
    if table.row_security and not table.full:
        return [
            f"{table.qualified} has row security: run"
            f" ALTER TABLE {table.qualified.sql} REPLICA IDENTITY FULL,"
            " or deletes and updates there cost every reader a new snapshot of it"
        ]
    return []


@asynccontextmanager
async def opened(conninfo: str, names: Names) -> AsyncIterator[Setup]:
    """A :class:`Setup` on a connection of its own."""
    control = Control(conninfo)
    try:
        yield Setup(control, names)
    finally:
        await control.close()
