"""The pool alone against pgbench: the same two statements in one pipeline, without HTTP.

    python -m benchmarks.driver [--rounds 3] [--seconds 2] [--clients 1 8 64]

Both run a request's transaction: ``select set_config(...)`` for role, claims, method and path, then a read by
key, in one round trip. pgbench is the limit: C, no results looked at, no futures. Both are measured in turns,
so that what else the machine does falls on both. Only ratios and CPU per batch compare between machines.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections import defaultdict

from aiodata_django.core.query.statement import Batch, Query
from aiodata_django.db.pool import Pool
from benchmarks.load import percentile, pgbench, postgres, table

CLAIMS = '{"role":"auth","sub":"1"}'
SETTINGS = (
    "select set_config('role', $1, true), set_config('request.jwt.claims', $2, true), "
    "set_config('request.method', $3, true), set_config('request.path', $4, true)"
)
READ = (
    "select coalesce(json_agg(p), '[]')::text from (select * from api.pets where type = $1 and breed = $2) p"
)

BATCH = Batch(
    [
        Query(SETTINGS.encode(), (b"auth", CLAIMS.encode(), b"GET", b"/pets"), wanted=False),
        Query(READ.encode(), (b"Dog", b"Breed 7")),
    ],
    scope="auth",
)
VARIABLES = {
    "role": "auth",
    "claims": CLAIMS,
    "method": "GET",
    "path": "/pets",
    "type": "Dog",
    "breed": "Breed 7",
}


def script() -> str:
    """The batch for pgbench, whose variables become the parameters of prepared statements."""
    settings, read = SETTINGS, READ
    for n, name in enumerate(("role", "claims", "method", "path"), start=1):
        settings = settings.replace(f"${n}", f":{name}")
    for n, name in enumerate(("type", "breed"), start=1):
        read = read.replace(f"${n}", f":{name}")
    return f"\\startpipeline\n{settings};\n{read};\n\\endpipeline\n"


async def drive(pool: Pool, clients: int, seconds: float) -> dict[str, float]:
    """Closed loop: every client asks again when it is answered."""
    latencies: list[float] = []
    end = time.perf_counter() + seconds

    async def client() -> None:
        now = time.perf_counter()
        while now < end:
            await pool.run(BATCH)
            before, now = now, time.perf_counter()
            latencies.append(now - before)

    cpu, wall = time.process_time(), time.perf_counter()
    await asyncio.gather(*[client() for _ in range(clients)])
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return {
        "rate": len(latencies) / wall,
        "CPU µs": cpu / len(latencies) * 1e6,
        "p50 ms": percentile(latencies, 0.5) * 1e3,
        "p99 ms": percentile(latencies, 0.99) * 1e3,
    }


async def compare(uri: str, *, clients: int, rounds: int, seconds: float) -> None:
    results: dict[str, list[dict[str, float]]] = defaultdict(list)
    async with Pool(uri, size=clients) as pool:
        await drive(pool, clients, 0.2)
        for _ in range(rounds):
            rate, latency = await asyncio.to_thread(
                pgbench, uri, script(), VARIABLES, clients=clients, seconds=seconds
            )
            results["pgbench, pipelined"].append({"rate": rate, "mean ms": latency})
            results["pool"].append(await drive(pool, clients, seconds))
    print(f"\n{clients} clients on {clients} connections")
    table(results, limit="pgbench, pipelined")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 64])
    options = parser.parse_args()
    run = _runner()
    with postgres() as server:
        uri = server.uri(user="authenticator", password="authenticator")
        for clients in options.clients:
            run(compare(uri, clients=clients, rounds=options.rounds, seconds=options.seconds))


def _runner():
    try:
        import uvloop
    except ImportError:
        return asyncio.run
    return uvloop.run


if __name__ == "__main__":
    main()
