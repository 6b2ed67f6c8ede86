"""Large transactions, on a real server: what clients get is whole, and the server's memory stays flat."""

from __future__ import annotations

import asyncio
from pathlib import Path

import psycopg
import pytest

from aiodata_django.client import Client
from tests.live import LiveServer, token

MEGABYTE = 1 << 20
SCHEMA = """
create schema api;
create table api.items (id int primary key, price int, name text);
create publication aiodata for table api.items;
grant usage on schema api to anon, auth;
grant select on api.items to auth;
"""
ROWS, TIMES = 8_000, 10
"""Sent in parts, so often in a row."""
BEYOND = 101_000
"""Rows of a transaction that is beyond what is sent: clients read the table anew."""


def resident(server: LiveServer) -> int:
    """Bytes of memory the server has at most had."""
    status = Path(f"/proc/{server.pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


async def same(client: Client, connection: psycopg.AsyncConnection) -> None:
    """Wait until the copy contains what was committed, and compare it with the table."""
    cursor = await connection.execute(
        "select count(*), coalesce(sum(price), 0), pg_current_wal_insert_lsn()::text from api.items"
    )
    *wanted, lsn = await cursor.fetchone()
    async with asyncio.timeout(60):
        await client.synced(lsn)
    rows = client.tables["items"]
    assert [len(rows), sum(row["price"] for row in rows)] == wanted


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="looks at the server's memory")
async def test_large_transactions_arrive_whole_and_leave_memory_flat(make_aiodata_server) -> None:
    server = make_aiodata_server(SCHEMA, environment={"PGRST_FEED_RING_BYTES": str(8 * MEGABYTE)})
    shown: set[int] = set()

    def told(action: str, table: str, entries: tuple) -> None:
        items = client.tables["items"]
        if action == "update":  # whatever is told of, the whole transaction is in the copy
            risen = {items.get(n)[0]["price"] - n for n in (1, ROWS // 2, ROWS)}
            shown.add(len(risen))

    client = Client(server.url, token=token(), subscribe=["items"], callback=told)
    await client.start()
    try:
        async with await psycopg.AsyncConnection.connect(server.admin_uri, autocommit=True) as connection:
            await connection.execute(
                f"insert into api.items select n, n, repeat('x', 200) from generate_series(1, {ROWS}) n"
            )
            await same(client, connection)
            before = resident(server)
            for _ in range(TIMES):
                await connection.execute("update api.items set price = price + 1")
            await same(client, connection)
            parts = resident(server) - before
            await connection.execute(
                f"insert into api.items select n, n, 'x' from generate_series({ROWS + 1}, {ROWS + BEYOND}) n"
            )
            await same(client, connection)
            beyond = resident(server) - before
        assert shown == {1}
        assert parts < 45 * MEGABYTE
        assert beyond < 60 * MEGABYTE
    finally:
        await client.stop()
