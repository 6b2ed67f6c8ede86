"""The films' database served over real sockets, and a client that shows answers whole.

What lives here: one server for each set of settings, started when the first test asks for it. What does not:
the database's objects (``schema.sql``), and the tests.
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from tests.conftest import Server, as_user_of
from tests.live import LiveServer, token

SCHEMA = (Path(__file__).parent / "schema.sql").read_text()
BY_DEFAULT = {"db_tx_end": "commit-allow-override", "db_aggregates_enabled": "true"}


@dataclass
class Answer:
    """One answer: ``headers`` by lower case name, ``json`` when the body is asked for as such."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()


class Api:
    """A client of one server under ``/rest``. Characters that no URL may hold are encoded in targets."""

    def __init__(self, url: str) -> None:
        self._address = urlsplit(url).netloc
        self._connection = http.client.HTTPConnection(self._address, timeout=20)

    def __call__(
        self, method: str, target: str, *, role: str | None = None, body: Any = None, **headers: str
    ) -> Answer:
        """Headers are keywords with underscores: ``prefer="count=exact"``, ``accept_profile="library"``."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if role is not None:
            sent["authorization"] = f"Bearer {token(role)}"
        if body is not None and not isinstance(body, str | bytes):
            body = json.dumps(body)
            sent.setdefault("content-type", "application/json")
        path = "/rest" + quote(target, safe="/?&=.,:;()*!+<>-_~%$'\"@{}[]|\\^`#")
        path = path.replace('"', "%22").replace(" ", "%20").replace("#", "%23")
        self._connection.request(method, path, body, sent)
        answer = self._connection.getresponse()
        return Answer(
            answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        )

    def get(self, target: str, **headers: str) -> Answer:
        return self("GET", target, **headers)

    def rows(self, target: str, **headers: str) -> Any:
        """The rows of a read that must succeed."""
        answer = self.get(target, **headers)
        assert answer.status in (200, 206), answer.text
        return answer.json

    def close(self) -> None:
        self._connection.close()


MakeApi = Callable[..., Api]


@pytest.fixture(scope="session")
def films_database(postgres: Server) -> Iterator[str]:
    """The database of ``schema.sql``, by its superuser's URI; tests that write roll back."""
    with postgres.database(SCHEMA) as uri:
        yield uri


@pytest.fixture(scope="session")
def serve(films_database: str) -> Iterator[MakeApi]:
    """``serve(schemas="api", **settings) -> Api``: a server with these settings, one for each set."""
    running: dict[object, Api] = {}
    with ExitStack() as stack:

        def start(schemas: str = "api", **settings: str) -> Api:
            key = (schemas, *sorted(settings.items()))
            if key not in running:
                environment = {f"PGRST_{k.upper()}": v for k, v in (BY_DEFAULT | settings).items()}
                uri = as_user_of(films_database, "authenticator")
                live = LiveServer(uri, "--schema", schemas, environment=environment)
                stack.callback(live.close)
                running[key] = Api(live.start().url)
                stack.callback(running[key].close)
            return running[key]

        yield start


@pytest.fixture(scope="session")
def api(serve: MakeApi) -> Api:
    """The server most tests ask: schema ``api``, everything else as it is by default."""
    return serve()
