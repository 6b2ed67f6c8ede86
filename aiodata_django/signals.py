"""Signals for Django: one per committed change, whoever wrote it.

What lives here: the signals and how receivers name a table. What does not: who sends them (``relay``).

Receivers of the row signals get, as keyword arguments:

``sender``      the model class of the table
``row``         the row after the change, an instance of the model; for a deleted row what was known of it
``old``         the row before the change, None unless it was updated and PostgreSQL told (its key if that
                changed, all of it under REPLICA IDENTITY FULL); attributes that were not told are deferred
``using``       the database alias the row can be read from
``lsn``         position of the transaction's commit in the log, an int that grows with each commit
``xid``         the transaction's id
``committed``   when it was committed, an aware datetime

Receivers of ``schema_changed`` (sender: the app's registry module's name) get ``old`` and ``new`` (Schema),
``changes`` (SchemaChange records), ``removed`` and ``added`` (model classes).

Delivery is at least once, in commit order; a receiver that raises is logged and stops nobody.
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


class RowSignal(Signal):
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


row_created = RowSignal()
row_updated = RowSignal()
row_deleted = RowSignal()
schema_changed = Signal()
