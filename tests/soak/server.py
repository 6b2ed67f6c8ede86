"""The server as the soak runs it, with one safeguard switched off where ``SOAK_BROKEN`` names it.

What lives here: the safeguards, each replaced by its absence before serving begins, which the soak must find
out. Nothing in the package itself can switch them off.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

from aiodata_django import cli
from aiodata_django.core.changes.transaction import Transaction
from aiodata_django.core.state.cursor import Taken
from aiodata_django.feed import capture, gate
from aiodata_django.feed.log import RingLog
from aiodata_django.feed.reader2 import V2Reader

CONFIRM_LAG = 4.0
"""Seconds until PostgreSQL may forget what was sent: shorter than in life, so that a short run sees it."""


def without_look_back() -> None:
    """Joins start at the end of what was received, not where visibility stands."""
    stand, following = V2Reader._stand_at_present, V2Reader.next

    def stand_at_end(self: V2Reader) -> None:
        stand(self)
        self.joined_at = self.hub.log.end  # type: ignore[attr-defined]

    def skip_to_end(self: V2Reader) -> Transaction | None:
        while (transaction := following(self)) and transaction.lsn <= getattr(self, "joined_at", 0):
            self.position = transaction.lsn
        return transaction

    V2Reader._stand_at_present = stand_at_end  # type: ignore[method-assign]
    V2Reader.next = skip_to_end  # type: ignore[method-assign]


def without_xid_filter() -> None:
    """What a snapshot has seen is told again after it."""
    Taken.sees = lambda self, xid, lsn: False  # type: ignore[method-assign]


def without_old_images() -> None:
    """Whether the old row was seen is not asked: rows that leave sight are not told of."""
    images = gate.Shaping.images

    def new_only(self: gate.Shaping, change: Any) -> tuple[bytes | None, bytes | None]:
        return images(self, change)[0], None

    gate.Shaping.images = new_only  # type: ignore[method-assign]


def without_dedupe() -> None:
    """What PostgreSQL sends again, because it was not confirmed, is taken for new."""

    known = RingLog.append

    def append(self: RingLog, transaction: Transaction) -> bool:
        transaction.lsn = max(transaction.lsn, self.last + 1)
        return known(self, transaction)

    RingLog.append = append  # type: ignore[method-assign]


BROKEN: dict[str, Callable[[], None]] = {
    "look_back": without_look_back,
    "xid_filter": without_xid_filter,
    "old_images": without_old_images,
    "dedupe": without_dedupe,
}

if __name__ == "__main__":
    capture.CONFIRM_LAG = CONFIRM_LAG
    if broken := os.environ.get("SOAK_BROKEN"):
        BROKEN[broken]()
    sys.exit(cli.main())
