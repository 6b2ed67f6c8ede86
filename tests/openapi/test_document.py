"""What the OpenAPI document says of tables, columns, functions, and to whom."""

from __future__ import annotations

import psycopg
import pytest
import requests

from tests.live import DEMO_SCHEMA

from .conftest import described


def test_the_demo_is_described_validly(make_aiodata_server):
    found = described(make_aiodata_server(DEMO_SCHEMA).url, "auth")
    assert {"/pets", "/ungroomed", "/rpc/paint"} <= found["paths"].keys()


def test_title_and_description_are_the_comment_of_the_schema(document):
    assert document["info"]["title"] == "Zoo"
    assert document["info"]["description"] == "Animals and\ntheir keepers"


def test_the_address_is_the_servers_and_the_mounts(document, url):
    assert (document["swagger"], document["basePath"], document["schemes"]) == ("2.0", "/rest", ["http"])
    assert document["host"].startswith("127.0.0.1:")


def test_under_query_the_mount_is_query(url):
    assert requests.get(f"{url}/query/", timeout=10).json()["basePath"] == "/query"


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (
            "id",
            {
                "type": "integer",
                "format": "int64",
                "default": 7,
                "description": "Note:\nThis is a Primary Key.<pk/>",
            },
        ),
        (
            "keeper",
            {
                "type": "integer",
                "format": "int32",
                "description": "Feeds it\n\nNote:\nThis is a Foreign Key to `keepers.id`."
                "<fk table='keepers' column='id'/>",
            },
        ),
        ("mood", {"type": "string", "format": "api.mood", "default": "calm", "enum": ["calm", "wild"]}),
        ("label", {"type": "string", "format": "character varying", "maxLength": 12}),
        ("code", {"type": "string", "format": "character", "maxLength": 3}),
        ("weight", {"type": "number", "format": "numeric", "default": 1.5}),
        ("tame", {"type": "boolean", "format": "boolean", "default": False}),
        ("born", {"type": "string", "format": "date", "default": "2020-01-02"}),
        ("seen", {"type": "string", "format": "timestamp with time zone", "default": "now()"}),
        ("tags", {"type": "array", "format": "text[]", "items": {"type": "string"}}),
        ("notes", {"type": "array", "format": "jsonb[]", "items": {}}),
        ("extra", {"format": "json"}),
        ("twice", {"type": "integer", "format": "int64"}),
    ],
)
def test_a_column_is_described_by_its_type(document, column, expected):
    assert document["definitions"]["animals"]["properties"][column] == expected


def test_required_are_the_columns_that_cannot_be_null(document):
    assert document["definitions"]["animals"]["required"] == ["id"]
    assert document["definitions"]["keepers"]["required"] == ["id", "name"]
    assert "required" not in document["definitions"]["half"]


def test_a_key_that_is_a_foreign_key_says_both(document):
    expected = "Note:\nThis is a Primary Key.<pk/>\nThis is a Foreign Key to `animals.id`."
    expected += "<fk table='animals' column='id'/>"
    assert document["definitions"]["chips"]["properties"]["animal"]["description"] == expected


def test_views_have_the_keys_of_their_tables(document):
    properties = document["definitions"]["wild"]["properties"]
    assert properties["id"]["description"].endswith("Primary Key.<pk/>")
    assert "<fk table='keepers' column='id'/>" in properties["keeper"]["description"]


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/", {"get"}),
        ("/animals", {"get", "post", "patch", "delete"}),
        ("/wild", {"get", "post", "patch", "delete"}),
        ("/counts", {"get"}),
        ("/counted", {"get"}),
        ("/partitioned", {"get", "post", "patch", "delete"}),
        ("/rpc/add", {"get", "post"}),
        ("/rpc/change", {"post"}),
    ],
)
def test_methods_are_those_that_can_be_used(document, path, methods):
    assert document["paths"][path].keys() == methods


def test_partitions_are_not_served_by_themselves(document):
    assert "/partition_0" not in document["paths"]


def test_the_operations_of_a_table(document):
    operations = document["paths"]["/keepers"]
    refs = {
        method: [p["$ref"].removeprefix("#/parameters/") for p in o["parameters"]]
        for method, o in operations.items()
    }
    own = ["rowFilter.keepers.id", "rowFilter.keepers.name"]
    paging = ["select", "order", "range", "rangeUnit", "offset", "limit", "preferCount"]
    assert refs == {
        "get": own + paging,
        "post": ["body.keepers", "select", "preferPost"],
        "patch": [*own, "body.keepers", "preferReturn"],
        "delete": [*own, "preferReturn"],
    }
    assert operations["get"]["tags"] == ["keepers"]
    assert (operations["get"]["summary"], operations["get"]["description"]) == ("Who cares", "for whom")
    rows = {"type": "array", "items": {"$ref": "#/definitions/keepers"}}
    assert operations["get"]["responses"] == {
        "200": {"description": "OK", "schema": rows},
        "206": {"description": "Partial Content"},
    }
    assert operations["post"]["responses"] == {"201": {"description": "Created"}}
    assert operations["patch"]["responses"] == operations["delete"]["responses"]


def test_shared_parameters(document):
    parameters = document["parameters"]
    prefer = {
        "name": "Prefer",
        "description": "Preference",
        "in": "header",
        "required": False,
        "type": "string",
    }
    assert parameters["preferParams"] == prefer
    assert parameters["preferCount"] == prefer | {"enum": ["count=none"]}
    assert parameters["body.keepers"] == {
        "name": "keepers",
        "description": "keepers",
        "in": "body",
        "required": False,
        "schema": {"$ref": "#/definitions/keepers"},
    }
    assert parameters["rowFilter.animals.keeper"] == {
        "name": "keeper",
        "description": "Feeds it",
        "in": "query",
        "required": False,
        "type": "string",
    }
    assert parameters["rangeUnit"]["default"] == "items"


def test_of_overloads_the_longest_is_described(document):
    names = [each["name"] for each in document["paths"]["/rpc/add"]["get"]["parameters"]]
    assert names == ["a", "b", "c"]


def test_the_call_of_a_function(document):
    post = document["paths"]["/rpc/change"]["post"]
    assert (post["tags"], post["summary"], post["description"]) == (["(rpc) change"], "Changes", "things")
    body, prefer = post["parameters"]
    assert prefer == {"$ref": "#/parameters/preferParams"}
    assert (body["name"], body["in"], body["required"]) == ("args", "body", True)
    assert body["schema"] == {
        "type": "object",
        "description": "Changes\nthings",
        "required": ["mood", "tags"],
        "properties": {
            "mood": {"format": "mood", "type": "string"},
            "tags": {"format": "text[]", "type": "array", "items": {"type": "string"}},
        },
    }


def test_variadic_arguments_are_repeated(document):
    assert document["paths"]["/rpc/many"]["get"]["parameters"] == [
        {
            "name": "v",
            "in": "query",
            "required": False,
            "type": "array",
            "collectionFormat": "multi",
            "items": {"type": "string", "format": "text"},
        }
    ]


@pytest.mark.parametrize("name", ["outs", "nothing"])
def test_functions_without_input_have_no_parameters(document, name):
    item = document["paths"][f"/rpc/{name}"]
    assert "parameters" not in item["get"]
    assert item["post"]["parameters"][0]["schema"] == {"type": "object"}


def test_names_that_mean_something_in_references_and_paths_are_escaped(document):
    refs = [each["$ref"] for each in document["paths"]["/animals"]["get"]["parameters"]]
    assert "#/parameters/rowFilter.animals.a~1b~0%25" in refs
    assert "/odd %7Bname%7D%2F%3F%23" in document["paths"]


def test_only_what_the_role_may_use_is_described(document, url):
    hidden = {"/secrets", "/rpc/hidden"}
    assert not hidden & document["paths"].keys()
    assert "secrets" not in document["definitions"]
    assert hidden <= described(url, "auth")["paths"].keys()


def test_a_privilege_on_one_column_is_enough(document):
    assert "/half" in document["paths"]


def test_privileges_are_asked_for_anew_each_time(database, url):
    with psycopg.connect(database, autocommit=True) as admin:
        admin.execute("revoke select on api.counts from anon")
        assert "/counts" not in described(url)["paths"]
        admin.execute("grant select on api.counts to anon")
    assert "/counts" in described(url)["paths"]


def test_privileges_can_be_ignored(serve):
    found = described(serve(openapi_mode="ignore-privileges"))
    assert {"/secrets", "/rpc/hidden"} <= found["paths"].keys()
    assert found["info"]["title"] == "Zoo"
