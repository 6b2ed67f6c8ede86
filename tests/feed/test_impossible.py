"""Where there can be no change events, everything else is served, and what to run is said everywhere: in the
server's log, to whoever opens /state, and by the system check.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import NamedTuple

import psycopg
import pytest
import requests
from django.test import override_settings
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from aiodata_django.checks import check_database
from tests.conftest import Server, as_user_of, prepared, temporary_postgres
from tests.live import LiveServer, token

SCHEMA = """
create schema api;
create table api.pets (name text primary key);
create publication aiodata for table api.pets;
grant usage on schema api to anon, auth;
grant select on api.pets to anon;
grant select, insert on api.pets to auth;
"""


class Way(NamedTuple):
    """One way of having no events: server settings, SQL, and what is then said (reason, check)."""

    settings: dict[str, str]
    sql: str
    said: str
    check: str


WAYS = {
    "wal_level": Way({"wal_level": "replica"}, "", "ALTER SYSTEM SET wal_level = logical", "aiodata.W133"),
    "right": Way(
        {}, "alter role authenticator noreplication", "ALTER ROLE authenticator REPLICATION", "aiodata.W134"
    ),
    "slots": Way(
        {"max_replication_slots": "1"},
        "select pg_create_physical_replication_slot('of_somebody_else')",
        "raise max_replication_slots",
        "aiodata.W135",
    ),
}


@contextmanager
def database(way: Way) -> Iterator[str]:
    """A database in which there can be no events, as its superuser."""
    with temporary_postgres(**way.settings) as postgres:
        server = prepared(Server(postgres.uri()))
        with server.database(SCHEMA) as uri:
            with psycopg.connect(uri, autocommit=True) as admin:
                admin.execute(way.sql.encode() or b"select")
            yield uri


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_all_but_events_is_served_and_what_to_run_is_said(way: Way) -> None:
    with database(way) as uri, closing(LiveServer(as_user_of(uri, "authenticator"))) as live:
        pets = live.start().url + "/query/pets"
        bearer = {"Authorization": f"Bearer {token()}"}
        assert requests.post(pets, json=[{"name": "Bo"}], headers=bearer, timeout=10).status_code == 201
        assert requests.get(pets, timeout=10).json() == [{"name": "Bo"}]
        assert way.said in closing_reason(live)
        assert way.said in live.output()
        login = as_user_of(uri, "authenticator")
        with override_settings(AIODATA={"DB_URI": login, "DB_ANON_ROLE": "anon"}):
            [message] = check_database(databases=["default"])
        assert message.id == way.check


def closing_reason(live: LiveServer) -> str:
    """Why /state is closed, once the feed knows: it may still be trying when the first socket comes."""
    deadline = time.monotonic() + 20
    while True:
        with (
            connect(live.url.replace("http", "ws") + "/state") as socket,
            pytest.raises(ConnectionClosed) as end,
        ):
            socket.recv(timeout=10)
        assert end.value.rcvd is not None
        assert end.value.rcvd.code == 4503
        if "No change events" in end.value.rcvd.reason or time.monotonic() > deadline:
            return end.value.rcvd.reason
