"""Near names: alike enough, the most alike first, and nothing for names that are far."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiodata_django.core.query.hints import (
    MINIMUM_FOR_NAMES,
    MINIMUM_FOR_PARAMETERS,
    _can_be_alike,
    _likeness,
    nearest,
    ranked,
)

words = st.text("abcdef_", min_size=1, max_size=10)


@pytest.mark.parametrize(
    ("name", "known", "near"),
    [
        ("film", ["films", "actors"], "films"),
        ("Films", ["films", "actors"], "films"),
        ("projct", ["projects", "products"], "projects"),
        ("zzz", ["films", "actors"], None),
        ("film", [], None),
        ("cases", ["cages", "bases"], "bases"),  # of one distance, but three of the grams are the same
        ("car_model_sales_202101", ["car_model_sales"], None),  # 15 of 22 characters are not enough
    ],
)
def test_names_of_tables(name, known, near):
    assert nearest(name, known) == near


@pytest.mark.parametrize(
    ("name", "known", "near"),
    [
        ("(nam, pqaram, vall)", ["(name, param, val)", "(attr, id)"], "(name, param, val)"),
        ("(id)", ["(name, param, val)", "(attr, id)"], "(attr, id)"),
        ("(noclosealternative)", ["(name, param, val)", "(attr, id)"], None),
        ("role", ["directors", "roles", "actors"], "roles"),
    ],
)
def test_names_of_parameters_and_relations_may_be_further_off(name, known, near):
    assert nearest(name, known, MINIMUM_FOR_PARAMETERS) == near


@given(words, st.sets(words, max_size=6))
def test_a_known_name_is_its_own_nearest(name, others):
    assert nearest(name, {name, *others}) == name


@given(words, st.sets(words, max_size=6), st.floats(0.1, 0.9))
def test_the_most_alike_come_first_and_none_below_the_minimum(name, known, minimum):
    found = ranked(name, known, minimum)
    scores = [score for score, _ in found]
    assert scores == sorted(scores, reverse=True)
    assert all(score >= minimum and candidate in known for score, candidate in found)


@given(words, words, st.sampled_from([MINIMUM_FOR_NAMES, MINIMUM_FOR_PARAMETERS]))
def test_no_name_that_is_alike_enough_is_passed_over_for_its_length(one, other, minimum):
    assert _can_be_alike(one, other, minimum) or _likeness(one, other) < minimum
