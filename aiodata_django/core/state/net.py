"""Events, and what those of one transaction come to when only its beginning and its end count.

What lives here: folding and grouping of events. What does not: how events follow from changes (``cache``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, Literal, NamedTuple

from .entry import Entry, same
from .keyindex import Key

Action = Literal["create", "update", "delete"]
KeyOf = Callable[[str, Entry], Key]


class Event(NamedTuple):
    """What a callback is told: entries, or ``(old, new)`` pairs for an update."""

    action: Action
    table: str
    entries: tuple[Any, ...]


def net(events: Sequence[Event], key_of: KeyOf) -> list[Event]:
    """The net changes of a transaction, whose events these are; ``key_of`` gives a row's key in a table.

    Each key is at most once an old row's and once a new one's; rows that end as they began are left out. In
    the order of each row's last change; neighbours of one action and table share an event.
    """
    if len(events) > 1 and not _distinct(events, key_of):
        folding = _Folding(key_of)
        for event in events:
            folding.take(event)
        events = folding.events()
    return _grouped(events)


def _distinct(events: Iterable[Event], key_of: KeyOf) -> bool:
    """Whether each key comes but once, as in most transactions: then there is nothing to fold."""
    seen: dict[str, set[Key]] = {}
    for action, table, entries in events:
        keys = seen.setdefault(table, set())
        for item in entries:
            touched = {key_of(table, row) for row in item} if action == "update" else {key_of(table, item)}
            if not keys.isdisjoint(touched):
                return False
            keys |= touched
    return True


def _grouped(events: Iterable[Event]) -> list[Event]:
    """Neighbours of one action and table in one event."""
    groups: list[tuple[Action, str, list[Any]]] = []
    for action, table, entries in events:
        if groups and groups[-1][0] == action and groups[-1][1] == table:
            groups[-1][2].extend(entries)
        else:
            groups.append((action, table, list(entries)))
    return [Event(action, table, tuple(items)) for action, table, items in groups]


@dataclass(slots=True)
class _Record:
    """A row before the transaction, None if there was none, and after it; ``at``: when it last changed."""

    table: str
    old: Entry | None
    new: Entry | None = None
    at: int = 0


class _Folding:
    def __init__(self, key_of: KeyOf) -> None:
        self._key_of = key_of
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
        return self._present.pop((table, self._key_of(table, old)), None) or _Record(table, old)

    def _arrived(self, record: _Record, new: Entry) -> None:
        place = record.table, self._key_of(record.table, new)
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
            self._gone[record.table, self._key_of(record.table, record.old)] = record

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
