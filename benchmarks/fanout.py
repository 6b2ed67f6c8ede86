"""Committed transactions told to many sockets of one audience, beside a loop that writes the same frames.

    python -m benchmarks.fanout [--rounds 5] [--sockets 1000] [--servers uvicorn uvicorn-asgi daphne]

The way is whole: a commit in PostgreSQL, read from its log, made a frame, sent to every socket, acknowledged.
The limit is ``benchmarks.bare``: ready bytes written to bare transports. Both are measured in turns. First a
burst of transactions in a row (messages a second, and the server's CPU for each); then single ones, from just
before the commit is asked for until it is there, at every socket. ``--stalled`` sockets never read meanwhile.
``uvicorn-asgi`` has the direct way to the transport switched off (``state-direct-writes``).
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain

import psycopg

from aiodata_django.db.embedded import EmbeddedPostgres
from benchmarks.crowd import Crowd
from benchmarks.load import percentile, postgres
from benchmarks.serving import cpu_seconds, memory, server, token

SQL = """
create role anon nologin;
create role auth nologin;
create role authenticator login replication password 'authenticator';
grant anon, auth to authenticator;
create schema api;
create table api.items (id int primary key, name text, price numeric(10, 2), done boolean);
create publication aiodata for table api.items;
insert into api.items select n, 'the name of item ' || n, n, false from generate_series(1, 6) n;
grant usage on schema api to anon, auth;
grant select on api.items to auth;
create procedure api.change(times int) language plpgsql as $$ begin
    for n in 1..times loop
        update api.items set price = price + 1, done = not done;
        commit;
    end loop;
end $$;
"""
HELLO = {"op": "hello", "subs": [{"id": 1, "table": "items"}]}
KINDS = {
    "uvicorn": ("uvicorn", {}),
    "uvicorn-asgi": ("uvicorn", {"PGRST_STATE_DIRECT_WRITES": "false"}),
    "daphne": ("daphne", {}),
    "daphne-asgi": ("daphne", {"PGRST_STATE_DIRECT_WRITES": "false"}),
}


class Limit:
    """The bare loop, and its crowd."""

    def __init__(self, sockets: int) -> None:
        command = [sys.executable, "-m", "benchmarks.bare"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.pid = self._process.pid
        self.crowd = Crowd(int(self._process.stdout.readline()), sockets)
        self.text = ""

    def send(self, times: int) -> None:
        self._process.stdin.write(f"{times} {self.text}\n")
        self._process.stdin.flush()

    def close(self) -> None:
        self.crowd.close()
        self._process.terminate()
        self._process.wait(10)


class Ours:
    """A server, and its crowd."""

    def __init__(self, postgres: EmbeddedPostgres, port: int, pid: int, options: argparse.Namespace) -> None:
        self.pid = pid
        before = memory(pid)
        started = time.perf_counter()
        self.crowd = Crowd(port, options.sockets, token=token(), hello=HELLO)
        self.crowd.settle()
        self.joined = (time.perf_counter() - started) - 0.5
        self.bytes = (memory(pid) - before) / options.sockets
        self.stalled = Crowd(port, options.stalled, token=token(), hello=HELLO)
        self.connection = psycopg.connect(postgres.uri(), autocommit=True)

    def send(self, times: int) -> None:
        self.connection.execute(f"call api.change({times})")

    def frame(self) -> str:
        """A frame as the sockets get them."""
        self.crowd.members[0].texts = texts = []
        self.send(1)
        self.crowd.settle(0.3)
        self.crowd.members[0].texts = None
        return next(text for text in texts if text.startswith(b'{"op":"txn"')).decode()

    def close(self) -> None:
        self.connection.close()
        self.crowd.close()
        self.stalled.close()


def burst(side: Limit | Ours, times: int) -> dict[str, float]:
    cpu = cpu_seconds(side.pid)
    seconds = side.crowd.burst(lambda: side.send(times), times)
    messages = times * len(side.crowd.members)
    cpu = cpu_seconds(side.pid) - cpu
    side.crowd.settle(0.2)
    return {"rate": messages / seconds, "CPU": cpu / messages * 1e6}


def singly(side: Limit | Ours, times: int) -> list[float]:
    found: list[float] = []
    for _ in range(times):
        found += side.crowd.arrivals(lambda: side.send(1))
        time.sleep(0.02)
        side.crowd.pump(0)
    return found


def arrived(rounds: list[list[float]], limits: list[list[float]], share: float) -> tuple[float, float]:
    """When that share of all messages was there, and the median of the rounds' ratios to the limit's."""
    ratios = [percentile(r, share) / percentile(b, share) for r, b in zip(rounds, limits, strict=True)]
    return percentile(list(chain.from_iterable(rounds)), share), statistics.median(ratios)


@contextmanager
def sides(database: EmbeddedPostgres, kind: str, options: argparse.Namespace) -> Iterator[tuple[Limit, Ours]]:
    name, environment = KINDS[kind]
    uri = database.uri(user="authenticator", password="authenticator")
    with server(uri, name, PGRST_DB_POOL="4", **environment) as (port, pid):
        ours = Ours(database, port, pid, options)
        limit = Limit(options.sockets)
        limit.text = ours.frame()
        try:
            yield limit, ours
        finally:
            ours.close()
            limit.close()


def measure(database: EmbeddedPostgres, kind: str, options: argparse.Namespace) -> None:
    with sides(database, kind, options) as (limit, ours):
        rates: dict[str, list[dict[str, float]]] = defaultdict(list)
        times: dict[str, list[list[float]]] = defaultdict(list)
        for side in (limit, ours):
            burst(side, 20)
        for _ in range(options.rounds):
            for name, side in (("bare loop", limit), (kind, ours)):
                rates[name].append(burst(side, options.burst))
                times[name].append(singly(side, options.singles))
        size = len(limit.text)
        print(f"\n{kind}: {options.sockets} sockets, {options.stalled} stalled; frames of {size} bytes")
        for name, figures in rates.items():
            pairs = list(zip(figures, rates["bare loop"], strict=True))
            p50, p50_ratio = arrived(times[name], times["bare loop"], 0.5)
            p99, p99_ratio = arrived(times[name], times["bare loop"], 0.99)
            print(
                f"  {name:14}{statistics.median(f['rate'] for f in figures):10,.0f} messages/s"
                f"  ratio {statistics.median(f['rate'] / b['rate'] for f, b in pairs):.2f}"
                f"  CPU {statistics.median(f['CPU'] for f in figures):.2f} µs a message"
                f"  (ratio {statistics.median(b['CPU'] / f['CPU'] for f, b in pairs):.2f})"
                f"  single: p50 {p50 * 1e3:.1f} ms (ratio {p50_ratio:.2f})"
                f" p99 {p99 * 1e3:.1f} ms (ratio {p99_ratio:.2f})"
            )
        print(
            f"  {ours.bytes / 1000:.1f} kB of memory a socket; {options.sockets / ours.joined:,.0f} joins/s;"
            f" closed: {sum(member.closed for member in ours.crowd.members)}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sockets", type=int, default=1000)
    parser.add_argument("--stalled", type=int, default=0)
    parser.add_argument("--burst", type=int, default=100, help="transactions in a row")
    parser.add_argument("--singles", type=int, default=20, help="single transactions a round")
    parser.add_argument("--servers", nargs="+", choices=KINDS, default=["uvicorn", "uvicorn-asgi", "daphne"])
    options = parser.parse_args()
    with postgres(SQL) as database:
        for kind in options.servers:
            measure(database, kind, options)


if __name__ == "__main__":
    main()
