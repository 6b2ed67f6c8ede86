"""The soak's nemesis: what goes wrong, when the seed says so.

What lives here: the acts, each of which undoes itself before it ends. What does not: what must hold
nevertheless (``oracle``).
"""

from __future__ import annotations

import asyncio
import random
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress

import psycopg

from .clients import WireWitness, Witness
from .proxy import Link
from .stage import Stage
from .world import OWN, OWN_OR_PINNED


class Nemesis:
    """Does acts, never one twice at once. ``done`` are the names of all it ever did; ``tell`` logs them."""

    def __init__(
        self,
        stage: Stage,
        witnesses: Sequence[Witness],
        seed: int,
        tell: Callable[[str], None],
    ) -> None:
        self.stage = stage
        self.witnesses = witnesses
        self.random = random.Random(f"{seed}-nemesis")
        self.done: set[str] = set()
        self._tell = tell
        self._columns = 0
        # Processes are ended and started by one act at a time.
        self._power = asyncio.Lock()

    async def round(self, names: Sequence[str], seconds: float) -> None:
        """Do these acts, begun at random moments within ``seconds``; returns when all is undone."""
        begins = [self.random.uniform(0, seconds * 0.7) for _ in names]
        acts = [self._act(name, begin) for name, begin in zip(names, begins, strict=True)]
        await asyncio.gather(asyncio.sleep(seconds), *acts)

    async def _act(self, name: str, begin: float) -> None:
        await asyncio.sleep(begin)
        self.done.add(name)
        self._tell(name)
        await getattr(self, name)()

    # Processes ----------------------------------------------------------------------------------------

    async def kill_server(self) -> None:
        """The server is gone at once, and comes back."""
        async with self._power:
            await asyncio.to_thread(self.stage.server.kill)
            await asyncio.sleep(self.random.uniform(0, 1))
            await self.stage.restart_server()

    async def restart_server(self) -> None:
        """The server is stopped in order, and comes back."""
        async with self._power:
            await asyncio.to_thread(self.stage.server.stop)
            await self.stage.restart_server()

    async def freeze_server(self) -> None:
        """The server does nothing for a while."""
        async with self._power:
            self.stage.server.signal(signal.SIGSTOP)
            await asyncio.sleep(self.random.uniform(0.5, 3))
            self.stage.server.signal(signal.SIGCONT)

    async def crash_postgres(self) -> None:
        """PostgreSQL ends at once, and recovers."""
        async with self._power:
            await asyncio.to_thread(self.stage.postgres.restart, "immediate")

    async def end_walsender(self) -> None:
        """PostgreSQL ends the replication session."""
        await self.stage.execute("select pg_terminate_backend(pid) from pg_stat_replication")

    async def drop_slot(self) -> None:
        """Somebody drops the durable slot; later, it is made again."""
        drop = "select pg_drop_replication_slot('aiodata')"
        for _ in range(100):
            with suppress(psycopg.Error):
                await self.stage.execute("select pg_terminate_backend(pid) from pg_stat_replication", drop)
                break
            await asyncio.sleep(0.01)
        await asyncio.sleep(self.random.uniform(0, 2))
        with suppress(psycopg.Error):
            await self.stage.make_slot()

    # Lines --------------------------------------------------------------------------------------------

    def _links(self) -> list[Link]:
        links = list(self.stage.proxy.links)
        return self.random.sample(links, k=(len(links) + 1) // 2)

    async def drop_sockets(self) -> None:
        """Half of the connections are lost."""
        for link in self._links():
            link.cut()

    async def stall_sockets(self) -> None:
        """Nothing arrives on half of the connections; half of those are lost then."""
        links = self._links()
        for link in links:
            link.flowing.clear()
        await asyncio.sleep(self.random.uniform(1, 4))
        for number, link in enumerate(links):
            if number % 2:
                link.cut()
            link.heal()

    async def throttle_sockets(self) -> None:
        """Half of the connections are slow."""
        links = self._links()
        for link in links:
            link.rate = 50_000
        await asyncio.sleep(self.random.uniform(1, 4))
        for link in links:
            link.heal()

    async def deafen(self) -> None:
        """Some clients read nothing for a while, though their lines are well."""
        chosen = self.random.sample(list(self.witnesses), k=3)
        for witness in chosen:
            witness.hearing.clear()
        await asyncio.sleep(self.random.uniform(1, 5))
        for witness in chosen:
            witness.hearing.set()

    async def echo(self) -> None:
        """Some lines deliver messages again."""
        chosen = [w for w in self.witnesses if isinstance(w, WireWitness)][::2]
        for witness in chosen:
            witness.echo = True
        await asyncio.sleep(self.random.uniform(2, 4))
        for witness in chosen:
            witness.echo = False

    async def change_claims(self) -> None:
        """Some sockets speak for somebody else from now on."""
        for _ in range(self.random.randint(1, 3)):
            for witness in self.witnesses:
                if len(witness.faces) > 1:
                    await witness.turn()
            await asyncio.sleep(self.random.uniform(0.2, 2))

    async def newcomers(self) -> None:
        """Clients come anew, one after the other, all the time."""
        for _ in range(12):
            await self.random.choice(list(self.witnesses)).forget()
            await asyncio.sleep(self.random.uniform(0.05, 0.4))

    # Definitions --------------------------------------------------------------------------------------

    async def alter_columns(self) -> None:
        """A column comes, another goes."""
        self._columns += 1
        name = f"extra{self._columns}"
        await self._define(f"alter table api.plain add column {name} int default 7")
        await asyncio.sleep(self.random.uniform(0.2, 1.5))
        if self._columns > 1:
            await self._define(f"alter table api.plain drop column extra{self._columns - 1}")

    async def alter_types(self) -> None:
        """Columns are rewritten, of which no row in the WAL tells: other types, other values."""
        amount = "alter table api.pairs alter amount type {} using amount + {}"
        again = "insert into soak.audit (tab, v, row) select '{0}', v, row_to_json(t) from api.{0} t"
        for kind in ("numeric(12,4)", "numeric(9,3)", "numeric(10,2)"):
            changed = amount.format(kind, self.random.choice((0, 1)))
            await self._define(f"begin; {changed}; {again.format('pairs')}; commit")
            await asyncio.sleep(self.random.uniform(0, 1))
        for kind in ("jsonb", "json"):
            changed = f"alter table api.documents alter content type {kind}"
            await self._define(f"begin; {changed}; {again.format('documents')}; commit")

    async def rename_column(self) -> None:
        """A column has another name for a while."""
        for old, new in (("body", "text"), ("text", "body")):
            await self._define(f"alter table api.events rename {old} to {new}")
            await asyncio.sleep(self.random.uniform(0, 1))

    async def alter_policy(self) -> None:
        """What may be seen of the notes is another thing, and later what it was."""
        for rule in (OWN, OWN_OR_PINNED):
            await self._define(f"alter policy mine on api.notes using ({rule})")
            await asyncio.sleep(self.random.uniform(0.5, 2))

    async def add_policy(self) -> None:
        """A policy more, that hides rows from some; it goes again."""
        await self._define(
            "create policy hidden on api.messages as restrictive for select to auth using (id > 5)"
        )
        await asyncio.sleep(self.random.uniform(0.5, 2))
        await self._define("drop policy hidden on api.messages")

    async def revoke(self) -> None:
        """A privilege goes, and half of the time comes back only next time."""
        if self.random.random() < 0.7:
            await self._define("revoke select on api.pairs from auth")
            await asyncio.sleep(self.random.uniform(0.5, 2))
        if self.random.random() < 0.7:
            await self._define("grant select on api.pairs to auth")

    async def _define(self, statement: str) -> None:
        with suppress(psycopg.Error):  # a lock not had in time: then nothing is defined
            await self.stage.execute("set lock_timeout = '3s'", statement)

    # Transactions -------------------------------------------------------------------------------------

    async def long_transaction(self) -> None:
        """A transaction stays open for long, and is committed or not."""
        with suppress(psycopg.Error):
            async with await psycopg.AsyncConnection.connect(self.stage.uri(), autocommit=True) as connection:
                row = self.random.randint(100, 200)
                end = self.random.choice(("commit", "rollback"))
                await connection.execute("begin")
                await connection.execute(f"insert into api.plain values ({row}, 60, 'long')".encode())
                await asyncio.sleep(self.random.uniform(1, 4))
                await connection.execute(f"update api.plain set value = 40 where id = {row}".encode())
                await connection.execute(end.encode())

    async def standby_missing(self) -> None:
        """Commits are in the WAL and streamed, and invisible: they wait for a standby that is not there."""
        for _ in range(3):
            await self._standby("ghost")
            await asyncio.sleep(self.random.uniform(0.2, 1.0))
            await self._standby("")
            await asyncio.sleep(self.random.uniform(0.1, 0.3))

    async def _standby(self, name: str) -> None:
        set_it = f"alter system set synchronous_standby_names = '{name}'"
        await self.stage.execute("set synchronous_commit = local", set_it, "select pg_reload_conf()")


ACTS = (
    "kill_server",
    "crash_postgres",
    "end_walsender",
    "drop_sockets",
    "newcomers",
    "standby_missing",
    "alter_columns",
    "alter_types",
    "change_claims",
    "alter_policy",
    "revoke",
    "stall_sockets",
    "deafen",
    "drop_slot",
    "long_transaction",
    "echo",
    "throttle_sockets",
    "restart_server",
    "freeze_server",
    "add_policy",
    "rename_column",
)


class Deck:
    """Acts dealt in an order by the seed: each once before any comes again."""

    def __init__(self, acts: Sequence[str], seed: int) -> None:
        self._acts = list(acts)
        self._random = random.Random(f"{seed}-deck")
        self._left: list[str] = []

    def deal(self, count: int) -> list[str]:
        """The next ``count`` acts, all different where there are so many."""
        dealt: list[str] = []
        while len(dealt) < min(count, len(self._acts)):
            if not self._left:
                self._left = self._random.sample(self._acts, k=len(self._acts))
            if (act := self._left.pop()) not in dealt:
                dealt.append(act)
        return dealt
