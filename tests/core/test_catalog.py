"""From catalogue records to the schema: what needs no server to be told."""

from __future__ import annotations

import pytest

from aiodata_django.core.catalog import build_schema
from aiodata_django.core.names import QualifiedName
from aiodata_django.core.schema import Kind

EMPTY = {
    "version": [180000],
    **dict.fromkeys(
        ("relations", "columns", "constraints", "views", "domains", "enums", "routines", "computed"), ()
    ),
    **dict.fromkeys(("representations", "media", "schemas"), ()),
}
INT4 = 23


def relation(oid, name, schema="api", kind="r", **more):
    return {
        "oid": oid,
        "schema": schema,
        "name": name,
        "kind": kind,
        "is_partition": False,
        "replica_identity": "d",
        "row_security": False,
        "description": None,
        "events": 28,
    } | more


def column(of, position, name, type_oid=INT4, type_="integer", **more):
    return {
        "relation": of,
        "position": position,
        "name": name,
        "type_oid": type_oid,
        "type": type_,
        "nominal_type": type_,
        "modifier": -1,
        "typname": "int4",
        "type_schema": "pg_catalog",
        "type_kind": "b",
        "category": "N",
        "dims": 0,
        "not_null": False,
        "identity": "",
        "generated": "",
        "default": None,
        "sequence": None,
        "description": None,
    } | more


def constraint(oid, kind, of, names, positions, foreign=0, foreign_names=None, foreign_positions=None):
    return {
        "oid": oid,
        "name": f"{kind}{oid}",
        "kind": kind,
        "relation": of,
        "columns": positions,
        "names": names,
        "foreign": foreign,
        "foreign_columns": foreign_positions,
        "foreign_names": foreign_names,
        "on_delete": "c",
        "on_update": "a",
        "deferrable": False,
    }


def domain(oid, base, base_type, modifier=-1, *, not_null=False, default=None):
    return {
        "oid": oid,
        "base": base,
        "base_type": base_type,
        "modifier": modifier,
        "not_null": not_null,
        "default": default,
    }


def routine(**more):
    return {
        "oid": 900,
        "schema": "api",
        "name": "f",
        "description": None,
        "names": None,
        "modes": None,
        "types": None,
        "inputs": 0,
        "defaults": 0,
        "variadic": False,
        "is_set": False,
        "volatility": "v",
        "settings": None,
        "type_schema": "pg_catalog",
        "type_name": "int4",
        "is_row": False,
        "is_domain": False,
    } | more


def built(**sections):
    return build_schema(EMPTY | sections, ["api"])


def only_column(**more):
    schema = built(
        relations=[relation(1, "t")], columns=[column(1, 1, "c", **more)], domains=DOMAINS, enums=ENUMS
    )
    return schema.relations[QualifiedName("api", "t")].columns["c"]


DOMAINS = [
    domain(101, 1043, "character varying", 44, default="'a'::text"),
    domain(102, 101, "api.short", not_null=True),
    domain(103, 55, "api.mood"),
]
ENUMS = [{"type": 55, "array": 56, "labels": ["sad", "ok"]}]


def test_an_empty_catalogue_makes_an_empty_schema():
    schema = build_schema(EMPTY, ["b", "a"])
    assert (schema.exposed, schema.relations, schema.version) == (("b", "a"), {}, 180000)


def test_only_relations_of_exposed_schemas_are_served_and_no_partitions():
    rows = [relation(1, "t"), relation(2, "h", schema="private"), relation(3, "p", is_partition=True)]
    assert list(built(relations=rows).relations) == [QualifiedName("api", "t")]


@pytest.mark.parametrize(("bit", "right"), [(8, "insertable"), (4, "updatable"), (16, "deletable")])
def test_what_may_be_written_are_bits(bit, right):
    view = built(relations=[relation(1, "v", kind="v", events=bit)]).relations[QualifiedName("api", "v")]
    rights = {name: getattr(view, name) for name in ("insertable", "updatable", "deletable")}
    assert view.kind is Kind.VIEW
    assert [name for name, has in rights.items() if has] == [right]


def test_references_name_table_and_column_and_the_last_one_wins():
    schema = built(
        relations=[relation(1, "t"), relation(2, "u"), relation(3, "hidden", schema="private")],
        columns=[
            *(column(1, position, name) for position, name in enumerate("abc", 1)),
            *(column(2, position, name) for position, name in enumerate("xy", 1)),
        ],
        constraints=[
            constraint(10, "f", 1, ["a", "b"], [1, 2], 2, ["x", "y"], [1, 2]),
            constraint(11, "f", 1, ["b"], [2], 3, ["id"], [1]),
            constraint(12, "p", 1, ["c", "a"], [3, 1]),
            constraint(13, "u", 1, ["b"], [2]),
        ],
    )
    table = schema.relations[QualifiedName("api", "t")]
    assert [own.refs for own in table.columns.values()] == [("u", "x"), ("hidden", "id"), None]
    assert [(fk.columns, fk.foreign.name, fk.foreign_columns) for fk in table.foreign_keys] == [
        (("a", "b"), "u", ("x", "y")),
        (("b",), "hidden", ("id",)),
    ]
    assert (table.primary_key, table.key, table.unique_keys) == (("c", "a"), ("a", "c"), (("b",),))
    assert [[each.constraint for each in them] for them in schema.relationships.values()] == [
        ["f10"],
        ["f10"],
    ]


def test_a_domain_is_what_it_stands_on():
    short = only_column(type_oid=102, type_="api.shorter", type_kind="d")
    assert (short.type, short.base_type, short.max_length) == ("api.shorter", "character varying", 40)
    assert (short.nullable, short.default) == (False, "'a'::text")
    assert only_column(type_oid=103, type_="api.moody").enum == ("sad", "ok")
    assert only_column(type_oid=56, type_="api.mood[]").enum == ("sad", "ok")


def test_a_columns_own_default_wins_over_its_domains():
    assert only_column(type_oid=101, type_="api.short", default="'b'").default == "'b'"


def test_identities_default_to_their_sequence_unless_always_generated():
    by_default = only_column(identity="d", sequence='api."t_Id_seq"')
    assert (by_default.default, by_default.writable) == ("nextval('api.\"t_Id_seq\"')", True)
    always = only_column(identity="a", sequence="api.s")
    assert (always.default, always.writable) == (None, False)


@pytest.mark.parametrize("generated", ["s", "v"])
def test_generated_columns_have_no_default_and_are_not_written(generated):
    own = only_column(generated=generated, type_oid=101)
    assert (own.default, own.writable) == (None, False)


@pytest.mark.parametrize(
    ("type_", "modifier", "length"),
    [
        ("character varying", 24, 20),
        ("character varying", -1, None),
        ("character", 5, 1),
        ("bit", 5, 5),
        ("bit varying", 7, 7),
        ("numeric", 655366, None),
        ("timestamp with time zone", 3, None),
    ],
)
def test_lengths_come_from_type_modifiers(type_, modifier, length):
    assert only_column(type_=type_, modifier=modifier).max_length == length


def overloads(*rows):
    return built(routines=rows).routines.get(QualifiedName("api", "f"), ())


def pair(type_):
    return [type_, type_]


def test_outputs_are_no_parameters_wherever_they_stand():
    (own,) = overloads(
        routine(
            names=["x", "a", "y", "b"],
            modes=["o", "i", "b", "t"],
            types=[pair("text"), pair("integer"), pair("date"), pair("text")],
            inputs=2,
            defaults=1,
        )
    )
    assert [(each.name, each.type, each.required) for each in own.parameters] == [
        ("a", "integer", True),
        ("y", "date", False),
    ]
    assert own.returns.is_composite


def test_variadic_parameters_are_marked():
    (own,) = overloads(
        routine(
            names=["a", "v"], modes=["i", "v"], types=[pair("int"), pair("text[]")], inputs=2, variadic=True
        )
    )
    assert [each.variadic for each in own.parameters] == [False, True]
    assert own.variadic


def test_a_cast_is_written_with_the_type_that_does_not_cut_off():
    (own,) = overloads(routine(names=["c"], types=[["character", "bpchar"]], inputs=1))
    assert (own.parameters[0].nominal_type, own.parameters[0].type) == ("character", "bpchar")


@pytest.mark.parametrize("type_", ["json", "jsonb", "text", "xml", "bytea"])
def test_one_unnamed_parameter_can_take_the_body(type_):
    assert overloads(routine(types=[pair(type_)], inputs=1))[0].parameters[0].name == ""


@pytest.mark.parametrize("types", [["integer"], ["json", "json"]])
def test_other_unnamed_parameters_cannot_be_called(types):
    assert overloads(routine(types=[pair(each) for each in types], inputs=len(types))) == ()


def test_overloads_stand_in_the_order_of_their_parameters():
    def taking(*names):
        return routine(names=list(names), types=[pair("int") for _ in names], inputs=len(names))

    found = overloads(taking("b"), taking("a", "b"), routine(), taking("a"))
    assert [[p.name for p in own.parameters] for own in found] == [[], ["a"], ["b"], ["a", "b"]]


def test_settings_are_split_at_the_first_equals_sign():
    (own,) = overloads(routine(settings=["statement_timeout=1s", "app.x=a=b"]))
    assert own.settings == (("statement_timeout", "1s"), ("app.x", "a=b"))


@pytest.mark.parametrize(
    ("more", "composite", "void"),
    [
        ({}, False, False),
        ({"type_name": "void"}, False, True),
        ({"type_schema": "api", "type_name": "void"}, False, False),
        ({"type_schema": "api", "type_name": "pets", "is_row": True}, True, False),
        ({"type_name": "record", "modes": ["t"], "names": ["x"], "types": [pair("int")]}, True, False),
        ({"type_name": "record"}, False, False),
    ],
)
def test_rows_are_row_types_and_output_columns(more, composite, void):
    (own,) = overloads(routine(**more))
    assert (own.returns.is_composite, own.returns.is_void) == (composite, void)


def test_computed_relationships_need_both_ends():
    rows = [relation(1, "t"), relation(2, "u"), relation(3, "h", schema="private")]
    own = {"schema": "api", "name": "of", "relation": 1, "foreign": 2, "to_one": True}
    schema = built(relations=rows, computed=[own, own | {"foreign": 3}])
    ((found,),) = schema.relationships.values()
    assert (found.function.name, found.foreign.name, found.to_one) == ("of", "u", True)


def test_media_handlers_are_aggregates_of_a_relation_or_routines():
    row = {
        "media_type": "text/csv",
        "domain_schema": "api",
        "domain_name": "text/CSV",
        "is_bytes": True,
        "is_jsonb": False,
        "schema": "api",
        "name": "csv",
        "kind": "a",
        "relation": 1,
        "argument": "t",
    }
    routine_row = row | {"kind": "f", "relation": None, "argument": None}
    unknown = row | {"relation": 1259}
    rows = [unknown, row, routine_row]
    aggregate, function = built(relations=[relation(1, "t")], media=rows).media_handlers
    assert (aggregate.function, aggregate.target, aggregate.routine) == (("api", "csv"), ("api", "t"), None)
    assert (function.function, function.target, function.routine) == (None, None, ("api", "csv"))
    assert (function.type, function.is_bytes) == (("api", "text/CSV"), True)


def test_schemas_keep_their_comments_and_their_order():
    rows = [{"name": "b", "description": None}, {"name": "a", "description": "A"}]
    assert list(build_schema(EMPTY | {"schemas": rows}, ["a", "c", "b"]).descriptions.items()) == [
        ("a", "A"),
        ("b", None),
    ]
