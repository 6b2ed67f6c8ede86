"""Events, and what those of one transaction come to when only its beginning and its end count.

What lives here: folding and grouping of events. What does not: how events follow from changes (``cache``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, Literal

from msgspec import Struct

from .entry import Entry, same
from .keyindex import Key

Action = Literal["create", "update", "delete"]
Keys = Mapping[str, Callable[[Entry], Key]]


class Event(Struct, frozen=True, gc=False):
    """What a callback is told: entries, or ``(old, new)`` pairs for an update."""

    # A struct, as each change makes one: a named tuple takes three times as long.
    action: Action
    table: str
    entries: tuple[Any, ...]


def net(events: Sequence[Event], keys: Keys) -> list[Event]:
    """The net changes of a transaction, whose events these are; ``keys`` give rows' keys, by table.

    No key may come twice in one of them. In what they come to, each key is at most once an old row's and
    once a new one's; rows that end as they began are left out. In the order of each row's last change;
    neighbours of one action and table share an event.
    """
    if len(events) > 1 and not _distinct(events, keys):
        folding = _Folding(keys)
        for event in events:
            folding.take(event)
        events = folding.events()
    return _grouped(events)


def _distinct(events: Iterable[Event], keys: Keys) -> bool:
    """Whether no key comes twice and none has changed, as mostly: then there is nothing to fold."""
    seen: dict[str, set[Key]] = {table: set() for table in keys}
    for event in events:
        action, table, entries = event.action, event.table, event.entries
        known, key_of = seen[table], keys[table]
        if action == "update":
            now = [key_of(new) for _, new in entries]
            if now != [key_of(old) for old, _ in entries]:
                return False
        else:
            now = list(map(key_of, entries))
        wanted = len(known) + len(now)
        known.update(now)
        if len(known) < wanted:
            return False
    return True


def _grouped(events: Iterable[Event]) -> list[Event]:
    """Neighbours of one action and table in one event."""
    groups: list[tuple[Action, str, list[Any]]] = []
    for event in events:
        action, table = event.action, event.table
        if groups and groups[-1][0] == action and groups[-1][1] == table:
            groups[-1][2].extend(event.entries)
        else:
            groups.append((action, table, list(event.entries)))
    return [Event(action, table, tuple(items)) for action, table, items in groups]


@dataclass(slots=True)
class _Record:
    """A row before the transaction, None if there was none, and after it; ``at``: when it last changed."""

    table: str
    old: Entry | None
    new: Entry | None = None
    at: int = 0


class _Folding:
    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self._records: list[_Record] = []
        self._present: dict[tuple[str, Key], _Record] = {}  # by the key the row has now
        self._gone: dict[tuple[str, Key], _Record] = {}  # by the key the row had at first
        self._clock = count()

    def take(self, event: Event) -> None:
        """Take the events in their order."""
        for item in event.entries:
            if event.action == "create":
                self._arrived(_Record(event.table, None), item)
            elif event.action == "update":
                self._arrived(self._leave(event.table, item[0]), item[1])
            else:
                self._left(self._leave(event.table, item))

    def _leave(self, table: str, old: Entry) -> _Record:
        """The record of the row that was ``old`` until now."""
        return self._present.pop((table, self._keys[table](old)), None) or _Record(table, old)

    def _arrived(self, record: _Record, new: Entry) -> None:
        place = record.table, self._keys[record.table](new)
        if record.old is None and place in self._gone:
            record.new = None  # a new row where one was before: that one has been updated
            record = self._gone.pop(place)
        record.new, record.at = new, next(self._clock)
        self._records.append(record)
        self._present[place] = record

    def _left(self, record: _Record) -> None:
        record.new, record.at = None, next(self._clock)
        if record.old is not None:
            self._records.append(record)
            self._gone[record.table, self._keys[record.table](record.old)] = record

    def events(self) -> list[Event]:
        """What is left of them, one event a row."""
        records = sorted({id(record): record for record in self._records}.values(), key=lambda each: each.at)
        return [event for record in records if (event := _outcome(record)) is not None]


def _outcome(record: _Record) -> Event | None:
    old, new = record.old, record.new
    if old is None:
        return None if new is None else Event("create", record.table, (new,))
    if new is None:
        return Event("delete", record.table, (old,))
    return None if same(old, new) else Event("update", record.table, ((old, new),))
