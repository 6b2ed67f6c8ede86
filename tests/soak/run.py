"""The soak itself: everything put together, rounds of chaos with moments of quiet, the verdict.

What lives here: the course of a run. ``python -m tests.soak --seconds 3600 --seed 7`` runs it by itself.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from aiodata_django.core.state.session import ClientSession
from aiodata_django.db.embedded import EmbeddedPostgres

from .clients import WireWitness, Witness
from .nemesis import ACTS, Deck, Nemesis
from .oracle import Judge, Truth, differences, unexplained
from .orm import OrmWriter
from .realclient import ClientWitness, in_haste
from .stage import Stage
from .world import Seat, seats
from .writers import HttpWriter, Ledger, SqlWriter, Writer

MEMORY = 700 << 20
"""Bytes of resident memory the server may have: its ring and its sockets' queues are bounded."""

CATCH_UP, AGREE, FORGET = 60.0, 15.0, 15.0
"""Seconds at most: on a machine that is busy with other things a dozen new copies take long."""


class SoakFailure(AssertionError):
    """An invariant does not hold; the message names the seed."""


@dataclass(frozen=True)
class Course:
    """What a run is like. ``broken`` names what the server is made to do wrong (``server``)."""

    seconds: float = 60.0
    seed: int = 1
    round_seconds: float = 7.0
    acts: Sequence[str] = ACTS
    acts_a_round: int = 3
    pace: float = 0.06
    big: int = 400
    broken: str = ""
    session_type: type[ClientSession] = ClientSession
    tell: Callable[[str], None] = print


@dataclass
class Outcome:
    """What a run came to."""

    rounds: int = 0
    transactions: int = 0
    told: int = 0
    joins: int = 0
    acts: Counter[str] = field(default_factory=Counter)
    resyncs: Counter[str] = field(default_factory=Counter)
    closings: Counter[int] = field(default_factory=Counter)


def stage_of(postgres: EmbeddedPostgres, course: Course) -> Stage:
    """The stage, with a broken server where the course asks for it."""
    environment: Mapping[str, str] = {"SOAK_BROKEN": course.broken} if course.broken else {}
    return Stage(postgres, module="tests.soak.server", environment=dict(environment))


class Soak:
    """One run on a stage that has started."""

    def __init__(self, stage: Stage, course: Course) -> None:
        self.stage = stage
        self.course = course
        self.ledger = Ledger()
        self.truth = Truth(stage.uri)
        self.witnesses = [self._witness(seat) for seat in seats()]
        self.judges = [Judge(witness, self.truth, self.ledger) for witness in self.witnesses]
        self.writers = self._make_writers()
        self.nemesis = Nemesis(stage, self.witnesses, course.seed, self._log)
        self.outcome = Outcome()
        self._random = random.Random(f"{course.seed}-soak")
        self._began = time.monotonic()
        self._markers = 0
        self._retained = ""  # the WAL's end at the last moment of quiet

    def _witness(self, seat: Seat) -> Witness:
        def url() -> str:
            return self.stage.proxy.url

        if seat.through == "client":
            return ClientWitness(seat, self.course.seed, url)
        return WireWitness(seat, self.course.seed, url, self.course.session_type)

    def _make_writers(self) -> list[Writer]:
        course = self.course
        shared = course.seed, self.ledger, course.pace
        sql = [SqlWriter(n, *shared, self.stage.uri, course.big) for n in (1, 2, 3)]
        http = HttpWriter(4, *shared, lambda: self.stage.server.url)
        return [*sql, http, OrmWriter(5, *shared, self.stage.uri)]

    def _log(self, text: str) -> None:
        self.course.tell(f"[{time.monotonic() - self._began:7.1f}] {text}")

    async def run(self) -> Outcome:
        """Rounds until the time is over. Raises SoakFailure."""
        course = self.course
        deck = Deck(course.acts, course.seed)
        async with AsyncExitStack() as stack:
            for writer in self.writers:
                stack.push_async_callback(writer.close)
            for runner in (*self.witnesses, *self.writers):
                task = asyncio.create_task(runner.run())
                stack.push_async_callback(_ended, task)
            await self._quiet()
            while time.monotonic() - self._began < course.seconds:
                acts = deck.deal(course.acts_a_round)
                self.outcome.acts.update(acts)
                self._may_write(True)
                await self.nemesis.round(acts, course.round_seconds)
                await self._quiet()
                self.outcome.rounds += 1
        return self.outcome

    def _may_write(self, may: bool) -> None:
        for writer in self.writers:
            writer.may_write.set() if may else writer.may_write.clear()

    # Moments of quiet ---------------------------------------------------------------------------------

    async def _quiet(self) -> None:
        """Nobody writes, nothing is broken: everything must agree now, soon."""
        self._may_write(False)
        async with asyncio.timeout(60):
            await asyncio.gather(*(writer.idle.wait() for writer in self.writers))
        await self._marked()
        problems = await self._agreement()
        await self.truth.load()
        for judge in self.judges:
            name = judge.witness.seat.name
            self.outcome.told += sum(len(step.told) for step in judge.witness.steps)
            problems += [f"{name}: {problem}" for problem in judge.judge()]
            problems += [f"{name}: {problem}" for problem in unexplained(judge.witness, self.nemesis.done)]
        problems += await self._retained_wal()
        problems += self._server_problems()
        self._count()
        if problems:
            raise SoakFailure(self._verdict(problems))
        await self._prune()

    async def _marked(self) -> None:
        """Wait until everybody has heard of one more row of the ledger."""
        self._markers += 1
        marker = 0, self._markers
        await self.stage.execute(f"insert into api.ledger values {marker} on conflict do nothing")
        deadline = time.monotonic() + CATCH_UP
        while late := [w for w in self.witnesses if not _has(w, marker)]:
            if time.monotonic() > deadline:
                states = [(w.seat.name, w.state, dict(w.closings), dict(w.failures)) for w in late]
                raise SoakFailure(self._verdict([f"I1: these do not catch up: {states}"]))
            await asyncio.sleep(0.05)

    async def _agreement(self) -> list[str]:
        """I1, waited for: definitions are compared every few seconds, dependents read again after pauses."""
        deadline = time.monotonic() + AGREE
        disagreeing = list(self.witnesses)
        while True:
            found: list[str] = []
            still = []
            for witness in disagreeing:
                truth = await self.truth.of(witness.seat)
                if problems := differences(witness, truth):
                    still.append(witness)
                    found += [f"{witness.seat.name}: {problem}" for problem in problems]
            if not found or time.monotonic() > deadline:
                return found
            disagreeing = still
            await asyncio.sleep(0.2)

    async def _retained_wal(self) -> list[str]:
        """I6: the slot that is read lets PostgreSQL forget what was there at the last moment of quiet."""
        sql = (
            "select pg_current_wal_lsn()::text, s.active, s.confirmed_flush_lsn >= '{}'::pg_lsn"
            " from (select) x left join pg_replication_slots s on s.slot_name = 'aiodata'"
        )
        deadline = time.monotonic() + FORGET
        while True:
            ((end, active, passed),) = await self.stage.execute(sql.format(self._retained or "0/0"))
            if passed or not active:
                self._retained = end
                return []
            if time.monotonic() > deadline:
                return [f"I6: the slot keeps WAL from before {self._retained}"]
            await asyncio.sleep(0.2)

    def _server_problems(self) -> list[str]:
        problems = []
        for sign in ("Traceback", "reader failed", "task of the feed ended"):
            if sign in (output := self.stage.server.output()):
                where = output.index(sign)
                problems.append(f"the server said: {output[max(0, where - 200) : where + 2500]}")
                break
        if (memory := self.stage.memory()) > MEMORY:
            problems.append(f"I6: the server holds {memory >> 20} MiB")
        return problems

    def _count(self) -> None:
        self.outcome.transactions = self.ledger.count
        self.outcome.joins = sum(w.joins for w in self.witnesses)
        self.outcome.resyncs = sum((w.resyncs for w in self.witnesses), Counter())
        self.outcome.closings = sum((w.closings for w in self.witnesses), Counter())

    def _verdict(self, problems: Sequence[str]) -> str:
        listed = "\n".join(problem[:3000] for problem in problems[:12])
        more = f"\n... and {len(problems) - 12} more" if len(problems) > 12 else ""
        return f"seed {self.course.seed}, after {sorted(self.nemesis.done)}:\n{listed}{more}\n{self.outcome}"

    async def _prune(self) -> None:
        """The ledger would grow for ever."""
        self.truth.forget_all_but(self.witnesses)
        if len(self.ledger.acknowledged) > 1500:
            self.ledger.acknowledged.clear()
            await self.stage.execute("delete from api.ledger")


def _has(witness: Witness, marker: tuple[int, int]) -> bool:
    return any(marker in rows for (_, table), rows in witness.copy().items() if table == "ledger")


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    (ended,) = await asyncio.gather(task, return_exceptions=True)
    if isinstance(ended, Exception):
        raise ended


async def soak(postgres: EmbeddedPostgres, course: Course) -> Outcome:
    """A whole run on a PostgreSQL server that runs and is used by nobody else. Raises SoakFailure."""
    stage = stage_of(postgres, course)
    try:
        await stage.start()
        with in_haste():
            return await Soak(stage, course).run()
    finally:
        await stage.stop()
