"""The ring keeps what is recent, in order, once, and says when something is gone; big transactions spill."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiodata_django.core.changes.pgoutput import RelationMessage
from aiodata_django.core.changes.transaction import MemoryBuffer, Transaction
from aiodata_django.feed.log import LogTrimmed, RingLog
from aiodata_django.feed.spool import SpooledBuffer

PETS = RelationMessage(7, "api", "pets", "d", ())
TOYS = RelationMessage(8, "api", "toys", "d", ())


def transaction(lsn: int, size: int = 0) -> Transaction:
    buffer = MemoryBuffer()
    if size:
        buffer.append(PETS, b"x" * size)
    return Transaction(lsn, lsn, 0, buffer)


def ring(**bounds: float) -> tuple[RingLog, list[float]]:
    clock = [0.0]
    log = RingLog(clock=lambda: clock[0], **bounds)
    log.reset("e", 100)
    return log, clock


@given(st.lists(st.integers(101, 200), max_size=40), st.integers(100, 200))
def test_readers_get_what_is_after_them_once_and_in_order(lsns: list[int], position: int) -> None:
    log, _ = ring()
    kept = []
    for lsn in lsns:
        assert log.append(transaction(lsn)) == (not kept or lsn > kept[-1])
        if not kept or lsn > kept[-1]:
            kept.append(lsn)
    assert [t.lsn for t in log.after(position)] == [lsn for lsn in kept if lsn > position]
    assert [t.previous for t in log.after(100)] == [100, *kept][: len(kept)]


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 400)), min_size=1, max_size=40))
def test_the_ring_stays_within_its_bytes_and_readers_behind_it_are_told(steps: list[tuple[int, int]]) -> None:
    log, _ = ring(max_bytes=2000)
    lsn = 100
    for step, size in steps:
        lsn += step
        log.append(transaction(lsn, size))
        assert log.held_bytes <= 2000 or len(log) == 1
    assert [t.lsn for t in log.after(log.start)][-1] == lsn
    assert log.after(log.start)[0].previous == log.start
    if log.start > 100:
        with pytest.raises(LogTrimmed):
            log.after(log.start - 1)


def test_old_transactions_go_but_the_newest_stays() -> None:
    log, clock = ring(seconds=60)
    for lsn in (101, 102, 103):
        log.append(transaction(lsn))
        clock[0] += 50
    log.append(transaction(104))
    assert [t.lsn for t in log.after(log.start)] == [103, 104]
    clock[0] += 500
    log.advance(105)
    assert [t.lsn for t in log.after(log.start)] == [104]
    assert log.end == 105


def test_the_same_epoch_goes_on_and_another_starts_over() -> None:
    log, _ = ring()
    log.append(transaction(101))
    log.reset("e", 100)
    assert not log.append(transaction(101))
    assert len(log) == 1
    log.reset("f", 50)
    assert (len(log), log.start, log.end) == (0, 50, 50)
    assert log.append(transaction(60))


async def test_waiters_learn_of_transactions_progress_and_epochs() -> None:
    log, _ = ring()
    for change in (lambda: log.append(transaction(101)), lambda: log.advance(150), lambda: log.reset("f", 1)):
        waiter = asyncio.create_task(log.changed(log.epoch, log.end))
        await asyncio.sleep(0)
        assert not waiter.done()
        change()
        await asyncio.wait_for(waiter, 1)
    await log.changed("another", 0)


@given(st.lists(st.tuples(st.sampled_from((PETS, TOYS)), st.binary(max_size=60)), max_size=60))
def test_a_spooled_buffer_gives_back_what_it_took_to_several_readers(entries: list) -> None:
    buffer = SpooledBuffer(limit=300)
    for relation, payload in entries:
        buffer.append(relation, payload)
    assert len(buffer) == len(entries)
    assert buffer.size <= 300 + 60 + 41
    first, second = iter(buffer), iter(buffer)
    interleaved = [(a, b) for a, b in zip(first, second, strict=True)]
    assert [a for a, _ in interleaved] == [b for _, b in interleaved] == entries
