"""What the soak runs on: a PostgreSQL of its own, the served process, the proxy before it.

What lives here: starting, stopping, statements as the superuser. What does not: faults (``nemesis``).
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import psycopg

from aiodata_django.db.embedded import EmbeddedPostgres
from aiodata_django.feed.setup import Names, opened
from tests.live import LiveServer

from .proxy import Proxy
from .world import ROLES, schema_sql

SETTINGS = {"synchronous_commit": "on", "max_slot_wal_keep_size": "2GB"}
"""Over the tests' own: what was acknowledged has to survive a crash of PostgreSQL."""

SERVED = "soak"


class Stage:
    """Everything that is not a writer, a witness or the nemesis."""

    def __init__(self, postgres: EmbeddedPostgres, *, module: str, environment: dict[str, str]) -> None:
        self.postgres = postgres
        self._module = module
        self._environment = environment
        self.server: LiveServer
        self.proxy = Proxy(lambda: urlsplit(self.server.url).port or 0)

    def uri(self) -> str:
        """The database, as its superuser."""
        return self.postgres.uri(SERVED)

    async def start(self) -> None:
        """Make the database and what the feed needs in it, then serve."""
        async with await psycopg.AsyncConnection.connect(self.postgres.uri(), autocommit=True) as admin:
            await admin.execute(ROLES.encode())
            await admin.execute(f"create database {SERVED}".encode())
        async with await psycopg.AsyncConnection.connect(self.uri(), autocommit=True) as owner:
            await owner.execute(schema_sql().encode())
        await self.make_slot()
        login = self.postgres.uri(SERVED, "authenticator", "authenticator")
        self.server = LiveServer(login, module=self._module, environment=self._environment)
        await asyncio.to_thread(self.server.start)
        await self.proxy.start()

    async def make_slot(self) -> None:
        """Publication, durable slot, identities and trigger, as ``aiodata_feed create`` makes them."""
        async with opened(self.uri(), Names(("api",), "aiodata", "aiodata")) as setup:
            await setup.create()

    async def stop(self) -> None:
        """End the proxy and the server."""
        await self.proxy.stop()
        await asyncio.to_thread(self.server.close)

    async def execute(self, *statements: str) -> list[tuple[Any, ...]]:
        """Run statements, each by itself, as the superuser; the rows of the last. Waits for PostgreSQL."""
        deadline = asyncio.get_running_loop().time() + 20
        while True:
            try:
                return await self._execute(statements)
            except psycopg.OperationalError:
                if asyncio.get_running_loop().time() > deadline:
                    raise
                await asyncio.sleep(0.1)

    async def _execute(self, statements: tuple[str, ...]) -> list[tuple[Any, ...]]:
        async with await psycopg.AsyncConnection.connect(self.uri(), autocommit=True) as connection:
            rows: list[tuple[Any, ...]] = []
            for statement in statements:
                cursor = await connection.execute(statement.encode())
                rows = await cursor.fetchall() if cursor.description else []
            return rows

    async def restart_server(self) -> None:
        """Start the server again, which has ended."""
        await asyncio.to_thread(self.server.start)

    def memory(self) -> int:
        """Bytes of the server's resident memory, 0 when it is not running."""
        with suppress(OSError, StopIteration):
            with open(f"/proc/{self.server.pid}/status") as status:
                line = next(line for line in status if line.startswith("VmRSS"))
            return int(line.split()[1]) * 1024
        return 0
