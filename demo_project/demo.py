"""`make demo`: PostgreSQL, the server, the quickstart, and then whatever you like, until Ctrl-C.

What lives here: starting the parts in order, saying where to look, ending what was started. Everything is
kept under .demo/ between runs; delete that folder to start afresh.
"""

from __future__ import annotations

import argparse
import errno
import fcntl
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from aiodata_django.db.embedded import EmbeddedPostgres, EmbeddedPostgresError
from aiodata_django.db.processes import alive, command_of

ROOT = Path(__file__).resolve().parent.parent
STATE = ROOT / ".demo"
PORT = 4000
SERVER_PID = STATE / "server.pid"
URL = f"http://localhost:{PORT}"


class CannotRun(Exception):
    """What is in the way, in one sentence."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--exit", action="store_true", help="end after the quickstart, with its status")
    options = parser.parse_args()
    # `kill` ends the demo as Ctrl-C does: in order.
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        return run(stay=not options.exit)
    except (CannotRun, EmbeddedPostgresError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ndemo: ended")
        return 0


def run(*, stay: bool) -> int:
    STATE.mkdir(exist_ok=True, mode=0o711)  # under root PostgreSQL's own account must pass
    with only_demo():
        end_a_killed_runs_server()
        refuse_a_port_in_use()
        return run_parts(stay=stay)


@contextmanager
def only_demo() -> Iterator[None]:
    """Be the only one; the kernel gives the lock back however we end."""
    with (STATE / "lock").open("wb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise CannotRun("another demo is running: end it with Ctrl-C first") from None
        yield


def run_parts(*, stay: bool) -> int:
    say("PostgreSQL")
    with EmbeddedPostgres(STATE / "postgres") as postgres:
        password = prepare(postgres)
        with server() as serving:
            say("the quickstart")
            status = subprocess.run([sys.executable, "demo_project/quickstart.py", URL], cwd=ROOT).returncode
            print(f"The quickstart {'heard every event' if status == 0 else 'FAILED'}.\n")
            if stay:
                say_where_to_look(postgres, password)
                watch(serving, postgres)
    return status


def say(what: str) -> None:
    print(f"-- {what}", flush=True)


def end_a_killed_runs_server() -> None:
    """A demo that was killed could not end its server; PostgreSQL's is seen to by EmbeddedPostgres."""
    if not SERVER_PID.exists():
        return
    pid = int(SERVER_PID.read_text())
    if "manage.py aiodata" in command_of(pid):
        say(f"an earlier demo was killed; ending its server (pid {pid})")
        os.kill(pid, signal.SIGTERM)
        for _ in range(100):
            if not alive(pid):
                break
            time.sleep(0.1)
    SERVER_PID.unlink(missing_ok=True)


def refuse_a_port_in_use() -> None:
    """On any of localhost's addresses: a browser may try another one than the server listens at."""
    for family, kind, _, _, address in socket.getaddrinfo("localhost", PORT, type=socket.SOCK_STREAM):
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(address)
            except OSError as error:
                if error.errno == errno.EADDRINUSE:
                    raise CannotRun(
                        f"port {PORT} is in use: stop what listens there, then try again"
                    ) from None


def prepare(postgres: EmbeddedPostgres) -> str:
    """Databases, Django's tables, the schema file and the admin's user; the admin's password."""
    addresses = {
        "demo": postgres.uri("demo", "authenticator", "authenticator"),
        "django": postgres.uri("django"),
        "admin": postgres.uri("demo"),
    }
    (STATE / "addresses.json").write_text(json.dumps(addresses, indent=2) + "\n")
    (STATE / "addresses.json").chmod(0o600)
    create_database(postgres, "demo", (ROOT / "demo_project" / "schema.sql").read_text())
    create_database(postgres, "django", "")
    say("Django's own tables, the schema file, the admin's user")
    manage("aiodata_sync", "--verbosity", "0")
    manage("migrate", "--verbosity", "0")
    return admin_password()


def create_database(postgres: EmbeddedPostgres, name: str, sql: str) -> None:
    """A database made from SQL, whole or not at all."""
    with psycopg.connect(postgres.uri(), autocommit=True) as connection:
        if connection.execute("select 1 from pg_database where datname = %s", [name]).fetchone():
            return
        unfinished = f"{name} unfinished"
        connection.execute(f'drop database if exists "{unfinished}"')
        connection.execute(f'create database "{unfinished}"')
        with psycopg.connect(postgres.uri(unfinished)) as new:
            new.execute(sql or "select")
        connection.execute(f'alter database "{unfinished}" rename to "{name}"')


def manage(*arguments: str, **environment: str) -> None:
    command = [sys.executable, "manage.py", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | environment, capture_output=True, text=True)
    if done.returncode:
        raise CannotRun(f"manage.py {arguments[0]} failed:\n{done.stdout}{done.stderr}")


def admin_password() -> str:
    """The password of the user `admin`, made at the first run."""
    file = STATE / "admin-password"
    if not file.exists():
        password = secrets.token_urlsafe(9)
        manage(
            *("createsuperuser", "--noinput", "--username", "admin", "--email", "admin@localhost"),
            DJANGO_SUPERUSER_PASSWORD=password,
        )
        file.touch(mode=0o600)
        file.write_text(password)
    return file.read_text()


@contextmanager
def server() -> Iterator[subprocess.Popen[bytes]]:
    """The server (Daphne), until the block ends."""
    say(f"the server at {URL}")
    command = [sys.executable, "manage.py", "aiodata", "--host", "localhost", "--port", str(PORT)]
    # A session of its own: Ctrl-C comes to us alone, and we end it in order.
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, start_new_session=True)
    SERVER_PID.write_text(str(process.pid))
    try:
        wait_for(process)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        SERVER_PID.unlink(missing_ok=True)


def wait_for(process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise CannotRun("the server ended; what it said is above")
        try:
            urllib.request.urlopen(URL, timeout=5).close()
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise CannotRun("the server does not answer")


def watch(serving: subprocess.Popen[bytes], postgres: EmbeddedPostgres) -> None:
    """Until Ctrl-C, or until one of the two is gone."""
    while serving.poll() is None and postgres.running:
        time.sleep(0.5)
    gone = "the server" if serving.poll() is not None else "PostgreSQL"
    raise CannotRun(f"{gone} was ended by somebody else; `make demo` starts it again")


def say_where_to_look(postgres: EmbeddedPostgres, password: str) -> None:
    sys.path.insert(0, str(ROOT / "demo_project"))
    from quickstart import TOKEN

    psql = (
        f"{postgres.program('psql').relative_to(ROOT)}"
        if ROOT in postgres.program("psql").parents
        else "psql"
    )
    print(
        f"""\
Look around:
  the admin   {URL}/admin/   user admin, password {password}
  the API     curl '{URL}/query/pets/Cat'
  a token     {TOKEN}
  write       curl -X PATCH '{URL}/query/pets/Cat/Persian/Bo' -H 'Content-Type: application/json' \\
                -H 'Authorization: Bearer {TOKEN}' \\
                -d '{{"groomed": true}}'
  psql        {psql} '{postgres.uri("demo")}' -c "update api.pets set groomed = true"
              (every client hears it, whoever writes)
Ctrl-C ends everything; a second `make demo` finds it as it was.""",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
