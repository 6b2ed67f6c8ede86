"""What somebody may try who means harm: what one request leaves behind, and requests made to be costly."""

from __future__ import annotations

import select
import socket
from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest
import requests

from tests.conftest import as_user_of
from tests.live import LiveServer, token

SQL = """
create schema api;
create table api.notes (id int primary key, note text, seen date);
create table api.marks (id int primary key, note int references api.notes deferrable initially deferred);
insert into api.notes values (1, 'one', '2026-01-02');
grant usage on schema api to anon, auth;
grant select on api.notes to anon;
grant all on api.notes, api.marks to auth;

create function api.who() returns json stable language sql as $$
    select json_build_object(
        'user', current_user, 'role', current_setting('role'),
        'claims', current_setting('request.jwt.claims', true)::json ->> 'sub',
        'own', nullif(current_setting('app.who', true), ''), 'path', current_setting('search_path'),
        'zone', current_setting('timezone'), 'timeout', current_setting('statement_timeout'),
        'encoding', current_setting('client_encoding'),
        'readonly', current_setting('default_transaction_read_only'),
        'headers', nullif(current_setting('request.headers', true), '') is null,
        'locks', (select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()),
        'listening', (select count(*) from pg_listening_channels()),
        'temporary', to_regclass('pg_temp.notes') is not null)
$$;
create function api.run(command text) returns text language plpgsql as
    $$ begin execute command; return 'done'; end $$;
create function api.remember(who text) returns text stable language sql as
    $$ select set_config('app.who', who, false) $$;
create function api.note_who() returns trigger language plpgsql as
    $$ begin perform set_config('app.who', 'eve', false); return new; end $$;
create trigger noted before insert on api.notes for each row execute function api.note_who();
do $$ begin
    for n in 1..50 loop execute format('create table api.%I ()', repeat('notes', 11) || n); end loop;
end $$;
"""
COMMANDS = {
    "another role": "set role auth",
    "no role": "reset role",
    "the role of the login": "set role none",
    "claims": """set request.jwt.claims = '{"sub": "eve"}'""",
    "a setting": "set app.who = 'eve'",
    "a search path": "set search_path = pg_catalog",
    "a time zone": "set timezone = 'Asia/Tokyo'",
    "a limit": "set statement_timeout = '50s'",
    "an encoding": "set client_encoding = latin1",
    "read-only": "set session characteristics as transaction read only",
    "headers of the answer": """set response.headers = '[{"Set-Cookie": "session=eve"}]'""",
    "a status of the answer": "set response.status = '418'",
    "a lock": "select pg_advisory_lock(1)",
    "a channel": "listen api",
    "a table before the table": "create temp table notes as select 666 as id",
    "statements": "prepare s1 as select 666; prepare s2 as select 666; prepare s3 as select 666",
    "no statements": "deallocate all",
    "settings as they were": "reset all",
    "nothing temporary": "discard temp",
}


@pytest.fixture(scope="module")
def database(make_module_database) -> str:
    return make_module_database(SQL)


@pytest.fixture(scope="module")
def live(database: str, tmp_path_factory) -> Iterator[LiveServer]:
    """One connection: whatever is left on it, the next request meets."""
    conf = tmp_path_factory.mktemp("conf") / "postgrest.conf"
    conf.write_text("db-pool = 1")
    with closing(LiveServer(as_user_of(database, "authenticator"), str(conf))) as live:
        yield live.start()


def eve() -> dict[str, str]:
    return {"Authorization": f"Bearer {token(sub='eve')}"}


def who(live: LiveServer) -> tuple[int, object, dict[str, str]]:
    answer = requests.get(f"{live.url}/rest/rpc/who", timeout=10)
    told = {name: value for name, value in answer.headers.items() if name.lower() != "date"}
    return answer.status_code, answer.json(), told


def next_ones(live: LiveServer) -> list[object]:
    """What others see: who they are, what they read, and that they may write."""
    read = requests.get(f"{live.url}/rest/notes?id=lt.100", timeout=10)
    wrote = requests.post(
        f"{live.url}/rest/notes",
        json={"id": 100, "note": "é"},
        headers={**eve(), "Prefer": "tx=rollback"},
        timeout=10,
    )
    return [who(live), read.status_code, read.json(), read.headers.get("Set-Cookie"), wrote.status_code]


@pytest.mark.parametrize("what", COMMANDS)
def test_nothing_is_left_for_the_next_request(live, database, what):
    fresh = next_ones(live)
    delete(database)
    for _ in range(2):
        call = {"command": COMMANDS[what]}
        answer = requests.post(f"{live.url}/rest/rpc/run", json=call, headers=eve(), timeout=10)
        assert answer.text in ('"done"', "done"), answer.text
        assert next_ones(live) == fresh
        delete(database)


def delete(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as admin:
        admin.execute("delete from api.notes where id >= 100")


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_nothing_is_left_of_functions_that_read(live, method):
    fresh = who(live)
    arguments = {"params": {"who": "eve"}} if method == "GET" else {"json": {"who": "eve"}}
    answer = requests.request(method, f"{live.url}/rest/rpc/remember", headers=eve(), timeout=10, **arguments)
    assert answer.json() == "eve"
    assert who(live) == fresh


def test_nothing_is_left_of_triggers_nor_of_what_fails_at_the_commit(live, database):
    fresh = who(live)
    for body, path, status in (({"id": 7}, "notes", 201), ({"id": 1, "note": 99}, "marks", 409)):
        answer = requests.post(f"{live.url}/rest/{path}", json=body, headers=eve(), timeout=10)
        assert answer.status_code == status
        assert who(live) == fresh


COSTLY = {
    "a select of many": ("select=" + ",".join(["id"] * 2000), 400, "AIOD105"),
    "an order by many": ("order=" + ",".join(["id"] * 2000), 400, "AIOD105"),
    "a nested select": ("select=" + "notes(" * 1000 + "id" + ")" * 1000, 400, "AIOD105"),
    "a nested spread": ("select=" + "...notes(" * 1000 + "id" + ")" * 1000, 400, "AIOD105"),
    "nested logic": ("and=" + "(and" * 1000 + "(id.eq.1)" + ")" * 1000, 400, "AIOD105"),
    "nested negation": ("or=" + "(not.or" * 1000 + "(id.eq.1)" + ")" * 1000, 400, "AIOD105"),
    "a long one": ("id=eq." + "1" * 60_000, 414, "AIOD104"),
}


@pytest.mark.parametrize("what", COSTLY)
@pytest.mark.parametrize("path", ["/query/notes", "/rest/notes", "/rest/rpc/who"])
def test_what_would_be_costly_is_refused(live, path, what):
    query, status, code = COSTLY[what]
    answer = requests.get(f"{live.url}{path}?{query}", timeout=10)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert "internal error" not in live.output()


NINES = "9" * 10_000


@pytest.mark.parametrize(
    ("query", "headers", "code"),
    [
        (f"limit={NINES}", {}, "22003"),
        (f"offset={NINES}", {}, "22003"),
        (f"limit=-{NINES}", {}, "PGRST103"),
        ("", {"Range": f"0-{NINES}"}, "22003"),
        ("", {"Range": f"{NINES}-"}, "22003"),
        ("", {"Prefer": f"max-affected={NINES}"}, None),
        (f"id=eq.{NINES}", {}, "22003"),
        (f"select=note->{NINES}", {}, "22003"),
    ],
)
def test_a_number_without_end_is_only_too_large(live, query, headers, code):
    answer = requests.get(f"{live.url}/rest/notes?{query}", headers=headers, timeout=10)
    assert (answer.json()["code"] if answer.status_code != 200 else None) == code
    assert "internal error" not in live.output()


@pytest.mark.parametrize("path", ["/rest/" + "notes" * 9000, "/rest/rpc/" + "remember" * 5000])
def test_a_name_without_end_is_not_looked_for(live, path):
    assert requests.get(live.url + path, timeout=10).status_code == 404


def test_arguments_without_end_are_not_compared(live):
    names = {f"who_{number}": number for number in range(300_000)}
    answer = requests.post(f"{live.url}/rest/rpc/remember", json=names, timeout=20)
    assert (answer.status_code, answer.json()["code"]) == (404, "PGRST202")


@pytest.mark.parametrize("text", ["[" * 50_000, '{"a":' * 50_000, "[" * 50_000 + "]" * 50_000])
@pytest.mark.parametrize("path", ["notes", "rpc/run", "notes?columns=id", "marks?id=eq.1"])
def test_a_body_nested_without_end_is_an_error(live, path, text):
    method = "PATCH" if "marks" in path else "POST"
    headers = {**eve(), "Content-Type": "application/json"}
    answer = requests.request(method, f"{live.url}/rest/{path}", data=text, headers=headers, timeout=10)
    assert (answer.status_code, set(answer.json())) in (
        (400, {"code", "message", "details", "hint"}),
        (404, {"code", "message", "details", "hint"}),
        (500, {"code", "message", "details", "hint"}),
    )
    assert "internal error" not in live.output()


def answered_meanwhile(live: LiveServer, request: bytes) -> tuple[int, bytes]:
    """How many requests of others are answered while this one is, and how its answer begins."""
    answered = 0
    address = ("127.0.0.1", int(live.url.rpartition(":")[2]))
    with socket.create_connection(address, timeout=60) as sender, requests.Session() as others:
        sender.sendall(request)
        while not select.select([sender], [], [], 0)[0]:
            assert others.get(f"{live.url}/rest/notes?id=eq.1", timeout=60).status_code == 200
            answered += 1
        return answered, sender.recv(100)


def test_others_are_answered_while_a_large_body_is_read(live):
    body = b"id,note\n" + b'1,"a"\n' * 600_000
    head = f"POST /rest/secrets HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
    answered, answer = answered_meanwhile(live, head.encode() + b"Content-Type: text/csv\r\n\r\n" + body)
    assert b" 404 " in answer
    assert answered > 3  # on its way and before it is read, some are answered in any case


def test_others_are_answered_while_a_long_query_is_read(live):
    terms = ",".join(f"x.eq.{number}" for number in range(5000))  # there is no column x
    answered, answer = answered_meanwhile(
        live, f"GET /rest/notes?or=({terms}) HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    )
    assert b" 400 " in answer
    assert answered > 3
