"""Version 1 messages and waits between attempts."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiodata_django.client.backoff import FIRST, LONGEST, Backoff
from aiodata_django.client.frames import MessageReader
from aiodata_django.core.state.cache import Cache, Put, Remove, TableCache

changes = MessageReader(Cache([TableCache("pets", [("id", "int4"), ("note", "text")], ["id"])])).changes


def test_each_method_is_a_change():
    (put,) = changes('["POST","pets",[],[{"id":1}]]')
    (moved,) = changes('["PATCH","pets",[1,"x",0.10],[{"id":2}]]')
    (removed,) = changes('["DELETE","pets",[1],[{"id":1}]]')
    assert isinstance(put, Put)
    assert (put.table, put.old_key) == ("pets", None)
    assert moved.old_key == (1, "x", Decimal("0.10"))
    assert removed == Remove("pets", (1,))


def test_the_rows_are_those_of_the_table():
    table = TableCache("pets", [("id", "int4"), ("price", "numeric")], ["id"])
    cache = Cache([table])
    for text in ('["POST","pets",[],[{"id":1,"price":1.50}]]', '["POST","pets",[],[{"id":2,"price":"odd"}]]'):
        for change in MessageReader(cache).changes(text):
            cache.apply(change)
    assert [row.price for row in table] == [Decimal("1.50"), "odd"]


def test_a_table_s_name_may_hold_quotes():
    (change,) = changes(r'["POST","a\"b",[],[{"id":1}]]')
    assert change.table == 'a"b'


@pytest.mark.parametrize("text", ["", "{}", "[]", '["PUT","pets",[],[]]', '["POST","pets",[]]'])
def test_what_is_no_message_is_refused(text):
    with pytest.raises(ValueError):
        changes(text)


@given(st.lists(st.floats(0, 200), max_size=20), st.floats(0, 1, exclude_max=True))
def test_waits_stay_within_their_bounds(lasted, chance):
    backoff = Backoff(lambda: chance)
    for seconds in lasted:
        assert FIRST / 2 <= backoff.delay(seconds) <= LONGEST


def test_waits_double_until_a_connection_was_healthy():
    backoff = Backoff(lambda: 1.0)
    assert [backoff.delay(0) for _ in range(8)] == [0.5, 1, 2, 4, 8, 16, 30, 30]
    assert [backoff.delay(61), backoff.delay(0)] == [0.5, 1]
