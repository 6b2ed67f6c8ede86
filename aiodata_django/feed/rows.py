"""Transactions for the server itself: every change of exposed tables, rows as Python values.

What lives here: the follower that relays transactions to whoever has no role (Django's signals). What does
not: sockets, who have one (``reader``).
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from ..core.changes.published import PublishedTable, RowFormat
from ..core.changes.transaction import DELETE, INSERT, TRUNCATE, Change, Transaction
from .hub import Hub
from .log import LogTrimmed
from .reader import HubReader


@dataclass(frozen=True, slots=True)
class RowChange:
    """One change. ``kind`` is ``create``, ``update``, ``delete`` or ``truncate``.

    ``key`` are the key's values in the order of the table's columns, in JSON types (with Decimal for numbers
    with a fraction, since ``numeric`` has more digits than a float): of the new row, of the old one for
    ``delete``, empty for ``truncate``. ``old_key`` differs from it when an update changed it.
    ``row`` is the new row without what PostgreSQL did not repeat (unchanged TOAST) or does not send (virtual
    columns); ``old`` the old one, whole with REPLICA IDENTITY FULL, its key otherwise, None if not known.
    """

    kind: str
    schema: str
    table: str
    key: tuple[Any, ...] = ()
    old_key: tuple[Any, ...] = ()
    row: dict[str, Any] | None = None
    old: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class RowTransaction:
    """A visible transaction. ``lsn`` is its end, ``time`` microseconds since 2000-01-01 UTC.

    ``gap``: others before it may have been missed. :meth:`changes` decodes as it goes, as often as asked.
    """

    xid: int
    lsn: int
    time: int
    gap: bool
    _transaction: Transaction
    _hub: Hub

    def changes(self) -> Iterator[RowChange]:
        """Its changes of exposed tables with a key, in order."""
        published = self._hub.catalogue.published
        formats: dict[int, tuple[PublishedTable, RowFormat] | None] = {}
        for change in self._transaction.changes():
            relation = change.relation
            if id(relation) not in formats:
                root = published.root(relation.oid)
                known = root is not None and root.exposed and bool(root.key)
                formats[id(relation)] = (
                    (root, RowFormat(relation, root, published.renderers, root.column))
                    if root is not None and known
                    else None
                )
            found = formats[id(relation)]
            if found is not None:
                yield _row_change(change, *found)


def _row_change(change: Change, table: PublishedTable, form: RowFormat) -> RowChange:
    if change.kind == TRUNCATE:
        return RowChange("truncate", table.schema, table.name)
    new, old = change.new, change.old
    key = tuple(_json(form.key(new))) if new is not None else ()
    old_key = tuple(_json(form.key(old))) if old is not None else key
    kind = "create" if change.kind == INSERT else "delete" if change.kind == DELETE else "update"
    old_row = None if old is None else _json(form.known(old) if change.old_full else form.key_row(old))
    return RowChange(
        kind,
        table.schema,
        table.name,
        key if new is not None else old_key,
        old_key,
        None if new is None else _json(form.known(new)),
        old_row,
    )


def _json(text: bytes) -> Any:
    return json.loads(text, parse_float=Decimal)


class Follower(HubReader):
    """Reads everything, with nobody's eyes."""

    def __init__(self, hub: Hub) -> None:
        super().__init__(hub)
        self._gap = False

    async def transactions(self) -> AsyncIterator[RowTransaction]:
        """Every visible transaction from now on; a new epoch or a trimmed log sets ``gap`` on the next."""
        self.hub.subscribe(self, None)
        try:
            await self.join()
            while True:
                transaction = self._next()
                if transaction is None:
                    await self.sleep()
                    continue
                yield RowTransaction(
                    transaction.xid, transaction.lsn, transaction.time, self._gap, transaction, self.hub
                )
                self.position, self._gap = transaction.lsn, False
        finally:
            self.hub.unsubscribe(self)

    def _next(self) -> Transaction | None:
        if self.epoch != self.hub.epoch:
            self.epoch, self.position, self._gap = self.hub.epoch, self.hub.start, True
            self._snapshot = None
        try:
            return self.next()
        except LogTrimmed:
            self.position, self._gap = self.hub.start, True
            return self.next()
