"""The publication: which tables the feed may publish, and the SQL that makes the publication hold them.

What lives here: the catalogue query's text, the comparison of what is published with what should be, and
the statements that mend it. What does not: the records (``core.changes.published``), the stream
(``replication``).

Publishing a table without a usable replica identity makes the application's own UPDATE and DELETE fail, so
such a table is never added, and is taken out when it has become so.
Source: https://www.postgresql.org/docs/18/logical-replication-publication.html
"""

from __future__ import annotations

import json
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from typing import Any

from psycopg import AsyncConnection, AsyncRawCursor

from ..core.changes.published import Published, PublishedTable
from ..core.names import QualifiedName, quote_ident

PUBLISHED_SQL = files(__package__).joinpath("published.sql").read_text("utf-8").encode()

# Columns that older versions lack are looked up in the row as JSON: row filters and column lists came with
# PostgreSQL 15, publish_generated_columns with 18.
_MEMBERS = """
select p.oid::text || '.' || p.xmin,
    p.pubinsert and p.pubupdate and p.pubdelete and p.pubtruncate,
    p.pubviaroot, coalesce(to_jsonb(p) ->> 'pubgencols', 's') = 's',
    coalesce((select json_agg(json_build_array(t.schemaname, t.tablename))
              from pg_publication_tables t where t.pubname = p.pubname), '[]'),
    coalesce((select json_object_agg(r.prrelid, r.oid::text || '.' || r.xmin)
              from pg_publication_rel r where r.prpubid = p.oid), '{}'),
    coalesce((select json_agg(r.prrelid::bigint)
              from pg_publication_rel r cross join lateral to_jsonb(r) j
              where r.prpubid = p.oid and coalesce(j ->> 'prqual', j ->> 'prattrs') is not null), '[]')
from pg_publication p where p.pubname = $1
"""
_SCHEMAS = """
select coalesce(json_object_agg(n.nspname, s.oid::text), '{}')
from pg_publication_namespace s
join pg_publication p on p.oid = s.pnpubid
join pg_namespace n on n.oid = s.pnnspid
where p.pubname = $1
"""


@dataclass(frozen=True, slots=True)
class Publication:
    """A publication as it is: ``members`` are the leaves it publishes.

    ``listed`` and ``schemas`` are the tables (by oid) and schemas named in it, and ``revision`` is its own:
    texts that are others when the same is published anew. ``narrowed`` are tables of which it leaves out rows
    or columns.
    """

    name: str
    members: frozenset[QualifiedName]
    revision: str
    listed: Mapping[int, str]
    schemas: Mapping[str, str]
    narrowed: frozenset[int]
    complete: bool = True  # publishes all four kinds of change
    via_root: bool = False
    generated: bool = True  # publishes stored generated columns, where PostgreSQL can

    def revision_of(self, table: PublishedTable) -> str:
        """Another text when the table was left out for a while, however short."""
        listed = self.listed.get(table.oid) or self.listed.get(table.root)
        return f"{self.revision}/{listed or self.schemas.get(table.schema, '')}"


async def load_published(
    connection: AsyncConnection[Any], schemas: Sequence[str], further: Sequence[str] = ()
) -> Published:
    """What the catalogue says of the tables in ``schemas``. The connection's search_path must be empty."""
    cursor = await AsyncRawCursor(connection).execute(PUBLISHED_SQL, [list(schemas), list(further)])
    row = await cursor.fetchone()
    assert row is not None  # an aggregate without GROUP BY has one row
    return Published.from_json(json.loads(row[0]))


async def load_publication(connection: AsyncConnection[Any], name: str) -> Publication | None:
    """The publication of that name, None when there is none."""
    row = await (await AsyncRawCursor(connection).execute(_MEMBERS, [name])).fetchone()
    if row is None:
        return None
    revision, complete, via_root, generated, members, listed, narrowed = row
    schemas: Mapping[str, str] = {}
    if connection.info.server_version >= 150000:
        found = await (await AsyncRawCursor(connection).execute(_SCHEMAS, [name])).fetchone()
        schemas = found[0] if found is not None else {}
    return Publication(
        name,
        frozenset(QualifiedName(*member) for member in members),
        revision,
        {int(oid): entry for oid, entry in listed.items()},
        schemas,
        frozenset(narrowed),
        complete,
        via_root,
        generated,
    )


def publishable(published: Published) -> Iterator[PublishedTable]:
    """The leaves that may be published: ordinary tables with nothing against them or their root."""
    for table in published.tables.values():
        root = published.tables[table.root]
        if table.kind == "r" and table.obstacle is None and root.obstacle is None:
            yield table


def mending(published: Published, publication: Publication | None, name: str, version: int) -> list[str]:
    """The statements, to be run by the tables' owner, after which the publication is as it should be."""
    wanted = list(publishable(published))
    if publication is None:
        return [_create(_listed(published, wanted), name, version)]
    statements = []
    narrowed = [t for t in published.tables.values() if t.oid in publication.narrowed]
    covered = {t.root for t in wanted if published.tables[t.root].qualified in publication.members}
    missing = [
        t
        for t in wanted
        if t in narrowed or (t.qualified not in publication.members and t.root not in covered)
    ]
    harmful = [t for t in published.tables.values() if t.obstacle and t.oid in publication.listed]
    stored = any(column.generated == "s" for table in wanted for column in table.columns)
    if not publication.complete or publication.via_root or (stored and not publication.generated):
        statements.append(f"alter publication {quote_ident(name)} set ({_options(version)})")
    if out := dict.fromkeys(f"only {table.qualified.sql}" for table in (*harmful, *narrowed)):
        statements.append(f"alter publication {quote_ident(name)} drop table {', '.join(out)}")
    if missing:
        tables = ", ".join(_listed(published, missing))
        statements.append(f"alter publication {quote_ident(name)} add table {tables}")
    return statements


def harmed(published: Published, publication: Publication | None) -> list[PublishedTable]:
    """Tables published with their whole schema or database, whose updates and deletes may fail for it."""
    if publication is None:
        return []
    return [
        table
        for table in published.tables.values()
        if table.obstacle and table.oid not in publication.listed and table.qualified in publication.members
    ]


def told_whole(published: Published, publication: Publication, unsettled: Container[int] = ()) -> Published:
    """With an obstacle for every table of which the publication, as it is, leaves something out.

    Whoever followed such a table would be wrong without knowing: better it is not offered. Of a partitioned
    table no partition may be missing. A table that is published anew has another revision, and once more when
    it is ``unsettled`` (by oid) no longer.
    """
    obstacles: dict[int, str] = {}
    for table in published.tables.values():
        if table.kind == "p":
            continue
        obstacle = table.obstacle or _left_out(table, publication)
        if obstacle is not None:
            obstacles[table.oid] = obstacle
            if table.root != table.oid:
                obstacles.setdefault(table.root, f"its partition {table.qualified}: {obstacle}")
    tables = {}
    for oid, table in published.tables.items():
        parts = (table.revision, publication.revision_of(table), "unsettled" if oid in unsettled else "")
        obstacle = table.obstacle or obstacles.get(oid)
        tables[oid] = replace(table, obstacle=obstacle, revision=" ".join(filter(None, parts)))
    return Published(tables, published.shapes)


def _left_out(table: PublishedTable, publication: Publication) -> str | None:
    if table.kind != "r":
        return "it is a foreign table, so the WAL does not carry it"
    if table.qualified not in publication.members:
        return f"it is not in the publication {publication.name}"
    if not publication.complete:
        return f"the publication {publication.name} leaves out some kinds of changes"
    if table.oid in publication.narrowed:
        return f"the publication {publication.name} leaves out some of its rows or columns"
    return None


def _create(tables: Sequence[str], name: str, version: int) -> str:
    of = f" for table {', '.join(tables)}" if tables else ""
    return f"create publication {quote_ident(name)}{of} with ({_options(version)})"


def _options(version: int) -> str:
    # Leaves speak for themselves: a TRUNCATE of one would otherwise be lost.
    options = "publish = 'insert, update, delete, truncate', publish_via_partition_root = false"
    return options + (", publish_generated_columns = stored" if version >= 180000 else "")


def _listed(published: Published, leaves: Sequence[PublishedTable]) -> list[str]:
    """How the leaves are named: by their root where every leaf of it may be published, itself otherwise."""
    blocked = {t.root for t in published.tables.values() if t.kind == "r" and t.obstacle is not None}
    oids = dict.fromkeys(leaf.oid if leaf.root in blocked else leaf.root for leaf in leaves)
    return [f"only {published.tables[oid].qualified.sql}" for oid in oids]
