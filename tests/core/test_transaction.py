"""Messages become transactions: all of a transaction's changes, in order, once it commits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiodata_django.core.changes import pgoutput as pg
from aiodata_django.core.changes.transaction import Assembler, Transaction

from .pgoutput_encoder import encode

PETS = pg.RelationMessage(
    7,
    "api",
    "pets",
    "d",
    (pg.RelationColumn(True, "id", 23, -1), pg.RelationColumn(False, "name", 25, -1)),
)
TOYS = PETS._replace(oid=8, name="toys")

texts = st.binary(max_size=8)
rows = st.tuples(texts, st.one_of(st.none(), texts))
changes = st.one_of(
    st.builds(lambda oid, new: pg.Insert(oid, new), st.sampled_from((7, 8)), rows),
    st.builds(lambda oid, new: pg.Update(oid, "", None, new), st.sampled_from((7, 8)), rows),
    st.builds(lambda oid, old, new: pg.Update(oid, "O", old, new), st.sampled_from((7, 8)), rows, rows),
    st.builds(lambda oid, old: pg.Delete(oid, "K", old), st.sampled_from((7, 8)), rows),
)


def assembled(*messages: pg.Message, assembler: Assembler | None = None) -> list[object]:
    assembler = assembler or Assembler()
    return [done for message in messages if (done := assembler.feed(encode(message))) is not None]


@given(st.lists(st.lists(changes, max_size=6), min_size=1, max_size=4))
def test_each_commit_yields_its_changes_in_order(batches: list[list[pg.RowChange]]) -> None:
    messages: list[pg.Message] = [PETS, TOYS]
    for number, batch in enumerate(batches):
        messages += [pg.Begin(0, 5, number), *batch, pg.Commit(0, 0, 100 + number, 5)]
    done = assembled(*messages)
    assert [(t.xid, t.lsn) for t in done] == [(n, 100 + n) for n in range(len(batches))]
    for transaction, batch in zip(done, batches, strict=True):
        told = [
            (c.kind, c.relation.oid, c.new, c.old if c.kind != "insert" else None)
            for c in transaction.changes()
        ]
        assert told == [
            (type(m).__name__.lower(), m.oid, getattr(m, "new", None), getattr(m, "old", None)) for m in batch
        ]


def test_nothing_comes_out_before_the_commit() -> None:
    assembler = Assembler()
    assert assembled(pg.Begin(0, 0, 1), PETS, pg.Insert(7, (b"1", None)), assembler=assembler) == []
    assert assembler.in_transaction
    (transaction,) = assembled(pg.Commit(0, 0, 9, 0), assembler=assembler)
    assert isinstance(transaction, Transaction)
    assert not assembler.in_transaction


def test_a_table_redefined_within_a_transaction_keeps_each_change_with_its_own_shape() -> None:
    wider = PETS._replace(columns=(*PETS.columns, pg.RelationColumn(False, "age", 23, -1)))
    (transaction,) = assembled(
        pg.Begin(0, 0, 1),
        PETS,
        pg.Insert(7, (b"1", b"a")),
        wider,
        pg.Insert(7, (b"2", b"b", b"3")),
        pg.Commit(0, 0, 9, 0),
    )
    assert [change.relation for change in transaction.changes()] == [PETS, wider]


def test_unchanged_toast_comes_from_a_full_old_row_and_from_nowhere_else() -> None:
    (transaction,) = assembled(
        pg.Begin(0, 0, 1),
        PETS,
        pg.Update(7, "O", (b"1", b"long"), (b"2", pg.UNCHANGED)),
        pg.Update(7, "K", (b"2", None), (b"3", pg.UNCHANGED)),
        pg.Commit(0, 0, 9, 0),
    )
    assert [change.new for change in transaction.changes()] == [(b"2", b"long"), (b"3", pg.UNCHANGED)]


def test_truncate_names_every_table_it_empties() -> None:
    (transaction,) = assembled(pg.Begin(0, 0, 1), PETS, TOYS, pg.Truncate(0, (8, 7)), pg.Commit(0, 0, 9, 0))
    assert [(c.kind, c.relation.name) for c in transaction.changes()] == [
        ("truncate", "toys"),
        ("truncate", "pets"),
    ]


def test_messages_come_with_their_transaction_or_alone() -> None:
    inside = pg.LogicalMessage(True, 3, "aiodata", b"ddl")
    outside = pg.LogicalMessage(False, 4, "aiodata", b"heartbeat")
    first, second = assembled(pg.Begin(0, 0, 1), inside, pg.Commit(0, 0, 9, 0), outside)
    assert first.markers == (inside,)
    assert second == outside


@pytest.mark.parametrize(
    "messages",
    [
        [pg.Begin(0, 0, 1), pg.Insert(7, (b"1", None))],
        [PETS, pg.Insert(7, (b"1", None))],
        [pg.Commit(0, 0, 9, 0)],
        [pg.LogicalMessage(True, 3, "aiodata", b"")],
    ],
    ids=["undescribed table", "outside a transaction", "commit alone", "message alone"],
)
def test_messages_out_of_order_are_refused(messages: list[pg.Message]) -> None:
    with pytest.raises(pg.MalformedMessage):
        assembled(*messages)


@pytest.mark.parametrize("payload", [b"", b"I", b"U\0\0\0", b"D\0\0\0"])
def test_a_change_cut_off_before_its_table_is_refused_wherever_it_comes(payload: bytes) -> None:
    for before in ([], [PETS, pg.Begin(0, 0, 1)], [PETS, pg.Begin(0, 0, 1), pg.Insert(7, (b"1", None))]):
        assembler = Assembler()
        assert assembled(*before, assembler=assembler) == []
        with pytest.raises(pg.MalformedMessage):
            assembler.feed(payload)
