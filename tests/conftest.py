"""PostgreSQL for the tests: one server for the whole run, databases made from SQL text, roles to play.

``DATABASE_URL`` (a superuser's URI of any PostgreSQL >= 14) takes the place of the embedded server. Tests
that stop or crash a server have one of their own: the fixture ``own_postgres``.
"""

from __future__ import annotations

import itertools
import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import psycopg
import pytest
from hypothesis import HealthCheck, settings

from aiodata_django.db.embedded import EmbeddedPostgres, EmbeddedPostgresError
from tests.live import DEMO_SCHEMA, LiveServer, free_port

# In the background of a shell SIGINT is ignored, and would be by the servers that tests stop with it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# How fast a machine is decides nothing: examples may take their time. They are the same in every run, so that
# a failure is the fault of what was changed; the profile "explore" looks for new ones.
settings.register_profile(
    "tests", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("explore", settings.get_profile("tests"), derandomize=False, max_examples=2000)
settings.load_profile("tests")

MakeDatabase = Callable[..., str]
AsUser = Callable[..., str]

PREFIX = "aiodata-postgres-"
SETTINGS = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "shared_buffers": "64MB"}

# Each role's password is its name. The authenticator inherits nothing: it must become a role to do something.
ROLES = """
do $$
declare name text;
begin
    foreach name in array array['anon', 'auth'] loop
        if to_regrole(name) is null then execute format('create role %I nologin', name); end if;
    end loop;
    if to_regrole('authenticator') is null then
        create role authenticator login noinherit replication password 'authenticator';
    end if;
    grant anon, auth to authenticator;
end $$;
"""

_numbers = itertools.count(1)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden", action="store_true", help="write what is rendered to the golden files"
    )
    group = parser.getgroup("soak")
    group.addoption("--soak-seconds", type=float, help="how long the soak runs, with every act")
    group.addoption("--soak-seed", type=int, default=None, help="its seed (default: another each time)")
    group.addoption("--soak-mutations", action="store_true", help="prove the soak: break the server each way")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    from tests.sharing import ByRoom

    return ByRoom(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if hasattr(config, "workerinput"):  # this is one of several processes
        from tests.sharing import in_order

        in_order(items)


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[Path, str], None]:
    """``golden(file, text)``: the file holds the text; with ``--update-golden`` it is written first."""

    def compare(file: Path, text: str) -> None:
        if request.config.getoption("--update-golden"):
            file.write_text(text)
        assert file.exists(), "no golden file: --update-golden writes it, to be read and committed"
        assert file.read_text() == text

    return compare


@dataclass(frozen=True)
class Server:
    """The server all tests share, by its superuser's URI."""

    admin_uri: str

    def uri(self, dbname: str, user: str | None = None, password: str | None = None) -> str:
        parts = urlsplit(self.admin_uri)._replace(path="/" + quote(dbname, safe=""))
        uri = urlunsplit(parts)
        return uri if user is None else as_user_of(uri, user, password)

    @contextmanager
    def database(self, sql: str) -> Iterator[str]:
        """A fresh database made from ``sql``; its superuser's URI. Dropped at the end, its slots too."""
        name = f"test_{os.getpid()}_{next(_numbers)}"
        with psycopg.connect(self.admin_uri, autocommit=True) as admin:
            admin.execute(f'create database "{name}"')
        try:
            with psycopg.connect(self.uri(name), autocommit=True) as connection:
                connection.execute(sql.encode() or b"select")
            yield self.uri(name)
        finally:
            with psycopg.connect(self.admin_uri, autocommit=True) as admin:
                drop_slots(admin, name)
                admin.execute(f'drop database "{name}" with (force)')


def as_user_of(uri: str, user: str, password: str | None = None) -> str:
    """The same database as another user, whose password is their name unless given."""
    parts = urlsplit(uri)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{quote(user)}:{quote(password or user)}@{host}"))


def drop_slots(admin: psycopg.Connection, dbname: str) -> None:
    """Drop a database's replication slots, which would keep it from being dropped; their users are ended."""
    of_database = "from pg_replication_slots where database = %s"
    admin.execute(f"select pg_terminate_backend(active_pid) {of_database} and active", [dbname])
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with suppress(psycopg.errors.ObjectInUse):
            admin.execute(f"select pg_drop_replication_slot(slot_name) {of_database}", [dbname])
            return
        time.sleep(0.02)


def remove_left_over_servers() -> None:
    """End and delete the servers of test runs that were killed."""
    for directory in Path(tempfile.gettempdir()).glob(PREFIX + "*"):
        with suppress(OSError, EmbeddedPostgresError):
            if time.time() - directory.stat().st_mtime > 600:
                EmbeddedPostgres(directory / "data").remove()
                directory.rmdir()


@contextmanager
def temporary_postgres(**settings: str) -> Iterator[EmbeddedPostgres]:
    directory = Path(tempfile.mkdtemp(prefix=PREFIX))
    directory.chmod(0o711)  # under root the server's account must pass
    server = EmbeddedPostgres(directory / "data", settings={**SETTINGS, **settings}, port=free_port())
    try:
        server.start()
        yield server
    finally:
        server.remove()
        directory.rmdir()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """The one server of the run; ``.admin_uri``, ``.uri(dbname, user, password)``, ``.database(sql)``."""
    url = os.environ.get("DATABASE_URL")
    if url:
        yield prepared(Server(url))
        return
    remove_left_over_servers()
    with temporary_postgres() as embedded:
        yield prepared(Server(embedded.uri()))


def prepared(server: Server) -> Server:
    with psycopg.connect(server.admin_uri, autocommit=True) as admin:
        admin.execute(ROLES)
    return server


@pytest.fixture(scope="module")
def own_postgres() -> Iterator[EmbeddedPostgres]:
    """A server of the test module's own, with the roles, to be stopped, crashed and restarted at will."""
    with temporary_postgres() as embedded:
        prepared(Server(embedded.uri()))
        yield embedded


def factory(server: Server) -> Iterator[MakeDatabase]:
    with ExitStack() as stack:
        yield lambda sql="": stack.enter_context(server.database(sql))


@pytest.fixture
def make_database(postgres: Server) -> Iterator[MakeDatabase]:
    """``make_database(sql) -> uri``: a fresh database, the superuser's URI; dropped after the test."""
    yield from factory(postgres)


@pytest.fixture(scope="module")
def make_module_database(postgres: Server) -> Iterator[MakeDatabase]:
    """As ``make_database``, dropped after the last test of the module."""
    yield from factory(postgres)


@pytest.fixture(scope="session")
def as_user() -> AsUser:
    """``as_user(uri, "authenticator") -> uri``: the same database as another of the fixtures' roles."""
    return as_user_of


@pytest.fixture
def make_aiodata_server(make_database: MakeDatabase) -> Iterator[Callable[..., LiveServer]]:
    """``make_aiodata_server(sql) -> LiveServer``: a fresh database, and a server of it that is running.

    ``.url``, ``.stop()``, ``.kill()``, ``.start()`` again; ``.admin_uri`` is the database as its superuser.
    """
    with ExitStack() as stack:
        yield lambda *arguments, **options: live_server_of(stack, make_database, *arguments, **options)


@pytest.fixture(scope="module")
def aiodata_server(make_module_database: MakeDatabase) -> Iterator[LiveServer]:
    """One server of the demo's schema for the whole module, on uvicorn."""
    with ExitStack() as stack:
        yield live_server_of(stack, make_module_database)


def live_server_of(
    stack: ExitStack, make: MakeDatabase, sql: str = DEMO_SCHEMA, *options: str, **more: Any
) -> LiveServer:
    admin_uri = make(sql)
    live = LiveServer(as_user_of(admin_uri, "authenticator"), *options, **more)
    live.admin_uri = admin_uri
    stack.callback(live.close)
    return live.start()
