"""The client's copy under version 2 of ``/state``: what the session tells, done to the cache.

What lives here: snapshots set aside until they are whole, transactions applied at once, and which
subscriptions hold which rows. What does not: the session (``session``), the socket, and whom events are told.

Most tables are covered by one subscription; their rows are kept once, in the cache that is read. Where
several cover a table, each has rows of its own, and the cache shows the union: a row stays while any of them
holds it, with the columns that any of them asked for.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import groupby
from operator import attrgetter
from typing import Any, TypeGuard
from urllib.parse import parse_qsl

import msgspec

from .cache import Cache, Patch, Put, Remove, TableCache, Truncate
from .cache import Change as CacheChange
from .entry import PIECE, Entry, EntryType, typname_of
from .incoming import (
    AnyPut,
    Change,
    Incoming,
    RowDeleted,
    RowPut,
    RowsFrame,
    Truncated,
    decode,
    rows_frame,
)
from .keyindex import Key
from .net import Event
from .session import (
    Committed,
    Ready,
    SchemaChanged,
    SessionEvent,
    SnapshotBegun,
    SnapshotComplete,
    SnapshotPart,
    Subscription,
)

_key: Callable[[msgspec.Raw], Key] = msgspec.json.Decoder(tuple[Any, ...], float_hook=Decimal).decode
_FIRST_PUT = '[["put",'  # how changes begin with a row put into a table, whose name follows
_HEAD = 400  # characters before which the changes begin, if the server is ours


class Copy:
    """A cache that follows a session, and what is set aside beside it.

    ``cache`` is what reads see; the rows of one that another copy has left are compared with those to come.
    ``wanted`` are rows of which only a part came, (table, key): to be asked for. ``intern`` is the cache's.
    """

    def __init__(self, cache: Cache | None = None, *, intern: bool = False) -> None:
        self.cache = cache if cache is not None else Cache(())
        self.wanted: list[tuple[str, msgspec.Raw]] = []
        self._intern = intern
        self._defined: dict[str, TableCache] = {}
        self._staged: dict[tuple[int, str], TableCache] = {}
        self._pieces: dict[str, dict[int, TableCache]] = {}
        self._columns: dict[int, tuple[str, ...]] = {}
        self._decoders: dict[str, Callable[[str], RowsFrame[Any]]] = {}  # by how the changes begin
        self._beginning = slice(0, 0)  # where they began in the last frame
        self._outdated = set(self.cache.tables)

    def decode(self, text: str) -> Incoming | None:
        """A frame of the server's as :func:`~.incoming.decode` reads it, but with entries for rows if it can.

        It can when a transaction does no more than put rows into one table, and it tries when it begins so.
        """
        # What precedes the changes is mostly as long as it was in the frame before: no search is needed then.
        decoder = self._decoders.get(text[self._beginning]) or self._decoder(text)
        if decoder is None:
            return decode(text)
        try:
            return decoder(text)
        except msgspec.ValidationError:  # there are other changes, too, or a column's type has changed
            return decode(text)

    def _decoder(self, text: str) -> Callable[[str], RowsFrame[Any]] | None:
        """The decoder for the table that the changes of a frame begin with."""
        start = text.find(_FIRST_PUT, 0, _HEAD)
        if start < 0:
            return None
        self._beginning = slice(start, text.find('"', start + len(_FIRST_PUT) + 1) + 1)
        return self._decoders.get(text[self._beginning])

    def subscribed(self, subscriptions: Iterable[Subscription]) -> None:
        """What is asked for: which columns a subscription's rows have follows from it."""
        self._columns = {sub.id: selected(sub.query) for sub in subscriptions}

    def take(self, event: SessionEvent, *, silent: bool = False) -> Iterator[Event | None]:
        """Do what an event of the session says. To be exhausted; yields as :meth:`complete`.

        ``silent``: the copy has not been whole yet, so that nothing is a change.
        """
        match event:
            case RowsFrame(changes=rows):  # first, since nothing else is as frequent
                events = self.put(rows)
                yield from () if silent else events
            case Committed(changes=changes):
                events = self.commit(changes)
                yield from () if silent else events
            case Ready(resumed=resumed, schema=schema):
                self.connected(schema, resumed=resumed)
                if not resumed and not schema:
                    yield from self.complete((), silent=silent)
            case SchemaChanged(table=table, key=key, columns=columns):
                self.define(table, key, columns)
            case SnapshotBegun():
                self._staged.clear()
            case SnapshotPart():
                yield from self.stage(event)
            case SnapshotComplete(parts=parts):
                yield from self.complete(parts, silent=silent)

    # --- definitions

    def connected(self, schema: Mapping[str, Any], *, resumed: bool) -> None:
        """The session begins: tables by name, each with ``key`` and ``columns``. Staged rows are void."""
        self._staged.clear()
        self.wanted.clear()
        if not resumed:
            self._defined.clear()
            self._outdated = set(self.cache.tables)
        for name, description in schema.items():
            self.define(name, description["key"], description["columns"])

    def define(self, name: str, key: Iterable[str], columns: Mapping[str, str]) -> None:
        """A table has this key and these columns (name to type, as ``format_type`` writes it) from now on.

        Rows in the cache stay as they are until the snapshot that follows is whole.
        """
        typed = [(column, typname_of(written)) for column, written in columns.items()]
        known = self.cache.tables.get(name)
        fits = known is not None and known.rows.columns == tuple(typed) and known.key == tuple(key)
        self._defined[name] = (
            known.blank()
            if known is not None and fits
            else TableCache(name, typed, tuple(key), intern=self._intern)
        )

    # --- snapshots

    def stage(self, part: SnapshotPart) -> Iterator[None]:
        """Set rows of a snapshot aside. Rows of a table that was not defined are of no use, and dropped.

        To be exhausted. A frame has rows for many milliseconds: yields now and then to breathe.
        """
        defined = self._defined.get(part.table)
        if defined is None:
            return
        piece = part.sub, part.table
        if piece not in self._staged:
            self._staged[piece] = defined.blank()
        staged, rows = self._staged[piece], memoryview(part.rows)
        reader = staged.reader()
        for start in range(0, len(rows), PIECE):
            if start:
                yield None
            staged.fill(reader.feed(rows[start : start + PIECE]))
        staged.fill(reader.close())

    def complete(self, parts: Iterable[tuple[int, str]], *, silent: bool = False) -> Iterator[Event | None]:
        """These (subscription, table) are whole: they take the place of what was there, all at once.

        To be exhausted: at its end the cache has the new rows. Yields the net differences unless ``silent``,
        and None now and then to breathe; nothing else may happen to the copy meanwhile.
        """
        fresh: dict[str, dict[int, TableCache]] = {}
        for sub, name in parts:
            piece = self._staged.pop((sub, name), None)
            if piece is None:
                piece = self._empty(name)
            if piece is not None:
                fresh.setdefault(name, {})[sub] = piece
        changed = {name: self._others(name, pieces) | pieces for name, pieces in fresh.items()}
        # A session that was not resumed tells all that may be seen: what it leaves out is gone.
        changed |= {name: {} for name in self._outdated if name not in self._defined}
        self._outdated -= changed.keys()
        yield from self._replace(changed, silent=silent)

    def forget(self, sub: int) -> Iterator[Event | None]:
        """A subscription is no more: rows that only it held are gone. As :meth:`complete`."""
        covered = [name for name, pieces in self._pieces.items() if sub in pieces]
        yield from self._replace({name: self._others(name, {sub}) for name in covered})

    def _empty(self, name: str) -> TableCache | None:
        defined = self._defined.get(name, self.cache.tables.get(name))
        return defined.blank() if defined is not None else None

    def _others(self, name: str, subs: Container[int]) -> dict[int, TableCache]:
        """The pieces of a table that other subscriptions than these have; none is the cache itself."""
        if name in self._outdated:
            return {}
        shown = self.cache.tables.get(name)
        return {
            sub: _twin(piece) if piece is shown else piece
            for sub, piece in self._pieces.get(name, {}).items()
            if sub not in subs
        }

    def _replace(
        self, changed: Mapping[str, dict[int, TableCache]], *, silent: bool = False
    ) -> Iterator[Event | None]:
        fresh = {name: self._union(name, pieces) for name, pieces in changed.items()}
        for name, new in () if silent else fresh.items():
            shown = self.cache.tables.get(name)
            yield from (shown if shown is not None else new.blank()).differences(new)
        for name, new in fresh.items():
            self._show(name, new, changed[name])

    def _union(self, name: str, pieces: Mapping[int, TableCache]) -> TableCache:
        if len(pieces) == 1:
            return next(iter(pieces.values()))
        # Pieces may be older than what the table is defined as now, which has the columns of all of them.
        known = (self._defined.get(name), *pieces.values(), self.cache.tables.get(name))
        union = next(shape for shape in known if shape is not None).blank()
        keys = dict.fromkeys(piece.key_of(row) for piece in pieces.values() for row in piece)
        union.fill(row for key in keys if (row := self._merged(union.rows, pieces, key)) is not None)
        return union

    def _merged(self, rows: EntryType, pieces: Mapping[int, TableCache], key: Key) -> Entry | None:
        """The row that some pieces hold under a key, with all columns that any of them has."""
        held = [(sub, row) for sub, piece in pieces.items() for row in piece.get(*key)]
        if len(held) < 2:
            return held[0][1] if held else None
        values: dict[str, Any] = {}
        for sub, row in held:
            columns = self._columns.get(sub) or row
            values |= {name: row[name] for name in (*columns, *pieces[sub].key) if name in rows.names}
        return rows.row(values)

    def _show(self, name: str, new: TableCache, pieces: dict[int, TableCache]) -> None:
        if not pieces:
            self.cache.tables.pop(name, None)
            self._pieces.pop(name, None)
            self._decoders.pop(_beginning(name), None)
            return
        shown = self.cache.tables.get(name)
        if shown is not None and shown.rows is new.rows:
            shown.adopt(new)  # whoever has this cache in hand goes on reading the right rows
        else:
            shown = self.cache.tables[name] = new
        if len(pieces) == 1:
            (sub,) = pieces
            self._pieces[name] = {sub: shown}
            self._decoders[_beginning(name)] = shown.rows.decoder(lambda entry: rows_frame(name, entry, sub))
        else:
            self._pieces[name] = pieces
            self._decoders.pop(_beginning(name), None)

    # --- transactions

    def put(self, changes: Sequence[RowPut[str, Any, Any, Any]]) -> Sequence[Event]:
        """Apply a transaction that came as :meth:`decode` has just read it; its net changes."""
        if len(changes) == 1:
            (change,) = changes
            return self.cache.tables[change.table].put_entry(change.row)
        if not changes:
            return ()
        events = self.cache.tables[changes[0].table].put_all([change.row for change in changes])
        return self.cache.net(events) if len(events) > 1 else events

    def commit(self, changes: Iterable[Change]) -> list[Event]:
        """Apply a transaction; its net changes."""
        events: list[Event] = []
        for name, run in groupby(changes, attrgetter("table")):
            pieces = self._pieces.get(name)
            if pieces is None:
                continue
            neighbours = list(run)
            if _only_rows(neighbours, pieces):
                events += self.cache.tables[name].put_all([change.row for change in neighbours])
                continue
            for change in neighbours:
                for each in self._shown(change, pieces):
                    events += self.cache.apply(each)
        return self.cache.net(events) if len(events) > 1 else events

    def _shown(self, change: Change, pieces: dict[int, TableCache]) -> Iterator[CacheChange]:
        """What a change comes to in the cache."""
        if len(pieces) > 1:
            yield from self._shared(change, pieces)
        elif isinstance(change, Truncated) or not pieces.keys().isdisjoint(change.subs):
            known = self._known(change, self.cache.tables[change.table])
            if known is not None:
                yield known

    def _known(self, change: Change, table: TableCache) -> CacheChange | None:
        """The change as the cache takes it; None for a part of a row that is not there, which is wanted."""
        if isinstance(change, RowPut):
            return Put(table.name, change.row, _key(change.old_key) if change.old_key else None)
        if isinstance(change, Truncated):
            return Truncate(table.name)
        key = _key(change.key)
        if isinstance(change, RowDeleted):
            return Remove(table.name, key)
        if not table.get(*key):
            self.wanted.append((table.name, change.key))
            return None
        return Patch(table.name, key, table.rows.values(change.row))

    def _shared(self, change: Change, pieces: Mapping[int, TableCache]) -> Iterator[CacheChange]:
        """A change of a table that several subscriptions cover: in their pieces, then in the union."""
        touched: dict[Key, None] = {}
        moved: Key | None = None
        for sub, piece in pieces.items():
            known = None
            if isinstance(change, Truncated) or sub in change.subs:
                known = self._known(change, piece)
            for event in piece.apply(known) if known is not None else ():
                for item in event.entries:
                    old, new = item if event.action == "update" else (item, item)
                    touched |= dict.fromkeys((piece.key_of(old), piece.key_of(new)))
                    if piece.key_of(old) != piece.key_of(new):
                        moved = piece.key_of(old)
        table = self.cache.tables[change.table]
        rows = {key: self._merged(table.rows, pieces, key) for key in touched}
        for key, row in rows.items():
            if row is not None:
                from_key = moved if moved is not None and rows[moved] is None else None
                moved = None if from_key is not None else moved
                yield Put(table.name, row, from_key)
            elif key != moved:
                yield Remove(table.name, key)


def _only_rows(changes: Sequence[Change], pieces: Mapping[int, TableCache]) -> TypeGuard[Sequence[AnyPut]]:
    """Whether these are rows as they are now, their keys unchanged, of the table's one subscription."""
    if len(pieces) > 1:
        return False
    (sub,) = pieces
    for change in changes:
        if type(change) is not RowPut or change.old_key or sub not in change.subs:
            return False
    return True


def _beginning(table: str) -> str:
    """How the changes of a transaction begin whose first is a row put into this table."""
    return _FIRST_PUT + json.dumps(table)


def _twin(piece: TableCache) -> TableCache:
    """Another cache of the same rows."""
    twin = piece.blank()
    twin.fill(piece)
    return twin


def selected(query: str) -> tuple[str, ...]:
    """The columns a subscription's ``select`` names, ``()`` for all."""
    chosen = dict(parse_qsl(query, keep_blank_values=True)).get("select", "")
    names = tuple(name.strip().strip('"') for name in chosen.split(",") if name.strip())
    return () if "*" in names else names
