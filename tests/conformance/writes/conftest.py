"""The workshop's database served over real sockets, and a client of both dialects.

What lives here: one server for each set of settings, started when the first test asks for it; every test may
write, since nothing is kept that is not asked to be (``tx=commit``). What does not: the database's objects
(``schema.sql``), and the tests.
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import psycopg
import pytest

from tests.conftest import Server, as_user_of
from tests.live import LiveServer, token

SCHEMA = (Path(__file__).parent / "schema.sql").read_text()
XML = (Path(__file__).parent / "xml.sql").read_text()
BY_DEFAULT = {"db_tx_end": "rollback-allow-override", "db_plan_enabled": "true"}


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
    """A client of one server. Targets may hold any character; those a URL cannot are encoded."""

    def __init__(self, url: str) -> None:
        self._address = urlsplit(url).netloc

    def __call__(
        self,
        request: str,
        body: Any = None,
        *,
        prefer: str | None = None,
        role: str | None = None,
        mount: str = "/rest",
        **headers: str,
    ) -> Answer:
        """``api("POST /parts", {"sku": "x"}, prefer="return=representation", accept="text/csv")``."""
        method, _, target = request.partition(" ")
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if prefer is not None:
            sent["prefer"] = prefer
        if role is not None:
            sent["authorization"] = f"Bearer {token(role)}"
        if body is not None and not isinstance(body, str | bytes):
            body = json.dumps(body)
            sent.setdefault("content-type", "application/json")
        if isinstance(body, str):
            body = body.encode()
        path = quote(mount + target, safe="/?&=.,:;()*!+-_~%$'@{}[]|\\^`")
        # A connection for each request: one that was kept may be closed by the server when it is needed.
        with closing(http.client.HTTPConnection(self._address, timeout=60)) as connection:
            connection.request(method, path, body, sent)
            answer = connection.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, found, answer.read())

    def query(self, request: str, body: Any = None, **options: Any) -> Answer:
        """The same in aiodata's dialect."""
        return self(request, body, mount="/query", **options)


def error(code: str, message: str, *, details: Any = None, hint: str | None = None) -> dict[str, Any]:
    """The body of an error."""
    return {"code": code, "details": details, "hint": hint, "message": message}


MakeApi = Callable[..., Api]


@pytest.fixture(scope="session")
def workshop(postgres: Server) -> Iterator[str]:
    """The database of ``schema.sql``, by its superuser's URI."""
    with postgres.database(SCHEMA) as uri:
        with suppress(psycopg.errors.FeatureNotSupported), psycopg.connect(uri) as connection:
            connection.execute(f"set search_path = api; {XML}".encode())
        yield uri


@pytest.fixture(scope="session")
def serve(workshop: str) -> Iterator[MakeApi]:
    """``serve(**settings) -> Api``: a server with these settings, the same one for the same."""
    running: dict[object, Api] = {}
    with ExitStack() as stack:

        def start(**settings: str) -> Api:
            key = tuple(sorted(settings.items()))
            if key not in running:
                environment = {f"PGRST_{k.upper()}": v for k, v in (BY_DEFAULT | settings).items()}
                live = LiveServer(as_user_of(workshop, "authenticator"), environment=environment)
                stack.callback(live.close)
                running[key] = Api(live.start().url)
            return running[key]

        yield start


@pytest.fixture(scope="session")
def api(serve: MakeApi) -> Api:
    """The server most tests ask."""
    return serve()


@pytest.fixture
def xml_api(api: Api) -> Api:
    """The same server, where its PostgreSQL was built with libxml; the embedded one was not."""
    if api("GET /rpc/plain_xml").status == 404:
        pytest.skip("this PostgreSQL was built without libxml")
    return api
