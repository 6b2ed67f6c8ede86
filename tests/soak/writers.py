"""The soak's writers: random transactions through SQL and the HTTP API, each with its row in the ledger.

What lives here: what they do, and what is known of how it ended. What does not: whether anybody heard of it
(``oracle``).
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress

import aiohttp
import psycopg

from tests.live import token

from .world import ACCOUNTS, PEOPLE, ROOMS

KEYS = 30
Entry = tuple[int, int]


class Ledger:
    """Which transactions were acknowledged, which certainly were not; of the others nothing is known."""

    def __init__(self) -> None:
        self.acknowledged: set[Entry] = set()
        self.refused: set[Entry] = set()
        self.unknown: set[Entry] = set()

    @property
    def count(self) -> int:
        """Transactions tried."""
        return len(self.acknowledged) + len(self.refused) + len(self.unknown)


class Writer:
    """Writes until cancelled, while ``may_write`` is set; ``idle`` while nothing of it is open."""

    def __init__(self, number: int, seed: int, ledger: Ledger, pace: float) -> None:
        self.number = number
        self.random = random.Random(f"{seed}-writer-{number}")
        self.may_write = asyncio.Event()
        self.idle = asyncio.Event()
        self._ledger = ledger
        self._pace = pace
        self._count = 0

    async def run(self) -> None:
        """Write."""
        while True:
            self.idle.set()
            await self.may_write.wait()
            self.idle.clear()
            self._count += 1
            entry = self.number, self._count
            outcome = await self.transaction(entry)
            outcome.add(entry)
            await asyncio.sleep(self.random.expovariate(1 / self._pace))

    async def transaction(self, entry: Entry) -> set[Entry]:
        """One transaction; the set of the ledger its entry belongs to."""
        raise NotImplementedError

    async def close(self) -> None:
        """Give back what it holds."""


class SqlWriter(Writer):
    """Transactions of several statements on one connection of the superuser's."""

    def __init__(
        self, number: int, seed: int, ledger: Ledger, pace: float, uri: Callable[[], str], big: int
    ) -> None:
        super().__init__(number, seed, ledger, pace)
        self._uri = uri
        self._big = big
        self._connection: psycopg.AsyncConnection | None = None

    async def _open(self) -> psycopg.AsyncConnection:
        if self._connection is None or self._connection.closed:
            options = "-c lock_timeout=3s -c idle_in_transaction_session_timeout=60s"
            self._connection = await psycopg.AsyncConnection.connect(self._uri(), options=options)
        return self._connection

    async def close(self) -> None:
        """Give the connection back."""
        if self._connection is not None:
            await self._connection.close()

    async def transaction(self, entry: Entry) -> set[Entry]:
        """Some statements and the ledger's row; one in ten is rolled back."""
        try:
            connection = await self._open()
            await connection.execute("insert into api.ledger values (%s, %s)", entry)
            for statement in self._statements():
                await connection.execute(statement.encode())
        except (psycopg.Error, OSError):
            await self._undo()
            return self._ledger.refused
        if self.random.random() < 0.1:
            await self._undo()
            return self._ledger.refused
        try:
            await connection.commit()
        except psycopg.OperationalError:
            await self._undo()
            return self._ledger.unknown
        return self._ledger.acknowledged

    async def _undo(self) -> None:
        if self._connection is not None:
            with suppress(psycopg.Error):
                await self._connection.rollback()

    # What is written ----------------------------------------------------------------------------------

    def _statements(self) -> list[str]:
        kinds = self.random.choices(list(_KINDS), list(_KINDS.values()), k=self.random.randint(1, 4))
        return [statement for kind in kinds for statement in getattr(self, "_" + kind)()]

    def _key(self) -> int:
        return self.random.randint(1, KEYS)

    def _transfer(self) -> list[str]:
        a, b = sorted(self.random.sample(range(1, ACCOUNTS + 1), 2))
        x = self.random.randint(-20, 20)
        move = "update api.accounts set balance = balance {} where id = {}"
        return [move.format(f"+ ({x})", a), move.format(f"- ({x})", b)]

    def _plain(self) -> list[str]:
        k, x = self._key(), self.random.randint(0, 99)
        return self.random.choice(
            [
                [f"insert into api.plain values ({k}, {x}, 'n') on conflict (id) do update set value = {x}"],
                [f"insert into api.plain values ({k}, {x}, null)"],
                [f"update api.plain set value = {x} where id between {k} and {k + 3}"],
                [f"delete from api.plain where id = {k}"],
                [f"update api.plain set id = {self._key()} where id = {k}"],
            ]
        )

    def _notes(self) -> list[str]:
        k, who = self._key(), self.random.choice(PEOPLE)
        return self.random.choice(
            [
                [f"insert into api.notes values ({k}, '{who}', false, 'b') on conflict do nothing"],
                [f"update api.notes set owner = '{who}' where id = {k}"],
                [f"update api.notes set pinned = not pinned, body = 'c' where id = {k}"],
                [f"update api.notes set id = {self._key()} where id = {k}"],
                [f"delete from api.notes where id = {k}"],
            ]
        )

    def _members(self) -> list[str]:
        who, room = self.random.choice(PEOPLE), self.random.randint(1, ROOMS)
        return self.random.choice(
            [
                [f"insert into api.members values ('{who}', {room}) on conflict do nothing"],
                [f"delete from api.members where who = '{who}' and room = {room}"],
            ]
        )

    def _messages(self) -> list[str]:
        k, room = self._key(), self.random.randint(1, ROOMS)
        return self.random.choice(
            [
                [f"insert into api.messages values ({k}, {room}, 'm') on conflict do nothing"],
                [f"update api.messages set room = {room}, body = 'é\"' where id = {k}"],
                [f"delete from api.messages where id = {k}"],
            ]
        )

    def _pairs(self) -> list[str]:
        a, b = self.random.randint(1, 6), self.random.choice("xyz")
        x = self.random.randint(0, 9999) / 100
        return self.random.choice(
            [
                [
                    f"insert into api.pairs values ({a}, '{b}', {x}) on conflict (a, b)"
                    f" do update set amount = {x}"
                ],
                [f"update api.pairs set amount = amount + 1 where a = {a}"],
                [f"update api.pairs set b = '{b}' where a = {a} and b = '{self.random.choice('xyz')}'"],
                [f"delete from api.pairs where a = {a}"],
            ]
        )

    def _events(self) -> list[str]:
        day, k = self.random.randint(0, 3), self._key()
        return self.random.choice(
            [
                [f"insert into api.events values ({day}, {k}, 'e') on conflict do nothing"],
                [f"update api.events set body = body || '.' where id = {k}"],
                [f"update api.events set day = {day} where id = {k} and day = {self.random.randint(0, 3)}"],
                [f"delete from api.events where id = {k}"],
            ]
        )

    def _documents(self) -> list[str]:
        k, n = self._key(), self.random.randint(0, 99)
        big = f"repeat(md5(random()::text), {self.random.choice((1, 100))})"
        content = f"""'{{"n": {n}, "deep": [1.50, null, "é"]}}'"""
        return self.random.choice(
            [
                [f"insert into api.documents values ({k}, {n}, {big}, {content}) on conflict do nothing"],
                [f"update api.documents set n = {n} where id = {k}"],
                [f"update api.documents set big = {big}, content = {content} where id = {k}"],
                [f"update api.documents set id = {self._key()} where id = {k}"],
                [f"delete from api.documents where id = {k}"],
            ]
        )

    def _savepoint(self) -> list[str]:
        inner = [*self._plain(), *self._notes()]
        end = self.random.choice(("rollback to savepoint s", "release savepoint s"))
        return ["savepoint s", "update api.pairs set amount = 0 where a = 1", *inner[1:], end]

    def _truncate(self) -> list[str]:
        return [self.random.choice(("truncate api.pairs", "truncate api.events_1", "truncate api.events"))]

    def _bulk(self) -> list[str]:
        first = 1000 + self.random.randint(0, 3) * self._big
        last = first + self._big - 1
        return self.random.choice(
            [
                [
                    f"insert into api.plain select n, n % 100, 'big' from generate_series({first}, {last}) n"
                    " on conflict (id) do update set note = 'big'"
                ],
                ["delete from api.plain where id >= 1000"],
                ["delete from api.plain where id >= 1000"],
            ]
        )


_KINDS = {
    "transfer": 10,
    "plain": 6,
    "notes": 6,
    "members": 1,
    "messages": 5,
    "pairs": 5,
    "events": 5,
    "documents": 4,
    "savepoint": 2,
    "truncate": 0.4,
    "bulk": 0.3,
}


class HttpWriter(Writer):
    """Writes as a clerk over HTTP: a function that keeps the ledger, and plain requests beside it."""

    def __init__(self, number: int, seed: int, ledger: Ledger, pace: float, url: Callable[[], str]) -> None:
        super().__init__(number, seed, ledger, pace)
        self._url = url

    async def transaction(self, entry: Entry) -> set[Entry]:
        """A call and a request that follows."""
        headers = {"Authorization": f"Bearer {token('clerk')}"}
        timeout = aiohttp.ClientTimeout(total=15)
        k, x = self.random.randint(1, KEYS), self.random.randint(0, 99)
        outcome = self._ledger.unknown
        try:
            async with aiohttp.ClientSession(self._url(), headers=headers, timeout=timeout) as session:
                call = {"w": entry[0], "n": entry[1], "k": k, "x": x}
                async with session.post("/query/rpc/act", json=call) as answer:
                    outcome = self._outcome(answer.status)
                await self._request(session, k, x)
        except (aiohttp.ClientError, OSError, TimeoutError):
            pass
        return outcome

    def _outcome(self, status: int) -> set[Entry]:
        if status < 300:
            return self._ledger.acknowledged
        return self._ledger.refused if status < 500 else self._ledger.unknown

    async def _request(self, session: aiohttp.ClientSession, k: int, x: int) -> None:
        method, path, body = self.random.choice(
            [
                ("PATCH", f"/query/plain?id=eq.{k}", {"value": x}),
                ("PATCH", f"/query/notes?id=eq.{k}", {"owner": self.random.choice(PEOPLE)}),
                ("POST", "/query/messages", {"id": k, "room": 1 + x % ROOMS, "body": "http"}),
                ("DELETE", f"/query/messages?id=eq.{k}", None),
            ]
        )
        async with session.request(method, path, json=body) as answer:
            await answer.read()
