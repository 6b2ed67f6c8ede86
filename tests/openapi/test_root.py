"""The root that answers with the document: its settings, types and methods; and the page that shows it."""

from __future__ import annotations

import pytest
import requests

from tests.conftest import as_user_of
from tests.live import LiveServer

from .conftest import described


def test_security_is_described_when_asked_for(document, serve):
    assert not {"security", "securityDefinitions"} & document.keys()
    found = described(serve(openapi_security_active=True))
    assert found["security"] == [{"JWT": []}]
    assert found["securityDefinitions"]["JWT"] == {
        "type": "apiKey",
        "name": "Authorization",
        "in": "header",
        "description": 'Add the token prepending "Bearer " (without quotes) to it',
    }


@pytest.mark.parametrize(
    ("uri", "host", "path", "scheme"),
    [
        ("https://example.com:8443/base", "example.com:8443", "/base", "https"),
        ("https://example.com", "example.com:443", "/", "https"),
        ("http://example.com/", "example.com:80", "/", "http"),
    ],
)
def test_behind_a_proxy_its_address_is_told(serve, uri, host, path, scheme):
    found = described(serve(openapi_server_proxy_uri=uri))
    assert (found["host"], found["basePath"], found["schemes"]) == (host, path, [scheme])


@pytest.mark.parametrize("more", [{}, {"db_root_spec": "root"}])
def test_disabled_the_root_is_not_found(serve, more):
    answer = requests.get(serve(openapi_mode="disabled", **more) + "/rest/", timeout=10)
    assert (answer.status_code, answer.json()["code"]) == (404, "PGRST126")


@pytest.mark.parametrize("mode", ["follow-privileges", "ignore-privileges"])
def test_a_function_can_answer_at_the_root(serve, mode):
    url = serve(db_root_spec="root", openapi_mode=mode)
    answer = requests.get(url + "/rest/", timeout=10)
    assert (answer.status_code, answer.json()["swagger"]) == (200, "2.0")
    assert answer.headers["Content-Type"] == "application/json; charset=utf-8"


def test_disabled_no_function_answers_at_the_root_either(serve):
    answer = requests.get(serve(db_root_spec="root", openapi_mode="disabled") + "/rest/", timeout=10)
    assert (answer.status_code, answer.json()["code"]) == (404, "PGRST126")


def test_the_pre_request_function_may_refuse(serve):
    url = serve(db_pre_request="api.before")
    assert described(url)["swagger"] == "2.0"
    answer = requests.get(url + "/rest/", headers={"X-Barred": "1"}, timeout=10)
    assert (answer.status_code, answer.json()["message"]) == (418, "barred")


@pytest.mark.parametrize(
    "accept", ["application/openapi+json", "application/json", "*/*", "text/csv, */*;q=0.1"]
)
def test_the_type_is_openapi_for_all_who_accept_json(url, accept):
    answer = requests.get(f"{url}/rest/", headers={"Accept": accept}, timeout=10)
    assert (answer.status_code, answer.headers["Content-Type"]) == (
        200,
        "application/openapi+json; charset=utf-8",
    )


def test_other_types_are_not_to_be_had(url):
    answer = requests.get(f"{url}/rest/", headers={"Accept": "text/csv"}, timeout=10)
    assert (answer.status_code, answer.json()["code"]) == (406, "PGRST107")
    answer = requests.get(f"{url}/rest/keepers", headers={"Accept": "application/openapi+json"}, timeout=10)
    assert (answer.status_code, answer.json()["code"]) == (406, "PGRST107")


def test_head_answers_without_body_or_length(url):
    answer = requests.head(f"{url}/rest/", timeout=10)
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["Content-Type"] == "application/openapi+json; charset=utf-8"
    assert "Content-Length" not in answer.headers


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_other_methods_are_refused(url, method):
    answer = requests.request(method, f"{url}/rest/", timeout=10)
    assert (answer.status_code, answer.json()["code"]) == (405, "PGRST117")


def test_a_profile_chooses_the_schema(database, tmp_path):
    conf = tmp_path / "postgrest.conf"
    conf.write_text('app.settings.x = "1"')
    live = LiveServer(as_user_of(database, "authenticator"), str(conf), "--schema", "api,other").start()
    try:
        found = described(live.url, **{"Accept-Profile": "other"})
        assert found["paths"].keys() == {"/", "/things"}
        assert found["info"]["title"] == "PostgREST API"
        answer = requests.get(f"{live.url}/rest/", headers={"Accept-Profile": "other"}, timeout=10)
        assert answer.headers["Content-Profile"] == "other"
        answer = requests.get(f"{live.url}/rest/", headers={"Accept-Profile": "none"}, timeout=10)
        assert (answer.status_code, answer.json()["code"]) == (406, "PGRST106")
    finally:
        live.close()


def test_the_page_and_its_files_are_served_and_may_do_little(url):
    page = requests.get(f"{url}/docs", timeout=10)
    assert (page.url, page.status_code) == (f"{url}/docs/", 200)
    assert 'data-rest="../rest"' in page.text
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    for name in ("docs.js", "request.js", "docs.css"):
        file = requests.get(f"{url}/docs/{name}", timeout=10)
        assert file.status_code == 200
        assert file.headers["X-Content-Type-Options"] == "nosniff"
        assert "://" not in file.text


@pytest.mark.parametrize("path", ["/docs/other.js", "/docs/../conf.py", "/docs/x/docs.js", "/docsx"])
def test_nothing_else_is_served_beside_the_page(url, path):
    assert requests.get(url + path, timeout=10).status_code == 404


@pytest.mark.parametrize("settings", [{"openapi_mode": "disabled"}, {"docs_path": "none"}])
def test_the_page_can_be_switched_off(serve, settings):
    assert requests.get(serve(**settings) + "/docs/", timeout=10).status_code == 404


def test_the_page_can_be_elsewhere(serve):
    page = requests.get(serve(docs_path="/about/api") + "/about/api", timeout=10)
    assert 'data-rest="../../rest"' in page.text
