"""Large transactions through the feed: the server's memory, and how long until every client has them.

    python -m benchmarks.big [--rows 500000] [--medium 90000] [--times 5] [--sockets 3]

One transaction of ``--rows`` rows inserted (clients are sent a resync, for it is beyond the limit), then
``--times`` of ``--medium`` rows updated (sent in parts), to ``--sockets`` clients that take all and one
that reads nothing. Memory is the server's highest, over what it held with the clients joined. After each
step every client's copy is compared with the table, by count and sum.
"""

from __future__ import annotations

import argparse
import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from aiodata_django.client import Client
from aiodata_django.db.embedded import EmbeddedPostgres
from benchmarks.crowd import Crowd
from benchmarks.load import postgres
from benchmarks.serving import memory, server, token

SQL = """
create role anon nologin;
create role auth nologin;
create role authenticator login replication password 'authenticator';
grant anon, auth to authenticator;
create schema api;
create table api.items (id int primary key, name text, price int);
create publication aiodata for table api.items;
grant usage on schema api to anon, auth;
grant select on api.items to auth;
"""
INSERT = "insert into api.items select n, 'the name of item ' || n, n from generate_series(1, {rows}) n"
UPDATE = "update api.items set price = price + 1 where id <= {rows}"


class Watch:
    """The highest memory of a process, looked at all the time."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._over = threading.Event()
        self.highest = memory(pid)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._over.wait(0.02):
            self.highest = max(self.highest, memory(self._pid))

    def stop(self) -> None:
        self._over.set()
        self._thread.join()


async def until_same(clients: list[Client], connection: psycopg.AsyncConnection) -> float:
    """Seconds until each copy is the table, by count and sum."""
    started = time.perf_counter()
    cursor = await connection.execute("select count(*), coalesce(sum(price), 0)::bigint from api.items")
    wanted = await cursor.fetchone()
    waiting = list(clients)
    while waiting:
        await asyncio.sleep(0.1)
        rows = waiting[0].tables["items"]
        if len(rows) == wanted[0] and sum(row["price"] for row in rows) == wanted[1]:
            waiting.pop(0)
    return time.perf_counter() - started


@contextmanager
def served(database: EmbeddedPostgres) -> Iterator[tuple[int, int]]:
    uri = database.uri(user="authenticator", password="authenticator")
    with server(uri, "uvicorn", PGRST_DB_POOL="4") as (port, pid):
        yield port, pid


async def measure(database: EmbeddedPostgres, port: int, pid: int, options: argparse.Namespace) -> None:
    deaf = Crowd(port, 1, token=token(), hello={"op": "hello", "subs": [{"id": 1, "table": "items"}]})
    url = f"http://127.0.0.1:{port}"
    clients = [Client(url, token=token(), subscribe=["items"]) for _ in range(options.sockets)]
    await asyncio.gather(*(client.start() for client in clients))
    async with await psycopg.AsyncConnection.connect(database.uri(), autocommit=True) as connection:
        await until_same(clients, connection)
        before = memory(pid)
        print(f"{options.sockets} clients and one that reads nothing; the server holds {before / 1e6:.0f} MB")
        steps = [(f"{options.rows:,} rows inserted", INSERT.format(rows=options.rows), 1)]
        steps.append((f"{options.medium:,} rows updated", UPDATE.format(rows=options.medium), options.times))
        for name, statement, times in steps:
            watch = Watch(pid)
            started = time.perf_counter()
            for _ in range(times):
                await connection.execute(statement)
            written = time.perf_counter() - started
            seconds = written + await until_same(clients, connection)
            watch.stop()
            print(
                f"  {name:24} x {times}: written after {written:5.1f} s, everywhere after {seconds:5.1f} s;"
                f" the server grew by {(watch.highest - before) / 1e6:.0f} MB at most,"
                f" {(memory(pid) - before) / 1e6:.0f} MB are left"
            )
    for client in clients:
        await client.stop()
    deaf.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=500_000)
    parser.add_argument("--medium", type=int, default=90_000)
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--sockets", type=int, default=3)
    options = parser.parse_args()
    with postgres(SQL) as database, served(database) as (port, pid):
        asyncio.run(measure(database, port, pid, options))


if __name__ == "__main__":
    main()
