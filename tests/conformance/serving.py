"""A database served over real sockets, and a client that shows answers whole.

What lives here: one server for each set of settings, started when the first test asks for it. What does not:
the databases, which the two ``conftest`` have, and the tests.
"""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from tests.conftest import as_user_of
from tests.live import LiveServer, token


@dataclass
class Answer:
    """One answer: ``headers`` by lower case name, ``json`` when the body is asked for as such."""

    status: int
    headers: dict[str, str]
    body: bytes
    reason: str = ""

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
        role: str | None = None,
        mount: str = "/rest",
        **headers: str | None,
    ) -> Answer:
        """``api("POST /parts", {"sku": "x"}, prefer="return=representation", accept_profile="library")``."""
        method, _, target = request.partition(" ")
        sent = {name.replace("_", "-"): value for name, value in headers.items() if value is not None}
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
            return Answer(answer.status, found, answer.read(), answer.reason)

    def as_sent(self, request: str, body: Any) -> tuple[str, bytes]:
        """The head of an answer, and all that comes behind it before the server closes the connection."""
        host, _, port = self._address.partition(":")
        method, _, target = request.partition(" ")
        content = json.dumps(body).encode()
        head = (
            f"{method} /rest{target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
        )
        with socket.create_connection((host, int(port)), timeout=60) as connection:
            connection.sendall(head.encode() + content)
            with connection.makefile("rb") as reader:
                answer, _, rest = reader.read().partition(b"\r\n\r\n")
        return answer.decode("latin-1"), rest

    def query(self, request: str, body: Any = None, **options: Any) -> Answer:
        """The same in aiodata's dialect."""
        return self(request, body, mount="/query", **options)

    def get(self, target: str, **options: Any) -> Answer:
        """A read."""
        return self(f"GET {target}", **options)

    def rows(self, target: str, **options: Any) -> Any:
        """The rows of a read that must succeed."""
        answer = self.get(target, **options)
        assert answer.status in (200, 206), answer.text
        return answer.json


MakeApi = Callable[..., Api]


@contextmanager
def serving(uri: str, by_default: Mapping[str, str]) -> Iterator[MakeApi]:
    """``serve(schemas="api", **settings) -> Api``: a server with these settings, one for each set."""
    running: dict[object, Api] = {}
    with ExitStack() as stack:

        def serve(schemas: str = "api", **settings: str) -> Api:
            key = (schemas, *sorted(settings.items()))
            if key not in running:
                environment = {f"PGRST_{k.upper()}": v for k, v in {**by_default, **settings}.items()}
                login = as_user_of(uri, "authenticator")
                live = LiveServer(login, "--schema", schemas, environment=environment)
                stack.callback(live.close)
                running[key] = Api(live.start().url)
            return running[key]

        yield serve


def error(code: str, message: str, *, details: Any = None, hint: str | None = None) -> dict[str, Any]:
    """The body of an error."""
    return {"code": code, "details": details, "hint": hint, "message": message}
