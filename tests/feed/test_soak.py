"""A short soak on each kind of slot, and proof that it notices a safeguard that is switched off.

``AIODATA_SOAK_SECONDS`` makes it longer; ``python -m tests.feed.soak`` runs any length.
"""

import os

import pytest

from .soak import Broken, soak, without

SECONDS = float(os.environ.get("AIODATA_SOAK_SECONDS", "10"))


@pytest.mark.timeout(300)
@pytest.mark.parametrize("durable", [False, True], ids=["temporary slot", "durable slot"])
async def test_everything_holds_whatever_happens(own_postgres, durable: bool) -> None:
    run = await soak(own_postgres, SECONDS, seed=11 + durable, durable=durable)
    assert run.acknowledged
    assert all(watcher.commits for watcher in run.watchers)


@pytest.mark.timeout(300)
async def test_the_soak_notices_when_old_rows_are_not_judged(own_postgres) -> None:
    with without("old-image"), pytest.raises(Broken):
        await soak(own_postgres, 8, seed=5)
