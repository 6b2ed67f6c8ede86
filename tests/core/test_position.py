"""LSNs as text and integers, and what a snapshot sees."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiodata_django.core.changes.position import Snapshot, lsn_text, parse_lsn

snapshots = st.integers(3, 2**40).flatmap(
    lambda xmin: st.integers(xmin, xmin + 1000).flatmap(
        lambda xmax: st.frozensets(st.integers(xmin, max(xmin, xmax - 1)), max_size=5).map(
            lambda xip: Snapshot(xmin, xmax, frozenset(x for x in xip if x < xmax))
        )
    )
)


@given(st.integers(0, 2**64 - 1))
def test_an_lsn_survives_its_text(lsn: int) -> None:
    assert parse_lsn(lsn_text(lsn)) == lsn


@pytest.mark.parametrize("text", ["", "12", "x/1", "1/x", "100000000/0", "-1/0"])
def test_what_is_no_lsn_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_lsn(text)


@given(snapshots)
def test_a_snapshot_survives_its_text(snapshot: Snapshot) -> None:
    assert Snapshot.parse(str(snapshot)) == snapshot


@given(snapshots, st.integers(-(2**31) + 1, 2**31 - 1))
def test_an_id_near_the_snapshot_is_widened_to_itself(snapshot: Snapshot, distance: int) -> None:
    full = snapshot.xmax + distance
    assert snapshot.widen(full % 2**32) == full


@given(snapshots, st.integers(-2000, 2000))
def test_seen_is_what_ended_before_and_was_not_in_progress(snapshot: Snapshot, distance: int) -> None:
    full = snapshot.xmax + distance
    expected = full < snapshot.xmax and full not in snapshot.xip
    assert snapshot.sees(full % 2**32) == expected
