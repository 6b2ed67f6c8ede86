"""Django on real PostgreSQL: its own tables in one database, the served tables on an alias of their own.

What lives here: both databases, the models built for a module, people who log in. What does not: the server
(``tests/conftest.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connections
from django.test import Client, override_settings
from psycopg.conninfo import conninfo_to_dict

from aiodata_django import registry
from aiodata_django.admin import register
from aiodata_django.core.schema import Schema
from aiodata_django.db.catalog import load_schema_sync

ALIAS = "aiodata"
SQL = (Path(__file__).parent / "awkward.sql").read_text()
EXPOSED = ("api", "other")


def entry(uri: str) -> dict[str, Any]:
    """A connection text as an entry of DATABASES."""
    parts = conninfo_to_dict(uri)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.get("dbname"),
        "USER": parts.get("user", ""),
        "PASSWORD": parts.get("password", ""),
        "HOST": parts.get("host", ""),
        "PORT": parts.get("port", ""),
        "OPTIONS": {"connect_timeout": 2},
    }


@pytest.fixture(scope="session")
def django_db_modify_db_settings(postgres: Any) -> None:
    """Django's own tables on the tests' server."""
    default = connections["default"]
    default.settings_dict.update(entry(postgres.admin_uri), NAME="aiodata_tests")
    default.settings_dict["TEST"]["NAME"] = "test_django"


@contextmanager
def served(uri: str, blocker: Any, **settings: Any) -> Iterator[Schema]:
    """The alias, the router and the models of a database, while the block runs."""
    connections.settings[ALIAS] = connections.configure_settings({**_default(), ALIAS: entry(uri)})[ALIAS]
    aiodata = {"database": ALIAS, "db_schemas": EXPOSED, **settings}
    routers = ["aiodata_django.tables.router.TablesRouter"]
    schema = load_schema_sync(uri, schemas=EXPOSED, extra_search_path=["public"])
    try:
        with override_settings(AIODATA=aiodata, DATABASE_ROUTERS=routers, ROOT_URLCONF="tests.django.urls"):
            registry.swap(schema)
            with blocker.unblock():
                call_command("aiodata_sync", "--permissions-only", verbosity=0)
            yield schema
            registry.swap(registry.EMPTY)
    finally:
        with blocker.unblock():
            connections[ALIAS].close()
        del connections[ALIAS]
        del connections.settings[ALIAS]


def _default() -> dict[str, Any]:
    return {"default": connections.settings["default"]}


@pytest.fixture(scope="module")
def uri(make_module_database: Callable[..., str]) -> str:
    """The module's database of awkward tables."""
    return make_module_database(SQL)


@pytest.fixture(scope="module")
def schema(uri: str, django_db_setup: None, django_db_blocker: Any) -> Iterator[Schema]:
    """The schema of the module's database, whose models are built while the module runs."""
    register.register_all()
    with served(uri, django_db_blocker) as schema:
        yield schema


@pytest.fixture
def boss(db: None) -> User:
    return User.objects.create(username="boss", is_staff=True, is_superuser=True)


@pytest.fixture
def client(boss: User) -> Client:
    """A browser in which the superuser is logged in."""
    client = Client(raise_request_exception=True)
    client.force_login(boss)
    return client
