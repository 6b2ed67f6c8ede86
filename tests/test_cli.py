"""The commands: their options, what they say, how they fail."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
import requests
from django.core.management import CommandError, call_command
from django.test import override_settings

from aiodata_django.auth import Authenticator
from aiodata_django.cli import main
from aiodata_django.conf import Sources, current
from aiodata_django.options import with_options
from aiodata_django.serving import CannotServe, address_of, listen
from tests.conftest import as_user_of
from tests.live import LiveServer

ROOT = Path(__file__).parent.parent
SQL = """
create schema shop;
create table shop.goods (id int primary key);
insert into shop.goods values (1);
grant usage on schema shop to anon;
grant select on shop.goods to anon;
"""


def test_options_stand_above_the_file_and_the_file_above_the_projects(tmp_path):
    file = tmp_path / "postgrest.conf"
    file.write_text('db-schemas = "file"\ndb-pool = 3')
    options = {"file": file, "server_port": "4001", "db_schemas": "option", "db_uri": None}
    settings = with_options(Sources(mapping={"DB_POOL": 1}), options).settings()
    assert (settings.db_schemas, settings.db_pool, settings.server_port) == (("option",), 3, 4001)


def test_settings_that_cannot_be_are_said_one_a_line(capsys):
    assert main(["--port", "many", "--secret", "short"]) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2
    assert said[0].startswith("aiodata-django: command line: server_port: must be a whole number")


def test_a_missing_file_is_said(capsys):
    assert main(["/nowhere/postgrest.conf"]) == 2
    assert "/nowhere/postgrest.conf: cannot be read" in capsys.readouterr().err


def test_a_port_in_use_is_said_and_who_to_ask():
    with listen("localhost", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(
            CannotServe, match=f"port {port} of localhost is in use: stop what listens there, or"
        ):
            listen("localhost", port)
    with pytest.raises(CannotServe, match="there is no address nowhere"):
        listen("nowhere.invalid", 0)


@pytest.mark.parametrize(
    ("host", "name"), [("localhost", "localhost"), ("!4", "localhost"), ("127.0.0.1", "127.0.0.1")]
)
def test_postgrests_names_of_hosts_are_understood(host, name):
    with listen(host, 0) as bound:
        assert bound.family is socket.AF_INET
        assert address_of(bound, host) == f"http://{name}:{bound.getsockname()[1]}"


def test_any_postgresql_is_served_from_its_file_alone(make_database, tmp_path):
    uri = as_user_of(make_database(SQL), "authenticator")
    (tmp_path / "postgrest.conf").write_text(
        'db-uri = "$(THE_URI)" # of the test\ndb-schema = "shop"\ndb-anon-role = "anon"\nserver-port = 0\n'
    )
    command = [sys.executable, "-m", "aiodata_django.cli", "postgrest.conf", "--query", "/q"]
    environment = os.environ | {"THE_URI": uri, "AIODT_STATE": "/s"}
    environment.pop("DJANGO_SETTINGS_MODULE", None)
    process = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True)
    try:
        said = process.stderr.readline()
        assert "serving at http://localhost:" in said
        url = said.split()[-1]
        assert url.endswith("/q")
        assert requests.get(f"{url}/goods", timeout=10).json() == [{"id": 1}]
        assert list(requests.get(url.removesuffix("q"), timeout=10).json()) == ["goods"]
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=15)
    assert process.returncode == 0


def test_a_full_port_ends_the_command_with_one_sentence(make_database):
    with listen("localhost", 0) as taken:
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-m", "aiodata_django.cli", "--port", port, "--anon-role", "anon"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.returncode == 1
    [sentence] = done.stderr.splitlines()
    assert sentence.startswith(f"aiodata-django: port {port} of localhost is in use: stop what listens there")


def test_the_projects_command_serves_its_site_behind_the_api(make_database, tmp_path):
    uri = as_user_of(make_database(SQL), "authenticator")
    command = [sys.executable, "manage.py", "aiodata", "--port", "0", "--db-uri", uri, "--schema", "shop"]
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "demo_project.settings", "DEMO_DATABASE": uri}
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        url = process.stdout.readline().split()[2].rstrip(",")
        assert requests.get(f"{url}/query/goods", timeout=10).json() == [{"id": 1}]
        assert "goods" in requests.get(f"{url}/", timeout=10).json()
        page = requests.get(f"{url}/", headers={"Accept": "text/html"}, timeout=10, allow_redirects=False)
        assert (page.status_code, page.headers["Location"]) == (302, "admin/")
        style = requests.get(f"{url}/static/admin/css/base.css", timeout=10)
        assert style.headers["Content-Type"] == "text/css"
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=15)
    assert process.returncode == 0


def minted(*arguments: str) -> str:
    from io import StringIO

    out = StringIO()
    call_command("aiodata_token", *arguments, stdout=out)
    return out.getvalue().strip()


@pytest.mark.parametrize("secret", ["superdupersecret", "reallyreallyreallyreallyverysafe"])
def test_a_minted_token_is_taken(secret):
    with override_settings(AIODATA={"JWT_SECRET": secret, "JWT_AUD": "me"}):
        token = minted("auth", "--expires", "60", "--claims", json.dumps({"sub": "x"}))
        identity = Authenticator(current()).authenticate(f"Bearer {token}", time.time())
    assert (identity.role, identity.claims["sub"], identity.claims["aud"]) == ("auth", "x", "me")
    assert 0 < identity.expires - time.time() <= 90


def test_a_token_that_would_not_be_taken_is_not_minted():
    with override_settings(
        AIODATA={"JWT_SECRET": "superdupersecret", "JWT_ROLE_CLAIM_KEY": "$.realm.roles[0]"}
    ):
        with pytest.raises(CommandError, match=r"the role belongs at \$\.realm"):
            minted("auth")
        assert minted("auth", "--claims", '{"realm": {"roles": ["auth"]}}')
    with override_settings(AIODATA={}), pytest.raises(CommandError, match="not a shared secret"):
        minted("auth")
    with (
        override_settings(AIODATA={"JWT_SECRET": "superdupersecret"}),
        pytest.raises(CommandError, match="object"),
    ):
        minted("auth", "--claims", "[]")


def test_requests_are_logged_as_loud_as_configured(make_database, tmp_path):
    uri = as_user_of(make_database(SQL), "authenticator")
    conf = tmp_path / "postgrest.conf"
    conf.write_text('log-level = "warn"')
    with closing(LiveServer(uri, str(conf), "--schema", "shop")) as live:
        live.start()
        requests.get(f"{live.url}/query/goods", timeout=10)
        requests.get(f"{live.url}/query/nothing", timeout=10)
        live.stop()
        assert "GET /query/nothing 404" in live.output()
        assert "GET /query/goods 200" not in live.output()
