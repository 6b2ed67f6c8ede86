"""The command line of the aiodata proxy, and of ours: options that stand above every other setting.

What lives here: the options and how they become settings. What does not: the commands (``cli``,
``management.commands.aiodata``).
"""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from .conf import Sources
from .serving import SERVERS

# Option, setting, what it says.
_OPTIONS = (
    ("--host", "server_host", "address to listen on; localhost unless configured"),
    ("--port", "server_port", "port to listen on; 4000 unless configured, 0 for a free one"),
    ("--db-uri", "db_uri", "PostgreSQL's address, as a role that may become the others"),
    ("--schema", "db_schemas", "schemas to serve, separated by commas"),
    ("--anon-role", "db_anon_role", "role of requests without a token"),
    ("--secret", "jwt_secret", "what verifies tokens: a secret, a JWK (set), or @file"),
    ("--query", "query_path", "where tables are served; /query unless configured"),
    ("--state", "state_path", "where changes are served; /state unless configured"),
)


def add_options(parser: ArgumentParser) -> None:
    """Add the file, the options above and the choice of server."""
    parser.add_argument("file", nargs="?", type=Path, help="a postgrest.conf")
    for option, setting, text in _OPTIONS:
        parser.add_argument(option, dest=setting, help=text)
    # PostgREST itself is not needed; the reference's option is taken and has no effect.
    parser.add_argument("--pr-uri", dest="pr_uri", help="taken for compatibility; no PostgREST is needed")
    parser.add_argument("--server", choices=SERVERS, default="daphne", help="default: daphne")


def with_options(sources: Sources, options: Mapping[str, Any]) -> Sources:
    """The sources with the command line above them, and its file in place of theirs."""
    arguments = {setting: options.get(setting) for _, setting, _ in _OPTIONS}
    file = options.get("file") or sources.file
    return replace(sources, file=file, arguments=arguments)
