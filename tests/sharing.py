"""How the suite is shared out where two processes run it, as in ``make test``.

What lives here: which tests stay together in one process, and which come first. What does not: how many
processes there are (the Makefile), and the PostgreSQL that each has of its own (``conftest``).
"""

from __future__ import annotations

import pytest
from xdist.scheduler import LoadScopeScheduling

TOGETHER = ("tests/docs", "tests/django", "tests/conformance/writes", "tests/conformance", "tests/openapi")
"""Folders whose files share databases and servers, which a second process would have to start again."""

FIRST = ("tests/soak", *TOGETHER, "tests/browser", "tests/client", "tests/feed")
LAST = ("tests/core",)
"""What takes longest must not be begun last, when nothing is left for the other process meanwhile."""


def room(nodeid: str) -> str:
    """What a test stays together with: a folder or a file."""
    file = nodeid.partition("::")[0]
    folder = file.rpartition("/")[0]
    return folder if folder in TOGETHER else file


def in_order(items: list[pytest.Item]) -> None:
    """Put the long rooms first and the short ones last; otherwise as they are."""
    items.sort(key=lambda item: _rank(item.nodeid.partition("::")[0].rpartition("/")[0]))


def _rank(folder: str) -> int:
    if folder in FIRST:
        return FIRST.index(folder)
    return len(FIRST) + (folder in LAST)


class ByRoom(LoadScopeScheduling):
    """Hands out a room at a time to whoever has nothing left to do."""

    def _split_scope(self, nodeid: str) -> str:
        return room(nodeid)
