"""The schema file and its models: loaded without a query, swapped while serving, checked."""

from __future__ import annotations

import gc
import weakref
from dataclasses import replace

import psycopg
import pytest
from django.apps import apps
from django.contrib.admin import site
from django.db import connections
from django.test import override_settings
from django.urls import reverse

from aiodata_django import registry, signals
from aiodata_django.core.names import QualifiedName
from aiodata_django.core.schemafile import dump
from aiodata_django.db.catalog import load_schema_sync
from aiodata_django.tables.build import Plan, components, plan

from .conftest import EXPOSED

pytestmark = pytest.mark.django_db(databases=["default", "aiodata"], transaction=True)


@pytest.fixture
def ddl(uri, schema):
    """Run DDL and have the registry follow; the module's schema is restored after the test."""
    undo = []

    def run(statement, reverse_statement=None):
        with psycopg.connect(uri, autocommit=True) as connection:
            connection.execute(statement)
        if reverse_statement:
            undo.append(reverse_statement)
        return registry.swap(load_schema_sync(uri, schemas=EXPOSED, extra_search_path=["public"]))

    yield run
    for statement in reversed(undo):
        run(statement)


def names(models):
    return {model.__name__ for model in models}


def test_a_new_table_is_in_the_admin_at_once(client, ddl):
    assert client.get("/admin/aiodata/toys/").status_code == 404
    swap = ddl("create table api.toys (id int primary key, name text)", "drop table api.toys")
    assert (names(swap.removed), names(swap.added)) == (set(), {"Toys"})
    assert client.get("/admin/aiodata/toys/").status_code == 200
    assert client.post("/admin/aiodata/toys/add/", {"id": "1", "name": "ball"}).status_code == 302
    assert registry.model("api", "toys").objects.get().name == "ball"


def test_a_dropped_table_is_gone_at_once(client, ddl):
    ddl("create table api.toys (id int primary key)")
    swap = ddl("drop table api.toys")
    assert names(swap.removed) == {"Toys"}
    assert client.get("/admin/aiodata/toys/").status_code == 404
    assert "toys" not in apps.all_models["aiodata"]
    assert not hasattr(apps.get_app_config("aiodata").models_module, "Toys")
    assert all(swap.removed[0] is not model for model in site._registry)


def test_only_what_changed_is_rebuilt(client, ddl):
    before = dict(registry.models())
    swap = ddl("alter table api.pets add column age int", "alter table api.pets drop column age")
    # Visits refer to pets, owners are referred to by visits: their classes point at each other.
    assert {"Pets", "Visits", "Owners"} <= names(swap.added)
    assert registry.model("api", "scalars") is before[QualifiedName("api", "scalars")]
    assert registry.model("api", "pets") is not before[QualifiedName("api", "pets")]
    assert "age" in client.get(reverse("admin:aiodata_pets_add")).text


def test_the_same_schema_changes_nothing(schema):
    before = dict(registry.models())
    swap = registry.swap(replace(schema, version=schema.version + 1))
    assert (swap.changes, swap.removed, swap.added) == ((), (), ())
    assert registry.models() == before


def test_a_rebuilt_model_keeps_its_receivers(ddl):
    def receive(**_):
        """Heard."""

    signals.row_created.connect(receive, sender=registry.model("api", "pets"))
    try:
        ddl("alter table api.pets add column age int", "alter table api.pets drop column age")
        assert signals.row_created.has_listeners(registry.model("api", "pets"))
        assert not signals.row_created.has_listeners(registry.model("api", "owners"))
    finally:
        assert signals.row_created.disconnect(receive, sender="Pets")


def test_a_change_of_schema_is_announced(ddl):
    heard = []

    def receive(sender, **facts):
        heard.append(facts)

    signals.schema_changed.connect(receive)
    ddl("create table api.toys (id int primary key)", "drop table api.toys")
    [facts] = heard
    assert names(facts["added"]) == {"Toys"}
    assert str(facts["changes"][0]) == "relation api.toys added"
    assert facts["new"] is registry.current()


def test_reloads_leave_no_classes_behind(client, ddl):
    gone = []
    for number in range(4):
        swap = ddl(f"alter table api.scalars add column extra{number} int")
        gone += [weakref.ref(model) for model in swap.removed]
        client.get(reverse("admin:aiodata_scalars_changelist"))
    ddl("; ".join(f"alter table api.scalars drop column extra{number}" for number in range(4)))
    del swap
    # Django's instrumented test client keeps the contexts of its answers; a server's does not.
    client.__dict__.clear()
    gc.collect()
    assert sum(ref() is not None for ref in gone) <= 1


def test_models_come_from_the_file_without_a_query(schema, tmp_path, monkeypatch):
    file = tmp_path / "schema.json"
    file.write_text(dump(schema), encoding="utf-8")
    monkeypatch.setattr(connections["aiodata"], "connect", pytest.fail)
    connections["aiodata"].close()
    registry.swap(registry.EMPTY)
    assert registry.load(file) == schema
    assert {model._meta.db_table for model in registry.models().values()} >= {'"api"."pets"'}


@pytest.mark.parametrize(
    ("content", "check"), [(None, "aiodata.W104"), ("{}", "aiodata.E003"), ("\x00", "aiodata.E003")]
)
def test_a_site_starts_without_a_usable_file_and_is_told(schema, tmp_path, settings, content, check):
    file = tmp_path / "schema.json"
    if content is not None:
        file.write_text(content)
    try:
        with override_settings(AIODATA={**settings.AIODATA, "schema_file": str(file)}):
            registry.load()
            assert registry.models() == {}
            assert check in [message.id for message in registry.tables_checks()]
    finally:
        registry.swap(schema)


def test_without_a_schema_file_the_check_says_what_to_set(schema):
    assert [message.id for message in registry.tables_checks()] == ["aiodata.W103"]


@pytest.mark.parametrize(
    ("change", "check"),
    [
        ({"AIODATA": {"database": "nowhere"}}, "aiodata.E001"),
        ({"DATABASE_ROUTERS": []}, "aiodata.E004"),
        ({"AIODATA": {"database": "default", "user_role": "builtins.str"}}, "aiodata.E005"),
    ],
)
def test_a_bad_setup_is_found(schema, change, check):
    with override_settings(**change):
        assert check in [message.id for message in registry.tables_checks()]


def test_an_alias_that_is_no_postgresql_or_never_gives_up_is_found(schema, monkeypatch):
    monkeypatch.setitem(connections.settings, "aiodata", {"ENGINE": "django.db.backends.sqlite3"})
    assert {message.id for message in registry.tables_checks()} >= {"aiodata.E002", "aiodata.W101"}


def test_tables_tied_by_foreign_keys_are_one_component(schema):
    plans = plan(schema)
    assert all(isinstance(each, Plan) for each in plans.values())
    groups = components(plans)
    assert sum(len(group) for group in groups) == len(plans)
    group = next(group for group in groups if QualifiedName("api", "visits") in group)
    assert {name.name for name in group} >= {"visits", "owners", "pets", "owner_notes", "shifts"}
    assert {QualifiedName("api", "eggs"), QualifiedName("api", "chickens")} in groups
