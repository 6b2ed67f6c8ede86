"""Subscriptions of a version 2 socket: what it asked for, as audiences of tables.

What lives here: from ``{"id":1,"table":"pets","query":"type=eq.Dog"}`` to audiences, anew whenever the
catalogue changed. What does not: what is sent to them (``reader2``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from ..core.changes.published import PublishedTable
from ..core.errors import ApiError, RequestError, SchemaError
from ..core.names import QualifiedName
from ..core.schema import Schema
from ..core.state.audience import Audience, Grants, Viewer
from ..core.state.cursor import Piece
from ..core.state.serversession import Sub
from .catalogue import Catalogue
from .narrowings import Asked, Narrowings

EVERY_TABLE = "*"


class State(NamedTuple):
    """What subscriptions came to by one version of the catalogue; ``definitions``: keys and columns told."""

    pieces: dict[Piece, Audience]
    definitions: dict[int, object]
    paused: frozenset[Piece]
    version: int


class Subscriptions:
    """A viewer's subscriptions. ``pieces`` are their audiences, by subscription and table.

    One that is refused stays among ``subs`` without pieces: it is looked at again whenever the catalogue has
    changed, and begins when the table is there, or granted.
    """

    def __init__(self, catalogue: Catalogue, schema: Callable[[], Schema], viewer: Viewer) -> None:
        self._catalogue = catalogue
        self._narrowings = Narrowings(schema)
        self.viewer = viewer
        self.subs: dict[int, Sub] = {}
        self.pieces: dict[Piece, Audience] = {}
        self.paused: set[Piece] = set()
        self._refused: dict[int, tuple[str, str]] = {}  # why, as it was told
        self.version = -1
        self.shape = ""
        self._names: dict[int, str] = {}
        self._definitions: dict[int, object] = {}  # as of the last look: the catalogue's may be newer
        self.read: frozenset[int] = frozenset()  # by policies of the pieces

    def ask(self, sub: Sub) -> None:
        """One more, or this instead of the one of that number."""
        self.subs[sub.id] = sub
        self._refused.pop(sub.id, None)

    def end(self, sub_id: int) -> None:
        """One less."""
        self.subs.pop(sub_id, None)
        self._refused.pop(sub_id, None)

    async def look(self) -> list[tuple[int, ApiError]]:
        """Find the audiences by the present catalogue. Answers what is refused, and why; each reason once."""
        await self._narrowings.prepare(list(self._asked()))
        grants = await self._catalogue.grants(self.viewer.role)
        self.version = self._catalogue.version
        told, self._refused = self._refused, {}
        refused = []
        self.pieces.clear()
        self.paused.clear()
        for sub in self.subs.values():
            try:
                self._add(sub, grants)
            except ApiError as error:
                why = self._refused[sub.id] = error.code, error.message
                if told.get(sub.id) != why:
                    refused.append((sub.id, error))
        self.shape = self._fingerprint()
        self._names.update({oid: self._name(oid) for _, oid in self.pieces})
        self._definitions = {oid: self._described(oid) for oid in {oid for _, oid in self.pieces}}
        guarded = {oid for (_, oid), audience in self.pieces.items() if audience.guarded}
        self.read = frozenset(self._catalogue.read_by(guarded))
        return refused

    def _add(self, sub: Sub, grants: Grants) -> None:
        if sub.table == EVERY_TABLE:
            if sub.query:
                raise RequestError(400, "PGRST100", "a subscription to all tables has no query")
            for table in self._tables():
                if audience := grants.audience(self.viewer, table):
                    self.pieces[sub.id, table.oid] = audience
            return
        table = self._table(sub.table)
        narrowing = self._narrowings.get(sub.query, table.qualified)
        audience = grants.audience(self.viewer, table, narrowing)
        if audience is None:
            raise RequestError(403, "42501", f"permission denied for table {table.name}")
        self.pieces[sub.id, table.oid] = audience

    def _asked(self) -> Iterable[Asked]:
        for sub in list(self.subs.values()):
            if sub.table != EVERY_TABLE:
                with suppress(ApiError):  # told by _add
                    yield sub.query, self._table(sub.table).qualified

    def _tables(self) -> Iterable[PublishedTable]:
        return (t for t in self._catalogue.published.by_name.values() if t.obstacle is None)

    def _table(self, name: str) -> PublishedTable:
        default = self._catalogue.schemas()[0]
        schema, _, bare = name.rpartition(".")
        known = self._catalogue.published.by_name
        table = known.get(QualifiedName(default, name)) or known.get(QualifiedName(schema, bare))
        if table is None:
            raise SchemaError(
                404, "PGRST205", f"Could not find the table '{default}.{name}' in the schema cache"
            )
        if table.obstacle is not None:
            raise RequestError(400, "55000", f"{table.name} gives no events: {table.obstacle}")
        return table

    def name(self, oid: int) -> str:
        """What a table is called in frames, also when it is no more: bare in the first exposed schema."""
        return self._names[oid]

    def _name(self, oid: int) -> str:
        table = self._catalogue.published.tables[oid]
        return table.name if table.schema == self._catalogue.schemas()[0] else str(table.qualified)

    def described(self, oids: Iterable[int]) -> Mapping[str, Any]:
        """Key and columns (name -> type) of tables, as ``ready`` and ``schema`` tell them."""
        return {self.name(oid): self._described(oid) for oid in oids}

    def _described(self, oid: int) -> Mapping[str, Any]:
        table = self._catalogue.published.tables[oid]
        seen = {c for (_, o), audience in self.pieces.items() if o == oid for c in audience.columns}
        columns = {c.name: c.type for c in table.columns if c.name in seen}
        return {"key": list(table.key), "columns": columns}

    def state(self) -> State:
        """What it all came to, to compare with later."""
        return State(dict(self.pieces), dict(self._definitions), frozenset(self.paused), self.version)

    def changed_since(self, before: State) -> set[Piece]:
        """The pieces whose rows at the client may be wrong by now."""
        changed = self._catalogue.changed
        return {
            piece
            for piece, audience in self.pieces.items()
            if before.pieces.get(piece) != audience
            or piece in before.paused
            or changed.get(piece[1], 0) > before.version
        }

    def watched(self) -> set[int]:
        """The tables whose changes concern these subscriptions, those their policies read included."""
        return {oid for _, oid in self.pieces} | self.read

    def dependents(self, touched: frozenset[int]) -> list[Piece]:
        """The pieces whose policies read one of the tables that changed."""
        moved = self._catalogue.dependents(touched)
        return [piece for piece, audience in self.pieces.items() if audience.guarded and piece[1] in moved]

    def _fingerprint(self) -> str:
        published, digest = self._catalogue.published, hashlib.sha256()
        for piece, audience in sorted(self.pieces.items(), key=lambda item: item[0]):
            table, history = published.tables[piece[1]], published.histories[piece[1]]
            digest.update(repr((piece, audience, table.key, table.columns, history)).encode())
        return digest.hexdigest()[:12]
