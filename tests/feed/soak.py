"""The soak: random writers, clients and misfortunes over one seeded run, and what must hold nevertheless.

    python -m tests.feed.soak --seconds 60 --seed 7

Invariants: each copy ends as its role's SELECT (I1); no transaction is told twice (I2); every acknowledged
ledger entry is seen once, no rolled-back one ever (I3); transfers never show a wrong sum (I4); nothing is
told of rows that were never visible (I5); resynchronisations happen only where a misfortune explains them
(I6).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import mkdtemp
from typing import Any
from unittest.mock import patch

import psycopg

from aiodata_django.conf import Settings
from aiodata_django.core.changes.position import Snapshot
from aiodata_django.core.changes.transaction import Change
from aiodata_django.core.errors import ApiError
from aiodata_django.core.schema import Schema
from aiodata_django.core.state.cursor import Cursor
from aiodata_django.core.state.session import Committed, OutOfStep, Subscription
from aiodata_django.db.embedded import EmbeddedPostgres
from aiodata_django.db.pool import Pool
from aiodata_django.feed.gate import Shaping
from aiodata_django.feed.reader2 import V2Reader
from aiodata_django.feed.service import Feed, FeedUnavailable
from aiodata_django.feed.setup import Names, opened

from .copy import Copy

SCHEMA = """
do $$ begin
    if to_regrole('auth') is null then create role auth nologin; end if;
end $$;
create schema api;
create table api.plain (id int primary key, a int, b text);
create table api.accounts (id int primary key, amount int);
insert into api.accounts select n, 100 from generate_series(1, 6) n;
create table api.notes (id int primary key, owner text, body text);
alter table api.notes replica identity full;
alter table api.notes enable row level security;
create policy mine on api.notes to auth
    using (owner = current_setting('request.jwt.claims', true)::json ->> 'sub');
create table api.secrets (id int primary key, owner text);
alter table api.secrets enable row level security;
create policy mine on api.secrets to auth
    using (owner = current_setting('request.jwt.claims', true)::json ->> 'sub');
create table api.members (who text, room int, primary key (who, room));
create table api.messages (id int primary key, room int, body text);
alter table api.messages replica identity full;
alter table api.messages enable row level security;
create policy joined on api.messages using (exists (
    select from api.members m
    where m.who = current_setting('request.jwt.claims', true)::json ->> 'sub' and m.room = messages.room));
create table api.pairs (x int, y text, v numeric(8, 2), primary key (x, y));
create table api.days (day int primary key, what text) partition by range (day);
create table api.days_1 partition of api.days for values from (0) to (10);
create table api.days_2 partition of api.days for values from (10) to (20);
create table api.docs (id int primary key, body text, meta jsonb);
alter table api.docs alter body set storage external;
create table api.ledger (id bigint primary key, writer int);
create table api.counters (writer int primary key, n int);
insert into api.counters select w, 0 from generate_series(0, 3) w;
grant usage on schema api to auth;
grant select on all tables in schema api to auth;
"""
SLOT = "soak"
SAFEGUARDS = ("look-back", "xid-filter", "old-image", "visibility")
USERS = ("me", "you", "them")
NARROW = ("accounts", "notes", "messages", "ledger", "counters")
TABLES = ("plain", "secrets", "members", "pairs", "days", "docs", *NARROW)
FILTERS = {
    "plain": {"a=gt.5": "a > 5", "b=eq.x": "b = 'x'", "or=(a.lt.3,b.is.null)": "a < 3 or b is null"},
    "pairs": {"x=in.(1,2)": "x in (1, 2)"},
    "days": {"day=lt.12": "day < 12"},
}


class Broken(AssertionError):
    """An invariant does not hold."""


class Watcher(Copy):
    """A copy that checks at every step."""

    broken: str | None = None

    def __init__(self, *args: Any, **claims: Any) -> None:
        super().__init__(*args, **claims)
        self.counters: dict[int, int] = {}

    def take(self, event: Any) -> None:
        try:
            self.check(event)
        except Exception as error:
            self.broken = self.broken or f"{type(error).__name__}: {error}"
            raise

    def check(self, event: Any) -> None:
        if isinstance(event, Committed):
            self.check_deletions(event)
        super().take(event)
        accounts = [json.loads(row)["amount"] for row in self.table("accounts").values()]
        if accounts and sum(accounts) != 600:
            raise Broken(f"I4: accounts add up to {sum(accounts)}")
        self.check_counters()
        for table in ("notes", "secrets"):
            for row in self.table(table).values():
                if json.loads(row)["owner"] != self.user:
                    raise Broken(f"I5: {self.user} holds {row}")

    def check_deletions(self, event: Committed) -> None:
        """A key told to be gone was told to be there before, in this transaction or an earlier one."""
        here: set[tuple[str, Any]] = set()
        for change in event.changes:
            if change.table not in ("notes", "secrets"):
                continue
            if change.op == "put":
                here.add((change.table, self.key(change.table, bytes(change.row or b""))))
            elif change.op == "del":
                key = tuple(json.loads(bytes(change.key or b"")))
                known = any(key in self.rows[sub, change.table] for sub in change.subs)
                if not known and (change.table, key) not in here:
                    raise Broken(f"I5: {self.user} was told of {change.table} {key}, which it never saw")

    def check_counters(self) -> None:
        """Each writer counts its transactions: a copy that goes back was told something twice."""
        for (writer,), row in self.table("counters").items():
            count = json.loads(row)["n"]
            if count < self.counters.get(writer, 0):
                raise Broken(f"I2: writer {writer} went back from {self.counters[writer]} to {count}")
            self.counters[writer] = count

    @property
    def user(self) -> str:
        return str(self.identity.claims["sub"])


class Soak:
    """One run. ``broken`` collects what did not hold; ``mishaps`` counts what the nemesis did."""

    def __init__(self, server: EmbeddedPostgres, dbname: str, seed: int, *, durable: bool = False) -> None:
        self.durable = durable
        self.server = server
        self.uri = server.uri(dbname)
        self.random = random.Random(seed)
        self.mishaps: Counter[str] = Counter()
        self.acknowledged: set[int] = set()
        self.doubtful: set[int] = set()
        self.rolled_back: set[int] = set()
        self.watchers: list[Watcher] = []
        self.ledger = 0
        self.stopping = False
        self.feed: Feed
        self.pool: Pool

    # The server ---------------------------------------------------------------------------------------

    async def serve(self) -> None:
        slot = SLOT if self.durable else None
        settings = Settings(db_uri=self.uri, db_schemas=("api",), state_queue_bytes=200_000, feed_slot=slot)
        self.pool = Pool(self.uri, size=4)
        with suppress(ApiError):
            await self.pool.open()
        self.feed = Feed(
            conninfo=self.uri, pool=self.pool, schema=lambda: Schema(("api",), {}), settings=settings
        )
        await self.feed.start()

    async def unserve(self) -> None:
        await self.feed.stop()
        await self.pool.close()

    # Writers ------------------------------------------------------------------------------------------

    async def write(self, number: int) -> None:
        rng = random.Random(self.random.random())
        while not self.stopping:
            try:
                async with await psycopg.AsyncConnection.connect(self.uri, autocommit=True) as connection:
                    while not self.stopping:
                        await self.transact(connection, number, rng)
                        await asyncio.sleep(rng.random() * 0.01)
            except psycopg.OperationalError:
                await asyncio.sleep(0.1)

    async def transact(self, connection: psycopg.AsyncConnection, number: int, rng: random.Random) -> None:
        self.ledger += 1
        entry = self.ledger
        statements = [self.statement(rng) for _ in range(rng.randint(1, 4))]
        fate = rng.random()
        self.doubtful.add(entry)
        try:
            await connection.execute("begin")
            await connection.execute(f"insert into api.ledger values ({entry}, {number})")
            await connection.execute(f"update api.counters set n = n + 1 where writer = {number}")
            for statement in statements:
                await connection.execute(statement)
            await connection.execute("rollback" if fate < 0.1 else "commit")
        except psycopg.OperationalError as error:
            if connection.closed:
                raise  # who knows whether it was committed
            if not isinstance(error, psycopg.errors.DeadlockDetected | psycopg.errors.SerializationFailure):
                raise
            await connection.execute("rollback")
            fate = 0.0
        except psycopg.Error:
            await connection.execute("rollback")
            fate = 0.0
        self.doubtful.discard(entry)
        (self.rolled_back if fate < 0.1 else self.acknowledged).add(entry)

    def statement(self, rng: random.Random) -> str:
        n, m, user = rng.randint(1, 15), rng.randint(0, 9), rng.choice(USERS)
        text = rng.choice(("'x'", "'y'", "null"))
        return rng.choice(
            (
                f"insert into api.plain values ({n}, {m}, {text})"
                f" on conflict (id) do update set a = {m}, b = {text}",
                f"update api.plain set a = {m} where id = {n}",
                f"update api.plain set id = {n + 15} where id = {n}",
                f"delete from api.plain where id > {n}",
                f"update api.accounts set amount = amount + case id when 1 then {m} else -{m} end"
                f" where id in (1, {rng.randint(2, 6)})",
                f"insert into api.notes values ({n}, '{user}', {text})"
                f" on conflict (id) do update set owner = '{user}'",
                f"update api.notes set body = {text}, owner = '{user}' where id = {n}",
                f"delete from api.notes where id = {n}",
                f"insert into api.secrets values ({n}, '{user}')"
                f" on conflict (id) do update set owner = '{user}'",
                f"delete from api.secrets where id = {n}",
                f"insert into api.members values ('{user}', {m}) on conflict do nothing",
                f"delete from api.members where who = '{user}' and room = {m}",
                f"insert into api.messages values ({n}, {m}, {text})"
                f" on conflict (id) do update set room = {m}",
                f"delete from api.messages where id = {n}",
                f"insert into api.pairs values ({m}, {text}, {n}.5)" if text != "null" else "select",
                f"update api.pairs set v = {n}.25, y = y || 'z' where x = {m} and length(y) < 5",
                f"delete from api.pairs where x = {m}",
                f"insert into api.days values ({n}, {text}) on conflict (day) do update set what = {text}",
                f"update api.days set day = {rng.randint(0, 19)} where day = {n}"
                f" and not exists (select from api.days)",
                f"update api.days set day = day + 10 where day = {m}"
                f" and not exists (select from api.days d where d.day = {m + 10})",
                f"insert into api.docs values ({n}, repeat('d{m}', 3000), '{{\"n\": {m}}}')"
                f" on conflict (id) do update set meta = excluded.meta",
                f"update api.docs set body = repeat('e{m}', 3000) where id = {n}",
                f"savepoint s; delete from api.docs where id = {n}; rollback to s",
                "insert into api.plain select g, 1, 'x' from generate_series(100, 1600) g"
                " on conflict do nothing"
                if rng.random() < 0.1
                else "delete from api.plain where id >= 100",
                "truncate api.pairs" if rng.random() < 0.2 else "select",
            )
        )

    # Clients ------------------------------------------------------------------------------------------

    def subscriptions(self, number: int) -> tuple[Subscription, ...]:
        if number % 3 == 0:
            return (Subscription(0, "*"),)
        chosen = self.random.sample(sorted(FILTERS), 2)
        filtered = [
            Subscription(n, t, self.random.choice(sorted(FILTERS[t]))) for n, t in enumerate(chosen, 1)
        ]
        others = [Subscription(n, t) for n, t in enumerate(NARROW, 10)]
        return (*filtered, *others)

    async def follow(self, watcher: Watcher) -> None:
        """Stay connected, whatever happens."""
        while True:
            try:
                watcher.feed = self.feed
                await watcher.connect()
                while watcher.task is not None and not watcher.task.done() and watcher.closed is None:
                    await asyncio.sleep(0.05)
                    watcher.say(*watcher.session.data_to_send(time.monotonic()))
                await watcher.drop()
            except (FeedUnavailable, ApiError, psycopg.Error, OSError, OutOfStep):
                await asyncio.sleep(0.1)

    # Misfortunes --------------------------------------------------------------------------------------

    async def nemesis(self) -> None:
        mishaps: list[Callable[[], Awaitable[None]]] = [
            self.terminate_walsender,
            self.drop_sockets,
            self.drop_sockets,
            self.deafen,
            self.alter_column,
            self.alter_policy,
            self.revoke,
            self.restart_feed,
            self.crash_postgres,
            self.hold_transaction,
        ]
        while not self.stopping:
            await asyncio.sleep(0.3 + self.random.random())
            if self.stopping:
                return
            mishap = self.random.choice(mishaps)
            self.mishaps[mishap.__name__] += 1
            with suppress(psycopg.Error, OSError):
                await mishap()

    async def admin(self, statement: str) -> None:
        async with await psycopg.AsyncConnection.connect(self.uri, autocommit=True) as connection:
            await connection.execute("set lock_timeout = '2s'")
            await connection.execute(statement)

    async def terminate_walsender(self) -> None:
        await self.admin("select pg_terminate_backend(pid) from pg_stat_replication")

    async def drop_sockets(self) -> None:
        for watcher in self.random.sample(self.watchers, 3):
            if watcher.task is not None:
                watcher.task.cancel()

    async def deafen(self) -> None:
        """A client that stops reading for a while; what it was sent meanwhile is lost with its socket."""
        watcher = self.random.choice(self.watchers)
        watcher.deaf = True
        await asyncio.sleep(self.random.random())
        if watcher.task is not None:
            watcher.task.cancel()
            await asyncio.gather(watcher.task, return_exceptions=True)
        watcher.deaf = False

    async def alter_column(self) -> None:
        name = f"extra_{self.random.randint(1, 3)}"
        await self.admin(f"alter table api.plain add column if not exists {name} int default 7")
        await asyncio.sleep(self.random.random())
        await self.admin(f"alter table api.plain drop column {name}")

    async def alter_policy(self) -> None:
        condition = self.random.choice(("messages.room > 4", "m.who = 'me'", "true"))
        await self.admin(
            "alter policy joined on api.messages using (exists (select from api.members m where m.who ="
            " current_setting('request.jwt.claims', true)::json ->> 'sub' and m.room = messages.room"
            f" and {condition}))"
        )

    async def revoke(self) -> None:
        await self.admin("revoke select on api.docs from auth")
        await asyncio.sleep(self.random.random())
        await self.admin("grant select on api.docs to auth")

    async def restart_feed(self) -> None:
        await self.unserve()
        await self.serve()

    async def crash_postgres(self) -> None:
        await asyncio.to_thread(self.server.restart, "immediate")

    async def hold_transaction(self) -> None:
        """A write transaction that stays open, as a new slot waits for it."""
        async with await psycopg.AsyncConnection.connect(self.uri) as connection:
            await connection.execute("update api.docs set meta = '{}' where id = 1")
            await asyncio.sleep(self.random.random() * 2)

    # The end ------------------------------------------------------------------------------------------

    async def run(self, seconds: float) -> None:
        """Raises :class:`Broken`."""
        await self.serve()
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self.unserve)
            for number in range(9):
                watcher = Watcher(
                    self.feed, "auth", *self.subscriptions(number), sub=USERS[number % len(USERS)]
                )
                self.watchers.append(watcher)
            followers = [asyncio.create_task(self.follow(watcher)) for watcher in self.watchers]
            writers = [asyncio.create_task(self.write(number)) for number in range(4)]
            nemesis = asyncio.create_task(self.nemesis())
            try:
                await asyncio.sleep(seconds)
                self.stopping = True
                await asyncio.gather(nemesis, *writers)
                await self.judge()
            finally:
                for task in [nemesis, *writers, *followers]:
                    task.cancel()
                await asyncio.gather(nemesis, *writers, *followers, return_exceptions=True)
                for watcher in self.watchers:
                    await watcher.drop()

    async def judge(self) -> None:
        for _ in range(300):
            with suppress(FeedUnavailable):
                await self.feed.ready()
                break
            await asyncio.sleep(0.1)
        await self.feed.reload()
        for watcher in self.watchers:
            if watcher.broken:
                raise Broken(watcher.broken)
            await self.settled(watcher)
            await self.compare(watcher)
            self.count(watcher)

    async def settled(self, watcher: Watcher) -> None:
        deadline = time.monotonic() + 40
        while time.monotonic() < deadline:
            with suppress(TimeoutError, AssertionError):
                await watcher.until(lambda: watcher.session.state == "live", 10)
                async with asyncio.timeout(10):
                    await watcher.synced()
                await asyncio.sleep(0.3)  # a resynchronisation that is due
                async with asyncio.timeout(10):
                    await watcher.synced()
                return
            await asyncio.sleep(0.2)
        told = f"{watcher.session.state}, {watcher.closed}, {self.feed.status()}"
        raise Broken(f"{watcher.user} never settled: {told}")

    async def compare(self, watcher: Watcher) -> None:
        claims = json.dumps(dict(watcher.identity.claims))
        async with await psycopg.AsyncConnection.connect(self.uri) as connection:
            await connection.execute("set local role auth")
            await connection.execute("select set_config('request.jwt.claims', %s, true)", [claims])
            for sub in watcher.session.subscriptions.values():
                for table in TABLES if sub.table == "*" else (sub.table,):
                    condition = FILTERS.get(table, {}).get(sub.query, "true")
                    query = f"select row_to_json(t)::text from api.{table} t where {condition}"
                    rows = sorted(row[0] for row in await (await connection.execute(query)).fetchall())
                    mine = sorted(watcher.rows.get((sub.id, table), {}).values())
                    if rows != mine:
                        extra, lacking = set(mine) - set(rows), set(rows) - set(mine)
                        raise Broken(f"I1: {watcher.user} {sub} {table}: has {extra}, lacks {lacking}")

    def count(self, watcher: Watcher) -> None:
        xids = Counter(commit.xid for commit in watcher.commits)
        if again := [xid for xid, count in xids.items() if count > 1]:
            raise Broken(f"I2: {watcher.user} was told twice of {again}")
        created = (key for kind, table, key, _, _ in watcher.story if (table, kind) == ("ledger", "create"))
        seen = Counter(key[0] for key in created)
        if any(count > 1 for count in seen.values()):
            raise Broken("I3: a ledger entry was created twice")
        if missing := self.acknowledged - seen.keys():
            raise Broken(f"I3: {watcher.user} never saw {sorted(missing)[:5]}")
        if false := self.rolled_back & seen.keys():
            raise Broken(f"I3: {watcher.user} saw {sorted(false)[:5]}, which were rolled back")
        explained = {"epoch", "schema", "policy", "role", "opaque", "trimmed", "size"}
        if strange := set(watcher.resyncs) - explained:
            raise Broken(f"I6: unexplained resynchronisations: {strange}")

    def summary(self) -> str:
        resyncs = Counter(why for watcher in self.watchers for why in watcher.resyncs)
        commits = sum(len(watcher.commits) for watcher in self.watchers)
        return (
            f"{len(self.acknowledged)} transactions, {commits} told, mishaps {dict(self.mishaps)},"
            f" resyncs {dict(resyncs)}"
        )


async def soak(server: EmbeddedPostgres, seconds: float, seed: int, *, durable: bool = False) -> Soak:
    """One run on a server of its own, with a durable slot if asked. Raises :class:`Broken`."""
    with psycopg.connect(server.uri(), autocommit=True) as admin:
        admin.execute("drop database if exists soak with (force)")
        admin.execute("create database soak")
        # A crash must lose nothing that was acknowledged, whatever the server's own setting.
        admin.execute("alter database soak set synchronous_commit = on")
    with psycopg.connect(server.uri("soak"), autocommit=True) as connection:
        connection.execute(SCHEMA)
    run = Soak(server, "soak", seed, durable=durable)
    names = Names(("api",), slot=SLOT)
    async with opened(run.uri, names) as setup:
        await setup.create(slot=durable, identities=False, trigger=seed % 2 == 0)
    try:
        await run.run(seconds)
    finally:
        async with opened(run.uri, names) as setup:
            await setup.drop()
    return run


@contextmanager
def without(what: str | None) -> Iterator[None]:
    """The feed with one of its safeguards switched off: the soak has to notice."""
    with ExitStack() as stack:
        if what == "look-back":
            stack.enter_context(patch.object(V2Reader, "_stand_at_present", _stand_at_end))
        elif what == "xid-filter":
            stack.enter_context(patch.object(Cursor, "has_seen", lambda *_: False))
        elif what == "old-image":
            stack.enter_context(patch.object(Shaping, "images", _new_image_only))
        elif what == "visibility":
            stack.enter_context(patch.object(Snapshot, "sees", lambda *_: True))
        yield


def _stand_at_end(reader: V2Reader) -> None:
    reader.epoch, reader.position = reader.hub.epoch, reader.hub.log.end
    reader._cursor = Cursor(reader.epoch, reader.position, reader._subs.shape)


_images = Shaping.images


def _new_image_only(shaping: Shaping, change: Change) -> tuple[bytes | None, bytes | None]:
    return _images(shaping, change)[0], None


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--durable", action="store_true", help="stream from a durable slot")
    parser.add_argument("--without", choices=SAFEGUARDS, help="switch a safeguard off: the run must fail")
    options = parser.parse_args()
    directory = Path(mkdtemp(prefix="aiodata-soak-"))
    directory.chmod(0o711)
    server = EmbeddedPostgres(directory / "data")
    server.start()
    try:
        print(f"seed {options.seed}")
        with without(options.without):
            run = asyncio.run(soak(server, options.seconds, options.seed, durable=options.durable))
        print(run.summary())
    finally:
        server.remove()
        directory.rmdir()


if __name__ == "__main__":
    main()
