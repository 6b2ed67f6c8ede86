"""What the database says about how it wants to be served."""

from __future__ import annotations

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from aiodata_django.conf import IN_DATABASE, Sources
from aiodata_django.core.names import QualifiedName
from aiodata_django.db.configuration import load_configuration

SQL = """
create role "{role}" login password 'x';
create role "{role} member" nologin;
grant "{role} member" to "{role}";
create schema settings;
grant usage on schema settings to "{role}";
create function settings.pre_config() returns void language sql as $$
    select set_config('pgrst.db_schemas', 'pre', true),
           set_config('pgrst.jwt_aud', 'pre', true),
           set_config('pgrst.db_max_rows', '7', true)
$$;
alter role "{role}" set pgrst.jwt_aud = 'role';
alter role "{role}" set pgrst.db_anon_role = 'role';
alter role "{role}" set pgrst.unheard_of = 'x';
alter role "{role} member" set statement_timeout = '5s';
alter role "{role} member" set default_transaction_isolation = 'serializable';
alter role "{role} member" set log_min_messages = 'error';
"""


@pytest.fixture
def login(make_database, postgres):
    """The URI of a login role with settings of its own; roles outlive databases, so it is dropped here."""
    uri = make_database()
    role = uri.rsplit("/", 1)[1] + " login"
    with psycopg.connect(uri, autocommit=True) as admin:
        admin.execute(SQL.format(role=role).encode())
        here = f'alter role "{role}" in database "{admin.info.dbname}"'
        admin.execute(f"{here} set pgrst.db_anon_role = 'database'".encode())
        yield make_conninfo(uri, user=role, password="x")
        admin.execute(f'drop owned by "{role}"; drop role "{role}", "{role} member"'.encode())


async def test_the_roles_settings_win_over_the_functions_and_those_in_the_database_over_both(login):
    found = await load_configuration(
        login, names=IN_DATABASE, pre_config=QualifiedName("settings", "pre_config")
    )
    assert found.settings == {
        "db_schemas": "pre",
        "jwt_aud": "role",
        "db_anon_role": "database",
        "db_max_rows": "7",
    }
    settings = Sources().settings(found.settings)
    assert (settings.db_schemas, settings.db_max_rows) == (("pre",), 7)


async def test_without_function_only_the_roles_settings_are_found(login):
    found = await load_configuration(login, names=IN_DATABASE)
    assert found.settings == {"jwt_aud": "role", "db_anon_role": "database"}


async def test_settings_of_the_roles_it_may_become_are_found_as_far_as_it_may_set_them(login):
    found = await load_configuration(login, names=IN_DATABASE)
    [(role, settings)] = found.roles.items()
    assert role.endswith("login member")
    assert settings == {"statement_timeout": "5s", "default_transaction_isolation": "serializable"}


async def test_a_function_that_is_not_there_is_an_error(login):
    with pytest.raises(psycopg.errors.UndefinedFunction):
        await load_configuration(login, names=IN_DATABASE, pre_config=QualifiedName("settings", "nothing"))
