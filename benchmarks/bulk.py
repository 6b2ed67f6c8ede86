"""Many rows out and in, beside what psql needs for the same.

    python -m benchmarks.bulk [--rounds 3] [--rows 100000 1000000] [--server uvicorn]

Out: ``GET /rest/items`` against ``psql \\copy`` of the same JSON rows to nowhere; with the first byte's time,
the growth of the server's memory, and the p99 of reads by key that go on meanwhile, against the p99 of the
same reads while ``psql \\copy`` has the rows instead: what they wait for PostgreSQL and for a processor. In:
10,000 rows by one POST against the same statement through ``psql \\bind``.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from urllib.parse import unquote, urlsplit

from aiodata_django.db.embedded import EmbeddedPostgres
from benchmarks.load import PETS, postgres
from benchmarks.serving import memory, server, token, wrk

SQL = (
    PETS
    + """
create table api.items (
    id int primary key, kind text, name text, price numeric(10, 2), done boolean, created timestamp
);
insert into api.items
    select n, 'kind ' || n % 50, 'the name of item ' || n, n * 1.25, n % 2 = 0,
        '2026-01-01'::timestamp + n * '1 s'::interval
    from generate_series(1, {rows}) n;
create table api.sink (id int, kind text, name text, price numeric(10, 2), done boolean, created timestamp);
grant all on all tables in schema api to auth;
vacuum analyze api.items;
"""
)
BODY_ROWS = 10_000


def psql(uri: str, text: str) -> float:
    """Seconds psql needs for a script, its start taken off."""
    idle = min(_psql(uri, "select 1;") for _ in range(3))
    return _psql(uri, text) - idle


def _psql(uri: str, script: str) -> float:
    parts = urlsplit(uri)
    command = [str(EmbeddedPostgres.program("psql")), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-h"]
    command += [str(parts.hostname), "-p", str(parts.port), "-U", str(parts.username), parts.path.lstrip("/")]
    environment = os.environ | {"PGPASSWORD": unquote(parts.password or "")}
    started = time.perf_counter()
    subprocess.run(command, env=environment, input=script, text=True, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def fetch(port: int, path: str, pid: int) -> dict[str, float]:
    """A whole answer read from a bare socket: seconds, seconds to the first byte, growth of the server."""
    before, highest = memory(pid), 0
    with socket.create_connection(("127.0.0.1", port)) as connection:
        started = time.perf_counter()
        connection.sendall(
            f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token()}\r\n"
            "Connection: close\r\n\r\n".encode()
        )
        buffer = bytearray(1 << 18)
        size = connection.recv_into(buffer)
        first = time.perf_counter() - started
        assert buffer.startswith(b"HTTP/1.1 200"), bytes(buffer[:200])
        pieces = 0
        while count := connection.recv_into(buffer):
            size += count
            pieces += 1
            if pieces % 50 == 0:
                highest = max(highest, memory(pid))
    return {
        "seconds": time.perf_counter() - started,
        "first byte ms": first * 1e3,
        "MB": size / 1e6,
        "growth MB": max(0, highest - before) / 1e6,
    }


def post(port: int, body: bytes, prefer: str) -> float:
    """Seconds for one POST."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        started = time.perf_counter()
        head = (
            f"POST /rest/sink HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token()}\r\n"
            f"Content-Type: application/json\r\nPrefer: return={prefer}\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        connection.sendall(head.encode() + body)
        answer = connection.recv(1 << 18)
        assert answer.startswith(b"HTTP/1.1 201"), answer[:300]
        while connection.recv(1 << 18):
            pass
    return time.perf_counter() - started


def out(uri: str, port: int, pid: int, rows: int, rounds: int) -> None:
    copy = f"\\copy (select row_to_json(t) from (select * from api.items limit {rows}) t) to /dev/null\n"
    figures: dict[str, list[float]] = defaultdict(list)
    fetch(port, f"/rest/items?limit={rows}", pid)
    for _ in range(rounds):
        limit = psql(uri, copy)
        got = fetch(port, f"/rest/items?limit={rows}", pid)
        figures["psql ms"].append(limit * 1e3)
        figures["served ms"].append(got["seconds"] * 1e3)
        figures["speed of psql's"].append(limit / got["seconds"])
        for name in ("first byte ms", "growth MB", "MB"):
            figures[name].append(got[name])
        meanwhile = {
            "p99 ms of reads alone": lambda: time.sleep(0.1),
            "p99 ms beside psql": lambda: _psql(uri, copy),
            "p99 ms beside ours": lambda: fetch(port, f"/rest/items?limit={rows}", pid),
        }
        for name, pull in meanwhile.items():
            figures[name].append(_meanwhile(port, pull))
    print(f"\n{rows:,} rows out")
    for name, values in figures.items():
        print(f"  {name:28}{statistics.median(values):10.2f}")


def _meanwhile(port: int, pull: Callable[[], object]) -> float:
    """The p99 of reads by key while one client pulls rows again and again."""
    stop = threading.Event()

    def again() -> None:
        while not stop.is_set():
            pull()

    puller = threading.Thread(target=again)
    puller.start()
    try:
        figures, _ = wrk(port, "/query/pets/Dog/Breed%207", clients=8, seconds=2)
    finally:
        stop.set()
        puller.join()
    return figures["p99 ms"]


def into(uri: str, port: int, rounds: int) -> None:
    rows = [
        {
            "id": n,
            "kind": f"kind {n % 50}",
            "name": f"the name of item {n}",
            "price": n * 1.25,
            "done": n % 2 == 0,
            "created": "2026-01-01T00:00:00",
        }
        for n in range(BODY_ROWS)
    ]
    body = json.dumps(rows, separators=(",", ":"))
    insert = (
        "insert into api.sink select p.* from (select $1::json as j) b,"
        " lateral (select * from json_to_recordset(b.j) as _(id int, kind text, name text,"
        " price numeric(10, 2), done boolean, created timestamp)) p"
    )
    for prefer, returning in (("minimal", ""), ("representation", " returning *")):
        statement = f"with s as ({insert}{returning or ' returning 1'}) select "
        statement += "json_agg(s) from s" if returning else "count(*) from s"
        with tempfile.NamedTemporaryFile("w", suffix=".sql") as script:
            # The body comes from a file through a variable, as \bind takes it: no parsing of a literal.
            script.write(body)
            script.flush()
            text = f"\\set body `cat {script.name}`\n{statement} \\bind :body \\g /dev/null\n"
            read = f"\\set body `cat {script.name}`\n"
            ratios, served = [], []
            post(port, body.encode(), prefer)
            for _ in range(rounds):
                limit = psql(uri, text) - psql(uri, read)
                taken = post(port, body.encode(), prefer)
                ratios.append(limit / taken)
                served.append(taken * 1e3)
        print(f"\n{BODY_ROWS:,} rows in by one POST, return={prefer}")
        print(f"  {'served ms':28}{statistics.median(served):10.2f}")
        print(f"  {'speed of psql' + chr(39) + 's':28}{statistics.median(ratios):10.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--server", default="uvicorn")
    options = parser.parse_args()
    sql = SQL.replace("{rows}", str(max(options.rows)))
    with postgres(sql.replace("vacuum analyze", "analyze")) as database:
        uri = database.uri(user="authenticator", password="authenticator")
        with server(uri, options.server) as (port, pid):
            for rows in options.rows:
                out(uri, port, pid, rows, options.rounds)
            into(uri, port, options.rounds)


if __name__ == "__main__":
    main()
