"""``GET /``: the schema as aiodata's clients read it, and only what the caller may read.

What lives here: the JSON, and the query that asks what is readable. What does not: OpenAPI (``openapi``).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Set

from ..schema import Column, Relation, Schema
from .statement import Query, Rows

_READABLE = b"""
select c.relname, a.attname
from pg_catalog.pg_class c
join pg_catalog.pg_attribute a on a.attrelid = c.oid
where c.relnamespace = (select oid from pg_catalog.pg_namespace where nspname = $1)
    and c.relkind in ('r', 'v', 'm', 'f', 'p')
    and a.attnum > 0
    and not a.attisdropped
    and pg_catalog.has_schema_privilege(c.relnamespace, 'usage')
    and pg_catalog.has_column_privilege(c.oid, a.attnum, 'select')
"""


def readable_columns(schema: str) -> Query:
    """The query, run under the caller's role, whose rows are (relation, column)."""
    return Query(_READABLE, [schema.encode()])


def description(schema: Schema, exposed: str, readable: Rows) -> bytes:
    """The description as JSON: ``{table: {column: {main, type, dims, null, info, refs}}}``.

    Tables and columns stand in the order of the schema; ``type`` is ``pg_type.typname``, ``refs`` the table
    and column referred to, or two nulls. ``main`` is false in views: clients keep a copy of what has a key,
    and no event tells when a view's rows change.
    """
    pairs = {(row[0] or b"", row[1] or b"") for row in readable.rows}
    names = {(table.decode(), column.decode()) for table, column in pairs}
    described = {
        relation.name: columns
        for relation in _exposed(schema, exposed)
        if (columns := _columns(relation, names))
    }
    return json.dumps(described, ensure_ascii=False, separators=(",", ":")).encode()


def _exposed(schema: Schema, exposed: str) -> Iterable[Relation]:
    return (relation for relation in schema.relations.values() if relation.schema == exposed)


def _columns(relation: Relation, readable: Set[tuple[str, str]]) -> dict[str, object]:
    return {
        column.name: _column(relation, column)
        for column in relation.columns.values()
        if (relation.name, column.name) in readable
    }


def _column(relation: Relation, column: Column) -> dict[str, object]:
    return {
        "main": column.name in relation.primary_key and not relation.kind.is_view,
        "type": column.typname,
        "dims": column.dims,
        "null": column.nullable,
        "info": column.description,
        "refs": list(column.refs) if column.refs else [None, None],
    }
