"""What a subscription's query string means: columns and one condition, or a refusal that says why."""

from __future__ import annotations

import pytest

from aiodata_django.core.errors import ApiError
from aiodata_django.core.names import QualifiedName
from aiodata_django.core.state.narrowing import EVERYTHING, Condition, Narrowing, parse_narrowing

from . import films

FILMS = QualifiedName("api", "films")


def narrowed(query: str) -> Narrowing:
    return parse_narrowing(query, films.SCHEMA, FILMS)


def condition(query: str) -> Condition:
    found = narrowed(query).condition
    assert found is not None
    return found


@pytest.mark.parametrize("query", ["", "select=*", "select=id,*"])
def test_without_filters_every_row_and_column_is_meant(query):
    assert narrowed(query) == EVERYTHING


def test_columns_are_named_once_in_their_order():
    assert narrowed("select=title,id,title").columns == ("title", "id")


def test_filters_are_one_condition_whose_values_are_parameters():
    found = condition("year=gt.1980&or=(title.eq.a'b,title.like.*c*)")
    assert found.params == (b"1980", b"a'b", b"%c%")
    assert found.numbered(2) == (
        '("films"."year" > $2) and ( ("films"."title" = $3 OR "films"."title" like $4))'
    )


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("order=id", "PGRST100"),
        ("limit=1", "PGRST100"),
        ("columns=id", "PGRST100"),
        ("select=title:name", "PGRST100"),
        ("select=id::text", "PGRST100"),
        ("select=directors(name)", "PGRST100"),
        ("directors.name=eq.x", "PGRST100"),
        ("id=equals.1", "PGRST100"),
        ("or=(id.eq.1", "PGRST100"),
        ("and=" + "(and" * 5000 + "(id.eq.1)" + ")" * 5000, "AIOD105"),
        ("select=" + "id," * 5000 + "id", "AIOD105"),
        ("id=eq." + "1" * 60_000, "AIOD104"),
    ],
)
def test_what_a_feed_cannot_do_is_refused(query, code):
    with pytest.raises(ApiError) as caught:
        narrowed(query)
    assert caught.value.code == code
