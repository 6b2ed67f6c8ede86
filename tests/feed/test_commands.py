"""``manage.py aiodata_feed``, ``aiodata_status`` and the status views, on a real database and site."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import psycopg
import pytest
import requests
from django.core.management import CommandError, call_command
from django.test import override_settings

from tests.live import LiveServer

SCHEMA = """
create schema api;
create table api.pets (id int primary key, name text);
create table api.notes (id int primary key, owner text);
alter table api.notes enable row level security;
create policy p on api.notes using (true);
grant usage on schema api to anon;
grant select on api.pets to anon;
"""


def run(command: str, *arguments: str) -> str:
    out = io.StringIO()
    call_command(command, *arguments, stdout=out, no_color=True)
    return out.getvalue()


class Database:
    """A database that the settings name, and its superuser's connection."""

    def __init__(self, uri: str, connection: psycopg.Connection) -> None:
        self.uri = uri
        self.slot = "slot_of_" + uri.rpartition("/")[2]
        self.execute = connection.execute

    def value(self, query: str) -> Any:
        return self.execute(query).fetchone()[0]

    def leftovers(self) -> tuple[int, ...]:
        return self.execute(
            "select (select count(*) from pg_publication),"
            " (select count(*) from pg_replication_slots where database = current_database()),"
            " (select count(*) from pg_event_trigger),"
            " (select count(*) from pg_class where relname = 'notes' and relreplident = 'f'),"
            " (select count(*) from pg_namespace where nspname = 'aiodata')"
        ).fetchone()


@pytest.fixture
def database(make_database) -> Iterator[Database]:
    uri = make_database(SCHEMA)
    with psycopg.connect(uri, autocommit=True) as connection:
        made = Database(uri, connection)
        with override_settings(AIODATA={"DB_URI": uri, "DB_SCHEMAS": "api", "FEED_SLOT": made.slot}):
            yield made


def test_what_create_makes_drop_removes(database) -> None:
    said = run("aiodata_feed", "create")
    assert all(part in said for part in ("create publication", "replica identity full", database.slot))
    assert database.leftovers() == (1, 1, 1, 1, 1)
    assert "is there already" in run("aiodata_feed", "create")
    run("aiodata_feed", "drop")
    assert database.leftovers() == (0, 0, 0, 0, 0)
    run("aiodata_feed", "drop")


def test_create_leaves_out_what_it_is_told_to(database) -> None:
    run("aiodata_feed", "create", "--no-slot", "--no-identities", "--no-trigger")
    assert database.leftovers() == (1, 0, 0, 0, 0)


def test_status_is_json(database) -> None:
    run("aiodata_feed", "create")
    told = json.loads(run("aiodata_feed", "status"))
    assert told["publication"] == {"name": "aiodata", "tables": ["api.notes", "api.pets"]}
    assert (told["slot"]["name"], told["slot"]["wal_status"]) == (database.slot, "reserved")
    assert {table["name"]: table["identity"] for table in told["tables"]} == {
        "api.notes": "f",
        "api.pets": "d",
    }


def test_check_fails_until_all_is_there(database) -> None:
    out = io.StringIO()
    with pytest.raises(CommandError):
        call_command("aiodata_feed", "check", stdout=out, no_color=True)
    assert "create publication" in out.getvalue()
    run("aiodata_feed", "create", "--no-slot")
    assert "all it needs" in run("aiodata_feed", "check")
    database.execute("create table api.keyless (a int)")
    said = run("aiodata_feed", "check")  # it breaks nothing: no error
    assert all(part in said for part in ("api.keyless gives no events", "all it needs"))
    database.execute("alter publication aiodata add table api.keyless")  # its updates and deletes fail now
    with pytest.raises(CommandError):
        run("aiodata_feed", "check")


def test_who_may_not_is_told_what_the_owner_should_run(database, as_user) -> None:
    with pytest.raises(CommandError, match="create publication"):
        run("aiodata_feed", "create", "--db-uri", as_user(database.uri, "authenticator"))
    assert database.leftovers() == (0, 1, 0, 0, 0)  # a slot needs REPLICATION only
    run("aiodata_feed", "drop")


def test_a_slot_of_another_database_is_not_taken_for_ours(database, make_database) -> None:
    run("aiodata_feed", "create")
    with override_settings(
        AIODATA={"DB_URI": make_database(SCHEMA), "DB_SCHEMAS": "api", "FEED_SLOT": database.slot}
    ):
        with pytest.raises(CommandError, match="feed-slot"):
            run("aiodata_feed", "create")
        run("aiodata_feed", "drop")
    assert database.leftovers()[1] == 1


@pytest.mark.parametrize("command", [("aiodata_feed", "status"), ("aiodata_status",)])
def test_a_database_that_is_away_is_an_error_in_a_line(command) -> None:
    with (
        override_settings(AIODATA={"DB_URI": "postgresql://nobody@127.0.0.1:1/nothing"}),
        pytest.raises(CommandError, match="refused"),
    ):
        run(*command)


@pytest.fixture(scope="module")
def site(make_module_database, as_user) -> Iterator[LiveServer]:
    admin_uri = make_module_database(SCHEMA + "create publication aiodata for table api.pets, api.notes;")
    live = LiveServer(as_user(admin_uri, "authenticator"), module="tests.apps.site")
    live.admin_uri = admin_uri
    with ExitStack() as stack:
        stack.callback(live.close)
        live.start()
        deadline = time.monotonic() + 20
        while requests.get(live.url + "/internal/feed", timeout=10).status_code != 200:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield live


def test_status_tells_the_database_and_the_running_server(site) -> None:
    with override_settings(AIODATA={"DB_URI": site.admin_uri, "DB_SCHEMAS": "api"}):
        told = json.loads(run("aiodata_status", "--json", "--url", site.url + "/internal/feed"))
        lines = run("aiodata_status").splitlines()
        with pytest.raises(CommandError, match="does not tell"):
            run("aiodata_status", "--url", site.url + "/internal/nothing")
    assert told["publication"]["tables"] == ["api.notes", "api.pets"]
    assert (told["process"]["problem"], told["process"]["streaming"]) == (None, True)
    assert any("REPLICA IDENTITY FULL" in problem for problem in told["problems"])
    assert "publication.name: aiodata" in lines


def test_the_views_tell_json_and_prometheus(site) -> None:
    told = requests.get(site.url + "/internal/feed", timeout=10)
    assert (told.status_code, told.json()["slot_temporary"]) == (200, True)
    metrics = requests.get(site.url + "/internal/metrics", timeout=10)
    assert metrics.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    samples = dict(line.rsplit(" ", 1) for line in metrics.text.splitlines() if not line.startswith("#"))
    assert samples["aiodata_feed_streaming"] == "1.0"
    assert float(samples["aiodata_feed_sessions_total"]) >= 1


def test_the_view_is_503_while_there_are_no_events(make_database, as_user) -> None:
    live = LiveServer(as_user(make_database(SCHEMA), "authenticator"), module="tests.apps.site")
    try:
        told = requests.get(live.start().url + "/internal/feed", timeout=10)
        assert (told.status_code, bool(told.json()["problem"])) == (503, True)
        assert requests.get(live.url + "/internal/metrics", timeout=10).status_code == 200
    finally:
        live.close()


def test_a_process_that_serves_no_feed_says_so(client) -> None:
    told = client.get("/internal/feed")
    assert (told.status_code, "no change feed" in told.json()["problem"]) == (503, True)
    assert client.get("/internal/metrics").content == b""
