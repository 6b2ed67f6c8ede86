"""The Prefer header: what was asked for, and what Preference-Applied says of it.

Source: RFC 7240; https://docs.postgrest.org/en/v16/references/api/preferences.html
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

_CHOICES = {
    "resolution": ("merge-duplicates", "ignore-duplicates"),
    "return": ("representation", "minimal", "headers-only"),
    "count": ("exact", "planned", "estimated"),
    "tx": ("commit", "rollback"),
    "missing": ("default", "null"),
    "handling": ("strict", "lenient"),
}
_ORDER = ("resolution", "missing", "return", "count", "tx", "handling", "timezone")


@dataclass(frozen=True, slots=True)
class Preferences:
    """One attribute a preference, holding the text after ``=``; ``invalid`` holds what is not understood."""

    resolution: str | None = None
    representation: str | None = None
    count: str | None = None
    transaction: str | None = None
    missing: str | None = None
    handling: str | None = None
    timezone: str | None = None
    max_affected: int | None = None
    invalid: tuple[str, ...] = ()

    @property
    def strict(self) -> bool:
        """Unknown preferences are errors, and ``max-affected`` is enforced."""
        return self.handling == "strict"

    @property
    def full(self) -> bool:
        """The rows written are to be returned."""
        return self.representation == "representation"

    def applied(self) -> str | None:
        """The value of Preference-Applied, None when there is nothing to say."""
        values = (
            self.resolution,
            self.missing,
            self.representation,
            self.count,
            self.transaction,
            self.handling,
            self.timezone,
        )
        told = [f"{name}={value}" for name, value in zip(_ORDER, values, strict=True) if value is not None]
        if self.strict and self.max_affected is not None:
            told.append(f"max-affected={self.max_affected}")
        return ", ".join(told) or None


@lru_cache(maxsize=512)
def parse_prefer(headers: tuple[str, ...], transactions: bool, timezones: frozenset[str]) -> Preferences:
    """The Prefer headers, in order; the first of each kind counts.

    ``transactions`` tells whether ``tx=`` may be chosen; ``timezones`` are those PostgreSQL knows, all others
    are invalid preferences.
    """
    given = [part.strip() for header in headers for part in header.split(",")]
    chosen = {name: _choose(given, name, options) for name, options in _CHOICES.items()}
    timezone = _after(given, "timezone=")
    known_timezone = timezone if timezone in timezones else None
    limit = _after(given, "max-affected=")
    return Preferences(
        resolution=chosen["resolution"],
        representation=chosen["return"],
        count=chosen["count"],
        transaction=chosen["tx"] if transactions else None,
        missing=chosen["missing"],
        handling=chosen["handling"],
        timezone=known_timezone,
        max_affected=int(limit) if limit and re.fullmatch(r"\s*-?\d+\s*", limit) else None,
        invalid=tuple(part for part in given if not _understood(part, timezones)),
    )


def _choose(given: Sequence[str], name: str, options: Sequence[str]) -> str | None:
    texts = {f"{name}={option}": option for option in options}
    return next((texts[part] for part in given if part in texts), None)


def _after(given: Sequence[str], prefix: str) -> str | None:
    return next((part[len(prefix) :] for part in given if part.startswith(prefix)), None)


def _understood(part: str, timezones: frozenset[str]) -> bool:
    if part.startswith("max-affected="):
        return True
    if part.startswith("timezone="):
        return part.removeprefix("timezone=") in timezones
    name, _, value = part.partition("=")
    return value in _CHOICES.get(name, ())
