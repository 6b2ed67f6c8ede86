"""A database with something of everything that is described, served with any settings."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import requests
from openapi_spec_validator import OpenAPIV2SpecValidator

from tests.conftest import as_user_of
from tests.live import LiveServer, token

SCHEMA = (Path(__file__).parent / "schema.sql").read_text()


@pytest.fixture(scope="package")
def database(postgres):
    with postgres.database(SCHEMA) as uri:
        yield uri


@pytest.fixture(scope="package")
def serve(database, tmp_path_factory):
    """``serve(**settings) -> url``: the database with these settings in the file, one server for each."""
    running: dict[str, LiveServer] = {}

    def url(**settings: object) -> str:
        text = "\n".join(
            f"{name.replace('_', '-')} = {json.dumps(value)}" for name, value in settings.items()
        )
        if text not in running:
            conf = tmp_path_factory.mktemp("conf") / "postgrest.conf"
            conf.write_text(text)
            running[text] = LiveServer(as_user_of(database, "authenticator"), str(conf)).start()
        return running[text].url

    yield url
    for live in running.values():
        live.close()


@pytest.fixture(scope="package")
def url(serve):
    return serve()


def described(url: str, role: str | None = None, **headers: str) -> dict:
    """The document, found valid."""
    if role is not None:
        headers["Authorization"] = f"Bearer {token(role)}"
    answer = requests.get(f"{url}/rest/", headers=headers, timeout=10)
    assert answer.status_code == 200, answer.text
    document = answer.json()
    OpenAPIV2SpecValidator(document).validate()
    return document


@pytest.fixture(scope="package")
def document(url):
    return described(url)
