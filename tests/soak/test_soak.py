"""The soak in the suite: about a minute; ``--soak-seconds`` and ``--soak-seed`` make it another run."""

from __future__ import annotations

import random

import pytest

from aiodata_django.db.embedded import EmbeddedPostgres

from .run import Course, soak


@pytest.mark.timeout(0)  # the run bounds itself, and may be asked to last for hours
async def test_every_commit_reaches_everyone_who_may_see_it_once_whatever_goes_wrong(
    soak_postgres: EmbeddedPostgres, request: pytest.FixtureRequest
) -> None:
    seconds = request.config.getoption("--soak-seconds")
    seed = request.config.getoption("--soak-seed")
    chosen = random.randrange(1 << 31) if seed is None else seed
    outcome = await soak(soak_postgres, Course(seconds, chosen))
    print(outcome)
    assert outcome.rounds > 0
    assert outcome.told > outcome.transactions > 0
