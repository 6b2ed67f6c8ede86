"""Signals for Django: one per committed change, whoever wrote it.

What lives here: the signals and how receivers name a table. What does not: who sends them (``relay``).

Receivers of ``row_created``, ``row_updated`` and ``row_deleted`` get, as keyword arguments:

``sender``      the model class of the table
``row``         the row after the change, an instance of the model; of a deleted row what PostgreSQL told
``old``         the row before an update, as far as PostgreSQL told: all of it under REPLICA IDENTITY FULL,
                its key if that changed, else None; None in the other two signals
``using``       the database alias
``lsn``         the end of the transaction in the log: an int that grows with each commit
``xid``         the transaction's id
``committed``   when it was committed, an aware datetime

Attributes PostgreSQL did not tell (of a deleted row all but its key, large values an update left alone) are
deferred: read when asked for, as the table has them then. Tables without a key give no signals.

``table_truncated`` comes with ``sender``, ``using``, ``lsn``, ``xid`` and ``committed``, once for all rows.

``changes_missed`` says that transactions before ``lsn`` may have been missed, since the server lost its place
in the log: whoever keeps something in step with a table should read it again. Sender: ``None``.

``schema_changed`` comes after models were rebuilt: ``old`` and ``new`` (Schema), ``changes`` (SchemaChange
records), ``removed`` and ``added`` (model classes; one that was rebuilt is in both). Sender: ``None``.

The signals fire in the process that serves, in commit order, a transaction only after all receivers of the
one before it have returned. A receiver that raises is logged and stops nobody.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db import models
from django.dispatch import Signal


class _Sender:
    """Stands for a table among receivers: classes are rebuilt when the schema changes, receivers stay."""

    __slots__ = ("label",)

    def __init__(self, label: str) -> None:
        self.label = label


_senders: dict[str, _Sender] = {}


def _sender(sender: Any) -> Any:
    if isinstance(sender, type) and issubclass(sender, models.Model):
        sender = sender._meta.label_lower
    if not isinstance(sender, str):
        return sender
    label = sender.lower()
    label = label if "." in label else f"aiodata.{label}"
    return _senders.setdefault(label, _Sender(label))


class TableSignal(Signal):
    """A signal whose sender is a table: a model class, or its label (``"aiodata.Pets"`` or ``"Pets"``).

    A receiver connected for a class also hears the class that replaces it after a schema change.
    """

    def connect(
        self, receiver: Callable[..., Any], sender: Any = None, weak: bool = True, dispatch_uid: Any = None
    ) -> None:
        """As ``django.dispatch.Signal.connect``."""
        super().connect(receiver, _sender(sender), weak, dispatch_uid)

    def disconnect(
        self, receiver: Callable[..., Any] | None = None, sender: Any = None, dispatch_uid: Any = None
    ) -> bool:
        """As ``django.dispatch.Signal.disconnect``."""
        return bool(super().disconnect(receiver, _sender(sender), dispatch_uid))

    def _live_receivers(self, sender: Any) -> Any:
        return super()._live_receivers(_sender(sender))


row_created = TableSignal()
row_updated = TableSignal()
row_deleted = TableSignal()
table_truncated = TableSignal()
changes_missed = Signal()
schema_changed = Signal()
