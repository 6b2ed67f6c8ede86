"""The soak in the suite: a minute of one seed with every act; ``--soak-seconds`` makes it any length."""

from __future__ import annotations

import random

import pytest

from aiodata_django.db.embedded import EmbeddedPostgres

from .run import Course, soak

IN_THE_SUITE = Course(60.0, 7)


@pytest.mark.timeout(0)  # the run bounds itself, and may be asked to last for hours
async def test_every_commit_reaches_everyone_who_may_see_it_once_whatever_goes_wrong(
    soak_postgres: EmbeddedPostgres, request: pytest.FixtureRequest
) -> None:
    seconds = request.config.getoption("--soak-seconds")
    seed = request.config.getoption("--soak-seed")
    course = IN_THE_SUITE
    if seconds is not None:
        course = Course(seconds, random.randrange(1 << 31) if seed is None else seed)
    outcome = await soak(soak_postgres, course)
    print(outcome)
    assert outcome.rounds > 0
    assert outcome.told > outcome.transactions > 0
