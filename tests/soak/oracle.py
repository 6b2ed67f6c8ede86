"""The soak's judge: what is true according to the database, and whether the witnesses tell the same.

What lives here: the invariants. I1: a copy equals what its role selects. I2: what a witness was told leads
to its copy, each net change once, no key ever back to an older version. I3: acknowledged transactions are
there, refused ones never were, each writer's in order. I4 (in the witnesses): nothing half-done is shown.
I5: nothing is told that the role may not see. I6: resynchronisations have a cause.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import psycopg

from .clients import Key, Piece, Rows, Step, Told, Witness, parsed
from .world import Row, Seat, Watched
from .writers import Ledger

_COLUMNS = """
select c.relname, array_agg(a.attname::text order by a.attnum)
from pg_class c join pg_attribute a on a.attrelid = c.oid
where c.relnamespace = 'api'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
    and a.attnum > 0 and not a.attisdropped and has_column_privilege(%s, c.oid, a.attnum, 'select')
group by 1
"""


class Truth:
    """What the database says; ``versions``: v -> (order, row) of every row version that was committed.

    A version has several looks where its table was rewritten.
    """

    def __init__(self, uri: Callable[[], str]) -> None:
        self._uri = uri
        self.versions: dict[int, list[tuple[int, Row]]] = {}
        self.members_ever: set[tuple[str, int]] = set()

    async def load(self) -> None:
        """Take over what the triggers have noted, and remove it there."""
        async with await psycopg.AsyncConnection.connect(self._uri()) as connection:
            cursor = await connection.execute("delete from soak.audit returning seq, tab, v, row::text")
            async for seq, table, version, text in cursor:
                row = parsed(text)
                self.versions.setdefault(version, []).append((seq, row))
                if table == "members":
                    self.members_ever.add((row["who"], row["room"]))

    def forget_all_but(self, witnesses: Iterable[Witness]) -> None:
        """Versions that no copy holds are of no interest any more."""
        held = {
            row["v"] for w in witnesses for rows in w.copy().values() for row in rows.values() if "v" in row
        }
        self.versions = {v: known for v, known in self.versions.items() if v in held}

    async def of(self, seat: Seat) -> dict[tuple[Piece, str], list[dict[str, Any]]]:
        """What the seat's role selects, by (piece, where): in one snapshot."""
        async with await psycopg.AsyncConnection.connect(self._uri()) as connection:
            await connection.execute("set transaction isolation level repeatable read")
            cursor = await connection.execute(_COLUMNS.encode(), [seat.role])
            columns = dict(await cursor.fetchall())
            claims = json.dumps({"role": seat.role, **seat.claims})
            await connection.execute(
                "select set_config('role', %s, true), set_config('request.jwt.claims', %s, true)",
                [seat.role, claims],
            )
            found = {}
            for watched in seat.watched:
                for table in columns if watched.table == "*" else (watched.table,):
                    names = watched.columns or columns.get(table, ())
                    rows = await self._select(connection, table, names, watched) if table in columns else []
                    found[(watched.id, table), watched.where] = rows
            return found

    @staticmethod
    async def _select(
        connection: psycopg.AsyncConnection, table: str, names: Iterable[str], watched: Watched
    ) -> list[dict[str, Any]]:
        listed = ", ".join(f'"{name}"' for name in names)
        inner = f"select {listed} from api.{table} where {watched.where}"
        cursor = await connection.execute(f"select row_to_json(x)::text from ({inner}) x".encode())
        return [parsed(text) for (text,) in await cursor.fetchall()]


def differences(witness: Witness, truth: Mapping[tuple[Piece, str], list[dict[str, Any]]]) -> list[str]:
    """I1: where a copy is not what its role selects."""
    copy = {piece: list(rows.values()) for piece, rows in witness.copy().items()}
    found = []
    wanted: dict[Piece, set[str]] = {}
    for ((sub, table), _), expected in truth.items():
        piece = (0 if witness.merged else sub, table)
        wanted.setdefault(piece, set()).update(map(_text, expected))
    for piece, texts in wanted.items():
        mine, theirs = sorted(map(_text, copy.pop(piece, []))), sorted(texts)
        if mine != theirs:
            extra, missing = _without(mine, theirs), _without(theirs, mine)
            found.append(f"I1: {piece}: too much {_short(extra)}, missing {_short(missing)}")
    unread = [(piece, rows) for piece, rows in copy.items() if rows]
    return found + [f"I1: {piece} has {len(rows)} rows of a table it may not read" for piece, rows in unread]


def _text(row: Mapping[str, Any]) -> str:
    return json.dumps(row, sort_keys=True, default=str)


def _short(texts: list[str]) -> str:
    return f"{len(texts)} {[text[:200] for text in texts[:3]]}"


def _without(some: list[str], others: list[str]) -> list[str]:
    known = set(others)
    return [text for text in some if text not in known]


class Judge:
    """Follows one witness's steps."""

    def __init__(self, witness: Witness, truth: Truth, ledger: Ledger) -> None:
        self.witness = witness
        self._truth = truth
        self._ledger = ledger
        self._replayed: dict[Piece, Rows] = {}
        self._last: dict[tuple[Piece, Key], int] = {}
        self._heard: set[tuple[Piece, Key]] = set()
        self._written: dict[tuple[int, int], int] = {}
        self._complaints: list[str] = []

    def judge(self) -> list[str]:
        """What is wrong with the steps since the last time, and with the copy that they should lead to."""
        steps, self.witness.steps = self.witness.steps, []
        self._complaints, self.witness.complaints = self.witness.complaints, []
        for step in steps:
            self._follow(step)
        self.witness.lately = (self.witness.seat,)  # by now the server knows
        self._check_copy()
        self._check_ledger()
        return self._complaints

    def _complain(self, text: str) -> None:
        self._complaints.append(text)

    def _follow(self, step: Step) -> None:
        if step.kind == "forget":
            self._replayed.clear()
            self._heard.clear()
            self._last.clear()
            self._written.clear()
            return
        for told in step.told:
            self._legal(told)
            self._allowed(told, step.seats)
        self._in_order(step)

    def _legal(self, told: Told) -> None:
        """I2: it changes what was there, into something else that is newer."""
        rows = self._replayed.setdefault(told.piece, {})
        if self.witness.merged and (told.piece, told.key) not in self._heard and told.old is not None:
            rows[told.key] = dict(told.old)  # there from the first
        self._heard.add((told.piece, told.key))
        if rows.get(told.key) != told.old or told.old == told.new:
            self._complain(f"I2: {told} when there was {rows.get(told.key)}")
        if told.new is None:
            rows.pop(told.key, None)
            return
        rows[told.key] = dict(told.new)
        if "v" in told.new:
            self._newer(told, int(told.new["v"]))

    def _newer(self, told: Told, version: int) -> None:
        known = self._truth.versions.get(version)
        if known is None:
            self._complain(f"I5: {told.piece} {told.key} version {version} was never committed")
            return
        place = told.piece, told.key
        order = next((order for order, row in known if _agrees(told.new or {}, row)), None)
        if order is None:
            self._complain(f"I1: {told.piece} {told.key} is {told.new}, not of version {version}: {known}")
            return
        if order < self._last.get(place, 0):
            self._complain(f"I2: {told.piece} {told.key} goes back to version {version}")
        self._last[place] = order

    def _allowed(self, told: Told, seats: Sequence[Seat]) -> None:
        """I5: the role may see it, and asked for it."""
        if told.new is None:
            return
        seat, (sub, table) = seats[-1], told.piece
        if not any(seat.may_see(table, told.new, self._truth.members_ever) for seat in seats):
            self._complain(f"I5: {seat.name} may not see {table} {told.new}")
        watched = [w for w in seat.watched if self.witness.merged or w.id == sub]
        if not any(w.table in ("*", table) and w.holds(told.new) for w in watched):
            self._complain(f"I5: {seat.name} did not ask for {told.piece} {told.new}")

    def _in_order(self, step: Step) -> None:
        """I3: each writer's transactions come in the order they were acknowledged in."""
        seen = [t for t in step.told if t.piece[1] == "ledger" and t.new is not None]
        for told in seen:
            writer, number = told.key
            place = told.piece[0], writer
            late = told.key not in self._ledger.unknown and number <= self._written.get(place, 0)
            if step.kind == "commit" and late:
                self._complain(f"I3: {told.key} after {self._written[place]}")
        for told in seen:
            place = told.piece[0], told.key[0]
            self._written[place] = max(told.key[1], self._written.get(place, 0))
            if told.key in self._ledger.refused:
                self._complain(f"I3: {told.key} was rolled back")

    def _check_copy(self) -> None:
        for piece, rows in self.witness.copy().items():
            heard = {key: row for key, row in rows.items() if (piece, key) in self._heard}
            if heard != self._replayed.get(piece, {}):
                self._complain(f"I2: the copy of {piece} is not what was told of it")

    def _check_ledger(self) -> None:
        rows = self.witness.copy().get((0, "ledger"))
        if not self.witness.seat.watched[0].asks_for_all or rows is None:
            return
        if lost := self._ledger.acknowledged - rows.keys():
            self._complain(f"I3: never heard of {sorted(lost)[:5]} ({len(lost)})")


def _agrees(some: Row, whole: Row) -> bool:
    """Whether the columns that both have are the same."""
    return all(whole.get(name, value) == value for name, value in some.items())


DEFINING = {"alter_columns", "alter_types", "rename_column", "alter_policy", "add_policy", "revoke"}
EXPLAINED = {
    "epoch": {"drop_slot"},
    "schema": {"drop_slot", *DEFINING},
    "role": {"change_claims"},
    "trimmed": set(),
    "size": set(),
}
"""I6: which acts may cause a resynchronisation; ``policy`` and ``opaque`` are caused by writers."""


def unexplained(witness: Witness, acts: set[str]) -> list[str]:
    """I6: resynchronisations and closings that nothing explains."""
    found = [
        f"I6: {count} resynchronisations for {why}, which {sorted(acts)} do not explain"
        for why, count in witness.resyncs.items()
        if why in EXPLAINED and not EXPLAINED[why] & acts
    ]
    # With an echo on the line a client acknowledges more than was sent, which is a bad message.
    bad = {4011, 4403, 4410, 4429} | (set() if "echo" in acts else {4400})
    found += [f"I6: closed with {code}" for code in bad & witness.closings.keys()]
    # What ``revoke`` answers; any other subscription that fails does for no reason.
    found += [f"I6: refused with {code}" for code in witness.failures.keys() - {"42501"}]
    if witness.closings[4401] and not witness.seat.short:
        found.append("I6: closed for an expired token that was good")
    return found
