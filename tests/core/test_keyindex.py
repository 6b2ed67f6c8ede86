"""The index against a plain dict: any sequence of changes, any depth, any prefix."""

from typing import NamedTuple

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from aiodata_django.core.state.keyindex import KeyIndex


class Row(NamedTuple):
    a: object
    b: object
    c: object
    value: int


part = st.sampled_from(["", "x", "y", 1, 2])
keys = st.tuples(part, part, part)
values = st.integers(0, 3)


class IndexAgainstDict(RuleBasedStateMachine):
    @initialize(depth=st.integers(1, 3), wide=st.sampled_from([2, KeyIndex.WIDE]))
    def start(self, depth, wide):
        self.depth = depth
        self.index = KeyIndex("abc"[:depth])
        self.index.WIDE = wide  # so that dicts of three members are parted as large ones are
        self.model = {}

    @rule(key=keys, value=values)
    def place(self, key, value):
        row = Row(*key, value)
        assert self.index.place(row) == self.model.get(key[: self.depth])
        self.model[key[: self.depth]] = row

    @rule(rows=st.lists(st.builds(Row, part, part, part, values), max_size=6))
    def extend(self, rows):
        self.index.extend(rows)
        self.model.update({row[: self.depth]: row for row in rows})

    @rule(heads=st.lists(part, max_size=2), tails=st.lists(st.tuples(part, part, values), max_size=8))
    def extend_with_neighbours_that_share_their_prefix(self, heads, tails):
        self.extend([Row(head, *tail) for head in heads for tail in tails])

    @rule(rows=st.lists(st.builds(Row, part, part, part, values), max_size=6))
    def place_all(self, rows):
        keys_ = [row[: self.depth] for row in rows]
        before = [self.model.get(key) for key in keys_]
        if len(set(keys_)) < len(keys_):
            assert self.index.place_all(rows) is None
        else:
            assert self.index.place_all(rows) == before
            self.model.update(zip(keys_, rows, strict=True))

    @rule(key=keys)
    def remove(self, key):
        assert self.index.remove(key[: self.depth]) == self.model.pop(key[: self.depth], None)

    @rule(key=keys, length=st.integers(0, 4))
    def select(self, key, length):
        prefix = (*key, "x")[:length]
        expected = [row for its_key, row in self.model.items() if its_key[:length] == prefix]
        assert sorted(map(repr, self.index.get(*prefix))) == sorted(map(repr, expected))
        assert self.index.find(key[: self.depth]) == self.model.get(key[: self.depth])

    @invariant()
    def holds_the_same_rows(self):
        if hasattr(self, "model"):
            assert len(self.index) == len(self.model)
            assert sorted(map(repr, self.index)) == sorted(map(repr, self.model.values()))


TestIndexAgainstDict = IndexAgainstDict.TestCase


def test_keys_may_hold_lists_and_objects():
    index = KeyIndex(["a", "b"], scalar=False)
    rows = [Row([1, [2]], {"x": [1]}, None, 0), Row([1, [2]], {"x": [2]}, None, 1)]
    index.extend(rows)
    assert index.get([1, [2]]) == tuple(rows)
    assert index.get([1, [2]], {"x": [2]}) == (rows[1],)
    assert index.remove([[1, [2]], {"x": [1]}]) == rows[0]


def test_a_row_alone_with_its_prefix_costs_no_dict_of_its_own():
    index = KeyIndex(["a", "b"])
    index.extend([Row(number, "same", None, 0) for number in range(10)])
    assert not any(isinstance(child, dict) for child in index._root.values())


@pytest.mark.parametrize("name", ["extend", "place each"])
def test_no_dict_of_a_large_table_outgrows_its_bound_but_by_a_piece(name):
    piece = 1000
    rows = [Row(number // 100_000, number, None, 0) for number in range(200_000)]
    for fields in ("b", "ab"):
        index = KeyIndex(list(fields))
        if name == "extend":
            for start in range(0, len(rows), piece):
                index.extend(rows[start : start + piece])
        else:
            for row in rows:
                index.place(row)
        assert max(map(len, index._leaves(index._root, len(fields) - 1))) <= KeyIndex.WIDE + piece
        assert len(index) == len(rows)
        assert index.find((1, 123_456)[-len(fields) :]) == rows[123_456]
