"""The soak itself is proven: with any one safeguard switched off, it fails.

Takes minutes, and so runs with ``--soak-mutations`` only.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from aiodata_django.core.state import session
from aiodata_django.db.embedded import EmbeddedPostgres

from .run import Course, SoakFailure, soak

JOINS = ("newcomers", "standby_missing")
COURSE = Course(60, 1, pace=0.02, acts_a_round=2)


class Gullible(session.ClientSession):
    """A session that takes every transaction it hears, heard before or not."""

    def receive(self, text: str | bytes, now: float) -> list[session.SessionEvent]:
        message = json.loads(text)
        if message["op"] == "txn":
            text = json.dumps({**message, "from": self.cursor})
        return super().receive(text, now)


@pytest.mark.timeout(0)
@pytest.mark.parametrize(
    "course",
    [
        pytest.param(replace(COURSE, broken="look_back", acts=JOINS), id="look-back"),
        pytest.param(replace(COURSE, broken="xid_filter", acts=JOINS), id="xid-filter"),
        pytest.param(replace(COURSE, broken="old_images", acts=("newcomers",)), id="old-images"),
        pytest.param(replace(COURSE, broken="dedupe", acts=("end_walsender",)), id="dedupe"),
        pytest.param(replace(COURSE, acts=("echo",), session_type=Gullible), id="client-dedupe"),
    ],
)
async def test_a_safeguard_that_is_switched_off_is_missed(
    soak_postgres: EmbeddedPostgres, request: pytest.FixtureRequest, course: Course
) -> None:
    if not request.config.getoption("--soak-mutations"):
        pytest.skip("takes minutes: --soak-mutations")
    with pytest.raises(SoakFailure) as failure:
        await soak(soak_postgres, course)
    # Which invariant is the first to break is chance; it is one of what is told, not a server that fell over.
    assert re.search("I[1-5]: ", str(failure.value)), str(failure.value)
