"""Near names for error hints.

What lives here: a measure of how alike two names are, and picking the best. The measure is that of the
FuzzySet family, which PostgREST uses: names that share a trigram (else a bigram), ranked by edit distance,
those of one distance by the angle between the vectors of their grams.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from math import sqrt

MINIMUM_FOR_NAMES = 0.75
MINIMUM_FOR_PARAMETERS = 0.33
_COMPARED = 50
"""As many as are compared letter by letter."""


def _grams(text: str, size: int) -> Counter[str]:
    padded = "-" + "".join(c for c in text if c.isalnum() or c in " ,") + "-"
    return Counter(padded[i : i + size] for i in range(len(padded) - size + 1))


def _cosine(one: Counter[str], other: Counter[str]) -> float:
    """The cosine of the angle between two vectors of grams, 0 where they have none in common."""
    product = sum(count * other[gram] for gram, count in one.items())
    return product / sqrt(_square(one) * _square(other)) if product else 0.0


def _square(grams: Counter[str]) -> int:
    return sum(count * count for count in grams.values())


def _likeness(one: str, other: str) -> float:
    return 1 - _edits(one, other) / max(len(one), len(other))


def _can_be_alike(one: str, other: str, minimum: float) -> bool:
    """Whether their lengths allow it: where they do not, nobody shall make us compare letters."""
    return min(len(one), len(other)) >= minimum * max(len(one), len(other))


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
    if not any(_can_be_alike(wanted, text, minimum) for text in known.values()):
        return []
    for size in (3, 2):
        grams = _grams(wanted, size)
        angles = {candidate: _cosine(grams, _grams(text, size)) for candidate, text in known.items()}
        near = sorted((c for c in known if angles[c] > 0), key=lambda c: -angles[c])[:_COMPARED]
        near = [candidate for candidate in near if _can_be_alike(wanted, known[candidate], minimum)]
        scores = [(_likeness(wanted, known[candidate]), candidate) for candidate in near]
        good = [entry for entry in scores if entry[0] >= minimum]
        if good:
            return sorted(good, key=lambda entry: -entry[0])
    return []


def nearest(name: str, candidates: Iterable[str], minimum: float = MINIMUM_FOR_NAMES) -> str | None:
    """The candidate most alike, None when none is alike enough."""
    found = ranked(name, candidates, minimum)
    return found[0][1] if found else None
