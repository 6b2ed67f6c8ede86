"""Reading the catalogue: runs the sections of ``catalog.sql`` on a connection and builds the schema.

What lives here: the connection, its transaction and its empty search path. What does not: what the
answers mean (``core.catalog``).
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

import psycopg
from psycopg.rows import scalar_row
from psycopg.types.json import set_json_loads

from aiodata_django.core.catalog import build_schema
from aiodata_django.core.schema import Schema

# One snapshot for all sections; an empty search path makes PostgreSQL qualify the names it writes; compiling
# these queries would take longer than running them.
_BEGIN = "begin isolation level repeatable read read only; set local search_path = ''; set local jit = off"
# A name that is mistyped would be served as an empty schema; PostgreSQL refuses it, with 3F000.
_EXISTING = b"select array(select quote_ident(name) from unnest($1::text[]) name)::regnamespace[]"
_HEADING = re.compile(r"^-- section: (\w+)(?: of (\w+))?$", re.MULTILINE)


async def load_schema(
    conninfo: str, *, schemas: Sequence[str], extra_search_path: Sequence[str] = ("public",)
) -> Schema:
    """The schema of the database at ``conninfo``, as its login role finds it.

    ``schemas`` are served; views of ``extra_search_path`` may be looked through too. Raises psycopg.Error,
    InvalidSchemaName where one of them is not there.
    """
    answers: dict[str, Any] = {}
    async with await psycopg.AsyncConnection.connect(conninfo, autocommit=True) as connection:
        set_json_loads(_unread, connection)
        await connection.execute(_BEGIN)
        async with psycopg.AsyncRawCursor(connection, row_factory=scalar_row) as cursor:
            await cursor.execute(_EXISTING, [[*schemas, *extra_search_path]])
            for section in _sections():
                await cursor.execute(section.query, section.values(schemas, extra_search_path))
                answers[section.name] = await cursor.fetchone()
    # half a second for a thousand tables: other requests must not wait for it
    return await asyncio.to_thread(_build, answers, schemas)


def load_schema_sync(
    conninfo: str, *, schemas: Sequence[str], extra_search_path: Sequence[str] = ("public",)
) -> Schema:
    """:func:`load_schema` for those without an event loop."""
    answers: dict[str, Any] = {}
    with psycopg.connect(conninfo, autocommit=True) as connection:
        set_json_loads(_unread, connection)
        connection.execute(_BEGIN)
        with psycopg.RawCursor(connection, row_factory=scalar_row) as cursor:
            cursor.execute(_EXISTING, [[*schemas, *extra_search_path]])
            for section in _sections():
                cursor.execute(section.query, section.values(schemas, extra_search_path))
                answers[section.name] = cursor.fetchone()
    return _build(answers, schemas)


def _unread(answer: str | bytes) -> str | bytes:
    """JSON as it came: it is read where it holds nobody up."""
    return answer


def _build(answers: Mapping[str, Any], schemas: Sequence[str]) -> Schema:
    return build_schema({name: json.loads(answer) for name, answer in answers.items()}, schemas)


class _Section(NamedTuple):
    """A query of ``catalog.sql`` and what its parameter is: ``exposed``, ``reachable`` or nothing."""

    name: str
    parameter: str | None
    query: bytes

    def values(self, exposed: Sequence[str], extra: Sequence[str]) -> list[list[str]]:
        """The query's parameters."""
        choices = {"exposed": list(exposed), "reachable": [*exposed, *extra]}
        return [choices[self.parameter]] if self.parameter else []


@cache
def _sections() -> tuple[_Section, ...]:
    text = files(__package__).joinpath("catalog.sql").read_text("utf-8")
    _, *parts = _HEADING.split(text)
    return tuple(
        _Section(name, parameter, query.encode())
        for name, parameter, query in zip(parts[::3], parts[1::3], parts[2::3], strict=True)
    )
