"""The schema as text and back, and what differs between two."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiodata_django.core.names import QualifiedName
from aiodata_django.core.schema import (
    Column,
    ComputedRelationship,
    ForeignKey,
    Kind,
    MediaHandler,
    Parameter,
    Relation,
    Relationship,
    ReturnType,
    Routine,
    Schema,
)
from aiodata_django.core.schemafile import SchemaFileError, diff, dump, fingerprint, load

texts = st.text(max_size=4)
names = st.builds(QualifiedName, texts, texts)


def keyed(values, key):
    """A mapping of values by their own key, as the schema holds them."""
    return st.lists(values, max_size=4, unique_by=key).map(lambda them: {key(each): each for each in them})


def grouped(values, key):
    def group(them):
        groups = {}
        for each in them:
            groups.setdefault(key(each), []).append(each)
        return {name: tuple(group) for name, group in groups.items()}

    return st.lists(values, max_size=4).map(group)


columns = keyed(st.builds(Column, name=texts), lambda column: column.name)
relations = st.builds(
    Relation,
    columns=columns,
    foreign_keys=st.lists(st.from_type(ForeignKey), max_size=2).map(tuple),
)
relationships = st.from_type(Relationship) | st.from_type(ComputedRelationship)
schemas = st.builds(
    Schema,
    exposed=st.lists(texts, unique=True, max_size=3).map(tuple),
    relations=keyed(relations, lambda relation: relation.qualified),
    relationships=grouped(relationships, lambda relationship: relationship.table),
    routines=grouped(st.from_type(Routine), lambda routine: routine.qualified),
    representations=st.dictionaries(st.tuples(texts, texts), names, max_size=3),
    media_handlers=st.lists(st.from_type(MediaHandler), max_size=2).map(tuple),
    descriptions=st.dictionaries(texts, st.none() | texts, max_size=3),
)


@given(schemas)
@settings(deadline=None)
def test_what_is_dumped_is_loaded_exactly(schema):
    text = dump(schema)
    again = load(text)
    assert again == schema
    assert dump(again) == text
    assert list(again.relations) == list(schema.relations)
    assert all(list(again.relations[n].columns) == list(r.columns) for n, r in schema.relations.items())


@given(schemas, schemas)
@settings(deadline=None)
def test_the_fingerprint_is_the_same_exactly_when_nothing_differs(one, other):
    assert (fingerprint(one) == fingerprint(other)) == (diff(one, other) == [])
    assert len(diff(one, other)) == len(diff(other, one))
    assert diff(one, one) == []


@given(schemas, st.integers(1, 99))
@settings(deadline=None)
def test_what_a_restored_dump_gets_anew_is_no_difference(schema, shift):
    def restored(relation):
        columns = {
            n: replace(column, position=column.position + shift) for n, column in relation.columns.items()
        }
        return replace(relation, oid=relation.oid + shift, columns=columns)

    again = replace(
        schema,
        relations={name: restored(relation) for name, relation in schema.relations.items()},
        version=schema.version + shift,
    )
    assert diff(schema, again) == []
    assert fingerprint(schema) == fingerprint(again)


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", '"x"', "{}", '{"format": 1}', '{"format": 0}', '{"format": 1, "relations": 3}'],
)
def test_other_text_is_no_schema_file(text):
    with pytest.raises(SchemaFileError, match="sync it again"):
        load(text)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("schema", 1),
        ("kind", "?"),
        ("columns", {}),
        ("columns", [{"name": "x"}]),
        ("insertable", 1),
        ("no", 1),
    ],
)
def test_a_relation_that_makes_no_sense_is_refused(field, value):
    document = json.loads(dump(SCHEMA))
    document["relations"][0][field] = value
    if field == "columns" and value == {}:
        value["x"] = 1
    with pytest.raises(SchemaFileError):
        load(json.dumps(document))


def column(name, type_="integer", position=1, **more):
    return Column(name, type_, type_, type_, position, **more)


def relation(name, *them, **more):
    return Relation("api", name, Kind.TABLE, {each.name: each for each in them}, **more)


def schema(*them, **more):
    return Schema(("api",), {each.qualified: each for each in them}, **more)


PETS = relation("pets", column("id"), column("name", "text", 2), primary_key=("id",))
SCHEMA = schema(PETS)


def changes(new, old=SCHEMA):
    return [str(change) for change in diff(old, new)]


def test_relations_come_and_go_with_their_columns():
    assert changes(schema(PETS, relation("toys", column("id")))) == ["relation api.toys added"]
    assert changes(schema()) == ["relation api.pets removed"]


def test_columns_come_and_go_and_change():
    wider = relation("pets", *PETS.columns.values(), column("age", position=3), primary_key=("id",))
    assert changes(schema(wider)) == ["column api.pets age added"]
    retyped = relation("pets", column("id"), column("name", "citext", 2, nullable=False), primary_key=("id",))
    assert changes(schema(retyped)) == [
        "column api.pets name changed: type 'text' -> 'citext', nominal_type 'text' -> 'citext', "
        "typname 'text' -> 'citext', nullable True -> False"
    ]


def test_keys_order_and_comments_of_a_relation_count():
    turned = relation("pets", *reversed(PETS.columns.values()), primary_key=("id",))
    assert changes(schema(turned)) == ["relation api.pets changed: order ['id', 'name'] -> ['name', 'id']"]
    assert changes(schema(replace(PETS, primary_key=("name",)))) == [
        "relation api.pets changed: primary_key ['id'] -> ['name']"
    ]
    assert changes(schema(replace(PETS, description="Ours"))) == [
        "relation api.pets changed: description None -> 'Ours'"
    ]


def test_overloads_are_told_apart_by_their_parameters():
    def add(type_):
        parameters = (Parameter("a", type_, type_, required=True),)
        return Routine("api", "add", parameters, ReturnType(QualifiedName("pg_catalog", "int4")))

    def with_routines(*them):
        return schema(PETS, routines={QualifiedName("api", "add"): them})

    old = with_routines(add("integer"), add("text"))
    assert changes(with_routines(add("integer")), old) == ["routine api.add (text) removed"]
    stable = replace(add("text"), volatility="s")
    assert changes(with_routines(add("integer"), stable), old) == [
        "routine api.add (text) changed: volatility 'v' -> 's'"
    ]


def test_the_exposed_schemas_and_their_order_count():
    old = Schema(("api", "more"), {})
    assert changes(Schema(("api",), {}), old) == ["schema more removed"]
    assert changes(Schema(("more", "api"), {}), old) == [
        "schema api changed: position 0 -> 1",
        "schema more changed: position 1 -> 0",
    ]
