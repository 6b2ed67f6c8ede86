"""The servers that the documentation's examples are sent to.

What lives here: one database of docs/reference/films.sql, one server for each set of settings a page names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.conftest import Server, as_user_of
from tests.docs.pages import DOCS
from tests.live import LiveServer

FILMS = DOCS / "reference" / "films.sql"
Settings = tuple[tuple[str, str], ...]
Serve = Callable[[Settings], LiveServer]


@pytest.fixture(scope="session")
def films_uri(postgres: Server) -> Iterator[str]:
    with postgres.database(FILMS.read_text()) as uri:
        yield uri


@pytest.fixture(scope="session")
def docs_server(films_uri: str) -> Iterator[Serve]:
    """``docs_server(settings) -> LiveServer``: the films behind a server with these settings."""
    running: dict[Settings, LiveServer] = {}
    with ExitStack() as stack:

        def start(settings: Settings) -> LiveServer:
            if settings not in running:
                running[settings] = serve_films(films_uri, settings)
                stack.callback(running[settings].close)
            return running[settings]

        yield start


def serve_films(uri: str, settings: Settings) -> LiveServer:
    environment = {f"PGRST_{name.upper().replace('-', '_')}": value for name, value in settings}
    environment["PGRST_FEED_ENABLED"] = "false"  # nobody listens, and servers start and end faster
    schemas = environment.pop("PGRST_DB_SCHEMAS", "api")
    live = LiveServer(as_user_of(uri, "authenticator"), "--schema", schemas, environment=environment)
    live.admin_uri = uri
    return live.start()
