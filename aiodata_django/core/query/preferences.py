"""The Prefer header: what was asked for, and what Preference-Applied says of it.

Source: RFC 7240; https://docs.postgrest.org/en/v16/references/api/preferences.html
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from ..errors import RequestError
from .ranges import whole

_CHOICES = {
    "resolution": ("merge-duplicates", "ignore-duplicates"),
    "return": ("representation", "minimal", "headers-only"),
    "count": ("exact", "planned", "estimated"),
    "tx": ("commit", "rollback"),
    "missing": ("default", "null"),
    "handling": ("strict", "lenient"),
}
# CVE-2026-14669: a long time zone abbreviation overruns a buffer of to_char. By major version, the first
# release that is safe; later majors always were.
_SAFE_FROM = {14: 140024, 15: 150019, 16: 160015, 17: 170011, 18: 180006}
_LONGEST_TIMEZONE = 24
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
def parse_prefer(headers: tuple[str, ...], transactions: bool) -> Preferences:
    """The Prefer headers, in order; the first of each kind counts.

    ``transactions`` tells whether ``tx=`` may be chosen. Which time zones there are, PostgreSQL knows.
    """
    given = [part.strip() for header in headers for part in header.split(",")]
    chosen = {name: _choose(given, name, options) for name, options in _CHOICES.items()}
    limit = _after(given, "max-affected=")
    return Preferences(
        resolution=chosen["resolution"],
        representation=chosen["return"],
        count=chosen["count"],
        transaction=chosen["tx"] if transactions else None,
        missing=chosen["missing"],
        handling=chosen["handling"],
        timezone=_after(given, "timezone="),
        max_affected=whole(limit) if limit and re.fullmatch(r"\s*-?\d+\s*", limit) else None,
        invalid=tuple(part for part in given if not _understood(part)),
    )


def _choose(given: Sequence[str], name: str, options: Sequence[str]) -> str | None:
    texts = {f"{name}={option}": option for option in options}
    return next((texts[part] for part in given if part in texts), None)


def _after(given: Sequence[str], prefix: str) -> str | None:
    return next((part[len(prefix) :] for part in given if part.startswith(prefix)), None)


def _understood(part: str) -> bool:
    if part.startswith(("max-affected=", "timezone=")):
        return True
    name, _, value = part.partition("=")
    return value in _CHOICES.get(name, ())


def refuse_long_timezone(preferences: Preferences, server_version: int) -> None:
    """Raises RequestError PGRST129 for a time zone that could harm a server of that version number."""
    timezone = preferences.timezone
    if timezone is None or len(timezone) <= _LONGEST_TIMEZONE:
        return
    # A zone that brings its own abbreviation gives an offset with it; names of places have short ones.
    if not any(character.isdecimal() for character in timezone):
        return
    if server_version < _SAFE_FROM.get(server_version // 10000, 0):
        raise RequestError(
            400,
            "PGRST129",
            f"Timezone preference cannot exceed {_LONGEST_TIMEZONE} characters",
            hint="Upgrade PostgreSQL to lift this limit.",
        )
