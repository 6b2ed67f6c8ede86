"""PostgreSQL's notation of ranges, there and back."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from psycopg.types.range import Range

from aiodata_django.tables.ranges import parse_range, range_text

BOUND = st.none() | st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]))


@given(BOUND, BOUND, st.sampled_from(["[]", "[)", "(]", "()"]))
@example('a"b\\', ",[)(", "[)")
@example("", " ", "()")
def test_a_range_reads_back_as_it_was_written(lower, upper, bounds):
    written = Range(lower, upper, bounds)
    assert parse_range(range_text(written)) == written


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("empty", Range(empty=True)),
        ("[1,10)", Range("1", "10", "[)")),
        ("(,)", Range(None, None, "()")),
        ('["2024-01-01 10:00:00+00",infinity]', Range("2024-01-01 10:00:00+00", "infinity", "[]")),
        ('("a""b","c\\\\d")', Range('a"b', "c\\d", "()")),
    ],
)
def test_postgresqls_own_output_is_read(text, found):
    assert parse_range(text) == found


@given(st.text())
@example("5")
@example("[1,2")
@example("[1,2,3]")
def test_other_text_is_refused_and_nothing_worse(text):
    try:
        found = parse_range(text)
    except ValueError:
        return
    assert isinstance(found, Range)
