"""The client's copy of the tables: rows by key and key prefix, filled piece by piece, changed row by row.

What lives here: what a change does to the copy, and which events follow from it. What does not: where rows
and changes come from, when they are applied, and whom the events are told.

Rows are replaced, never mutated, so an update's old and new row cost nothing, and what ``get`` has returned
stays as it was. Events are derived from the copy itself: a change that is already in it gives none, so
hearing a change twice, or hearing one that the fill had already seen, is harmless.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby, repeat
from operator import attrgetter
from types import NoneType
from typing import Any

from msgspec import Raw, Struct
from msgspec.structs import force_setattr

from .entry import Entry, EntryType, RowReader, asdict, is_scalar, is_text, same
from .keyindex import Key, KeyIndex
from .net import Action, Event, net

Source = bytes | Raw | Mapping[str, Any] | Entry
_STRIDE = 2000  # rows compared between two breaths of the caller
_DISTINCT_LIMIT = 65536  # a text column with more values than this is not worth interning


class Put(Struct, frozen=True, gc=False):
    """A row as it is now. ``old_key`` is the key it had before, where that is known."""

    table: str
    row: Source
    old_key: Key | None = None


class Patch(Struct, frozen=True, gc=False):
    """Some columns of the row with this key; the others are as they were."""

    table: str
    key: Key
    values: Mapping[str, Any]


class Remove(Struct, frozen=True, gc=False):
    """The row with this key is gone."""

    table: str
    key: Key


class Truncate(Struct, frozen=True, gc=False):
    """All rows of the table are gone."""

    table: str


Change = Put | Patch | Remove | Truncate


class UnknownRow(LookupError):
    """A :class:`Patch` of a row that is not in the copy: its other columns must be asked for."""

    def __init__(self, table: str, key: Key) -> None:
        super().__init__(f"{table} has no row with key {key!r}")
        self.table = table
        self.key = key


class TableCache:
    """The copy of one table.

    ``columns`` are (name, ``pg_type.typname``) pairs in the table's order, ``key`` the names of the key
    columns in that same order, at least one. ``intern`` shares equal strings of text columns in which they
    repeat: less than half the memory for such tables, and a slower fill.
    """

    def __init__(
        self, name: str, columns: Sequence[tuple[str, str]], key: Sequence[str], *, intern: bool = False
    ) -> None:
        if not key:
            raise ValueError(f"table {name} has no key")
        self.name = name
        self.key = tuple(key)
        self.rows = EntryType(columns)
        self._entry = self.rows.make
        self._types = dict(columns)
        self._index = self._new_index()
        self._interned = _Interned(self.rows, self.key) if intern else None
        self._coercions = [self.rows.coercion(name) for name in self.key]
        self._coerced = any(self._coercions)
        self._publish(self._index)

    def _publish(self, index: KeyIndex[Entry]) -> None:
        """Make ``index`` what reads see."""
        self._index = index
        #: The key of a row of this table, a tuple.
        self.key_of: Callable[[Entry], Key] = index.key
        self._place = index.place
        #: The entries whose key begins with the given values; all for none, ``()`` for unknown or too many.
        self.get: Callable[..., tuple[Entry, ...]] = self._get_coerced if self._coerced else index.get

    def _coerce(self, key: Sequence[Any]) -> Sequence[Any]:
        """Key values as the rows hold them: a number may have come as float or as Decimal."""
        if not self._coerced:
            return key
        known = [change(part) if change else part for part, change in zip(key, self._coercions, strict=False)]
        return (*known, *key[len(known) :])

    def _get_coerced(self, *key: Any) -> tuple[Entry, ...]:
        return self._index.get(*self._coerce(key))

    def _new_index(self) -> KeyIndex[Entry]:
        fields = [self.rows.make.column_fields[name] for name in self.key]
        return KeyIndex(fields, scalar=all(is_scalar(self._types[name]) for name in self.key))

    def blank(self) -> TableCache:
        """An empty copy of the same table, to be filled beside this one and adopted."""
        fresh = TableCache(self.name, self.rows.columns, self.key, intern=self._interned is not None)
        fresh.rows, fresh._entry = self.rows, self._entry  # one class, so that old and new rows compare
        return fresh

    def __len__(self) -> int:
        return len(self._index)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._index)

    def __contains__(self, row: object) -> bool:
        return isinstance(row, self.rows.make) and self._index.find(self._index.key(row)) == row

    # --- filling, without events

    def reader(self) -> RowReader:
        """A reader of the table's rows from JSON text in pieces; give what it yields to :meth:`fill`."""
        return RowReader(self.rows.rows)

    def fill(self, rows: bytes | Iterable[Source]) -> None:
        """Put rows, a JSON array or any rows, without events. Call it as often as there are pieces."""
        decoded = self.rows.rows(rows) if isinstance(rows, bytes) else self.rows.all(list(rows))
        if self._interned:
            self._interned.intern(decoded)
        self._index.extend(decoded)

    def differences(self, fresh: TableCache) -> Iterator[Event | None]:
        """The net changes from this copy to ``fresh``: at most one event a key, None now and then to breathe.

        Neither copy may change until the iterator has ended.
        """
        index, other = self._index, fresh._index
        if self.key != fresh.key:  # the table was made anew: no row is the same
            yield from (Event(action, self.name, rows) for action, rows in _replaced(index, other) if rows)
            return
        for count, old in enumerate(index, 1):
            new = other.find(index.key(old))
            if new is None:
                yield Event("delete", self.name, (old,))
            elif same(old, new) is not True and old != new:  # of two classes, the fast way knows nothing
                yield Event("update", self.name, ((old, new),))
            if count % _STRIDE == 0:
                yield None
        for count, new in enumerate(other, 1):
            if index.find(other.key(new)) is None:
                yield Event("create", self.name, (new,))
            if count % _STRIDE == 0:
                yield None

    def adopt(self, fresh: TableCache) -> None:
        """Take over the rows of another copy, all at once. That one must not be used afterwards."""
        self._interned = fresh._interned
        self._publish(fresh._index)

    # --- changes, each giving its events

    def put(self, row: Source, old_key: Key | None = None) -> tuple[Event, ...]:
        """The row is now this. Create or update, as the copy knows it; nothing when it is there already."""
        new = row if type(row) is self._entry else self.rows.row(row)
        key = self.key_of(new)
        if old_key is not None and old_key != key and (known := tuple(self._coerce(old_key))) != key:
            return self._move(known, new)
        return self.put_entry(new, key)

    def put_entry(self, new: Entry, key: Key | None = None) -> tuple[Event, ...]:
        """As :meth:`put`, of an entry of this table; its key, known or not, is what it was before."""
        old = self._place(new, key)
        if self._interned is not None:
            self._interned.share_one(new, old)
        if old is None:
            return (Event("create", self.name, (new,)),)
        return () if same(old, new) else (Event("update", self.name, ((old, new),)),)

    def _move(self, old_key: Key, new: Entry) -> tuple[Event, ...]:
        """A row takes another place; without one before, it is as in :meth:`put`."""
        moved = self._index.remove(old_key)
        if moved is None:
            return self.put_entry(new)
        old = self._place(new)
        if self._interned is not None:
            self._interned.share_one(new, old)
        # Only a deferred key constraint lets a row move onto another: that one has lost its place.
        lost = (Event("delete", self.name, (old,)),) if old is not None else ()
        return (*lost, Event("update", self.name, ((moved, new),)))

    def put_all(self, rows: Sequence[Raw | Entry]) -> Sequence[Event]:
        """Rows are now these, and none has another key than before: as :meth:`put` of one after the other.

        Neighbours of one action share an event, unless a key comes twice.
        """
        fresh = self.rows.all(rows)
        before = self._index.place_all(fresh)
        if before is None:
            return [event for new in fresh for event in self.put_entry(new)]
        kinds = set(map(type, before))
        if self._interned is not None:
            self._interned.share(fresh, before if NoneType not in kinds else None)
        if kinds == {self._entry} and not any(map(same, before, fresh)):  # mostly
            return (Event("update", self.name, tuple(zip(before, fresh, strict=True))),)
        if kinds == {NoneType}:
            return (Event("create", self.name, tuple(fresh)),)
        return list(self._told(zip(before, fresh, strict=True)))

    def _told(self, pairs: Iterable[tuple[Entry | None, Entry]]) -> Iterator[Event]:
        """The events of rows that were placed: neighbours of one action share one."""
        changed = (pair for pair in pairs if pair[0] is None or not same(pair[0], pair[1]))
        for created, run in groupby(changed, lambda pair: pair[0] is None):
            if created:
                yield Event("create", self.name, tuple(new for _, new in run))
            else:
                yield Event("update", self.name, tuple(run))

    def patch(self, key: Sequence[Any], values: Mapping[str, Any]) -> tuple[Event, ...]:
        """Some columns of a row are now these. Raises UnknownRow when the copy does not have the row."""
        old = self._index.find(self._coerce(key))
        if old is None:
            raise UnknownRow(self.name, tuple(key))
        return self.put({**asdict(old), **values}, tuple(key))

    def remove(self, key: Sequence[Any]) -> tuple[Event, ...]:
        """The row is gone; nothing when it was not there."""
        old = self._index.remove(self._coerce(key))
        return () if old is None else (Event("delete", self.name, (old,)),)

    def clear(self) -> tuple[Event, ...]:
        """All rows are gone: one event with all of them."""
        old = tuple(self._index)
        self._publish(self._new_index())
        return (Event("delete", self.name, old),) if old else ()

    def apply(self, change: Change) -> tuple[Event, ...]:
        """Apply a change; the events that follow from it, mostly one."""
        return _APPLY[type(change)](self, change)


_APPLY: dict[type, Callable[[TableCache, Any], tuple[Event, ...]]] = {
    Put: lambda table, change: table.put(change.row, change.old_key),
    Remove: lambda table, change: table.remove(change.key),
    Patch: lambda table, change: table.patch(change.key, change.values),
    Truncate: lambda table, change: table.clear(),
}


def _replaced(old: Iterable[Entry], new: Iterable[Entry]) -> Iterator[tuple[Action, tuple[Entry, ...]]]:
    yield "delete", tuple(old)
    yield "create", tuple(new)


class Cache:
    """The copies of all tables that have a key, by name."""

    def __init__(self, tables: Iterable[TableCache]) -> None:
        self.tables = {table.name: table for table in tables}

    def apply(self, change: Change) -> tuple[Event, ...]:
        """Apply one change. One to a table that is not here is none of ours."""
        table = self.tables.get(change.table)
        return _APPLY[type(change)](table, change) if table is not None else ()

    def commit(self, changes: Iterable[Change]) -> list[Event]:
        """Apply a transaction; its net changes."""
        return self.net([event for change in changes for event in self.apply(change)])

    def net(self, events: Sequence[Event]) -> list[Event]:
        """What the events of one transaction come to."""
        return net(events, {name: table.key_of for name, table in self.tables.items()})


class _Interned:
    """Equal strings of the text columns in which strings repeat, kept once."""

    def __init__(self, rows: EntryType, key: Sequence[str]) -> None:
        fields = rows.make.column_fields
        self._texts = [fields[name] for name, typname in rows.columns if is_text(typname)]
        self._keys = [fields[name] for name, typname in rows.columns if is_text(typname) and name in key]
        self._pools: dict[str, dict[Any, Any]] | None = None
        self._known: list[tuple[str, Callable[..., Any]]] = []  # the pools' lookups
        self._others = self._known  # those of columns that are not in the key

    def intern(self, rows: Sequence[Entry]) -> None:
        """Let fresh rows share their strings. Only ever called before anybody has seen the rows."""
        if self._pools is None:
            if len(rows) < 64:
                return  # too few to tell which columns repeat
            self._pools = {field: {} for field in self._texts if _repeats(rows, field)}
        for name, pool in self._pools.items():
            values = list(map(attrgetter(name), rows))
            deque(map(force_setattr, rows, repeat(name), map(pool.setdefault, values, values)), maxlen=0)
        self._pools = {name: pool for name, pool in self._pools.items() if len(pool) <= _DISTINCT_LIMIT}
        self._known = [(name, pool.get) for name, pool in self._pools.items()]
        self._others = [(name, known) for name, known in self._known if name not in self._keys]

    def share(self, rows: Sequence[Entry], before: Sequence[Any] | None) -> None:
        """The same for the fresh rows of a transaction, whose new strings are not worth keeping.

        ``before``: the rows in whose places they are, if there are any for all of them.
        """
        if before is not None:
            for name in self._keys:
                deque(map(force_setattr, rows, repeat(name), map(attrgetter(name), before)), maxlen=0)
        for name, known in self._known if before is None else self._others:
            values = list(map(attrgetter(name), rows))
            deque(map(force_setattr, rows, repeat(name), map(known, values, values)), maxlen=0)

    def share_one(self, row: Entry, old: Entry | None) -> None:
        """The same for a single fresh row, in whose place ``old`` was: both have the same key."""
        if old is not None:
            for name in self._keys:  # no lookup: this is what a changed row's interning costs most
                force_setattr(row, name, getattr(old, name))
        for name, known in self._known if old is None else self._others:
            value = known(getattr(row, name))
            if value is not None:
                force_setattr(row, name, value)


def _repeats(rows: Sequence[Entry], name: str) -> bool:
    return len(set(map(attrgetter(name), rows))) * 4 <= len(rows)
