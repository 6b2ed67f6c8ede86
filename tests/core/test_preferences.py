"""The Prefer header: the first of each kind counts, the rest is told apart."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiodata_django.core.errors import RequestError
from aiodata_django.core.query.preferences import Preferences, parse_prefer, refuse_long_timezone

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


UNPATCHED, PATCHED = 150018, 150019


@pytest.mark.parametrize("timezone", ["<" + "A" * 22 + ">+4", "A" * 300 + "5", "B" * 24 + "-3:30"])
def test_an_abbreviation_of_the_clients_own_is_refused_where_it_is_too_long_for_the_server(timezone):
    preferences = Preferences(timezone=timezone)
    with pytest.raises(RequestError) as caught:
        refuse_long_timezone(preferences, UNPATCHED)
    assert (caught.value.status, caught.value.code) == (400, "PGRST129")
    refuse_long_timezone(preferences, PATCHED)


@pytest.mark.parametrize(
    "timezone", [None, "UTC", "<-04>+04", "Etc/GMT+12", "America/Argentina/Buenos_Aires", "nowhere " * 20]
)
def test_names_of_places_and_short_zones_are_left_to_the_server(timezone):
    refuse_long_timezone(Preferences(timezone=timezone), UNPATCHED)
