"""What other kinds of request cost the server: its CPU a request, beside a read by key.

    python -m benchmarks.requests [--rounds 3] [--seconds 2] [--server uvicorn]

``of pgbench`` is the CPU in units of the time pgbench needs for a read by key (pipelined, prepared, as many
connections, same run): machines of different speed can be compared by it. For scale, PostgREST 16.2 on two
cores where pgbench does 60,000 of them a second: 433 µs (26 of pgbench's) for 100 rows with an embed, 326
(20) for a page of 20 with ``count=exact``, 264 (16) for an RPC call, 253 (15) for an insert, 277 (17) for
an update by key, 256 (15) for a read by key.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
from collections import defaultdict
from typing import Any

from benchmarks.load import PETS, pgbench, postgres
from benchmarks.serving import load, server
from benchmarks.single_read import script

SQL = (
    PETS
    + """
create table api.owners (id int primary key, name text);
insert into api.owners select n, 'owner ' || n from generate_series(1, 1000) n;
create table api.visits (
    id int generated always as identity primary key, owner_id int references api.owners, note text
);
insert into api.visits (owner_id, note) select 1 + n % 1000, 'note ' || n from generate_series(1, 10000) n;
create table api.notes (id bigint generated always as identity primary key, text text, done boolean);
insert into api.notes (text, done) select 'note ' || n, false from generate_series(1, 1000) n;
create function api.add_them(a int, b int) returns int language sql immutable as 'select a + b';
grant all on all tables in schema api to auth;
analyze;
"""
)
MINIMAL = {"Prefer": "return=minimal"}
KINDS: dict[str, dict[str, Any]] = {
    "one row by key": {"path": "/query/pets/Dog/Breed%207/Name%202"},
    "100 rows with an embed, ordered": {
        "path": "/rest/visits?select=id,note,owners(id,name)&order=id&limit=100"
    },
    "page of 20 with count=exact": {
        "path": "/rest/visits?order=id&limit=20&offset=100",
        "headers": {"Prefer": "count=exact"},
    },
    "call of a function": {"path": "/rest/rpc/add_them", "method": "POST", "body": '{"a":1,"b":2}'},
    "insert of one row": {
        "path": "/rest/notes",
        "method": "POST",
        "body": '{"text":"hello","done":false}',
        "headers": MINIMAL,
    },
    "update by key": {
        "path": "/rest/notes?id=eq.7",
        "method": "PATCH",
        "body": '{"done":true}',
        "headers": MINIMAL,
    },
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--server", default="uvicorn")
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        parser.exit(2, "wrk is missing: apt-get install wrk\n")
    results: dict[str, list[dict[str, float]]] = defaultdict(list)
    with postgres(SQL) as database:
        uri = database.uri(user="authenticator", password="authenticator")
        text, variables = script(uri)
        with server(uri, options.server) as (port, pid):
            for _ in range(options.rounds):
                rate, _ = pgbench(uri, text, variables, clients=options.clients, seconds=options.seconds)
                for name, kind in KINDS.items():
                    figures = load(port, pid, clients=options.clients, seconds=options.seconds, **kind)
                    figures["of pgbench"] = figures["CPU µs"] * rate / 1e6
                    results[name].append(figures)
    print(f"\n{options.server}, {options.clients} clients")
    print(f"{'':34}{'per second':>12}{'CPU µs':>8}{'of pgbench':>14}{'p50 ms':>8}{'p99 ms':>8}")
    for name, figures in results.items():
        rate, cpu, scaled, p50, p99 = (
            statistics.median(figure[key] for figure in figures)
            for key in ("rate", "CPU µs", "of pgbench", "p50 ms", "p99 ms")
        )
        print(f"{name:34}{rate:12,.0f}{cpu:8.0f}{scaled:14.1f}{p50:8.2f}{p99:8.2f}")


if __name__ == "__main__":
    main()
