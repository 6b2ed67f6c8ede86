"""Rows by key and by key prefix: a tree of dicts that is only as deep as its keys need.

What lives here: the index of one table's rows. What does not: what a row is, and what a change to it means.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import chain, groupby
from operator import attrgetter, itemgetter, ne, setitem
from typing import Any, Generic, TypeVar, cast

from .wide import WideDict

Row = TypeVar("Row")
Key = tuple[Any, ...]
Node = dict[Any, Any] | WideDict
_NODES = frozenset({dict, WideDict})
_LOOK = 256  # rows that tell whether neighbours share their prefix


def hashable(value: Any) -> Any:
    """A JSON value as a part of a key: lists become tuples, objects sets of pairs."""
    if isinstance(value, list):
        return tuple(map(hashable, value))
    if isinstance(value, dict):
        return frozenset((name, hashable(member)) for name, member in value.items())
    return value


class KeyIndex(Generic[Row]):
    """Rows by the values of their key columns; ``fields`` are the attributes that hold those.

    One dict a key column, nested; but where only one row has a prefix, the row itself stands in the dict's
    place. So keys whose first column is unique cost one flat dict, keys with large groups share their
    prefixes, and nobody has to guess which of the two a table will be. Dicts that become large are parted
    (:mod:`.wide`).

    ``scalar`` False is for keys that may hold lists or objects. A row must never be a dict.
    """

    #: Members beyond which a dict's growth would hold an event loop for milliseconds.
    WIDE = 1 << 15

    def __init__(self, fields: Sequence[str], *, scalar: bool = True) -> None:
        self._getters: list[Callable[[Row], Any]] = [attrgetter(field) for field in fields]
        if not scalar:
            self._getters = [_frozen(getter) for getter in self._getters]
        self._scalar = scalar
        self._last = len(fields) - 1
        self._pairs = scalar and self._last == 1
        self._root: Node = {}
        #: The key of a row, a tuple.
        self.key: Callable[[Row], Key] = (
            attrgetter(*fields) if scalar and self._last else _key_of(self._getters)
        )

    def __len__(self) -> int:
        return sum(map(len, self._leaves(self._root, self._last)))

    def __iter__(self) -> Iterator[Row]:
        return chain.from_iterable(self._leaves(self._root, self._last))

    def get(self, *keys: Any) -> tuple[Row, ...]:
        """The rows whose key begins with ``keys``: all of them for none, none for too many."""
        if self._pairs and len(keys) == 2:  # the commonest, without the walk
            group = self._root.get(keys[0])
            if type(group) is dict:
                return (row,) if (row := group.get(keys[1])) is not None else ()
        elif not self._scalar:
            keys = tuple(map(hashable, keys))
        node: Any = self._root
        for level, part in enumerate(keys, 1):
            node = node.get(part)
            if type(node) not in _NODES:
                if node is None:
                    return ()
                return (node,) if level == len(keys) or self._continues(node, keys, level) else ()
        if len(keys) == self._last:
            return tuple(node.values())
        return tuple(chain.from_iterable(self._leaves(node, self._last - len(keys))))

    def find(self, keys: Sequence[Any]) -> Row | None:
        """The row with exactly this key."""
        rows = self.get(*keys) if len(keys) == self._last + 1 else ()
        return rows[0] if rows else None

    def place(self, row: Row, key: Key | None = None) -> Row | None:
        """Put a row where its key belongs; the row that stood there, if any. ``key`` is its key if known."""
        key = key or self.key(row)
        if self._last == 1:  # the commonest, without the walk
            head, tail = key
            group = self._root.get(head)
            if type(group) is dict:
                old: Row | None = group.get(tail)
                group[tail] = row
                if old is None and len(group) > self.WIDE:
                    self._root[head] = self._widened(group)
                return old
        return self._place_at(row, key)

    def _place_at(self, row: Row, key: Key) -> Row | None:
        """Put a row where its key, this, belongs: the whole walk."""
        node: Any = self._root
        last = self._last
        for level, part in enumerate(key):
            child: Any = node.get(part)
            if type(child) not in _NODES:
                if child is None or level == last or self.key(child) == key:
                    node[part] = row
                    if child is None and type(node) is dict and len(node) > self.WIDE:
                        self._widen(key[:level])
                    return cast("Row | None", child)
                child = node[part] = {self.key(child)[level + 1]: child}
            node = child
        raise AssertionError("a dict stands where rows belong")

    def _widened(self, node: Node) -> Node:
        return WideDict(node.items()) if isinstance(node, dict) and len(node) > self.WIDE else node

    def _widen(self, prefix: Key) -> None:
        """The dict of this prefix has become large."""
        if not prefix:
            self._root = self._widened(self._root)
            return
        node: Any = self._root
        for part in prefix[:-1]:
            node = node[part]
        node[prefix[-1]] = self._widened(node[prefix[-1]])

    def place_all(self, rows: Sequence[Row]) -> list[Row | None] | None:
        """Place rows by their keys; what stood there before. If a key comes twice, None, and nothing is done.

        Loops without a line of Python: in a large table each step waits for memory, and only so the processor
        gets to ask for the next while it waits.
        """
        keys = list(map(self.key, rows))
        groups: list[Any] = list(map(self._root.get, map(itemgetter(0), keys))) if self._last == 1 else []
        if set(map(type, groups)) != {dict}:
            return list(map(self._place_at, rows, keys)) if len(set(keys)) == len(keys) else None
        tails = list(map(itemgetter(1), keys))
        before = list(map(dict.get, groups, tails))
        # Of rows that were there, each is there once: that is seen sooner than whether their keys differ.
        if len(set(map(id, before))) < len(keys) and len(set(keys)) < len(keys):
            return None
        deque(map(setitem, groups, tails, rows), maxlen=0)
        return before

    def remove(self, keys: Sequence[Any]) -> Row | None:
        """Take out the row with exactly this key."""
        row = self.find(keys)
        if row is None:
            return None
        path = []
        node: Any = self._root
        for part in self.key(row):
            path.append((node, part))
            node = node[part]
            if type(node) not in _NODES:
                break
        for node, part in reversed(path):
            del node[part]
            if node:
                break
        return row

    def extend(self, rows: Sequence[Row]) -> None:
        """Place many rows: the same as each by itself, but the two commonest depths run without a call."""
        if self._last == 0:
            self._root.update(zip(map(self._getters[0], rows), rows, strict=True))
            self._root = self._widened(self._root)
        elif self._last == 1:
            self._extend_pairs(rows)
        else:
            for row in rows:
                self.place(row)

    def _extend_pairs(self, rows: Sequence[Row]) -> None:
        first, second = self._getters
        heads, tails = list(map(first, rows)), list(map(second, rows))
        turns = sum(map(ne, heads[:_LOOK], heads[1:_LOOK]))
        if 4 * turns < min(len(heads), _LOOK):
            self._extend_runs(heads, tails, rows)
        else:
            self._extend_each(heads, tails, rows)
        self._root = self._widened(self._root)

    def _extend_runs(self, heads: list[Any], tails: list[Any], rows: Sequence[Row]) -> None:
        """Neighbours mostly share their prefix, as in a table's own order: they are placed in one call."""
        root, end = self._root, 0
        for head, run in groupby(heads):
            start, end = end, end + len(list(run))
            group = root.get(head)
            if group is None and end > start + 1:
                root[head] = self._widened(dict(zip(tails[start:end], rows[start:end], strict=True)))
            elif group is None:
                root[head] = rows[start]
            elif type(group) in _NODES:
                group.update(zip(tails[start:end], rows[start:end], strict=True))
                root[head] = self._widened(group)
            else:
                for row in rows[start:end]:
                    self.place(row)

    def _extend_each(self, heads: list[Any], tails: list[Any], rows: Sequence[Row]) -> None:
        root = self._root
        for head, tail, row in zip(heads, tails, rows, strict=True):
            group = root.get(head)
            if type(group) is dict:
                group[tail] = row
            elif group is None:
                root[head] = row
            else:
                self.place(row)
        for head in set(heads):
            if type(group := root.get(head)) is dict and len(group) > self.WIDE:
                root[head] = self._widened(group)

    def _continues(self, row: Row, keys: Sequence[Any], start: int) -> bool:
        """Whether the parts from ``start`` on, too, are those of the row."""
        if len(keys) > self._last + 1:
            return False
        return all(self._getters[level](row) == keys[level] for level in range(start, len(keys)))

    def _leaves(self, node: Node, depth: int) -> Iterator[Collection[Row]]:
        """Collections of rows below a node, ``depth`` levels above the rows."""
        if depth == 0:
            yield from (node.values(),) if isinstance(node, dict) else node.collections()
            return
        for child in node.values():
            if type(child) in _NODES:
                yield from self._leaves(child, depth - 1)
            else:
                yield (child,)


def _key_of(getters: Sequence[Callable[[Row], Any]]) -> Callable[[Row], Key]:
    # No method: an index that held one of its own would be freed only when the collector comes by.
    return lambda row: tuple([getter(row) for getter in getters])


def _frozen(getter: Callable[[Row], Any]) -> Callable[[Row], Any]:
    return lambda row: hashable(getter(row))
