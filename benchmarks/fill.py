"""A client's start: a large table into the copy, beside psql that writes the same JSON rows to nowhere.

    python -m benchmarks.fill [--rounds 2] [--rows 1000000] [--server uvicorn]

The client runs in this process, on an event loop whose other task looks at the clock each millisecond (always
ready, it would take the processor from the server): the longest time that it came late is how long others had
to wait for their turn. Server, PostgreSQL and client share the machine, so part of that is the wait for a
processor; the longest piece of work is printed too.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import statistics
import time
from collections import defaultdict

from aiodata_django.client import Client
from benchmarks.bulk import SQL, psql
from benchmarks.load import postgres
from benchmarks.serving import server, token

PUBLICATION = "create publication aiodata for table api.pets, api.items;\n"
LOOK = 0.001  # seconds


async def longest_hold(stop: asyncio.Event) -> tuple[float, float]:
    """How much too late a task's turn came at most, in seconds; and how long was worked between two turns."""
    passed, worked = 0.0, 0.0
    wall, cpu = time.perf_counter(), time.thread_time()
    while not stop.is_set():
        await asyncio.sleep(LOOK)
        before_wall, before_cpu = wall, cpu
        wall, cpu = time.perf_counter(), time.thread_time()
        passed, worked = max(passed, wall - before_wall - LOOK), max(worked, cpu - before_cpu)
    return passed, worked


async def fill(port: int, rows: int) -> dict[str, float]:
    """Start a client of one table; what it took."""
    stop = asyncio.Event()
    holding = asyncio.ensure_future(longest_hold(stop))
    client = Client(f"http://127.0.0.1:{port}", token(), subscribe=["items"])
    cpu, wall = time.process_time(), time.perf_counter()
    async with asyncio.timeout(100):
        await client.start()
    taken = time.perf_counter() - wall
    used = time.process_time() - cpu
    stop.set()
    passed, worked = await holding
    try:
        assert len(client.tables.items) == rows, len(client.tables.items)
        assert (client.version, client.state) == (2, "live")
    finally:
        await client.stop()
    return {
        "client s": taken,
        "client's CPU s": used,
        "longest hold ms": passed * 1e3,
        "longest piece of work ms": worked * 1e3,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--server", default="uvicorn")
    options = parser.parse_args()
    copy = "\\copy (select row_to_json(t) from api.items t) to /dev/null\n"
    sql = SQL.replace("{rows}", str(options.rows)).replace("vacuum analyze", "analyze") + PUBLICATION
    figures: dict[str, list[float]] = defaultdict(list)
    with postgres(sql) as database:
        uri = database.uri(user="authenticator", password="authenticator")
        with server(uri, options.server) as (port, _):
            for _ in range(options.rounds):
                gc.collect()  # the copy of the round before, whose million rows are freed in one go
                limit = psql(uri, copy)
                got = asyncio.run(fill(port, options.rows))
                figures["psql s"].append(limit)
                figures["client's time in psql's"].append(got["client s"] / limit)
                for name, value in got.items():
                    figures[name].append(value)
    print(f"\n{options.rows:,} rows into the copy")
    for name, values in figures.items():
        print(f"  {name:28}{statistics.median(values):10.2f}")


if __name__ == "__main__":
    main()
