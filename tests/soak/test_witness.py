"""The witnesses themselves: what they take for allowed."""

from __future__ import annotations

from aiodata_django.core.state.session import Resync

from .clients import WireWitness
from .world import seats


async def test_what_was_under_way_when_a_socket_turned_once_more_may_still_arrive() -> None:
    witness = WireWitness(next(seat for seat in seats() if seat.name == "turncoat"), 1, lambda: "")
    await witness.turn()
    second = witness.seat
    await witness.turn()
    third = witness.seat
    await witness._take(Resync((0,), "role"))
    assert witness.lately == (second, third)
    await witness._take(Resync((0,), "role"))
    assert witness.lately == (third,)
