"""The copy under version 2 against a model of the server: commits, drops, resumes, joins, subscriptions.

The frames are made by the code that makes the server's; only what is in them comes from the model.
"""

import json

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from aiodata_django.core.state import frames
from aiodata_django.core.state.copy import Copy, selected
from aiodata_django.core.state.entry import asdict
from aiodata_django.core.state.session import ClientSession, Failed, Subscription

COLUMNS = {"kind": "text", "id": "integer", "note": "character varying(9)", "price": "numeric(8,2)"}
KEY = ["kind", "id"]
SUBSCRIPTIONS = {
    0: Subscription(0, "*"),
    1: Subscription(1, "pets", "kind=eq.a&select=note"),
    2: Subscription(2, "pets", "note=eq.x&select=price,id"),
}


def key_of(row):
    return row["kind"], row["id"]


def sees(sub, row):
    return {0: True, 1: row["kind"] == "a", 2: row["note"] == "x"}[sub]


def narrowed(sub, row):
    names = selected(SUBSCRIPTIONS[sub].query) or list(COLUMNS)
    return {name: row[name] for name in COLUMNS if name in names or name in KEY}


def text(value):
    return json.dumps(value, separators=(",", ":")).encode()


class Server:
    """What the model knows: rows, and the log of transactions as (old, new) pairs or None for a truncate."""

    def __init__(self):
        self.rows = {}
        self.log = []
        self.oldest = 0

    def commit(self, changes):
        self.log.append(changes)
        for change in changes:
            if change is None:
                self.rows.clear()
                continue
            old, new = change
            if old is not None:
                self.rows.pop(key_of(old), None)
            if new is not None:
                self.rows[key_of(new)] = new

    def snapshot(self, subs, at, piece):
        """One group of snapshots, each in frames of ``piece`` rows."""
        for left, sub in zip(range(len(subs) - 1, -1, -1), subs, strict=True):
            rows = [text(narrowed(sub, row)) for row in self.rows.values() if sees(sub, row)]
            while len(rows) > piece:
                yield frames.snap(sub, "pets", rows[:piece], {"more": True, "group": 1})
                rows = rows[piece:]
            yield frames.snap(sub, "pets", rows, {"more": False, "group": 1, "left": left, "at": at})

    def transaction(self, number, subs, start, split):
        """The frames of one transaction; none when nobody sees anything of it."""
        told = [each for change in self.log[number] for each in self.told(change, subs)]
        if not told:
            return
        at = cursor(number + 1)
        for begin in range(0, len(told), split):
            more = begin + split < len(told)
            changes = b",".join(told[begin : begin + split]).decode()
            yield frames.txn(start, at, number, "", changes, more=more)

    def told(self, change, subs):
        if change is None:
            yield frames.truncate("pets")
            return
        old, new = change
        for sub in subs:
            was, now = old is not None and sees(sub, old), new is not None and sees(sub, new)
            ids = text([sub])
            if now:
                moved = was and key_of(old) != key_of(new)
                old_key = text(list(key_of(old))) if moved else None
                if was and not moved and new["note"] == old["note"]:
                    known = {name: value for name, value in narrowed(sub, new).items() if name != "note"}
                    yield frames.part("pets", text(list(key_of(new))), text(known), ids)
                else:
                    yield frames.put("pets", text(narrowed(sub, new)), ids, old_key)
            elif was:
                yield frames.delete("pets", text(list(key_of(old))), ids)


def pairs_of(event):
    both = {"create": lambda item: (None, item), "delete": lambda item: (item, None)}
    return [both[event.action](item) if event.action in both else item for item in event.entries]


def cursor(number):
    return f"epoch:{number}"


row = st.fixed_dictionaries(
    {
        "kind": st.sampled_from("ab"),
        "id": st.integers(0, 2),
        "note": st.sampled_from("xyz"),
        "price": st.sampled_from([1, 2.5]),
    }
)


class CopyAgainstServer(RuleBasedStateMachine):
    @initialize(subs=st.sets(st.sampled_from([0, 1, 2]), min_size=1), rows=st.lists(row, max_size=4))
    def start(self, subs, rows):
        self.server = Server()
        self.server.rows = {key_of(each): each for each in rows}
        self.session = ClientSession([SUBSCRIPTIONS[sub] for sub in sorted(subs)])
        self.copy = Copy()
        self.session.decode = self.copy.decode
        self.heard = {}
        self.connected = False

    # --- the client

    def receive(self, frame):
        self.copy.subscribed(self.session.subscriptions.values())
        for event in self.session.receive(frame, 0.0):
            assert not isinstance(event, Failed)
            self.hear(self.copy.take(event))
            assert not self.copy.wanted

    def hear(self, events):
        """Net changes happen at once: all old rows go, then all new ones come."""
        pairs = [pair for event in events if event is not None for pair in pairs_of(event)]
        for old, new in pairs:
            assert old != new
            if old is not None:
                assert asdict(self.heard.pop(self.key(old))) == asdict(old)
        for _, new in pairs:
            if new is not None:
                assert self.key(new) not in self.heard
                self.heard[self.key(new)] = new

    @staticmethod
    def key(entry):
        return entry.kind, entry.id

    # --- what happens

    def sub_ids(self):
        return sorted(self.session.subscriptions)

    @rule(piece=st.integers(1, 3), lose=st.booleans(), cut=st.integers(0, 9))
    @precondition(lambda self: not self.connected)
    def connect(self, piece, lose, cut):
        """Connect and catch up; the connection may break on the way."""
        if lose:
            self.server.oldest = len(self.server.log)
        hello = json.loads(self.session.connected(0.0))
        place = int(hello["at"].partition(":")[2]) if hello["at"] else -1
        resumed = place >= self.server.oldest and not getattr(self, "changed_subs", False)
        schema = {"pets": {"key": KEY, "columns": COLUMNS}} if self.session.subscriptions else {}
        stream = [frames.frame("ready", resumed=resumed, heartbeat=15, schema=schema)]
        if resumed:
            start = hello["at"]
            for number in range(place, len(self.server.log)):
                made = list(self.server.transaction(number, self.sub_ids(), start, piece))
                start = cursor(number + 1) if made else start
                stream += made
        else:
            start = cursor(len(self.server.log)) if self.session.subscriptions else None
            stream += self.server.snapshot(self.sub_ids(), start, piece)
        end = cursor(len(self.server.log))
        stream.append(frames.frame("pos", {"from": start, "at": end, "lag_ms": 0}))
        for frame in stream[: len(stream) if cut > 6 else cut]:
            self.receive(frame)
        if cut <= 6 and cut < len(stream):
            self.session.disconnected()
        else:
            self.connected, self.changed_subs = True, False

    @rule()
    @precondition(lambda self: self.connected)
    def drop(self):
        self.session.disconnected()
        self.connected = False

    @rule(wanted=st.lists(st.tuples(row, st.booleans()), min_size=1, max_size=5), data=st.data())
    def commit(self, wanted, data):
        """A transaction of inserts, updates, key changes and deletes, as PostgreSQL would have them."""
        rows, changes = dict(self.server.rows), []
        for new, delete in wanted:
            key = key_of(new)
            if delete:
                change = (rows.pop(key), None) if key in rows else None
            else:
                olds = [rows[key]] if key in rows else [None, *rows.values()]
                old = data.draw(st.sampled_from(olds))
                change = (old, new)
                if old is not None:
                    del rows[key_of(old)]
                rows[key] = new
            if change is not None:
                changes.append(change)
        self.committed(changes)

    @rule()
    def truncate(self):
        self.committed([None])

    def committed(self, changes):
        self.server.commit(changes)
        if self.connected:
            number = len(self.server.log) - 1
            for frame in self.server.transaction(number, self.sub_ids(), self.session.cursor, 2):
                self.receive(frame)

    @rule(sub=st.sampled_from([0, 1, 2]))
    def change_subscriptions(self, sub):
        if sub in self.session.subscriptions:
            self.session.unsubscribe(sub)
            self.hear(self.copy.forget(sub))
        else:
            first = not self.session.subscriptions
            self.session.subscribe(SUBSCRIPTIONS[sub])
            if self.connected:
                if first:  # the server tells of a table when it begins to tell its rows
                    self.receive(frames.frame("schema", {"key": KEY, "columns": COLUMNS}, table="pets"))
                for frame in self.server.snapshot([sub], cursor(len(self.server.log)), 2):
                    self.receive(frame)
        self.changed_subs = not self.connected or getattr(self, "changed_subs", False)

    # --- what must hold

    def shown(self):
        table = self.copy.cache.tables.get("pets")
        return {} if table is None else {self.key(entry): asdict(entry) for entry in table}

    @invariant()
    def what_was_told_is_what_is_there(self):
        if hasattr(self, "heard"):
            assert {key: asdict(entry) for key, entry in self.heard.items()} == self.shown()

    @invariant()
    def a_connected_copy_is_the_union_of_what_its_subscriptions_see(self):
        if not getattr(self, "connected", False):
            return
        expected = {}
        for each in self.server.rows.values():
            for sub in self.sub_ids():
                if sees(sub, each):
                    expected.setdefault(key_of(each), dict.fromkeys(COLUMNS)).update(narrowed(sub, each))
        assert self.shown() == expected


TestCopyAgainstServer = CopyAgainstServer.TestCase
TestCopyAgainstServer.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)


def test_a_part_of_an_unknown_row_is_wanted():
    copy = Copy()
    session = ClientSession()
    session.connected(0.0)
    ready = frames.frame("ready", resumed=False, schema={"pets": {"key": KEY, "columns": COLUMNS}})
    snap = frames.snap(0, "pets", [], {"more": False, "group": 1, "left": 0, "at": "e:1"})
    part = frames.part("pets", b'["a",1]', b'{"kind":"a","id":1,"price":2}', b"[0]").decode()
    txn = frames.txn("e:1", "e:2", 1, "", part, more=False)
    told = [
        event
        for text in (ready, snap, txn)
        for each in session.receive(text, 0.0)
        for event in copy.take(each)
    ]
    assert told == []
    assert [(table, bytes(key)) for table, key in copy.wanted] == [("pets", b'["a",1]')]


def test_a_subscription_more_brings_its_columns_to_rows_that_another_holds():
    copy, session = Copy(), ClientSession([])
    narrow = Subscription(1, "pets", "select=kind,id"), Subscription(2, "pets", "select=price")
    copy.subscribed(narrow)
    session.connected(0.0)
    described = {"key": KEY, "columns": {name: COLUMNS[name] for name in KEY}}
    told = []
    for text in (
        frames.frame("ready", resumed=False, schema={"pets": described}),
        frames.snap(1, "pets", [b'{"kind":"a","id":1}'], {"more": False, "group": 1, "left": 0, "at": "e:1"}),
        frames.frame("schema", {**described, "columns": COLUMNS}, table="pets"),
        frames.snap(
            2, "pets", [b'{"kind":"a","id":1,"price":7}'], {"more": False, "group": 2, "left": 0, "at": "e:2"}
        ),
    ):
        told += [e for each in session.receive(text, 0.0) for e in copy.take(each) if e is not None]
    assert [event.action for event in told] == ["create", "update"]
    assert copy.cache.tables["pets"].get("a", 1)[0].price == 7


def test_nothing_is_told_until_the_copy_is_whole_neither_snapshots_nor_transactions():
    copy, session = Copy(), ClientSession()
    session.connected(0.0)
    tail = {"more": False, "group": 1, "left": 0, "at": "e:1"}
    texts = (
        frames.frame("ready", resumed=False, schema={"pets": {"key": KEY, "columns": COLUMNS}}),
        frames.snap(0, "pets", [b'{"kind":"a","id":1}'], tail),
        frames.txn("e:1", "e:2", 1, "", '["put","pets",{"kind":"a","id":2},[0]]', more=False),
        frames.snap(0, "pets", [b'{"kind":"a","id":3}'], {**tail, "group": 2, "at": "e:3"}),
    )
    events = [event for text in texts for event in session.receive(text, 0.0)]
    assert [told for event in events for told in copy.take(event, silent=True) if told] == []
    assert [row.id for row in copy.cache.tables["pets"]] == [3]


def test_a_transaction_of_several_tables_is_not_read_as_the_first_one_s():
    copy, session = Copy(), ClientSession()
    session.decode = copy.decode
    session.connected(0.0)
    schema = {
        name: {"key": ["id"], "columns": {"id": "integer", "note": "text"}} for name in ("pets", "cars")
    }
    received = [frames.frame("ready", resumed=False, schema=schema)]
    for left, name in ((1, "pets"), (0, "cars")):
        received.append(frames.snap(0, name, [], {"more": False, "group": 1, "left": left, "at": "e:1"}))
    puts = [
        frames.put(name, text({"id": number, "note": name}), b"[0]").decode()
        for number, name in ((1, "pets"), (2, "cars"), (3, "pets"))
    ]
    received.append(frames.txn("e:1", "e:2", 1, "", ",".join(puts), more=False))
    for each in received:
        for event in session.receive(each, 0.0):
            told = list(copy.take(event))
    assert [(event.table, [asdict(row) for row in event.entries]) for event in told] == [
        ("pets", [{"id": 1, "note": "pets"}]),
        ("cars", [{"id": 2, "note": "cars"}]),
        ("pets", [{"id": 3, "note": "pets"}]),
    ]


def test_a_row_that_comes_several_times_in_a_transaction_changes_once():
    copy, session = Copy(), ClientSession()
    session.decode = copy.decode
    session.connected(0.0)
    first = text({"kind": "a", "id": 1, "note": "x", "price": 1})
    ready = frames.frame("ready", resumed=False, schema={"pets": {"key": KEY, "columns": COLUMNS}})
    snap = frames.snap(0, "pets", [first], {"more": False, "group": 1, "left": 0, "at": "e:1"})
    puts = [
        frames.put("pets", text({"kind": "a", "id": 1, "note": note, "price": 1}), b"[0]").decode()
        for note in "yzy"
    ]
    txn = frames.txn("e:1", "e:2", 1, "", ",".join(puts), more=False)
    for each in (ready, snap, txn):
        for event in session.receive(each, 0.0):
            told = list(copy.take(event))
    ((old, new),) = told[0].entries
    assert (len(told), old.note, new.note) == (1, "x", "y")
