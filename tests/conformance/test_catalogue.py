"""The schema that the tests of the core plan against is the one of the database here."""

from __future__ import annotations

from dataclasses import replace

from aiodata_django.core import schemafile
from aiodata_django.core.schema import Schema
from aiodata_django.db.catalog import load_schema_sync
from tests.conftest import as_user_of
from tests.core import films


def same_everywhere(schema: Schema) -> Schema:
    """Without what differs from one server to the next."""
    routines = {
        name: tuple(replace(routine, oid=0) for routine in overloads)
        for name, overloads in schema.routines.items()
    }
    relations = {name: replace(relation, oid=0) for name, relation in schema.relations.items()}
    return replace(schema, routines=routines, relations=relations, version=180000)


def test_the_core_plans_against_this_schema(films_database: str, golden):
    loaded = load_schema_sync(as_user_of(films_database, "authenticator"), schemas=["api"])
    golden(films.FILE, schemafile.dump(same_everywhere(loaded)))
