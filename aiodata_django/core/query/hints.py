"""Near names for error hints.

What lives here: a measure of how alike two names are, and picking the best. The measure is that of the
FuzzySet family, which PostgREST uses: names that share a trigram (else a bigram), ranked by edit distance.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

MINIMUM_FOR_NAMES = 0.75
MINIMUM_FOR_PARAMETERS = 0.33


def _grams(text: str, size: int) -> Counter[str]:
    padded = "-" + "".join(c for c in text if c.isalnum() or c in " ,") + "-"
    padded += "-" * max(0, size - len(padded))
    return Counter(padded[i : i + size] for i in range(len(padded) - size + 1))


def _likeness(one: str, other: str) -> float:
    return 1 - _edits(one, other) / max(len(one), len(other))


def _edits(one: str, other: str) -> int:
    previous = list(range(len(other) + 1))
    for i, left in enumerate(one, 1):
        current = [i]
        for j, right in enumerate(other, 1):
            current.append(min(previous[j] + 1, current[j - 1] + 1, previous[j - 1] + (left != right)))
        previous = current
    return previous[-1]


def ranked(name: str, candidates: Iterable[str], minimum: float) -> list[tuple[float, str]]:
    """The candidates at least ``minimum`` alike, best first."""
    wanted = name.lower()
    known = {candidate: candidate.lower() for candidate in candidates}
    exact = [(1.0, candidate) for candidate, text in known.items() if text == wanted]
    if exact:
        return exact
    for size in (3, 2):
        grams = _grams(wanted, size)
        near = [c for c, text in known.items() if not grams.keys().isdisjoint(_grams(text, size))]
        scores = [(_likeness(wanted, known[candidate]), candidate) for candidate in near]
        good = [entry for entry in scores if entry[0] >= minimum]
        if good:
            return sorted(good, key=lambda entry: -entry[0])
    return []


def nearest(name: str, candidates: Iterable[str], minimum: float = MINIMUM_FOR_NAMES) -> str | None:
    """The candidate most alike, None when none is alike enough."""
    found = ranked(name, candidates, minimum)
    return found[0][1] if found else None
