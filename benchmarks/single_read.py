"""One row's key read through the whole server, against pgbench pipelining the same two statements.

    python -m benchmarks.single_read [--rounds 3] [--seconds 3] [--clients 8] [--servers uvicorn daphne]

``GET /query/pets/Dog/<breed>`` answers ten rows of the demo's table, with a JWT's role, claims and headers in
the transaction: the full way of a request. pgbench runs the very statements the server would run, prepared,
in one pipeline, and is the limit. ``wrk`` makes the load (Debian: apt-get install wrk). Server CPU is that of
the server's process alone, a request.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import jwt

from aiodata_django.conf import Settings
from aiodata_django.core.identity import Identity
from aiodata_django.core.query.outline import outline
from aiodata_django.core.query.prepared import prepare
from aiodata_django.core.query.request import Dialect, HttpRequest
from aiodata_django.core.query.statement import Query
from aiodata_django.db.catalog import load_schema_sync
from benchmarks.load import pgbench, postgres, table

SECRET = "benchmarks-have-no-secrets-to-keep"
PATH = "/pets/Dog/Breed%207"
TICKS = os.sysconf("SC_CLK_TCK")


def token() -> str:
    """A token for the role ``auth``."""
    return jwt.encode({"role": "auth", "sub": "1"}, SECRET, algorithm="HS256")


@contextmanager
def server(uri: str, kind: str) -> Iterator[tuple[int, int]]:
    """An ``aiodata-django`` of that kind serving ``uri``: its port and process id."""
    options = ["--port", "0", "--db-uri", uri, "--schema", "api", "--secret", SECRET, "--server", kind]
    command = [sys.executable, "-m", "aiodata_django.cli", *options]
    environment = os.environ | {"PGRST_DB_ANON_ROLE": "anon", "PGRST_DB_POOL": "8"}
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        assert process.stdout is not None
        port = next(int(found[1]) for line in process.stdout if (found := re.search(r":(\d+)", line)))
        _wait(port)
        yield port, process.pid
    finally:
        process.terminate()
        process.wait(10)


def _wait(port: int) -> None:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/query{PATH}", headers={"Authorization": f"Bearer {token()}"}
    )
    deadline = time.monotonic() + 20
    while True:
        try:
            with urllib.request.urlopen(request) as answer:
                assert answer.status == 200
                return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def cpu_seconds(pid: int) -> float:
    """CPU the process has used so far."""
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def load(port: int, pid: int, *, clients: int, seconds: float) -> dict[str, float]:
    """What wrk measures, and the server's CPU a request in microseconds."""
    before = cpu_seconds(pid)
    command = ["wrk", "-t1", f"-c{clients}", f"-d{seconds:.0f}s", "--latency"]
    command += ["-H", f"Authorization: Bearer {token()}", f"http://127.0.0.1:{port}/query{PATH}"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    used = cpu_seconds(pid) - before
    if "Non-2xx" in said:
        raise RuntimeError(said)
    requests = int(re.search(r"(\d+) requests in", said)[1])
    return {
        "rate": float(re.search(r"Requests/sec:\s+([\d.]+)", said)[1]),
        "CPU µs": used / requests * 1e6,
        "p50 ms": _milliseconds(re.search(r"50%\s+(\S+)", said)[1]),
        "p99 ms": _milliseconds(re.search(r"99%\s+(\S+)", said)[1]),
    }


def _milliseconds(text: str) -> float:
    number, unit = re.match(r"([\d.]+)(us|ms|s)", text).groups()
    return float(number) * {"us": 1e-3, "ms": 1, "s": 1e3}[unit]


def script(uri: str) -> tuple[str, Mapping[str, str]]:
    """The request's transaction as a pgbench script, and the values of its variables."""
    settings = Settings(db_uri=uri, db_schemas=("api",), db_anon_role="anon", jwt_secret=SECRET)
    schema = load_schema_sync(uri, schemas=settings.db_schemas)
    headers = [("host", "127.0.0.1:4000"), ("authorization", f"Bearer {token()}")]
    request = HttpRequest("GET", PATH, "", headers)
    looked = outline(request, Dialect.QUERY, settings.query)
    prepared = prepare(looked, schema, settings.query, "auth")
    identity = Identity("auth", {"role": "auth", "sub": "1"}, authenticated=True)
    batch = (
        prepared.row_batch(looked, request, identity)
        if prepared.streams(looked)
        else prepared.batch(looked, request, identity)
    )
    variables: dict[str, str] = {}
    lines = [_with_variables(query, number, variables) for number, query in enumerate(batch.queries)]
    return "\\startpipeline\n" + ";\n".join(lines) + ";\n\\endpipeline\n", variables


def _with_variables(query: Query, number: int, variables: dict[str, str]) -> str:
    sql = query.sql.decode()
    for position in range(len(query.params), 0, -1):
        name = f"v{number}_{position}"
        variables[name] = (query.params[position - 1] or b"").decode()
        sql = sql.replace(f"${position}", f":{name}")
    return sql


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--servers", nargs="+", default=["uvicorn", "daphne"])
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        parser.exit(2, "wrk is missing: apt-get install wrk\n")
    results: dict[str, list[dict[str, float]]] = defaultdict(list)
    with postgres() as database:
        uri = database.uri(user="authenticator", password="authenticator")
        text, variables = script(uri)
        for _ in range(options.rounds):
            rate, latency = pgbench(uri, text, variables, clients=options.clients, seconds=options.seconds)
            results["pgbench, pipelined"].append({"rate": rate, "mean ms": latency})
            for kind in options.servers:
                with server(uri, kind) as (port, pid):
                    load(port, pid, clients=options.clients, seconds=1)
                    results[kind].append(load(port, pid, clients=options.clients, seconds=options.seconds))
    print(f"\n{options.clients} clients, {options.clients} connections")
    table(results, limit="pgbench, pipelined")


if __name__ == "__main__":
    main()
