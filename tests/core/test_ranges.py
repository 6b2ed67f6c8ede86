"""Ranges: the arithmetic of limits, offsets and Range headers, against rows counted out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiodata_django.core.query.ranges import (
    ALL,
    LIMIT_ZERO,
    RowRange,
    content_range,
    from_limit_offset,
    parse_range_header,
    range_status,
)

ROWS = range(30)
numbers = st.integers(0, 25)
ranges = st.builds(RowRange, numbers, st.none() | numbers)


def rows_in(rows: RowRange) -> set[int]:
    return {row for row in ROWS if row >= rows.lower and (rows.upper is None or row <= rows.upper)}


@given(ranges, ranges)
def test_an_intersection_holds_the_rows_of_both(one, other):
    assert rows_in(one.intersection(other)) == rows_in(one) & rows_in(other)


@given(ranges)
def test_emptiness_and_limits_are_counted(rows):
    assert rows.is_empty == (not rows_in(rows))
    if rows.limit is not None and not rows.is_empty:
        assert rows.limit == len(rows_in(rows))


@given(st.none() | st.integers(1, 20), st.none() | numbers)
def test_limit_and_offset_take_the_rows_sql_takes(limit, offset):
    taken = list(ROWS)[offset or 0 :][:limit]
    texts = (None if number is None else str(number) for number in (limit, offset))
    assert rows_in(from_limit_offset(*texts)) == set(taken)


@given(ranges, st.integers(1, 20))
def test_a_restriction_keeps_the_first_rows(rows, limit):
    assert rows_in(rows.restricted(limit)) == set(sorted(rows_in(rows))[:limit])


def test_limit_zero_is_the_one_empty_range_that_is_meant():
    assert from_limit_offset("0", None) == LIMIT_ZERO
    assert LIMIT_ZERO.restricted(5) == LIMIT_ZERO
    assert LIMIT_ZERO.limit == 0


@given(numbers, st.none() | numbers)
def test_range_headers(lower, upper):
    assert parse_range_header(f"{lower}-{'' if upper is None else upper}") == RowRange(lower, upper)


@pytest.mark.parametrize("text", ["", "-", "-5", "a-b", "items=0-1", "bytes=0-1", "0-1,3-4", " 0-1", "0-1 "])
def test_other_range_headers_ask_for_everything(text):
    assert parse_range_header(text) == ALL


@pytest.mark.parametrize(
    ("text", "upper"), [("5", 4), ("-5", -6), (" 5 ", 4), ("", None), ("x", None), ("1.5", None)]
)
def test_what_is_no_integer_is_as_good_as_not_given(text, upper):
    assert from_limit_offset(text, None) == RowRange(0, upper)
    assert from_limit_offset(None, text) == RowRange(0 if upper is None else upper + 1)


@pytest.mark.parametrize(("offset", "rows"), [("3", RowRange(3, 2)), ("0", LIMIT_ZERO), ("x", LIMIT_ZERO)])
def test_beside_an_offset_a_limit_that_is_no_integer_is_0(offset, rows):
    assert from_limit_offset("x", offset) == rows


@given(numbers, st.integers(0, 25), st.none() | st.integers(0, 60))
def test_content_range_and_status_tell_the_same(lower, count, total):
    upper = lower + count - 1
    shown, status = content_range(lower, upper, total), range_status(lower, upper, total)
    rows, _, of = shown.partition("/")
    assert of == ("*" if total is None else str(total))
    assert rows == ("*" if count == 0 or total == 0 else f"{lower}-{upper}")
    if total is None:
        assert status == 200
    elif lower > total:
        assert status == 416
    else:
        assert status == (206 if count < total else 200)
