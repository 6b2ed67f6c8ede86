"""Positions in the WAL and what a snapshot sees: LSNs as integers and text, ``pg_snapshot``.

Sources: https://www.postgresql.org/docs/18/datatype-pg-lsn.html,
https://www.postgresql.org/docs/18/functions-info.html#FUNCTIONS-PG-SNAPSHOT
"""

from __future__ import annotations

from dataclasses import dataclass

_HALF = 1 << 31
_MODULUS = 1 << 32


def parse_lsn(text: str) -> int:
    """An LSN (``16/B374D848``) as an integer. Raises ValueError."""
    high, separator, low = text.partition("/")
    if not separator:
        raise ValueError(f"not an LSN: {text!r}")
    parts = int(high, 16), int(low, 16)
    if not all(0 <= part < _MODULUS for part in parts):
        raise ValueError(f"not an LSN: {text!r}")
    return parts[0] << 32 | parts[1]


def lsn_text(lsn: int) -> str:
    """An LSN as PostgreSQL writes it."""
    return f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """``pg_snapshot``: ids below ``xmin`` are seen, those from ``xmax`` on and in ``xip`` are not."""

    xmin: int
    xmax: int
    xip: frozenset[int]

    @classmethod
    def parse(cls, text: str) -> Snapshot:
        """From ``xmin:xmax:xip,...``. Raises ValueError."""
        xmin, xmax, xip = text.split(":")
        return cls(int(xmin), int(xmax), frozenset(int(xid) for xid in xip.split(",") if xid))

    def __str__(self) -> str:
        return f"{self.xmin}:{self.xmax}:{','.join(map(str, sorted(self.xip)))}"

    def widen(self, xid: int) -> int:
        """The 64-bit id of a 32-bit one: of all that end so, the one nearest to ``xmax``."""
        return self.xmax + ((xid - self.xmax + _HALF) % _MODULUS - _HALF)

    def sees(self, xid: int) -> bool:
        """Whether the effects of the committed transaction ``xid`` (32 bits) are visible."""
        full = self.widen(xid)
        return full < self.xmin or (full < self.xmax and full not in self.xip)
