"""The API as Django views, under Django's own test clients."""

from __future__ import annotations

import json

import pytest
from django.test import AsyncClient, Client, override_settings

from aiodata_django.core.names import quote_ident
from tests.conftest import as_user_of
from tests.live import SECRET, token

SQL = """
create schema api;
create table api.pets (name text primary key, color int);
insert into api.pets values ('Aja', 1), ('a/b', 2);
grant usage on schema api to anon, auth;
grant select on api.pets to anon;
grant all on api.pets to auth;
"""


@pytest.fixture(scope="module")
def site(make_module_database):
    """Django's settings for a database of our own; a module's, since each costs a pool."""
    uri = as_user_of(make_module_database(SQL), "authenticator")
    settings = {"DB_URI": uri, "DB_SCHEMAS": "api", "DB_ANON_ROLE": "anon", "JWT_SECRET": SECRET}
    with override_settings(AIODATA=settings | {"MAX_BODY_BYTES": 1000}):
        yield


@pytest.fixture
def bearer():
    return {"HTTP_AUTHORIZATION": f"Bearer {token()}"}


def test_views_answer_where_no_server_serves(site):
    assert Client().get("/api/query/pets/Aja").json() == [{"name": "Aja", "color": 1}]
    assert Client().get("/api/rest/pets?name=eq.Aja").json() == [{"name": "Aja", "color": 1}]
    assert list(Client().get("/api/").json()["pets"]) == ["name", "color"]


def test_a_write_needs_no_csrf_token_and_its_role(site, bearer):
    client = Client(enforce_csrf_checks=True)
    row = {"name": "Bo", "color": None}
    refused = client.post("/api/query/pets", row, content_type="application/json")
    assert (refused.status_code, refused.json()["code"]) == (401, "42501")
    assert refused["WWW-Authenticate"] == "Bearer"
    written = client.post("/api/query/pets", json.dumps(row), content_type="application/json", **bearer)
    assert (written.status_code, written.json()) == (201, [row])
    assert client.delete("/api/query/pets/Bo", **bearer).json() == [row]


def test_head_has_no_body_and_other_methods_are_refused_in_json(site):
    answer = Client().head("/api/query/pets")
    assert (answer.status_code, answer.content) == (200, b"")
    refused = Client().generic("BREW", "/api/query/pets")
    assert (refused.status_code, refused["Content-Type"]) == (405, "application/json; charset=utf-8")


def test_a_body_over_the_limit_is_refused(site, bearer):
    answer = Client().post("/api/query/pets", "x" * 1001, content_type="application/json", **bearer)
    assert (answer.status_code, answer.json()["code"]) == (413, "AIOD103")


@pytest.mark.parametrize("sent", ["é", "é".encode().decode("latin-1"), "漢".encode().decode("latin-1")])
def test_headers_are_utf_8_or_else_latin_1(site, sent):
    answer = Client().get("/api/rest/pets", HTTP_ACCEPT_PROFILE=sent)
    meant = sent if sent == "é" else sent.encode("latin-1").decode()
    assert (answer.status_code, answer.json()["message"]) == (406, f"Invalid schema: {meant}")


async def test_views_answer_in_a_loop_of_their_own(site):
    answer = await AsyncClient().get("/api/query/pets/Aja")
    assert answer.json() == [{"name": "Aja", "color": 1}]


def test_a_setting_that_changes_is_taken_up(site, make_database):
    other = make_database(SQL.replace("pets", quote_ident("other pets")))
    uri = as_user_of(other, "authenticator")
    with override_settings(AIODATA={"DB_URI": uri, "DB_SCHEMAS": "api", "DB_ANON_ROLE": "anon"}):
        assert len(Client().get("/api/query/other%20pets").json()) == 2
    assert Client().get("/api/query/other%20pets").status_code == 404


def test_the_page_works_below_the_prefix_it_is_included_at(site):
    page = Client().get("/api/docs/")
    assert (page.status_code, page["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert b'data-rest="../rest"' in page.content
    assert "default-src 'none'" in page["Content-Security-Policy"]
    assert Client().get("/api/docs/docs.js")["Content-Type"] == "text/javascript; charset=utf-8"
    assert Client().get("/api/docs/conf.py").status_code == 404
    assert Client().get("/api/rest/").json()["basePath"] == "/api/rest"
