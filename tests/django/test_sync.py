"""``aiodata_sync``: the schema file, its check, and the permissions of its tables."""

from __future__ import annotations

import io

import psycopg
import pytest
from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType
from django.core.management import CommandError, call_command
from django.test import override_settings

from aiodata_django import registry
from aiodata_django.checks import check_database
from aiodata_django.core.schemafile import load

pytestmark = pytest.mark.django_db(databases=["default", "aiodata"], transaction=True)


@pytest.fixture
def file(schema, tmp_path, settings):
    path = tmp_path / "schema.json"
    with override_settings(AIODATA={**settings.AIODATA, "schema_file": str(path)}):
        yield path
    registry.swap(schema)


def sync(*options):
    out = io.StringIO()
    call_command("aiodata_sync", *options, stdout=out)
    return out.getvalue()


def test_the_file_holds_the_schema_of_the_alias(schema, file):
    said = sync()
    assert load(file.read_text()) == schema == registry.current()
    assert f"{len(schema.relations)} relations" in said
    assert list(file.parent.iterdir()) == [file]


def test_writing_it_again_says_no_change(file):
    sync()
    before = file.read_text()
    assert "added" not in sync("--database", "aiodata")
    assert file.read_text() == before


def test_check_tells_an_old_file_from_a_new_one_and_writes_nothing(uri, file):
    with pytest.raises(CommandError, match="out of date") as missing:
        sync("--check")
    assert missing.value.returncode == 1
    assert not file.exists()
    sync()
    assert "up to date" in sync("--check")
    with psycopg.connect(uri, autocommit=True) as connection:
        connection.execute("create table api.toys (id int)")
        try:
            before = file.read_text()
            with pytest.raises(CommandError, match=r"Run: manage\.py aiodata_sync"):
                sync("--check")
            assert file.read_text() == before
        finally:
            connection.execute("drop table api.toys")


def test_the_database_check_tells_an_old_file_and_no_other(uri, file):
    def old() -> list[str]:
        return [f"{m.msg} {m.hint}" for m in check_database(databases=["aiodata"]) if m.id == "aiodata.W102"]

    assert old() == []  # no file: the check without queries tells
    file.write_text("broken")
    assert old() == []  # as it does here
    sync()
    assert old() == []
    with psycopg.connect(uri, autocommit=True) as connection:
        connection.execute("create table api.toys (id int)")
        try:
            [said] = old()
            assert "relation api.toys added" in said
            assert said.endswith("Run: manage.py aiodata_sync")
            assert check_database(databases=None) == []
            sync()
            assert old() == []
        finally:
            connection.execute("drop table api.toys")


def test_a_broken_file_is_replaced(file):
    file.write_text("broken")
    sync()
    load(file.read_text())


def test_new_tables_get_permissions_and_old_ones_keep_theirs(uri, file):
    ContentType.objects.filter(app_label="aiodata", model="pets").delete()
    kept = ContentType.objects.get(app_label="aiodata", model="owners").pk
    sync()
    found = Permission.objects.filter(content_type__app_label="aiodata", content_type__model="pets")
    assert {permission.codename for permission in found} == {
        "add_pets",
        "change_pets",
        "delete_pets",
        "view_pets",
    }
    assert ContentType.objects.get(app_label="aiodata", model="owners").pk == kept


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--database", "nowhere"], "no database alias 'nowhere'"),
        (["--output", "/nowhere/x.json"], "No such"),
    ],
)
def test_what_cannot_be_done_is_said(file, options, message):
    with pytest.raises(CommandError, match=message):
        sync(*options)


def test_a_database_that_is_down_is_said(file, settings):
    uri = "postgresql://nobody@127.0.0.1:1/none"
    with (
        override_settings(AIODATA={**settings.AIODATA, "db_uri": uri}),
        pytest.raises(CommandError, match="cannot be introspected"),
    ):
        sync()
    assert not file.exists()


def test_without_a_file_to_write_the_command_says_what_to_set(schema):
    with pytest.raises(CommandError, match="schema_file"):
        sync()
