"""Version 1 messages and waits between attempts."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiodata_django.client.backoff import FIRST, LONGEST, Backoff
from aiodata_django.client.frames import MessageReader
from aiodata_django.core.state.cache import Cache, TableCache
from aiodata_django.core.state.entry import asdict


def copy_of(*names):
    columns = [("id", "int4"), ("note", "text"), ("price", "numeric")]
    return Cache([TableCache(name, columns, ["id"]) for name in names])


def test_each_method_is_a_change_of_the_copy():
    cache = copy_of("pets")
    reader = MessageReader(cache)
    (created,) = reader.apply('["POST","pets",[],[{"id":1,"note":"a","price":1.50}]]')
    (updated,) = reader.apply('["PATCH","pets",[1],[{"id":2,"note":"b","price":0.10}]]')
    (deleted,) = reader.apply('["DELETE", "pets", [2], [{"id":2}]]')
    assert [event.action for event in (created, updated, deleted)] == ["create", "update", "delete"]
    assert [asdict(row) for row in updated.entries[0]] == [
        {"id": 1, "note": "a", "price": Decimal("1.50")},
        {"id": 2, "note": "b", "price": Decimal("0.10")},
    ]
    assert deleted.entries == updated.entries[0][1:]
    assert len(cache.tables["pets"]) == 0


def test_several_rows_may_come_in_one_message():
    events = MessageReader(copy_of("pets")).apply('["POST","pets",[],[{"id":1},{"id":2}]]')
    assert [event.entries[0].id for event in events] == [1, 2]


def test_values_of_another_type_than_described_are_taken_as_they_come():
    (event,) = MessageReader(copy_of("pets")).apply('["POST","pets",[],[{"id":"x","price":1.50}]]')
    assert asdict(event.entries[0]) == {"id": "x", "note": None, "price": Decimal("1.50")}


def test_a_table_s_name_may_hold_quotes():
    (event,) = MessageReader(copy_of('a"b')).apply(r'["POST","a\"b",[],[{"id":1}]]')
    assert event.table == 'a"b'


def test_a_table_without_a_copy_is_passed_over():
    assert MessageReader(copy_of("pets")).apply('["POST","cars",[],[{"id":1}]]') == ()


@pytest.mark.parametrize("text", ["", "{}", "[]", '["PUT","pets",[],[]]', '["POST","pets",[]]', "[1,2"])
def test_what_is_no_message_is_refused(text):
    with pytest.raises(ValueError):
        MessageReader(copy_of("pets")).apply(text)


@given(st.lists(st.floats(0, 200), max_size=20), st.floats(0, 1, exclude_max=True))
def test_waits_stay_within_their_bounds(lasted, chance):
    backoff = Backoff(lambda: chance)
    for seconds in lasted:
        assert FIRST / 2 <= backoff.delay(seconds) <= LONGEST


def test_waits_double_until_a_connection_was_healthy():
    backoff = Backoff(lambda: 1.0)
    assert [backoff.delay(0) for _ in range(8)] == [0.5, 1, 2, 4, 8, 16, 30, 30]
    assert [backoff.delay(61), backoff.delay(0)] == [0.5, 1]
