"""Whatever is wrong with a request, the answer is an error in PostgREST's form, and nothing is written.

On both mounts, under both servers. The many ways a request can be wrong in PostgREST's language are in
``conformance``.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any, NamedTuple

import psycopg
import pytest
import requests

from tests.conftest import as_user_of
from tests.live import LiveServer, token

SQL = """
create schema api;
create table api.pets (type text, name text, color int, primary key (type, name));
insert into api.pets values ('Cat', 'Aja', 1), ('Cat', 'Bo', 2);
create table api.closed (id int primary key);
grant usage on schema api to anon, auth;
grant select on api.pets to anon;
grant select, insert, update, delete on api.pets to auth;
"""
GOOD = {"type": "Dog", "name": "Munch"}


class Wrong(NamedTuple):
    """A request, and the error it gets."""

    method: str
    path: str
    status: int
    code: str
    body: Any = None
    bearer: str | None = "auth"
    says: str = ""


def expired() -> str:
    return token(exp=int(time.time()) - 3600)


WRONG = {
    "unknown table": Wrong("GET", "/petts", 404, "PGRST205", says="api.pets"),
    "write to an unknown table": Wrong("POST", "/petts", 404, "PGRST205", GOOD, says="api.pets"),
    "unknown column to filter": Wrong("DELETE", "/pets?colour=eq.1", 400, "42703", says="colour"),
    "unknown column to select": Wrong("GET", "/pets?select=colour", 400, "42703", says="colour"),
    "unknown column to write": Wrong("POST", "/pets", 400, "PGRST204", [GOOD | {"colour": 1}], says="colour"),
    "unknown column in the second row": Wrong(
        "POST", "/pets?columns=type,name,colour", 400, "PGRST204", [GOOD, GOOD | {"colour": 1}]
    ),
    "no json": Wrong("POST", "/pets", 400, "PGRST102", '{"type": "Dog", '),
    "no json to change": Wrong("PATCH", "/pets?name=eq.Aja", 400, "PGRST102", "colour=1"),
    "a wrong type": Wrong("POST", "/pets", 400, "22P02", GOOD | {"color": "red"}),
    "a wrong type in the last row": Wrong(
        "POST", "/pets", 400, "22P02", [GOOD | {"color": 1}, GOOD | {"name": "Rex", "color": "red"}]
    ),
    "a wrong type to filter": Wrong("DELETE", "/pets?color=eq.red", 400, "22P02"),
    "an operator there is not": Wrong("DELETE", "/pets?color=equals.1", 400, "PGRST100"),
    "a key twice": Wrong("POST", "/pets", 409, "23505", [GOOD, GOOD]),
    "no right, with a token": Wrong("DELETE", "/closed", 403, "42501"),
    "no right, without": Wrong("POST", "/pets", 401, "42501", GOOD, bearer=None),
    "a token that is none": Wrong("POST", "/pets", 401, "PGRST301", GOOD, bearer="no token"),
    "a token of another secret": Wrong("POST", "/pets", 401, "PGRST301", GOOD, bearer="forged"),
    "an expired token": Wrong("POST", "/pets", 401, "PGRST303", GOOD, bearer="expired"),
    "a role that is none": Wrong("POST", "/pets", 401, "22023", GOOD, bearer="nobody at all"),
    "a method there is not": Wrong("PROPFIND", "/pets", 405, "PGRST117"),
    "a body over the limit": Wrong("POST", "/pets", 413, "AIOD103", GOOD | {"name": "x" * 2000}),
}
ONLY_QUERY = {
    "too many keys": Wrong("DELETE", "/pets/Cat/Aja/x", 400, "AIOD101", says="type, name"),
    "a key of the wrong type": Wrong("GET", "/numbered/one", 400, "22P02"),
}


def bearer(who: str | None) -> dict[str, str]:
    if who is None:
        return {}
    forged = token().rpartition(".")[0] + "." + "A" * 43
    text = {"no token": "no.token", "forged": forged, "expired": expired()}.get(who) or token(who)
    return {"Authorization": f"Bearer {text}"}


@pytest.fixture(scope="module")
def database(make_module_database) -> str:
    numbered = "create table api.numbered (id int primary key); grant select on api.numbered to auth;"
    return make_module_database(SQL + numbered)


@pytest.fixture(scope="module", params=["daphne", "uvicorn"])
def live(request, database: str, tmp_path_factory) -> Iterator[LiveServer]:
    conf = tmp_path_factory.mktemp("conf") / "postgrest.conf"
    conf.write_text("max-body-bytes = 1000")
    login = as_user_of(database, "authenticator")
    with closing(LiveServer(login, str(conf), server=request.param)) as live:
        yield live.start()


@pytest.mark.parametrize(
    ("mount", "wrong"),
    [
        *(
            pytest.param(mount, each, id=f"{mount} {name}")
            for mount in ("/query", "/rest")
            for name, each in WRONG.items()
        ),
        *(pytest.param("/query", each, id=f"/query {name}") for name, each in ONLY_QUERY.items()),
    ],
)
def test_what_is_wrong_is_an_error_and_writes_nothing(
    live: LiveServer, database: str, mount: str, wrong: Wrong
):
    body = {"data": wrong.body} if isinstance(wrong.body, str) else {"json": wrong.body}
    headers = bearer(wrong.bearer) | ({"Content-Type": "application/json"} if wrong.body else {})
    answer = requests.request(
        wrong.method, live.url + mount + wrong.path, headers=headers, timeout=10, **body
    )
    told = answer.json()
    assert (answer.status_code, told["code"]) == (wrong.status, wrong.code), told
    assert set(told) == {"code", "message", "details", "hint"}
    assert wrong.says in f"{told['message']} {told['details']} {told['hint']}"
    assert ("WWW-Authenticate" in answer.headers) == (wrong.status == 401)
    with psycopg.connect(database) as admin:
        rows = admin.execute("select * from api.pets order by name").fetchall()
    assert rows == [("Cat", "Aja", 1), ("Cat", "Bo", 2)]
