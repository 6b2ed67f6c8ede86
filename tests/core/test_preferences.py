"""The Prefer header: the first of each kind counts, the rest is told apart."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiodata_django.core.query.preferences import Preferences, parse_prefer

CHOICES = {
    "resolution": ("merge-duplicates", "ignore-duplicates"),
    "return": ("representation", "minimal", "headers-only"),
    "count": ("exact", "planned", "estimated"),
    "tx": ("commit", "rollback"),
    "missing": ("default", "null"),
    "handling": ("strict", "lenient"),
}
ATTRIBUTES = {"return": "representation", "tx": "transaction"}
known = st.sampled_from([f"{name}={option}" for name, options in CHOICES.items() for option in options])
UNKNOWN = ("foo", "count=none", "return=", "Count=exact", "bar=x", "handling")
unknown = st.sampled_from(UNKNOWN)


@given(st.lists(known | unknown, min_size=1, max_size=8), st.booleans(), st.data())
def test_the_first_of_each_kind_counts(given, transactions, data):
    cut = data.draw(st.integers(0, len(given)))
    headers = tuple(", ".join(part) for part in (given[:cut], given[cut:]) if part)
    preferences = parse_prefer(headers, transactions)
    for name, options in CHOICES.items():
        values = [part.partition("=")[2] for part in given if part in {f"{name}={o}" for o in options}]
        expected = values[0] if values and (name != "tx" or transactions) else None
        assert getattr(preferences, ATTRIBUTES.get(name, name)) == expected
    assert preferences.invalid == tuple(part for part in given if part in UNKNOWN)


@given(st.lists(known, max_size=6, unique_by=lambda part: part.partition("=")[0]))
def test_what_is_applied_is_understood_again(given):
    preferences = parse_prefer((",".join(given),), True)
    applied = preferences.applied()
    assert set((applied or "").split(", ")) - {""} == set(given)
    if applied:
        assert parse_prefer((applied,), True) == preferences


@given(st.text(max_size=40))
def test_no_prefer_header_is_refused(text):
    assert isinstance(parse_prefer((text,), True), Preferences)


@pytest.mark.parametrize(
    ("text", "limit"),
    [("5", 5), ("-1", -1), ("x", None), ("", None), ("1.5", None)],
)
def test_max_affected_is_a_number(text, limit):
    assert parse_prefer((f"max-affected={text}",), False).max_affected == limit


def test_max_affected_is_told_only_where_it_holds():
    assert (
        parse_prefer(("handling=strict, max-affected=5",), False).applied()
        == "handling=strict, max-affected=5"
    )
    assert parse_prefer(("max-affected=5",), False).applied() is None
