"""The copy against a model of it: fills, changes, transactions and resyncs give the right rows and events."""

import json
from decimal import Decimal

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from aiodata_django.core.state.cache import Cache, Patch, Put, Remove, TableCache, Truncate, UnknownRow
from aiodata_django.core.state.entry import asdict

COLUMNS = [("kind", "text"), ("id", "int4"), ("note", "text"), ("tags", "jsonb")]
KEY = ("kind", "id")


def row(kind, number, note=None, tags=None):
    return {"kind": kind, "id": number, "note": note, "tags": tags}


def key_of(values):
    return values["kind"], values["id"]


def plain(event):
    """An event with dicts for entries."""
    if event.action == "update":
        return event.action, [(asdict(old), asdict(new)) for old, new in event.entries]
    return event.action, [asdict(entry) for entry in event.entries]


@pytest.fixture
def pets():
    cache = TableCache("pets", COLUMNS, KEY)
    cache.fill(json.dumps([row("Cat", 1), row("Cat", 2), row("Dog", 1)]).encode())
    return cache


def test_get_answers_by_key_by_prefix_and_whole_and_always_with_a_tuple(pets):
    assert [entry.id for entry in pets.get("Cat")] == [1, 2]
    assert [entry.id for entry in pets.get("Dog", 1)] == [1]
    assert len(pets.get()) == len(pets) == len(list(pets)) == 3
    assert pets.get("Cow") == pets.get("Cat", 3) == pets.get("Cat", 1, "too many") == ()


def test_an_update_gives_the_old_row_and_the_new_and_touches_neither(pets):
    (before,) = pets.get("Cat", 1)
    (event,) = pets.put(row("Cat", 1, "fed"), ("Cat", 1))
    assert plain(event) == ("update", [(row("Cat", 1), row("Cat", 1, "fed"))])
    assert event.entries[0][0] is before
    assert before.note is None
    assert pets.get("Cat", 1) == (event.entries[0][1],)


def test_a_key_change_moves_the_row(pets):
    (event,) = pets.put(row("Cow", 9), ("Dog", 1))
    assert plain(event) == ("update", [(row("Dog", 1), row("Cow", 9))])
    assert pets.get("Dog") == ()
    assert [entry.id for entry in pets.get("Cow")] == [9]


def test_a_row_moved_onto_another_takes_its_place_and_says_so(pets):
    assert [plain(event) for event in pets.put(row("Cat", 2, "moved"), ("Cat", 1))] == [
        ("delete", [row("Cat", 2)]),
        ("update", [(row("Cat", 1), row("Cat", 2, "moved"))]),
    ]


def test_hearing_a_change_twice_gives_its_event_once(pets):
    changes = [
        Put("pets", row("Cow", 1)),
        Remove("pets", ("Dog", 1)),
        Put("pets", row("Cat", 1, "x"), ("Cat", 1)),
    ]
    cache = Cache([pets])
    assert [len(cache.apply(change)) for change in changes] == [1, 1, 1]
    assert [len(cache.apply(change)) for change in changes] == [0, 0, 0]


def test_a_patch_keeps_the_columns_it_does_not_name(pets):
    pets.put(row("Cat", 1, "long text", [1]), ("Cat", 1))
    (event,) = pets.patch(("Cat", 1), {"tags": [2]})
    assert asdict(event.entries[0][1]) == row("Cat", 1, "long text", [2])
    with pytest.raises(UnknownRow):
        pets.patch(("Cat", 77), {"tags": []})


def test_truncate_deletes_all_rows_in_one_event(pets):
    (event,) = pets.clear()
    assert event.action == "delete"
    assert len(event.entries) == 3
    assert pets.get() == ()
    assert pets.clear() == ()


def test_a_change_to_a_table_that_is_not_kept_is_ignored(pets):
    assert Cache([pets]).apply(Truncate("log")) == ()


def test_a_table_without_key_cannot_be_kept():
    with pytest.raises(ValueError, match="no key"):
        TableCache("log", COLUMNS, ())


def test_a_transaction_gives_net_changes_grouped_by_action(pets):
    events = Cache([pets]).commit(
        [
            Put("pets", row("Cow", 1)),
            Put("pets", row("Cow", 2)),
            Put("pets", row("Cow", 1, "renamed"), ("Cow", 1)),
            Put("pets", row("Cow", 3)),
            Remove("pets", ("Cow", 3)),
            Remove("pets", ("Cat", 1)),
            Put("pets", row("Cat", 1, "again")),
            Put("pets", row("Dog", 1, "there"), ("Dog", 1)),
            Put("pets", row("Dog", 1), ("Dog", 1)),
        ]
    )
    assert [plain(event) for event in events] == [
        ("create", [row("Cow", 2), row("Cow", 1, "renamed")]),
        ("update", [(row("Cat", 1), row("Cat", 1, "again"))]),
    ]


def test_interning_shares_equal_strings_of_repeating_columns():
    cache = TableCache("pets", COLUMNS, KEY, intern=True)
    cache.fill(json.dumps([row("Cat", number, f"note {number}") for number in range(200)]).encode())
    cache.put(row("".join(["C", "at"]), 1000))
    first, *_, last = cache.get()
    assert first.kind is last.kind
    assert len({entry.note for entry in cache}) == 201


@pytest.mark.parametrize("numbers", [[7], [7, 8], [7, 1000], [1000, 1001]])
def test_what_a_transaction_puts_shares_its_strings_with_the_rows_that_are_there(numbers):
    cache = TableCache("pets", COLUMNS, KEY, intern=True)
    cache.fill(json.dumps([row("Cat", number, f"note {number % 9}") for number in range(200)]).encode())
    first = cache.get("Cat", 0)[0]
    cache.put_all([msgspec.Raw(json.dumps(row("Cat", number, "note 0")).encode()) for number in numbers])
    for number in numbers:
        (new,) = cache.get("Cat", number)
        assert new.kind is first.kind
        assert new.note is first.note


@pytest.mark.parametrize(
    ("typname", "text", "equal"),
    [("numeric", "0.10", 0.1), ("float8", "0.1", Decimal("0.1")), ("_float8", "[0.1]", [Decimal("0.1")])],
)
def test_a_key_is_found_by_a_number_of_another_python_type(typname, text, equal):
    table = TableCache("t", [("id", typname), ("note", "text")], ["id"])
    table.fill(f'[{{"id":{text},"note":""}}]'.encode())
    assert len(table.get(equal)) == 1
    assert [event.action for event in table.put({"id": 1, "note": ""}, (equal,))] == ["update"]
    assert table.get(equal) == ()


def test_a_table_made_anew_with_another_key_replaces_all_its_rows(pets):
    fresh = TableCache("pets", COLUMNS, ["id"])
    fresh.fill([row("Cow", 1)])
    assert [plain(event)[0] for event in pets.differences(fresh) if event] == ["delete", "create"]


def test_a_table_with_another_type_tells_only_rows_that_differ(pets):
    fresh = TableCache("pets", [*COLUMNS[:2], ("note", "varchar"), COLUMNS[3]], KEY)
    fresh.fill([row("Cat", 1), row("Cat", 2, "new"), row("Dog", 1)])
    assert [plain(event) for event in pets.differences(fresh) if event] == [
        ("update", [(row("Cat", 2), row("Cat", 2, "new"))])
    ]


rows = st.builds(
    row, st.sampled_from("abc"), st.integers(0, 3), st.sampled_from(["", "x", None]), st.just([1])
)
keys = st.tuples(st.sampled_from("abc"), st.integers(0, 3))


class CopyAgainstModel(RuleBasedStateMachine):
    """Random changes, transactions and resyncs; every event is replayed on a second model and must fit."""

    @initialize(initial=st.lists(rows, max_size=6))
    def start(self, initial):
        self.cache = Cache([TableCache("t", COLUMNS, KEY)])
        self.cache.tables["t"].fill(initial)
        self.model = {key_of(values): values for values in initial}
        self.heard = dict(self.model)

    def hear(self, events):
        for event in events:
            action, entries = plain(event)
            assert entries
            for item in entries:
                self.replay(action, item)

    def replay(self, action, item):
        if action == "update":
            old, new = item
            assert old != new
            assert self.heard.pop(key_of(old)) == old
        elif action == "delete":
            assert self.heard.pop(key_of(item)) == item
            return
        else:
            new = item
        assert key_of(new) not in self.heard
        self.heard[key_of(new)] = new

    @rule(values=rows)
    def put(self, values):
        self.hear(self.cache.apply(Put("t", json.dumps(values).encode())))
        self.model[key_of(values)] = values

    @rule(values=rows, old_key=keys)
    def move(self, values, old_key):
        self.hear(self.cache.apply(Put("t", values, old_key)))
        self.model.pop(old_key, None)
        self.model[key_of(values)] = values

    @rule(key=keys)
    def remove(self, key):
        self.hear(self.cache.apply(Remove("t", key)))
        self.model.pop(key, None)

    @rule(key=keys, note=st.text(max_size=2))
    def patch(self, key, note):
        if key in self.model:
            self.hear(self.cache.apply(Patch("t", key, {"note": note})))
            self.model[key] = {**self.model[key], "note": note}

    @rule()
    def truncate(self):
        self.hear(self.cache.apply(Truncate("t")))
        self.model.clear()

    @rule(puts=st.lists(st.tuples(st.booleans(), rows), max_size=8))
    def transaction(self, puts):
        """Its events are net: the same key never comes twice, and updates of equal rows never."""
        changes = []
        for kept, values in puts:
            changes.append(Put("t", values) if kept else Remove("t", key_of(values)))
            self.model.pop(key_of(values), None)
            if kept:
                self.model[key_of(values)] = values
        events = self.cache.commit(changes)
        touched = [
            key_of(item[0] if action == "update" else item)
            for action, all_ in map(plain, events)
            for item in all_
        ]
        assert len(touched) == len(set(touched))
        self.hear(events)

    @rule(contents=st.lists(rows, max_size=6), later=st.lists(rows, max_size=2))
    def resync(self, contents, later):
        """A second copy is filled and changed beside the first, which takes over its rows at once."""
        table = self.cache.tables["t"]
        fresh = table.blank()
        fresh.fill(contents)
        for values in later:
            fresh.put(values)
        before = {key_of(asdict(entry)): entry for entry in table}
        self.hear([event for event in table.differences(fresh) if event])
        table.adopt(fresh)
        self.model = {key_of(values): values for values in contents + later}
        assert {key for key, entry in before.items() if entry in table} <= set(self.model)

    @invariant()
    def copy_and_replayed_events_agree_with_the_model(self):
        if hasattr(self, "model"):
            table = self.cache.tables["t"]
            assert {key_of(asdict(entry)): asdict(entry) for entry in table} == self.model
            assert self.heard == self.model


TestCopyAgainstModel = CopyAgainstModel.TestCase
TestCopyAgainstModel.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)


@pytest.mark.parametrize(
    ("changes", "events"),
    [
        (  # a row made in the transaction ends where another was
            [
                Put("pets", row("Cow", 1)),
                Remove("pets", ("Cat", 1)),
                Put("pets", row("Cat", 1, "x"), ("Cow", 1)),
            ],
            [("update", [(row("Cat", 1), row("Cat", 1, "x"))])],
        ),
        (  # a row that was there ends where another was: that one goes first
            [
                Put("pets", row("Dog", 1, "x"), ("Dog", 1)),
                Remove("pets", ("Cat", 1)),
                Put("pets", row("Cat", 1), ("Dog", 1)),
            ],
            [("delete", [row("Cat", 1)]), ("update", [(row("Dog", 1), row("Cat", 1))])],
        ),
        (  # moved, deleted, and another made where it was at first
            [
                Put("pets", row("Cow", 1), ("Dog", 1)),
                Remove("pets", ("Cow", 1)),
                Put("pets", row("Dog", 1, "x")),
            ],
            [("update", [(row("Dog", 1), row("Dog", 1, "x"))])],
        ),
        (  # two rows change places by way of a third
            [
                Put("pets", row("Cow", 9, "was 1"), ("Cat", 1)),
                Put("pets", row("Cat", 1, "was 2"), ("Cat", 2)),
                Put("pets", row("Cat", 2, "was 1"), ("Cow", 9)),
            ],
            [
                (
                    "update",
                    [(row("Cat", 2), row("Cat", 1, "was 2")), (row("Cat", 1), row("Cat", 2, "was 1"))],
                )
            ],
        ),
    ],
)
def test_what_a_transaction_does_to_keys_is_told_as_it_ends(pets, changes, events):
    assert [plain(event) for event in Cache([pets]).commit(changes)] == events
