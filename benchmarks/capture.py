"""The change feed's capture against a bare loop that reads the same log, without HTTP and sockets.

    python -m benchmarks.capture [--rounds 5] [--rows 100000] [--batch 1000]

Both stream the same transactions from slots of their own. The bare loop is psycopg's libpq: it takes what
comes and acknowledges, and looks at nothing. Capture takes it, puts transactions together, keeps them in its
ring; ``decoded`` also decodes every value of every row, as the feed does when somebody is there to be told.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections import defaultdict
from struct import Struct

import psycopg

from aiodata_django.core.changes.transaction import Transaction
from aiodata_django.db.replication import ReplicationStream
from aiodata_django.feed.capture import Capture
from aiodata_django.feed.log import RingLog
from benchmarks.load import postgres, table

SQL = """
create schema api;
create table api.items (id int primary key, kind text, name text, price numeric(10, 2), done boolean);
alter table api.items replica identity full;
create publication aiodata for table api.items;
create procedure api.change(rows int, batch int, times int) language plpgsql as $$ begin
    for n in 0..times - 1 loop
        insert into api.items
            select i, 'kind ' || i % 50, 'the name of item ' || i, i * 1.25, i % 2 = 0
            from generate_series(n * batch + 1, n * batch + batch * 6 / 10) i;
        update api.items set price = price + 1 where id > n * batch and id <= n * batch + batch * 3 / 10;
        delete from api.items where id > n * batch and id <= n * batch + batch * 1 / 10;
        commit;
    end loop;
end $$;
"""
FEEDBACK = Struct(">cQQQqB")


async def stream(uri: str) -> ReplicationStream:
    return await ReplicationStream(uri, publication="aiodata").__aenter__()


async def bare(uri: str, write) -> float:
    """Read and acknowledge, nothing else."""
    session = await stream(uri)
    connection = session._connection.pgconn
    loop, end = asyncio.get_running_loop(), await write()
    started, reached, due = time.perf_counter(), 0, 0.0
    while reached < end:
        count, chunk = connection.get_copy_data(1)
        if count > 0:
            if chunk[0] == 119:  # w: where it ends is in its head
                reached = max(reached, int.from_bytes(chunk[9:17], "big"))
            else:
                reached = max(reached, int.from_bytes(chunk[1:9], "big"))
            continue
        if loop.time() >= due:
            connection.put_copy_data(FEEDBACK.pack(b"r", reached, reached, reached, 0, 0))
            connection.flush()
            due = loop.time() + 1
        ready = loop.create_future()
        loop.add_reader(connection.socket, ready.set_result, None)
        await ready
        loop.remove_reader(connection.socket)
        connection.consume_input()
    seconds = time.perf_counter() - started
    await session.__aexit__(None, None, None)
    return seconds


class Given(Capture):
    """Runs one session that is open already."""

    async def run_on(self, session: ReplicationStream) -> None:
        await self._pump(session)


async def captured(uri: str, write, *, decoded: bool) -> float:
    """The feed's own way into its ring."""
    session = await stream(uri)
    log = RingLog(clock=time.monotonic, max_bytes=1 << 30)
    log.reset("benchmark", session.slot.start)
    end = await write()
    started = time.perf_counter()
    task = asyncio.create_task(Given(lambda durable: session, log, str).run_on(session))
    position = log.start
    while position < end:
        await log.changed(log.epoch, position)
        if decoded:
            for transaction in log.after(position):
                _decode(transaction)
        position = log.end
    seconds = time.perf_counter() - started
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await session.__aexit__(None, None, None)
    return seconds


def _decode(transaction: Transaction) -> None:
    for _ in transaction.changes():
        pass


async def compare(uri: str, options: argparse.Namespace) -> None:
    results: dict[str, list[dict[str, float]]] = defaultdict(list)
    async with await psycopg.AsyncConnection.connect(uri, autocommit=True) as connection:

        async def write() -> int:
            await connection.execute("truncate api.items")
            times = options.rows // options.batch
            await connection.execute(f"call api.change({options.rows}, {options.batch}, {times})")
            row = await (await connection.execute("select pg_current_wal_lsn() - '0/0'::pg_lsn")).fetchone()
            await connection.execute("select pg_logical_emit_message(true, 'benchmark', 'the end')")
            return int(row[0])

        ways = {
            "bare loop": lambda: bare(uri, write),
            "captured": lambda: captured(uri, write, decoded=False),
            "captured and decoded": lambda: captured(uri, write, decoded=True),
        }
        for number in range(options.rounds + 1):
            for name, way in ways.items():
                cpu = time.process_time()
                seconds = await way()
                cpu = time.process_time() - cpu
                if number:  # the first round warms up
                    results[name].append({"rate": options.rows / seconds, "CPU µs": cpu / options.rows * 1e6})
    print(f"\n{options.rows} changes in transactions of {options.batch}; changes a second")
    table(results, limit="bare loop")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--batch", type=int, default=1000)
    options = parser.parse_args()
    with postgres(SQL) as server:
        asyncio.run(compare(server.uri(), options))


if __name__ == "__main__":
    main()
