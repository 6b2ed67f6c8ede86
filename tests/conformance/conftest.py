"""The films' database, served; tests that write roll back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Server

from .serving import Api, MakeApi, serving

SCHEMA = (Path(__file__).parent / "schema.sql").read_text()
BY_DEFAULT = {"db_tx_end": "commit-allow-override", "db_aggregates_enabled": "true"}


@pytest.fixture(scope="session")
def films_database(postgres: Server) -> Iterator[str]:
    """The database of ``schema.sql``, by its superuser's URI."""
    with postgres.database(SCHEMA) as uri:
        yield uri


@pytest.fixture(scope="session")
def serve(films_database: str) -> Iterator[MakeApi]:
    """``serve(schemas="api", **settings) -> Api``."""
    with serving(films_database, BY_DEFAULT) as serve:
        yield serve


@pytest.fixture
def api(serve: MakeApi) -> Api:
    """The server most tests ask: schema ``api``, everything else as it is by default.

    Not the session's: in a folder with a ``serve`` of its own it is that folder's.
    """
    return serve()
