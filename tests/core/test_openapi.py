"""The OpenAPI document as a pure function: types, defaults, comments, keys; valid whatever the names are."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openapi_spec_validator import OpenAPIV2SpecValidator

from aiodata_django.core.names import QualifiedName
from aiodata_django.core.query import openapi
from aiodata_django.core.query.config import QueryConfig
from aiodata_django.core.query.openapi_types import (
    column_description,
    column_type,
    parsed_default,
    summary_and_description,
    typed,
)
from aiodata_django.core.query.statement import Rows
from aiodata_django.core.schema import (
    Cardinality,
    Column,
    ComputedRelationship,
    Kind,
    Parameter,
    Relation,
    Relationship,
    ReturnType,
    Routine,
    Schema,
)

CONFIG = QueryConfig(schemas=("api",), version="1.2.3")
IGNORING = QueryConfig(schemas=("api",), openapi_mode="ignore-privileges")


def column(name: str = "c", type_: str = "text", **more) -> Column:
    return Column(name, type_, more.pop("nominal_type", type_), "t", 1, **more)


def relation(name: str = "t", *columns: Column, **more) -> Relation:
    return Relation("api", name, Kind.TABLE, {each.name: each for each in columns}, **more)


def routine(name: str, *parameters: Parameter, oid: int = 1, **more) -> Routine:
    returns = ReturnType(QualifiedName("pg_catalog", "int4"))
    return Routine("api", name, parameters, returns, oid=oid, **more)


def schema(*relations: Relation, routines=(), relationships=None) -> Schema:
    overloads: dict[QualifiedName, tuple[Routine, ...]] = {}
    for each in routines:
        overloads[each.qualified] = (*overloads.get(each.qualified, ()), each)
    known = {each.qualified: each for each in relations}
    return Schema(("api",), known, relationships or {}, overloads)


def rows(*found) -> Rows:
    return Rows((), [tuple(None if v is None else v.encode() for v in row) for row in found])


def document(of: Schema, config: QueryConfig = IGNORING, comment: str | None = None) -> dict:
    return json.loads(openapi.document(of, "api", [rows((comment,))], config))


@pytest.mark.parametrize(
    ("type_", "expected"),
    [
        ("character varying", {"type": "string"}),
        ("smallint", {"type": "integer", "format": "int32"}),
        ("integer", {"type": "integer", "format": "int32"}),
        ("bigint", {"type": "integer", "format": "int64"}),
        ("double precision", {"type": "number"}),
        ("boolean", {"type": "boolean"}),
        ("jsonb", {}),
        ("inet", {"type": "string"}),
        ("api.mood", {"type": "string"}),
        ("bigint[]", {"type": "array", "items": {"type": "integer"}}),
        ("json[]", {"type": "array", "items": {}}),
    ],
)
def test_types_become_those_of_json(type_, expected):
    assert typed(type_) == {"format": type_} | expected


@pytest.mark.parametrize(
    ("given_column", "expected"),
    [
        (column(type_="character varying", nominal_type="character varying(5)"), "character varying"),
        (column(type_="api.label", base_type="text", type_kind="d"), "text"),
        (column(type_="api.mine", base_type="api.mood", type_kind="d"), "api.mine"),
        (column(type_="ext.geometry", nominal_type="ext.geometry(Point,4326)"), "ext.geometry(Point,4326)"),
        (column(type_="text", base_type="text"), "text"),
    ],
)
def test_domains_are_what_they_stand_on_and_foreign_types_themselves(given_column, expected):
    assert column_type(given_column) == expected


@pytest.mark.parametrize(
    ("type_", "default", "expected"),
    [
        ("text", "'default'::text", "default"),
        ("text", "'it''s'::text", "it''s"),
        ("text", "now()", "now()"),
        ("api.mood", "'calm'::api.mood", "calm"),
        ("integer", "42", 42),
        ("integer", "'-1'::integer", None),
        ("integer", "nextval('s'::regclass)", None),
        ("numeric", "42.2", 42.2),
        ("numeric", "'NaN'::numeric", None),
        ("real", "NaN", None),
        ("boolean", "false", False),
        ("jsonb", "'{}'::jsonb", None),
        ("text[]", "'{}'::text[]", None),
        ("text", "'a\"b'::text", None),
        ("date", "'1900-01-01'::date", "1900-01-01"),
        ("date", "CURRENT_DATE", None),
        ("uuid", "gen_random_uuid()", None),
        ("text", None, None),
    ],
)
def test_defaults_that_are_values_are_told(type_, default, expected):
    assert parsed_default(type_, default) == expected


@given(st.sampled_from(["text", "date", "integer", "numeric", "jsonb", "text[]"]), st.text())
def test_any_default_is_told_as_json_or_not_at_all(type_, default):
    json.dumps(parsed_default(type_, default), allow_nan=False)


@pytest.mark.parametrize(
    ("comment", "expected"),
    [
        (None, {}),
        ("one", {"summary": "one"}),
        ("one\n", {"summary": "one"}),
        ("one\n\n\ntwo\nthree", {"summary": "one", "description": "two\nthree"}),
    ],
)
def test_a_comment_is_a_first_line_and_the_rest(comment, expected):
    assert summary_and_description(comment) == expected


def way(
    foreign: str, cardinality: Cardinality = Cardinality.MANY_TO_ONE, own: str = "c", **more
) -> Relationship:
    columns = more.pop("columns", ((own, "id"),))
    target = QualifiedName(more.pop("schema", "api"), foreign)
    return Relationship(QualifiedName("api", "t"), target, cardinality, "k", columns, **more)


def refers_to(*ways) -> str | None:
    return column_description(relation("t", column()), column(), ways)


def test_a_foreign_key_to_a_table_goes_before_one_to_its_views():
    expected = "Note:\nThis is a Foreign Key to `b.id`.<fk table='b' column='id'/>"
    assert refers_to(way("a", foreign_is_view=True), way("b")) == expected


@pytest.mark.parametrize(
    "other",
    [
        way("a", Cardinality.ONE_TO_MANY),
        way("a", Cardinality.ONE_TO_ONE, is_parent=True),
        way("a", Cardinality.MANY_TO_MANY, columns=()),
        way("a", columns=(("c", "id"), ("d", "id"))),
        way("a", own="d"),
        way("a", schema="other"),
        ComputedRelationship(
            QualifiedName("api", "f"), QualifiedName("api", "t"), QualifiedName("api", "a"), to_one=True
        ),
    ],
)
def test_only_a_foreign_key_of_the_column_alone_is_noted(other):
    assert refers_to(other) is None


def test_of_one_to_one_the_referring_side_is_noted():
    assert "`a.id`" in (refers_to(way("a", Cardinality.ONE_TO_ONE)) or "")


@pytest.mark.parametrize(
    ("comment", "title", "description"),
    [
        (None, "PostgREST API", "This is a dynamic API generated by PostgREST"),
        ("Zoo", "Zoo", ""),
        ("Zoo\n\nmore", "Zoo", "more"),
    ],
)
def test_the_comment_of_the_schema_is_title_and_description(comment, title, description):
    found = document(schema(), comment=comment)["info"]
    assert (found["title"], found["description"]) == (title, description)


def test_the_version_is_ours():
    assert (
        json.loads(openapi.document(schema(), "api", [rows(), rows(), rows()], CONFIG))["info"]["version"]
        == "1.2.3"
    )


@pytest.mark.parametrize("host", ["*", "*4", "!4", "*6", "!6"])
def test_a_server_on_all_addresses_names_one(host):
    config = QueryConfig(schemas=("api",), server_host=host, server_port=3000)
    found = json.loads(openapi.document(schema(), "api", [rows()] * 3, config))
    assert found["host"] == "0.0.0.0:3000"


def test_what_is_asked_depends_on_the_mode():
    assert len(openapi.queries("api", CONFIG)) == 3
    assert len(openapi.queries("api", IGNORING)) == 1
    assert all(query.params == [b"api"] for query in openapi.queries("api", CONFIG))


def test_only_what_the_results_name_is_described():
    known = schema(relation("a"), relation("b"), routines=[routine("f", oid=1), routine("g", oid=2)])
    results = [rows(("b",), ("unknown",)), rows(("2", "[]"), ("3", "[]")), rows((None,))]
    found = json.loads(openapi.document(known, "api", results, CONFIG))
    assert found["paths"].keys() == {"/", "/b", "/rpc/g"}
    assert found["definitions"].keys() == {"b"}


def test_types_of_arguments_are_named_as_the_caller_sees_them():
    known = schema(routines=[routine("f", Parameter("m", "api.mood", "api.mood", required=True))])
    results = [rows(), rows(("1", '["mood"]')), rows()]
    found = json.loads(openapi.document(known, "api", results, CONFIG))
    body = found["paths"]["/rpc/f"]["post"]["parameters"][0]
    assert body["schema"]["properties"]["m"]["format"] == "mood"


def test_relations_of_other_schemas_are_left_out():
    other = Relation("other", "t", Kind.TABLE, {})
    assert document(schema(other))["paths"].keys() == {"/"}


def test_a_column_named_as_a_parameter_cannot_filter():
    found = document(schema(relation("t", column("limit"), column("b"))))
    refs = [each["$ref"] for each in found["paths"]["/t"]["get"]["parameters"]]
    assert "#/parameters/rowFilter.t.limit" not in refs
    assert "#/parameters/rowFilter.t.b" in refs


NAMES = st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=8
) | st.sampled_from(["a/b", "~1", "%41", "{id}", "select", "limit", "a.b", "#", "?", "é", '"', "$ref", "rpc"])
TYPES = st.sampled_from(["text", "integer", "jsonb", "bigint[]", "json[]", "api.mood", "date", "uuid"])
TYPED = st.sampled_from(
    [
        ("text", "'x'::text"),
        ("text", "now()"),
        ("integer", "1"),
        ("integer", "nextval('s'::regclass)"),
        ("jsonb", "'{}'::jsonb"),
        ("bigint[]", None),
        ("json[]", None),
        ("date", "CURRENT_DATE"),
        ("date", "'infinity'::date"),
        ("uuid", "gen_random_uuid()"),
    ]
)


@st.composite
def columns_named(draw, name: str) -> Column:
    type_, default = draw(TYPED)
    comment = draw(st.none() | NAMES)
    return column(name, type_, default=default, nullable=draw(st.booleans()), description=comment)


@st.composite
def relations(draw) -> Relation:
    names = draw(st.lists(NAMES, unique=True, max_size=4))
    columns = [draw(columns_named(name)) for name in names]
    key = tuple(names[: draw(st.integers(0, 2))])
    return relation(
        draw(NAMES),
        *columns,
        primary_key=key,
        description=draw(st.none() | NAMES),
        insertable=draw(st.booleans()),
    )


@st.composite
def routines(draw) -> Routine:
    names = draw(st.lists(NAMES, unique=True, max_size=3))
    parameters = [Parameter(name, "text", draw(TYPES), draw(st.booleans())) for name in names]
    if parameters and draw(st.booleans()):
        last = parameters[-1]
        parameters[-1] = Parameter(
            last.name, "text[]", draw(st.sampled_from(["text[]", "json[]"])), False, True
        )
    return routine(draw(NAMES), *parameters, volatility=draw(st.sampled_from("isv")))


@settings(max_examples=60, deadline=None)
@given(st.lists(relations(), max_size=3), st.lists(routines(), max_size=3))
def test_whatever_the_names_the_document_is_valid(some_relations, some_routines):
    OpenAPIV2SpecValidator(document(schema(*some_relations, routines=some_routines))).validate()
