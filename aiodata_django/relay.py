"""From the change feed to Django's signals, and from a swap of schemas to ``schema_changed``.

What lives here: the loop that turns transactions into signals. What does not: the signals and what receivers
get (``signals``), the feed, and rows from JSON (``tables.rows``).

A transaction is taken from the feed only when every receiver has returned from the one before it; until then
the feed keeps it. Receivers therefore see commits in order, and a slow one makes the relay late, not wrong:
if it falls behind what the feed can keep, ``changes_missed`` says so.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from asgiref.sync import sync_to_async
from django.db import close_old_connections

from . import registry
from .signals import (
    TableSignal,
    changes_missed,
    row_created,
    row_deleted,
    row_updated,
    schema_changed,
    table_truncated,
)
from .tables.rows import row_of
from .tables.table import TableModel

logger = logging.getLogger("aiodata.relay")

SIGNALS = {
    "create": row_created,
    "update": row_updated,
    "delete": row_deleted,
    "truncate": table_truncated,
}

# Changes decoded in a row: what nobody listens to must not hold the event loop.
BREATH = 200

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


class Change(Protocol):
    """One change of one row, as the feed gives it: JSON values by column."""

    @property
    def kind(self) -> str:
        """``create``, ``update``, ``delete`` or ``truncate``."""

    @property
    def schema(self) -> str:
        """The table's schema."""

    @property
    def table(self) -> str:
        """The table's name."""

    @property
    def row(self) -> dict[str, Any] | None:
        """The row after the change."""

    @property
    def old(self) -> dict[str, Any] | None:
        """The row before it, as far as known."""


class Transaction(Protocol):
    """A committed transaction; ``time`` is microseconds since 2000-01-01 UTC."""

    @property
    def xid(self) -> int:
        """Its id."""

    @property
    def lsn(self) -> int:
        """Its end in the log."""

    @property
    def time(self) -> int:
        """When it was committed."""

    @property
    def gap(self) -> bool:
        """Whether others before it may have been missed."""

    def changes(self) -> Iterable[Change]:
        """Its changes in order."""


class Relay:
    """Sends the signals of each transaction of ``transactions``; ``using`` is the models' alias.

    ``acknowledged`` is the LSN of the last transaction all receivers have returned from, 0 before the first.
    """

    def __init__(self, transactions: AsyncIterable[Transaction], *, using: str) -> None:
        self._transactions = transactions
        self._using = using
        self.acknowledged = 0

    async def run(self) -> None:
        """Relay until cancelled, or until the feed ends."""
        try:
            async for transaction in self._transactions:
                await self._relay(transaction)
                self.acknowledged = transaction.lsn
        finally:
            if isinstance(self._transactions, AsyncGenerator):
                await self._transactions.aclose()

    async def _relay(self, transaction: Transaction) -> None:
        facts = {
            "using": self._using,
            "lsn": transaction.lsn,
            "xid": transaction.xid,
            "committed": _EPOCH + timedelta(microseconds=transaction.time),
        }
        if transaction.gap:
            await changes_missed.asend_robust(sender=None, **facts)
        if not any(signal.receivers for signal in SIGNALS.values()):
            return  # without decoding anything
        # A receiver's connection may have died since the last transaction.
        await sync_to_async(close_old_connections)()
        for number, change in enumerate(transaction.changes(), 1):
            signal, model = SIGNALS[change.kind], registry.model(change.schema, change.table)
            if model is not None and signal.has_listeners(model):
                await self._send(signal, model, change, facts)
            if number % BREATH == 0:
                await asyncio.sleep(0)

    async def _send(
        self, signal: TableSignal, model: type[TableModel], change: Change, facts: dict[str, Any]
    ) -> None:
        try:
            rows = self._rows(model, change)
        except Exception:
            # A value no field of the model takes: the receivers of this row cannot be served, others can.
            logger.exception("no signal for a change of %s.%s", change.schema, change.table)
            return
        await signal.asend_robust(sender=model, **rows, **facts)

    def _rows(self, model: type[TableModel], change: Change) -> dict[str, Any]:
        if change.kind == "truncate":
            return {}
        old = None if change.old is None else row_of(model, change.old, self._using)
        if change.kind == "delete":
            return {"row": old, "old": None}
        return {"row": row_of(model, change.row or {}, self._using), "old": old}


def announce(swap: registry.Swap) -> None:
    """Send ``schema_changed`` for a swap that changed something; to be given to ``registry.subscribe``."""
    if swap.changes:
        schema_changed.send_robust(
            sender=None,
            old=swap.old,
            new=swap.new,
            changes=swap.changes,
            removed=swap.removed,
            added=swap.added,
        )
