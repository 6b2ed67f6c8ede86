"""From a commit to a callback: how long a local client waits to hear of a change while nothing else happens.

    python -m benchmarks.latency [--times 200] [--servers uvicorn daphne]

The client is ``aiodata_django.client``, in this process; server and PostgreSQL have theirs. A psycopg
connection commits one change at a time; the clock starts just before the commit is asked for and stops in the
callback.
``commit alone`` is how much of that the commit took to return.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from typing import Any

import psycopg

from aiodata_django.client import Client
from benchmarks.fanout import SQL
from benchmarks.load import percentile, postgres
from benchmarks.serving import server, token


async def measure(uri: str, port: int, times: int) -> tuple[list[float], list[float]]:
    """Seconds to the callback, and seconds to the commit's return."""
    heard: list[float] = []
    returned: list[float] = []
    news = asyncio.Event()

    def changed(*_: Any) -> None:
        heard.append(time.perf_counter())
        news.set()

    async with (
        Client(f"http://127.0.0.1:{port}", token(), callback=changed, subscribe=["items"]) as client,
        await psycopg.AsyncConnection.connect(uri, autocommit=True) as connection,
    ):
        await client.live()
        await asyncio.sleep(0.2)  # what the rows that were there already have to say
        waits: list[float] = []
        for number in range(times):
            news.clear()
            started = time.perf_counter()
            await connection.execute("update api.items set price = price + 1 where id = %s", [number % 6 + 1])
            returned.append(time.perf_counter() - started)
            async with asyncio.timeout(5):
                await news.wait()
            waits.append(heard[-1] - started)
            await asyncio.sleep(0.005)
    return waits, returned


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=200)
    parser.add_argument("--servers", nargs="+", default=["uvicorn", "daphne"])
    options = parser.parse_args()
    with postgres(SQL) as database:
        for kind in options.servers:
            uri = database.uri(user="authenticator", password="authenticator")
            with server(uri, kind) as (port, _):
                waits, returned = asyncio.run(measure(database.uri(), port, options.times))
            for name, found in (("callback", waits), ("commit alone", returned)):
                p50, p99 = percentile(found, 0.5) * 1e3, percentile(found, 0.99) * 1e3
                print(f"{kind:10}{name:14}p50 {p50:.2f} ms   p99 {p99:.2f} ms")


if __name__ == "__main__":
    main()
