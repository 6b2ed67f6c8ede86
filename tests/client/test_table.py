"""Reads of a table find what the copy holds, whatever Python value the key is given as."""

import enum
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from aiodata_django.client.description import Description
from aiodata_django.client.table import Table
from aiodata_django.client.values import cached_form
from aiodata_django.core.state.cache import TableCache

COLUMNS = [("place", "text"), ("number", "numeric"), ("note", "text")]
KEY = ("place", "number")
DAYS = [date(2024, 2, 29), date(1999, 1, 1)]
IDS = [UUID(int=1), UUID(int=2)]


class Place(str, enum.Enum):  # noqa: UP042 - one whose hash is its name's and whose value is another text
    HOME = "AWAY"
    AWAY = "HOME"


texts = [*map(str, DAYS), *map(str, IDS), "HOME", "AWAY", "\\x6869"]
places: st.SearchStrategy[Any] = st.sampled_from(
    [*texts, *DAYS, *IDS, *Place, b"hi", bytearray(b"hi"), None, 7, True]
)
numbers: st.SearchStrategy[Any] = st.sampled_from([0, 1, Decimal("0.5"), 0.5, 1.0, True, "1", None])
rows = st.lists(st.tuples(st.sampled_from(texts), st.sampled_from([0, 1, Decimal("0.5")])), max_size=8)


@given(rows, st.one_of(st.tuples(), st.tuples(places), st.tuples(places, numbers)))
def test_a_key_reads_the_rows_whose_key_begins_with_its_form_in_the_copy(
    keys: list[tuple[str, Any]], wanted: tuple[Any, ...]
) -> None:
    cache = TableCache("t", COLUMNS, KEY)
    for place, number in keys:
        cache.put({"place": place, "number": number, "note": "x"})
    table = Table(Description.of_copy("t", COLUMNS, KEY), _never)
    table.describe(Description.of_copy("t", COLUMNS, KEY), cache)

    expected = {row for row in cache if _key(row)[: len(wanted)] == cached_form(wanted)}
    found = table.get(*wanted)
    assert len(found) == len(expected)
    assert set(found) == expected


def _key(row: Any) -> tuple[Any, ...]:
    return row.place, row.number


async def _never(*_: Any) -> Any:
    raise AssertionError("nothing is written here")
