"""Both sides of version 2 without a socket: cursors, windows, and a copy that is right whatever is lost."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from aiodata_django.core.changes.position import Snapshot
from aiodata_django.core.state import frames
from aiodata_django.core.state.cursor import Cursor, Taken
from aiodata_django.core.state.incoming import RowDeleted
from aiodata_django.core.state.serversession import Ack, BadMessage, Hello, Journal, Window, read
from aiodata_django.core.state.session import (
    ClientSession,
    Committed,
    Failed,
    OutOfStep,
    Ready,
    Resync,
    SnapshotComplete,
    SnapshotPart,
    Subscription,
)

snapshots = st.builds(
    lambda xmin, more, xip: Snapshot(xmin, xmin + more, frozenset(xmin + x for x in xip if x < more)),
    st.integers(3, 2**33),
    st.integers(0, 9),
    st.frozensets(st.integers(0, 8), max_size=4),
)
pieces = st.frozensets(st.tuples(st.integers(0, 5), st.integers(1, 5)), min_size=1, max_size=4)
takens = st.builds(Taken, snapshots, st.integers(0, 100), st.one_of(st.none(), pieces))
cursors = st.builds(
    Cursor,
    st.text("abcdef0123456789.", min_size=1, max_size=16),
    st.integers(0, 100),
    st.text("abcdef0123456789", max_size=12),
    st.lists(takens, max_size=3).map(tuple),
)


@given(cursors)
def test_a_cursor_survives_its_text(cursor: Cursor) -> None:
    assert Cursor.parse(str(cursor)) == cursor


@given(st.text(max_size=30))
def test_what_is_no_cursor_means_nowhere(text: str) -> None:
    hello = Hello([], text)
    assert hello.cursor is None or isinstance(hello.cursor, Cursor)


@given(cursors, takens, st.integers(0, 2**32 - 1), st.integers(0, 100), st.integers(0, 100))
def test_moving_on_forgets_only_what_can_make_no_difference(
    cursor: Cursor, taken: Taken, xid: int, lsn: int, move: int
) -> None:
    joined = cursor.joined(taken)
    moved = joined.moved(move)
    for piece in [(0, 1), (3, 3), (5, 5)]:
        if taken.pieces is None or piece in taken.pieces:
            assert joined.has_seen(piece, xid, lsn) >= taken.sees(xid, lsn)
        if lsn > move:
            assert moved.has_seen(piece, xid, lsn) == joined.has_seen(piece, xid, lsn)


@given(st.lists(st.tuples(st.integers(1, 50), st.booleans()), max_size=40))
def test_the_window_is_what_is_sent_and_not_acknowledged(steps: list[tuple[int, bool]]) -> None:
    window, sent = Window(200, 10), []
    acked = 0
    for size, acknowledge in steps:
        window.sent(size, f"c{len(sent)}")
        sent.append(size)
        if acknowledge:
            acked = (acked + len(sent)) // 2
            window.acknowledge(Ack(None, acked))
        assert window.unacked == len(sent) - acked
        assert window.open == (len(sent) - acked < 10 and sum(sent[acked:]) < 200)


class Following(RuleBasedStateMachine):
    """A window that follows journals and leaves them, beside one that is told of every message itself."""

    def __init__(self) -> None:
        super().__init__()
        self.window, self.plain = Window(500, 50), Window(500, 50)
        self.journal: Journal | None = None
        self.sent = 0

    @precondition(lambda self: self.journal is None)
    @rule(before=st.sampled_from([0, 3, 1990, 1999, 2000, 2500]))  # it forgets at 2000
    def follow(self, before: int) -> None:
        self.journal = Journal()
        for n in range(before):
            self.journal.add((1, f"of others {n}"))
        self.window.follow(self.journal)

    @precondition(lambda self: self.journal is not None)
    @rule()
    def unfollow(self) -> None:
        self.window.unfollow()
        self.journal.add((7, "too late"))
        self.journal = None

    @precondition(lambda self: self.plain.open)
    @rule(size=st.integers(1, 60))
    def send(self, size: int) -> None:
        message = (size, f"c{self.sent}")
        self.sent += 1
        assert self.plain.take(message)
        if self.journal is None:
            assert self.window.take(message)
        else:
            self.journal.add(message)

    @rule(share=st.integers(0, 4), by_cursor=st.booleans())
    def acknowledge(self, share: int, by_cursor: bool) -> None:
        count = self.sent - self.plain.unacked * share // 4
        ack = Ack(f"c{count - 1}", None) if by_cursor and count else Ack(None, count)
        self.window.acknowledge(ack)
        self.plain.acknowledge(ack)

    @rule()
    def acknowledge_the_future(self) -> None:
        with pytest.raises(BadMessage):
            self.window.acknowledge(Ack(None, self.sent + 1))

    @rule()
    def look(self) -> None:
        assert (self.window.unacked, self.window.room) == (self.plain.unacked, self.plain.room)
        assert (self.window.open, self.window.roomy) == (self.plain.open, self.plain.roomy)


TestFollowing = Following.TestCase


def test_a_cursor_acknowledges_too_and_the_future_cannot_be_acknowledged() -> None:
    window = Window(100)
    for n in range(3):
        window.sent(10, f"c{n}")
    window.acknowledge(Ack("c1"))
    assert window.unacked == 1
    window.acknowledge(Ack("unknown"))
    assert window.unacked == 1
    with pytest.raises(BadMessage):
        window.acknowledge(Ack(None, 4))


@given(st.one_of(st.text(max_size=40), st.binary(max_size=40), st.none()))
def test_garbage_from_a_client_is_refused(text: str | bytes | None) -> None:
    with pytest.raises(BadMessage):
        read(text)


def test_two_subscriptions_with_one_id_are_refused() -> None:
    with pytest.raises(BadMessage):
        read('{"op":"hello","subs":[{"id":1,"table":"a"},{"id":1,"table":"b"}]}')


def test_acknowledgements_come_after_so_many_messages_bytes_or_seconds() -> None:
    session = ClientSession()
    session.connected(0.0)
    assert session.data_to_send(9.0) == []
    for _ in range(100):
        session.receive('{"op":"pong"}', 0.1)
    assert json.loads(session.data_to_send(0.1)[0]) == {"op": "ack", "at": None, "n": 100}
    session.receive('{"op":"pong"}', 0.2)
    assert session.data_to_send(0.3) == []
    assert json.loads(session.data_to_send(1.5)[0])["n"] == 101
    session.receive('{"op":"pong","pad":"' + "x" * (1 << 19) + '"}', 1.6)
    assert json.loads(session.data_to_send(1.6)[0])["n"] == 102


def test_the_seconds_until_an_acknowledgement_begin_with_what_it_is_for() -> None:
    session = ClientSession()
    session.connected(0.0)
    session.receive('{"op":"pong"}', 60.0)
    assert session.data_to_send(60.0) == []
    session.receive('{"op":"pong"}', 60.9)
    assert session.owes_in(60.9) == pytest.approx(0.1)
    assert json.loads(session.data_to_send(61.0)[0])["n"] == 2
    assert session.owes_in(61.0) == math.inf
    session.receive('{"op":"pong"}', 61.5)
    assert session.data_to_send(62.4) == []
    assert json.loads(session.data_to_send(62.5)[0])["n"] == 3


@given(st.floats(0.02, 1.0))
def test_copies_of_different_patience_acknowledge_in_steps_of_their_own(patience: float) -> None:
    session = ClientSession(patience=patience)
    session.connected(0.0)
    for count in range(1, 101):
        session.receive('{"op":"pong"}', 0.0)
        assert session.owes(0.0) == (count >= 100 * patience)
    assert session.data_to_send(0.0)
    session.receive('{"op":"pong"}', 0.0)
    assert session.owes_in(0.0) == patience
    session.data_to_send(patience)
    for size in (0.9, 1.1):
        text = '{"op":"pong","pad":"' + "x" * round(size * patience * (1 << 19)) + '"}'
        session.receive(text, patience)
        assert session.owes(patience) == (size > 1)
        session.data_to_send(2 * patience)


def test_silence_and_lag_are_noticed() -> None:
    session = ClientSession([])
    session.connected(0.0)
    session.receive(frames.frame("ready", heartbeat=5, resumed=False), 1.0)
    session.receive('{"op":"pos","from":null,"at":"a"}', 2.0)
    assert session.state == "live"
    session.receive('{"op":"pos","from":"a","at":"b","lag_ms":60000}', 3.0)
    assert session.state == "stale"
    assert not session.silent(12.9)
    assert session.silent(13.1)


def test_a_failed_subscription_does_not_keep_the_copy_from_being_live() -> None:
    session = ClientSession([Subscription(1, "pets")])
    session.connected(0.0)
    session.receive(frames.frame("ready", resumed=False), 0.0)
    (failed,) = session.receive('{"op":"error","code":"42501","sub":1,"message":"no"}', 0.0)
    assert failed == Failed("42501", "no", 1, False)
    session.receive('{"op":"pos","from":null,"at":"a"}', 0.0)
    assert session.state == "live"


def live_session(*subs: Subscription) -> ClientSession:
    session = ClientSession(subs)
    session.connected(0.0)
    tables = {sub.table: {"key": ["k"], "columns": {"k": "integer"}} for sub in subs}
    session.receive(frames.frame("ready", {"schema": tables}, resumed=False), 0.0)
    for sub in subs:
        left = subs[-1] is not sub
        session.receive(frames.snap(sub.id, sub.table, [], {"group": 1, "left": int(left), "at": "a"}), 0.0)
    assert session.state == "live"
    return session


def test_a_resync_of_a_subscription_that_was_ended_meanwhile_is_not_awaited() -> None:
    session = live_session(Subscription(1, "pets"), Subscription(2, "notes"))
    session.unsubscribe(1)
    session.receive('{"op":"resync","subs":[1],"tables":["pets"],"why":"opaque"}', 0.0)
    session.receive('{"op":"pos","from":"a","at":"b"}', 0.0)
    assert session.state == "live"
    session.receive('{"op":"resync","subs":[1,2],"tables":["notes","pets"],"why":"opaque"}', 0.0)
    session.receive('{"op":"pos","from":"b","at":"c"}', 0.0)
    assert session.state == "stale"


def test_what_the_last_connection_was_to_send_anew_is_not_awaited_of_one_that_resumes() -> None:
    session = live_session(Subscription(1, "pets"))
    session.receive('{"op":"resync","subs":[1],"tables":["pets"],"why":"opaque"}', 0.0)
    session.disconnected()
    session.connected(1.0)
    session.receive(frames.frame("ready", resumed=True), 1.0)
    assert session.state == "stale"
    session.receive('{"op":"pos","from":"a","at":"b"}', 1.0)
    assert session.state == "live"


@pytest.mark.parametrize("ending", ["snap", "error"])
def test_a_subscription_of_which_more_is_to_come_is_awaited_on(ending: str) -> None:
    session = live_session(Subscription(0, "*"), Subscription(1, "notes"))
    session.receive('{"op":"resync","subs":[0],"tables":["pets","zoos"],"why":"opaque"}', 0.0)
    texts = {
        "snap": '{"op":"snap","sub":0,"table":"%s","rows":[],"group":%d,"left":0,"at":"b"%s}',
        "error": '{"op":"error","code":"22012","message":"%s %d","sub":0%s}',
    }
    session.receive(texts[ending] % ("pets", 2, ',"stale":[0]'), 0.0)
    session.receive('{"op":"pos"}', 0.0)
    assert session.state == "stale"
    session.receive(texts[ending] % ("zoos", 3, ""), 0.0)
    session.receive('{"op":"pos"}', 0.0)
    assert session.state == "live"


def test_what_a_snapshot_says_is_stale_is_awaited() -> None:
    session = live_session(Subscription(0, "*"))
    session.receive(frames.snap(0, "gone", [], {"group": 2, "left": 0, "at": "b", "stale": [0]}), 0.0)
    assert session.state == "stale"


def test_a_copy_of_all_tables_of_which_there_are_none_is_live() -> None:
    session = ClientSession()
    session.connected(0.0)
    session.receive(frames.frame("ready", {"schema": {}}, resumed=False), 0.0)
    session.receive('{"op":"pos","from":null,"at":"a"}', 0.0)
    assert session.state == "live"


def test_a_message_that_starts_elsewhere_is_out_of_step_and_one_again_is_dropped() -> None:
    session = ClientSession([])
    session.connected(0.0)
    session.receive('{"op":"pos","from":null,"at":"a"}', 0.0)
    text = frames.txn("a", "b", 1, "t", '["truncate","x"]', more=False)
    assert len(session.receive(text, 0.0)) == 1
    assert session.receive(text, 0.0) == []
    with pytest.raises(OutOfStep):
        session.receive(frames.txn("z", "zz", 1, "t", "", more=False), 0.0)


class Line(RuleBasedStateMachine):
    """A server of one table that commits, forgets and cuts the line; the copy must always be some commit."""

    def __init__(self) -> None:
        super().__init__()
        self.table: dict[int, int] = {}
        self.history: list[dict[int, int]] = [{}]  # after each commit
        self.log: list[list[tuple[int, int | None]]] = []
        self.trimmed = 0
        self.session = ClientSession([Subscription(1, "t")])
        self.copy: dict[int, int] = {}
        self.staged: list[Any] = []
        self.wire: list[str] = []
        self.sent: str | None = None
        self.place = 0
        self.connected = False

    @rule(changes=st.lists(st.tuples(st.integers(0, 4), st.one_of(st.none(), st.integers(0, 9))), min_size=1))
    def commit(self, changes: list[tuple[int, int | None]]) -> None:
        for key, value in changes:
            if value is None:
                self.table.pop(key, None)
            else:
                self.table[key] = value
        self.log.append(changes)
        self.history.append(dict(self.table))

    @rule()
    def forget_the_past(self) -> None:
        self.trimmed = len(self.log)

    @precondition(lambda self: not self.connected)
    @rule()
    def connect(self) -> None:
        hello = json.loads(self.session.connected(0.0))
        self.connected = True
        at = hello["at"]
        self.place = int(at[1:]) if at else -1
        if self.place >= self.trimmed:
            self.sent = at
            self.wire = [frames.frame("ready", resumed=True)]
        else:
            self.place = len(self.log)
            self.sent = f"c{self.place}"
            rows = [json.dumps({"k": k, "v": v}).encode() for k, v in self.table.items()]
            half = len(rows) // 2
            self.wire = [
                frames.frame("ready", resumed=False),
                frames.snap(1, "t", rows[:half], {"more": True}),
                frames.snap(1, "t", rows[half:], {"more": False, "left": 0, "at": self.sent}),
            ]

    @precondition(lambda self: self.connected)
    @rule(split=st.booleans())
    def send(self, split: bool) -> None:
        if self.place == len(self.log):
            self.wire.append(frames.frame("pos", {"from": self.sent, "at": self.sent}))
            return
        texts = [
            f'["del","t",[{key}],[1]]' if value is None else f'["put","t",{{"k":{key},"v":{value}}},[1]]'
            for key, value in self.log[self.place]
        ]
        self.place += 1
        at, cut = f"c{self.place}", len(texts) // 2 if split else 0
        start = str(self.sent)
        if split:
            self.wire.append(frames.txn(start, at, 1, "t", ",".join(texts[:cut]), more=True))
        self.wire.append(frames.txn(start, at, 1, "t", ",".join(texts[cut:]), more=False))
        self.sent = at

    @precondition(lambda self: self.wire)
    @rule()
    def deliver(self) -> None:
        for event in self.session.receive(self.wire.pop(0), 0.0):
            self.take(event)

    @precondition(lambda self: self.connected)
    @rule()
    def cut(self) -> None:
        self.wire.clear()
        self.staged.clear()
        self.connected = False
        self.session.disconnected()

    def take(self, event: Any) -> None:
        match event:
            case SnapshotPart():
                self.staged += json.loads(bytes(event.rows))
            case SnapshotComplete():
                self.copy = {row["k"]: row["v"] for row in self.staged}
                self.staged = []
            case Committed():
                for change in event.changes:
                    if isinstance(change, RowDeleted):
                        self.copy.pop(json.loads(bytes(change.key))[0], None)
                    else:
                        row = json.loads(bytes(change.row))
                        self.copy[row["k"]] = row["v"]
            case Ready() | Resync():
                pass

    @invariant()
    def the_copy_is_the_table_after_some_commit(self) -> None:
        place = 0 if self.session.cursor is None else int(self.session.cursor[1:])
        assert self.copy == self.history[place]

    @invariant()
    def live_means_nothing_is_awaited(self) -> None:
        if self.session.state == "live":
            assert self.connected
            assert self.session.cursor is not None


TestLine = Line.TestCase
TestLine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
