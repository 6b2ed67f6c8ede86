"""Several schemas behind one server, chosen by Accept-Profile and Content-Profile."""

from __future__ import annotations

import pytest

from .serving import Api, MakeApi

ODD = 'Ödd "name" \\@/'
TOLD = ODD.encode().decode("latin-1")  # as http.client sends and shows what is UTF-8
SCHEMAS = f"api, library, {ODD}"


@pytest.fixture
def several(serve: MakeApi) -> Api:
    return serve(SCHEMAS)


@pytest.mark.parametrize(
    ("profile", "target", "rows"),
    [
        (None, "/actors?id=eq.1&select=id", [{"id": 1}]),
        ("api", "/actors?id=eq.1&select=id", [{"id": 1}]),
        ("library", "/books?id=eq.1", [{"id": 1, "title": "Cinema 1"}]),
        (
            "library",
            "/books?select=title,authors(name)&id=eq.1",
            [{"title": "Cinema 1", "authors": [{"name": "Deleuze"}, {"name": "Tomlinson"}]}],
        ),
        ("library", "/rpc/titles", ["Cinema 1", "Cinema 2"]),
        (TOLD, "/things", [{"id": 1, "name": "thing"}]),
    ],
)
def test_reading_by_accept_profile(several: Api, profile: str | None, target: str, rows: object):
    answer = several.get(target, **({} if profile is None else {"accept_profile": profile}))
    assert (answer.status, answer.json) == (200, rows)
    assert answer.headers["content-profile"] == (profile or "api")


@pytest.mark.parametrize(
    ("method", "body"), [("POST", {"id": 9, "title": "x"}), ("PATCH", {"title": "x"}), ("DELETE", None)]
)
def test_writing_by_content_profile(several: Api, method: str, body: object):
    target = "/books" if method == "POST" else "/books?id=eq.9"
    answer = several(
        f"{method} {target}",
        body,
        role="auth",
        content_profile="library",
        prefer="tx=rollback, return=representation",
    )
    assert answer.status == (201 if method == "POST" else 200)
    assert answer.headers["content-profile"] == "library"


def test_a_computed_relationship_belongs_to_the_schema_of_its_function(several: Api):
    target = "/films?select=id,shelf(title)&id=eq.1"
    answer = several.get(target, accept_profile="api")
    assert answer.json == [{"id": 1, "shelf": [{"title": "Cinema 1"}]}]


def test_a_table_is_looked_for_in_its_schema_alone(several: Api):
    answer = several.get("/books", accept_profile="api")
    assert (answer.status, answer.json["code"]) == (404, "PGRST205")
    assert answer.json["message"] == "Could not find the table 'api.books' in the schema cache"


@pytest.mark.parametrize(
    ("method", "header"), [("GET", "accept_profile"), ("HEAD", "accept_profile"), ("POST", "content_profile")]
)
def test_schemas_that_are_not_served(several: Api, method: str, header: str):
    answer = several(f"{method} /books", "{}" if method == "POST" else None, **{header: "hidden"})
    assert (answer.status, answer.headers["proxy-status"]) == (406, "PostgREST; error=PGRST106")
    if method != "HEAD":
        assert answer.json == {
            "code": "PGRST106",
            "details": None,
            "hint": f"Only the following schemas are exposed: {SCHEMAS}",
            "message": "Invalid schema: hidden",
        }


def test_one_schema_needs_no_profile(api: Api):
    assert "content-profile" not in api.get("/actors?limit=1").headers
    assert api.get("/actors?limit=1", accept_profile="api").headers["content-profile"] == "api"


def test_functions_of_the_extra_search_path_can_be_named(serve: MakeApi):
    api = serve(db_extra_search_path="public, hidden")
    assert api.rows("/films?outside=is.true&select=id&id=eq.1") == [{"id": 1}]
