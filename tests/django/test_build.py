"""Models built from the schema: every relation, every name, and nothing for Django to migrate."""

from __future__ import annotations

import datetime as dt
import io
import pickle

import pytest
from django.apps import apps
from django.contrib.contenttypes.models import ContentType
from django.core import checks, serializers
from django.core.management import call_command
from django.db import IntegrityError, connections, models

import aiodata_django.models
from aiodata_django import registry
from aiodata_django.core.classnames import class_names
from aiodata_django.core.names import QualifiedName
from aiodata_django.tables.rowkey import RowKey

pytestmark = [pytest.mark.django_db(databases=["default", "aiodata"]), pytest.mark.usefixtures("schema")]


def model(name, schema="api"):
    return registry.model(schema, name)


def test_every_relation_with_columns_has_a_model(schema):
    with_columns = {name for name, relation in schema.relations.items() if relation.columns}
    assert set(registry.models()) == with_columns
    assert QualifiedName("api", "nothing") not in registry.models()
    assert QualifiedName("api", "parted_2024") not in registry.models()


@pytest.mark.parametrize("name", ["A B", "a b", "a.b", "1st", "☃", "select", "model", "per%cent", 'quo"te'])
def test_a_table_of_any_name_is_written_and_read(name):
    model(name).objects.create(id=1)
    assert model(name).objects.get(id=1).pk == 1
    assert model(name).objects.filter(id=1).update(id=2) == 1
    assert list(model(name).objects.values_list("id", flat=True)) == [2]


def test_columns_of_any_name_are_written_and_read():
    reserved = model("reserved")
    texts = {f.name: f"in {f.verbose_name}" for f in reserved._meta.fields if f.name != "from_field"}
    reserved.objects.create(from_field=1, **texts)
    row = reserved.objects.get(pk=1)
    assert {name: getattr(row, name) for name in texts} == texts
    for name in texts:
        assert reserved.objects.filter(**{name: texts[name]}).order_by(name).count() == 1
    with connections["aiodata"].cursor() as cursor:
        cursor.execute("""select "per%cent", "quo""te", __x from api.reserved""", None)
        assert cursor.fetchone() == ("in per%cent", 'in quo"te', "in __x")


def test_system_checks_are_content():
    found = checks.run_checks(app_configs=[apps.get_app_config("aiodata")])
    assert [message for message in found if message.id.split(".")[0] != "aiodata"] == []


def test_makemigrations_finds_nothing_to_do():
    out = io.StringIO()
    call_command("makemigrations", "--check", "--dry-run", stdout=out)
    assert "No changes" in out.getvalue()


def test_stale_content_types_are_only_those_of_tables_that_are_gone():
    mine = ContentType.objects.filter(app_label="aiodata")
    before = set(mine.values_list("model", flat=True))
    call_command("remove_stale_contenttypes", "--no-input", verbosity=0)
    assert set(mine.values_list("model", flat=True)) == before
    assert "pets" in before


def test_classes_are_found_where_they_say_they_live():
    pets = model("pets")
    assert aiodata_django.models.Pets is pets
    row = pets(type="Dog", breed="Poodle", name="Rex")
    assert pickle.loads(pickle.dumps(row)) == row


def test_the_same_name_in_another_schema_is_another_model():
    assert model("pets", "other").__name__ == "Pets2"
    model("pets", "other").objects.create(id=1, name="x")
    assert model("pets").objects.count() == 0


def test_comments_are_the_fields_help():
    assert model("pets").__doc__ == "All our pets"
    assert model("pets")._meta.get_field("color").help_text == "As 0xRRGGBB"


def test_foreign_keys_are_relations_both_ways():
    owner = model("owners").objects.create(name="Ann", email="ann@example.org")
    visit = model("visits").objects.create(owner=owner, email=owner)
    again = model("visits").objects.create(owner=owner, previous=visit)
    fetched = model("visits").objects.select_related("owner", "previous").get(pk=again.pk)
    assert (fetched.owner.name, fetched.previous.pk) == ("Ann", visit.pk)
    assert model("owners").objects.filter(visits_owner_id__previous=visit).get() == owner
    assert visit.visits_set.get() == again
    model("owner_notes").objects.create(owner=owner, note="n")
    assert owner.ownernotes_set.note == "n"


def test_a_foreign_key_of_several_columns_is_a_relation_too():
    pet = model("pets").objects.create(type="Dog", breed="Poodle", name="Rex")
    owner = model("owners").objects.create(name="Ann")
    visit = model("visits").objects.create(owner=owner, pet_type="Dog", pet_breed="Poodle", pet_name="Rex")
    assert visit.pets == pet
    assert model("visits").objects.filter(pets=pet).get() == visit
    assert model("visits").objects.select_related("pets").get().pets.name == "Rex"
    assert pet.visits_set.get() == visit


@pytest.mark.parametrize(
    ("table", "field", "on_delete"),
    [
        ("visits", "owner", models.PROTECT),
        ("visits", "other_owner", models.SET_NULL),
        ("visits", "previous", models.CASCADE),
        ("visits", "email", models.PROTECT),
        ("visits", "pets", models.CASCADE),
    ],
)
def test_a_delete_does_what_the_constraint_says(table, field, on_delete):
    assert model(table)._meta.get_field(field).remote_field.on_delete is on_delete


def test_tables_that_refer_to_each_other_are_built():
    egg = model("eggs").objects.create(id=1)
    chicken = model("chickens").objects.create(id=1, egg=egg)
    egg.chicken = chicken
    egg.save()
    assert model("eggs").objects.get(chicken__egg=egg) == egg


def test_a_composite_key_is_a_row_key():
    pet = model("pets").objects.create(type="Dog", breed="a/b", name="")
    assert isinstance(pet.pk, RowKey)
    assert str(pet.pk) == "Dog,a~2Fb,"
    assert model("pets").objects.get(pk="Dog,a~2Fb,") == pet
    assert model("pets").objects.filter(pk__in=["Dog,a~2Fb,"]).get() == pet


def test_a_key_may_contain_a_foreign_key():
    owner = model("owners").objects.create(name="Ann")
    shift = model("shifts").objects.create(owner=owner, day=dt.date(2024, 1, 2), hours="7.50")
    assert model("shifts").objects.get(pk=f"{owner.pk},2024-01-02") == shift


def test_a_table_without_key_can_be_read():
    with connections["aiodata"].cursor() as cursor:
        cursor.execute("insert into api.keyless values (1, 'x'), (1, 'x')")
    rows = model("keyless").objects.all()
    assert len({row.pk for row in rows}) == 2
    assert model("keyless").objects.get(pk=rows[0].pk).b == "x"
    assert model("keyless").objects.filter(pk__in=[row.pk for row in rows]).order_by("pk").count() == 2


def test_views_can_be_read():
    model("pets").objects.create(type="Dog", breed="Poodle", name="Rex")
    assert model("dogs").objects.get().name == "Rex"
    assert model("counts").objects.get().n == 1
    assert model("summary").objects.count() == 0


def test_partitioned_tables_are_one_table():
    parted = model("parted").objects.create(id=1, day="2024-05-05", note="x")
    assert model("parted").objects.get(pk=parted.pk).note == "x"


def test_adding_a_row_twice_is_refused():
    pets = model("pets")
    pets.objects.create(type="Dog", breed="Poodle", name="Rex")
    with pytest.raises(IntegrityError):
        pets.objects.create(type="Dog", breed="Poodle", name="Rex")


def test_dumped_rows_can_be_loaded():
    model("pets").objects.create(type="Dog", breed="a,b", name="☃", color=1)
    model("arrays").objects.create(
        a_int=[[1, 2]], a_date=[dt.date(2024, 1, 1), "infinity"], a_text=["a,b", None]
    )
    out = io.StringIO()
    call_command("dumpdata", "aiodata.Pets", "aiodata.Arrays", "--database", "aiodata", stdout=out)
    before = [list(model(name).objects.values()) for name in ("pets", "arrays")]
    model("pets").objects.all().delete()
    model("arrays").objects.all().delete()
    for loaded in serializers.deserialize("json", out.getvalue(), using="aiodata"):
        loaded.save(using="aiodata")
    assert [list(model(name).objects.values()) for name in ("pets", "arrays")] == before


def test_class_names_do_not_depend_on_the_order_of_the_catalogue(schema):
    names = {name: model(name.name, name.schema).__name__ for name in registry.models()}
    ordered = sorted(names, key=lambda name: (schema.exposed.index(name.schema), name.name))
    assert names == class_names(ordered)
