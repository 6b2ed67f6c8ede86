"""Audiences: who listens to which rows and columns of which table, and the SQL that judges rows for them.

What lives here: viewers (role and claims), audiences (viewer, table, columns, filter), what a role is
granted, and the text of the statement that tells which images of rows an audience may see. What does not:
running it (``feed.gate``).

A row image is judged by the table's own policies, as PostgreSQL does for SELECT: permissive ones are OR-ed,
restrictive ones AND-ed, null counts as false.
Source: https://www.postgresql.org/docs/18/sql-createpolicy.html
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..changes.published import Policy, PublishedTable
from ..errors import RequestError
from ..identity import Identity
from ..names import quote_ident
from .narrowing import EVERYTHING, Condition, Narrowing

_TIMES = frozenset({"exp", "iat", "nbf", "jti"})


@dataclass(frozen=True, slots=True)
class Viewer:
    """A role and its claims as JSON, without those that change with every token (exp, iat, nbf, jti)."""

    role: str
    claims: str

    @classmethod
    def of(cls, identity: Identity) -> Viewer:
        """The viewer an identity is; two tokens of one user make the same."""
        claims = {name: value for name, value in identity.claims.items() if name not in _TIMES}
        return cls(
            identity.role, json.dumps(claims, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
        )


@dataclass(frozen=True, slots=True)
class Audience:
    """Those who see the same rows of a table in the same shape: sockets of one audience share all work.

    ``table`` is the root's oid, ``columns`` what is sent, ``filter`` what the subscription asks for,
    ``policy`` the condition row security puts on the table, None where it does not apply.
    """

    viewer: Viewer
    table: int
    columns: tuple[str, ...]
    filter: Condition | None = None
    policy: str | None = None

    @property
    def guarded(self) -> bool:
        """Whether policies decide which rows are seen."""
        return self.policy is not None

    @property
    def open(self) -> bool:
        """Whether every row is seen."""
        return self.filter is None and self.policy is None


class TableGrant(NamedTuple):
    """What a role may select of a table: ``columns`` by name; ``guarded`` when row security applies to it."""

    columns: tuple[str, ...]
    guarded: bool


@dataclass(frozen=True, slots=True)
class Grants:
    """What a role may select, by table oid, and the oids of the roles whose privileges it has."""

    memberships: frozenset[int]
    tables: Mapping[int, TableGrant]

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Grants:
        """From the one value of :data:`GRANTS_SQL`."""
        tables = {
            int(oid): TableGrant(tuple(grant["columns"]), grant["guarded"])
            for oid, grant in (record["tables"] or {}).items()
        }
        return cls(frozenset(record["memberships"] or ()), tables)

    def readable(self, table: PublishedTable) -> TableGrant | None:
        """What of a table may be sent; None unless the whole key is among it."""
        grant = self.tables.get(table.oid)
        if grant is None or not table.key or not set(table.key) <= set(grant.columns):
            return None
        return grant

    def audience(
        self, viewer: Viewer, table: PublishedTable, narrowing: Narrowing = EVERYTHING
    ) -> Audience | None:
        """Who the viewer is to a table; None where nothing of it may be sent.

        Raises RequestError 42703 for a column the table does not have, 42501 for one that may not be read.
        """
        grant = self.readable(table)
        if grant is None:
            return None
        columns = grant.columns
        if narrowing.columns is not None:
            _check_columns(narrowing.columns, table, grant)
            wanted = {*narrowing.columns, *table.key}
            columns = tuple(name for name in grant.columns if name in wanted)
        policy = policy_condition(table.policies, self.memberships) if grant.guarded else None
        return Audience(viewer, table.oid, columns, narrowing.condition, policy)


def _check_columns(names: Sequence[str], table: PublishedTable, grant: TableGrant) -> None:
    for name in names:
        if name not in table.column:
            raise RequestError(400, "42703", f"column {table.name}.{name} does not exist")
        if name not in grant.columns:
            raise RequestError(403, "42501", f"permission denied for column {name} of table {table.name}")


GRANTS_SQL = b"""
select json_build_object(
    'memberships', (select json_agg(r.oid::bigint) from pg_catalog.pg_roles r
                    where pg_catalog.pg_has_role(r.oid, 'usage')),
    'tables', (
        select json_object_agg(c.oid::bigint, json_build_object(
            'columns', coalesce((
                select json_agg(a.attname order by a.attnum) from pg_catalog.pg_attribute a
                where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
                    and pg_catalog.has_column_privilege(c.oid, a.attnum, 'select')
            ), '[]'),
            'guarded', pg_catalog.row_security_active(c.oid)
        ))
        from pg_catalog.pg_class c
        where c.oid = any ($1::oid[]) and pg_catalog.has_schema_privilege(c.relnamespace, 'usage')
    )
)::text
"""
"""To be run under the role; ``$1`` is the array of table oids."""


def policy_condition(policies: Iterable[Policy], memberships: frozenset[int]) -> str:
    """The condition row security puts on SELECT for a role with these memberships."""
    mine = [p for p in policies if 0 in p.roles or memberships.intersection(p.roles)]
    permissive = [f"({p.using})" for p in mine if p.permissive and p.using is not None]
    restrictive = [f"({p.using})" for p in mine if not p.permissive and p.using is not None]
    if not permissive:
        return "false"
    return " and ".join([f"({' or '.join(permissive)})", *restrictive])


def judging_sql(table: PublishedTable, audience: Audience, missing: Sequence[str] = ()) -> bytes:
    """One statement: ``$1`` is a JSON array of row images; answers (seen, row as JSON) in their order.

    ``$2`` and following are the filter's. The images stand under the table's own name, so that policies may
    say ``pets.color``. ``missing`` names generated columns the stream does not carry: they are computed,
    which takes a list of columns instead of the row type (and breaks policies that pass the whole row to a
    function).
    """
    condition = audience.policy if audience.policy is not None else "true"
    if audience.filter is not None:
        condition = f"({condition}) and ({audience.filter.numbered(2)})"
    name, source = quote_ident(table.name), _source(table, missing)
    # Names from the catalogue, quoted; condition and expressions as PostgreSQL itself prints them.
    columns = ", ".join(f"{name}.{quote_ident(column)}" for column in audience.columns)
    return (
        f"select coalesce({condition}, false), "  # noqa: S608
        f"(select pg_catalog.row_to_json(r) from (select {columns}) r)::text "
        "from pg_catalog.json_array_elements($1::json)"
        " with ordinality as aiodata_x (aiodata_image, aiodata_place), "
        f"lateral {source} order by aiodata_x.aiodata_place"
    ).encode()


def _source(table: PublishedTable, missing: Sequence[str]) -> str:
    """The rows in ``aiodata_x.aiodata_image`` as an item of FROM, under the table's name."""
    name = quote_ident(table.name)
    populate = f"pg_catalog.json_populate_record(null::{table.qualified.sql}, aiodata_x.aiodata_image)"
    if missing:
        listed = ", ".join(
            f"({column.expression}) as {quote_ident(column.name)}"
            if column.name in missing
            else quote_ident(column.name)
            for column in table.columns
        )
        return f"(select {listed} from {populate} as {name}) as {name}"  # noqa: S608
    return f"{populate} as {name}"


def self_test_sql(table: PublishedTable, audience: Audience, missing: Sequence[str] = ()) -> bytes:
    """Whether images of rows the viewer can see, up to 100 of them, pass the policies as the rows do.

    To be run under the role, with row security.
    """
    name = quote_ident(table.name)
    return (
        f"select coalesce(bool_and(coalesce({audience.policy}, false)), true) from "  # noqa: S608
        f"(select pg_catalog.row_to_json({name}) as aiodata_image from {table.qualified.sql} as {name}"
        f" limit 100) as aiodata_x, lateral {_source(table, missing)}"
    ).encode()


def snapshot_sql(
    pieces: Sequence[tuple[PublishedTable, Audience]], key: bytes | None = None
) -> tuple[bytes, list[bytes | None]]:
    """One statement that reads all pieces in one snapshot: rows of (number of the piece, row as JSON).

    ``key``, a JSON object, narrows them to one row. Row security is PostgreSQL's own here: to be run under
    the viewer's role. Answers its parameters too.
    """
    params: list[bytes | None] = []
    selects = []
    for number, (table, audience) in enumerate(pieces):
        name = quote_ident(table.name)
        columns = ", ".join(f"{name}.{quote_ident(column)}" for column in audience.columns)
        conditions = []
        if audience.filter is not None:
            conditions.append(f"({audience.filter.numbered(len(params) + 1)})")
            params += audience.filter.params
        if key is not None:
            params.append(key)
            conditions += _key_conditions(table, len(params))
        where = f" where {' and '.join(conditions)}" if conditions else ""
        selects.append(
            f"select {number}, (select pg_catalog.row_to_json(r) from (select {columns}) r)::text"  # noqa: S608
            f" from {table.qualified.sql} as {name}{where}"
        )
    return " union all ".join(selects).encode(), params


def _key_conditions(table: PublishedTable, number: int) -> list[str]:
    """That the key is the one in the JSON object ``$number``, whose values are read as the columns' types."""
    record = f"pg_catalog.json_populate_record(null::{table.qualified.sql}, ${number}::json) as aiodata_key"
    name = quote_ident(table.name)
    return [
        f"{name}.{column} = (select aiodata_key.{column} from {record})"  # noqa: S608
        for column in map(quote_ident, table.key)
    ]
