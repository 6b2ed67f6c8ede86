"""Fixtures of the soak: its PostgreSQL, its options."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pytest_django import DjangoDbBlocker

from aiodata_django.db.embedded import EmbeddedPostgres
from tests.conftest import temporary_postgres

from .stage import SETTINGS


@pytest.fixture
def soak_postgres(django_db_blocker: DjangoDbBlocker) -> Iterator[EmbeddedPostgres]:
    """A server of the run's own, where what was acknowledged survives a crash; Django may write there."""
    with temporary_postgres(**SETTINGS) as postgres, django_db_blocker.unblock():
        yield postgres
