"""Frames are the JSON both versions promise, whatever is in names, keys and rows."""

import json

from hypothesis import given
from hypothesis import strategies as st

from aiodata_django.core.state import frames

names = st.text(min_size=1, max_size=12)
values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=8)), lambda v: st.lists(v, max_size=3)
)
rows = st.dictionaries(names, values, max_size=4)
keys = st.lists(values, min_size=1, max_size=3)
subs = st.lists(st.integers(0, 99), min_size=1, max_size=3)


def text(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")


safe = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)


@given(
    st.sampled_from(("POST", "PATCH", "DELETE")),
    safe,
    st.lists(st.integers()),
    st.dictionaries(safe, st.integers()),
)
def test_version_1_is_an_array_of_four(method: str, table: str, key: list, row: dict) -> None:
    frame = frames.v1_frame(method, table, text(key), text(row))
    assert json.loads(frame) == [method, table, key, [row]]


@given(safe, st.dictionaries(safe, safe), st.lists(st.integers(), min_size=1), subs, st.booleans())
def test_a_transaction_carries_its_changes(table: str, row: dict, key: list, ids: list, moved: bool) -> None:
    sub = text(ids)
    changes = [
        frames.put(table, text(row), sub, text(key) if moved else None),
        frames.part(table, text(key), text(row), sub),
        frames.delete(table, text(key), sub),
        frames.truncate(table),
    ]
    joined = b",".join(changes).decode()
    frame = frames.txn("e:1", "e:2", 7, "2024-01-01T00:00:00Z", joined, more=True)
    assert json.loads(frame) == {
        "op": "txn",
        "from": "e:1",
        "at": "e:2",
        "xid": "7",
        "time": "2024-01-01T00:00:00Z",
        "changes": [
            ["put", table, row, ids, key] if moved else ["put", table, row, ids],
            ["part", table, key, row, ids],
            ["del", table, key, ids],
            ["truncate", table],
        ],
        "more": True,
    }


@given(safe, st.lists(st.dictionaries(safe, safe), max_size=3))
def test_a_snapshot_part_carries_rows_and_what_follows(table: str, found: list) -> None:
    tail = {"more": False, "at": "e:1", "group": 3, "left": 0}
    frame = frames.snap(4, table, map(text, found), tail)
    assert json.loads(frame) == {"op": "snap", "sub": 4, "table": table, "rows": found, **tail}


@given(st.dictionaries(safe.filter(lambda name: name != "op"), safe))
def test_a_plain_frame_is_an_object_with_its_op(fields: dict) -> None:
    assert json.loads(frames.frame("ready", fields)) == {"op": "ready", **fields}
