"""The ASGI application on real sockets, under Daphne and uvicorn."""

from __future__ import annotations

import asyncio
import http.client
import json
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import psycopg
import pytest
import requests
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from aiodata_django.asgi import prefers_html
from tests.conftest import as_user_of
from tests.live import LiveServer, token

SQL = """
create schema api;
create table api.pets (type text, name text, color int, primary key (type, name));
insert into api.pets values ('Cat', 'Aja', 1), ('Cat', 'a/b %', 2);
grant usage on schema api to anon, auth;
grant select on api.pets to anon;
grant all on api.pets to auth;
alter default privileges in schema api grant select on tables to anon;
create function api.respond(status text) returns text stable language sql as
    $$select set_config('response.status', $1, true)$$;
"""


SERVERS = ["daphne", "uvicorn"]


def bearer() -> dict[str, str]:
    return {"Authorization": f"Bearer {token()}"}


@pytest.fixture(scope="module")
def database(make_module_database):
    """The superuser's URI of the served database."""
    return make_module_database(SQL)


@pytest.fixture(scope="module", params=SERVERS)
def live(request, database, tmp_path_factory):
    """A server of each kind over the same database."""
    conf = tmp_path_factory.mktemp("conf") / "postgrest.conf"
    conf.write_text("max-body-bytes = 100000")
    live = LiveServer(as_user_of(database, "authenticator"), str(conf), server=request.param)
    live.kind = request.param
    with closing(live):
        yield live.start()


def port_of(live: LiveServer) -> int:
    return int(live.url.rpartition(":")[2])


def test_a_key_is_read_from_the_raw_path(live):
    answer = requests.get(f"{live.url}/query/pets/Cat/a%2Fb%20%25", timeout=10)
    assert answer.json() == [{"type": "Cat", "name": "a/b %", "color": 2}]
    assert int(answer.headers["Content-Length"]) == len(answer.content)


@pytest.mark.parametrize(
    ("target", "status"), [("/query/pets/Cat/a%2Fb%20%25", 200), ("/", 200), ("/queryx", 404)]
)
def test_a_request_may_name_the_whole_url(live, target, status):
    with closing(http.client.HTTPConnection("127.0.0.1", port_of(live), timeout=10)) as connection:
        connection.request("GET", f"http://elsewhere.example{target}")
        whole = connection.getresponse()
        answers = [(whole.status, whole.read())]
        connection.request("GET", target)
        by_path = connection.getresponse()
        answers.append((by_path.status, by_path.read()))
    assert answers[0] == answers[1]
    assert answers[0][0] == status


@pytest.mark.parametrize(
    ("status", "name"),
    [
        (402, "Payment Required"),
        (408, "Request Timeout"),
        (416, "Requested Range Not Satisfiable"),
        (418, "I'm a teapot"),
        (504, "Gateway Timeout"),
    ],
)
def test_a_status_has_the_name_that_postgrest_has_for_it(live, status, name):
    answer = requests.get(f"{live.url}/rest/rpc/respond?status={status}", timeout=10)
    assert (answer.status_code, answer.reason, answer.json()) == (status, name, str(status))


def test_both_dialects_are_mounted(live):
    by_key = requests.get(f"{live.url}/query/pets/Cat/Aja", timeout=10).json()
    by_filter = requests.get(f"{live.url}/rest/pets?type=eq.Cat&name=eq.Aja", timeout=10).json()
    assert by_key == by_filter == [{"type": "Cat", "name": "Aja", "color": 1}]


def test_the_root_describes_the_schema(live):
    described = requests.get(f"{live.url}/", timeout=10).json()
    assert list(described["pets"]) == ["type", "name", "color"]
    assert described["pets"]["type"]["main"] is True


def test_head_has_headers_and_no_body(live):
    answer = requests.head(f"{live.url}/query/pets", timeout=10)
    assert (answer.status_code, answer.content) == (200, b"")


def test_what_is_not_mounted_is_not_found(live):
    answer = requests.get(f"{live.url}/queryx", timeout=10)
    assert (answer.status_code, answer.json()["code"]) == (404, "PGRST125")


def test_a_write_needs_a_role_that_may(live):
    row = {"type": "Dog", "name": live.url}
    refused = requests.post(f"{live.url}/query/pets", json=row, timeout=10)
    assert (refused.status_code, refused.json()["code"]) == (401, "42501")
    written = requests.post(f"{live.url}/query/pets", json=row, headers=bearer(), timeout=10)
    assert (written.status_code, written.json()) == (201, [row | {"color": None}])


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_over_the_limit_is_refused_whole(live, chunked):
    rows = [{"type": "Big", "name": f"{live.url} {chunked} {number}"} for number in range(5000)]
    body = json.dumps(rows).encode()
    pieces = (body[start : start + 10_000] for start in range(0, len(body), 10_000))
    try:
        answer = requests.post(
            f"{live.url}/query/pets", data=pieces if chunked else body, headers=bearer(), timeout=10
        )
    except requests.ConnectionError:
        # uvicorn may close before we have sent everything; that nothing was written is what counts.
        assert live.kind == "uvicorn"
    else:
        assert (answer.status_code, answer.json()["code"]) == (413, "AIOD103")
    assert requests.get(f"{live.url}/query/pets/Big", timeout=10).json() == []


def test_a_connection_serves_many_requests(live):
    connection = http.client.HTTPConnection("localhost", port_of(live), timeout=10)
    for method in ("GET", "HEAD", "GET", "OPTIONS", "GET"):
        connection.request(method, "/query/pets/Cat/Aja")
        answer = connection.getresponse()
        assert answer.status == 200
        assert bool(answer.read()) is (method == "GET")
    connection.close()


async def test_clients_that_leave_in_the_middle_by_the_hundred_harm_nobody(live):
    async def leave(pause: float) -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", port_of(live))
        writer.write(b"GET /query/pets HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await writer.drain()
        await asyncio.sleep(pause)
        writer.transport.abort()

    for _ in range(4):
        await asyncio.gather(*(leave(number * 0.0002) for number in range(50)))
    answers = await asyncio.gather(
        *(asyncio.to_thread(requests.get, f"{live.url}/query/pets/Cat/Aja", timeout=10) for _ in range(20))
    )
    assert {answer.status_code for answer in answers} == {200}
    assert "Traceback" not in live.output()


async def test_a_client_that_leaves_in_the_middle_of_its_body_writes_nothing(live):
    _, writer = await asyncio.open_connection("127.0.0.1", port_of(live))
    head = "".join(f"{name}: {value}\r\n" for name, value in bearer().items())
    writer.write(f"POST /query/pets HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n{head}\r\n".encode())
    writer.write(b'[{"type": "Half", "name": "x"}]')
    await writer.drain()
    writer.transport.abort()
    answer = await asyncio.to_thread(requests.get, f"{live.url}/query/pets/Half", timeout=10)
    assert answer.json() == []


async def test_a_websocket_to_nowhere_is_closed_and_not_an_error(live):
    with pytest.raises((InvalidStatus, ConnectionClosed)) as caught:
        async with connect(f"ws://localhost:{port_of(live)}/nowhere") as socket:
            await socket.recv()
    if isinstance(caught.value, InvalidStatus):
        assert caught.value.response.status_code == 403
    assert "Traceback" not in live.output()


def served_columns(live: LiveServer, table: str) -> list[str]:
    answer = requests.get(f"{live.url}/query/{table}", timeout=10)
    return [] if answer.status_code == 404 else list(answer.json()[0])


def wait_for_columns(live: LiveServer, columns: list[str], table: str = "additions") -> None:
    deadline = time.monotonic() + 10
    while served_columns(live, table) != columns:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_new_table_is_served_after_a_signal_or_a_notification(live, database):
    with psycopg.connect(database, autocommit=True) as admin:
        try:
            admin.execute("create table api.additions as select 1 as a")
            live.signal(signal.SIGUSR1)
            wait_for_columns(live, ["a"])
            admin.execute("drop table api.additions; create table api.additions as select 1 as a, 2 as b")
            admin.execute("notify pgrst, 'reload schema'")
            wait_for_columns(live, ["a", "b"])
        finally:
            admin.execute("drop table api.additions")


def test_a_column_of_another_type_is_filtered_as_such_after_a_notification(live, database):
    with psycopg.connect(database, autocommit=True) as admin:
        try:
            admin.execute("create table api.tags as select gen_random_uuid() as id")
            admin.execute("notify pgrst, 'reload schema'")
            wait_for_columns(live, ["id"], "tags")
            question = f"{live.url}/query/tags?id=eq.7"
            assert requests.get(question, timeout=10).json()["code"] == "22P02"
            admin.execute("drop table api.tags; create table api.tags as select 7 as id")
            admin.execute("notify pgrst, 'reload schema'")
            deadline = time.monotonic() + 10
            while requests.get(question, timeout=10).json() != [{"id": 7}]:
                assert time.monotonic() < deadline
                time.sleep(0.05)
        finally:
            admin.execute("drop table api.tags")


def test_settings_in_the_database_are_taken_up_by_a_notification(live, database):
    with psycopg.connect(database, autocommit=True) as admin:
        here = f'alter role authenticator in database "{admin.info.dbname}"'
        try:
            for limit in (1, 2):
                admin.execute(f"{here} set pgrst.db_max_rows = '{limit}'".encode())
                admin.execute("notify pgrst, 'reload config'")
                deadline = time.monotonic() + 10
                while len(requests.get(f"{live.url}/query/pets", timeout=10).json()) != limit:
                    assert time.monotonic() < deadline
                    time.sleep(0.05)
        finally:
            admin.execute(f"{here} reset pgrst.db_max_rows".encode())
            admin.execute("notify pgrst, 'reload config'")
            time.sleep(0.3)


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_server_that_is_ended_leaves_no_slot_and_no_connection(make_database, server, how):
    uri = make_database(SQL)
    with closing(LiveServer(as_user_of(uri, "authenticator"), server=server)) as live:
        live.start()
        others = b"""
            select 1 from pg_stat_activity where datname = current_database() and usename = 'authenticator'
            union all select 1 from pg_replication_slots where database = current_database()"""
        with psycopg.connect(uri, autocommit=True) as admin:
            assert admin.execute(others).fetchone()
            live.signal(how)
            live.stop()
            deadline = time.monotonic() + 10
            while admin.execute(others).fetchone():
                assert time.monotonic() < deadline
                time.sleep(0.05)
        assert "Traceback" not in live.output()


@pytest.mark.parametrize("server", SERVERS)
def test_what_is_in_flight_when_the_server_is_told_to_stop_is_answered(make_database, server):
    slow = "create function api.slow() returns text language sql as $$select pg_sleep(1); select 'done'$$;"
    uri = make_database(SQL + slow)
    with closing(LiveServer(as_user_of(uri, "authenticator"), server=server)) as live:
        live.start()
        with ThreadPoolExecutor() as pool, psycopg.connect(uri, autocommit=True) as admin:
            answer = pool.submit(requests.post, f"{live.url}/rest/rpc/slow", timeout=20)
            running = b"select 1 from pg_stat_activity where query like '%slow%' and wait_event = 'PgSleep'"
            deadline = time.monotonic() + 10
            while not admin.execute(running).fetchone():
                assert time.monotonic() < deadline
                time.sleep(0.01)
            live.signal(signal.SIGTERM)
            assert (answer.result().status_code, answer.result().json()) == (200, "done")
            live.stop()
        assert "Traceback" not in live.output()


class Unready(LiveServer):
    """Started when it listens, whatever it answers."""

    def _describes(self) -> bool:
        return True


@pytest.mark.parametrize("server", SERVERS)
def test_a_server_without_database_says_so_and_recovers_by_itself(server, own_postgres):
    own_postgres.restart()
    uri = own_postgres.uri("postgres")
    with psycopg.connect(uri, autocommit=True) as admin:
        admin.execute("drop schema if exists api cascade")
        admin.execute(SQL.encode())
    own_postgres.stop()
    with closing(Unready(as_user_of(uri, "authenticator"), server=server)) as live:
        live.start()
        answer = requests.get(f"{live.url}/query/pets", timeout=20)
        assert (answer.status_code, answer.json()["code"]) == (503, "PGRST002")
        own_postgres.restart()
        deadline = time.monotonic() + 30
        while requests.get(f"{live.url}/query/pets", timeout=10).status_code != 200:
            assert time.monotonic() < deadline
            time.sleep(0.1)


def test_a_schema_that_is_not_there_is_waited_for(make_database, as_user):
    uri = make_database(SQL)
    with closing(Unready(as_user(uri, "authenticator"), "--schema", "api,later")) as live:
        live.start()
        answer = requests.get(f"{live.url}/rest/pets", timeout=20)
        assert (answer.status_code, answer.json()["code"]) == (503, "PGRST002")
        assert 'schema "later" does not exist' in live.output()
        with psycopg.connect(uri, autocommit=True) as admin:
            admin.execute("create schema later")
        deadline = time.monotonic() + 30
        while requests.get(f"{live.url}/rest/pets", timeout=10).status_code != 200:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        with psycopg.connect(uri, autocommit=True) as admin:
            admin.execute("drop schema later")
            admin.execute("notify pgrst, 'reload schema'")
        deadline = time.monotonic() + 30
        while live.output().count('schema "later" does not exist') < 2:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert requests.get(f"{live.url}/rest/pets", timeout=10).status_code == 200


@pytest.mark.parametrize(
    ("accept", "html"),
    [
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", True),
        ("*/*", False),
        ("application/json", False),
        ("application/json, text/html;q=0.5", False),
        ("text/html;q=0.5, application/json;q=0.4", True),
        ("text/html;q=nonsense", False),
        ("", False),
    ],
)
def test_a_browser_wants_html_and_a_client_json(accept, html):
    assert prefers_html(accept) is html


def test_a_small_answer_comes_in_one_piece(live):
    with socket.create_connection(("127.0.0.1", port_of(live)), timeout=10) as raw:
        for _ in range(5):
            raw.sendall(b"GET /query/pets/Cat/Aja HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert raw.recv(65536).endswith(b"]")


@pytest.mark.parametrize("server", SERVERS)
async def test_a_socket_without_feed_is_told_why(database, server, tmp_path):
    conf = tmp_path / "postgrest.conf"
    conf.write_text("feed-enabled = false")
    with closing(LiveServer(as_user_of(database, "authenticator"), str(conf), server=server)) as live:
        live.start()
        async with connect(f"ws://localhost:{port_of(live)}/state") as state:
            with pytest.raises(ConnectionClosed) as caught:
                await state.recv()
        assert caught.value.rcvd.code == 4503
        assert "feed-enabled" in caught.value.rcvd.reason
