"""The workshop's database, served: every test may write, since nothing is kept that is not asked to be
(``tx=commit``).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest

from tests.conformance.serving import Api, MakeApi, serving
from tests.conftest import Server

SCHEMA = (Path(__file__).parent / "schema.sql").read_text()
XML = (Path(__file__).parent / "xml.sql").read_text()
BY_DEFAULT = {"db_tx_end": "rollback-allow-override", "db_plan_enabled": "true"}


@pytest.fixture(scope="session")
def workshop(postgres: Server) -> Iterator[str]:
    """The database of ``schema.sql``, by its superuser's URI."""
    with postgres.database(SCHEMA) as uri:
        with suppress(psycopg.errors.FeatureNotSupported), psycopg.connect(uri) as connection:
            connection.execute(f"set search_path = api; {XML}".encode())
        yield uri


@pytest.fixture(scope="session")
def serve(workshop: str) -> Iterator[MakeApi]:
    """``serve(**settings) -> Api``."""
    with serving(workshop, BY_DEFAULT) as serve:
        yield serve


@pytest.fixture
def xml_api(api: Api) -> Api:
    """The same server, where its PostgreSQL was built with libxml; the embedded one was not."""
    if api("GET /rpc/plain_xml").status == 404:
        pytest.skip("this PostgreSQL was built without libxml")
    return api
