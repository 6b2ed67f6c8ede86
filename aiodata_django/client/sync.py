"""The synchronous client: queries and writes on requests. No copy and no events: those need a loop."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import requests

from .error import Unreachable, error_of
from .query import Query, call, result
from .transport import Answer


class SyncClient:
    """Queries over one connection pool: ``client.from_("pets").eq("type", "Dog").execute()``.

    ``url`` is the server's address, with the path it is mounted below if any; ``token`` a JWT, a callable
    that gives one, or None for the anonymous role; ``query`` the mount of the tables; ``timeout`` the seconds
    to wait for a connection, and for each piece of an answer. Not to be shared between threads.
    """

    def __init__(
        self,
        url: str = "http://localhost:4000",
        token: str | Callable[[], str | None] | None = None,
        query: str = "/query",
        *,
        timeout: float = 60.0,
    ) -> None:
        self._base = url.rstrip("/")
        self._token = token
        self._mount = "/" + query.strip("/") if query.strip("/") else ""
        self._timeout = timeout
        self._session = requests.Session()
        self._session.trust_env = False  # a .netrc would replace the token by a password

    def from_(self, table: str) -> Query:
        """A query of a table or view."""
        return Query((table,), run=self.run)

    def rpc(self, function: str, arguments: Mapping[str, Any] | None = None, *, get: bool = False) -> Query:
        """A function call, read-only if ``get``: ``client.rpc("add", {"a": 1, "b": 2}).execute()``."""
        return call(function, arguments or {}, get=get, run=self.run)

    def run(self, query: Query) -> Any:
        """Run a query. Raises Error, and Unreachable when nobody answers."""
        headers = query.request_headers()
        token = self._token() if callable(self._token) else self._token
        if token:
            headers["Authorization"] = f"Bearer {token}"
        answer = self._request(query.method, query.target(self._mount), headers, query.body)
        if answer.status >= 400:
            raise error_of(answer.status, answer.body)
        return result(answer)

    def _request(self, method: str, target: str, headers: Mapping[str, str], body: bytes | None) -> Answer:
        prepared = self._session.prepare_request(
            requests.Request(method, self._base, headers=dict(headers), data=body)
        )
        prepared.url = self._base + target  # as it is: requests would unescape what a name needs escaped
        try:
            response = self._session.send(prepared, timeout=self._timeout)
        except (requests.ConnectionError, requests.Timeout) as error:
            raise Unreachable(f"{self._base} cannot be reached: {error}") from error
        lower = {name.lower(): value for name, value in response.headers.items()}
        return Answer(response.status_code, lower, response.content)

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def __enter__(self) -> SyncClient:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
