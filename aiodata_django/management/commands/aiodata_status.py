"""``manage.py aiodata_status``: how the change feed is doing, as the database and the server see it."""

from __future__ import annotations

import asyncio
import json
from argparse import ArgumentParser
from typing import Any

import psycopg
import requests
from django.core.management.base import BaseCommand, CommandError

from ...conf import ConfigurationError
from ...conf import current as settings
from ...feed.service import DEFAULT_SLOT
from ...feed.setup import Names, opened


class Command(BaseCommand):
    """Slot, WAL retained, publication and problems; a running server's own figures with ``--url``."""

    help = "Show how the change feed is doing."
    requires_system_checks: list[str] = []  # noqa: RUF012  as Django declares it

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The options."""
        parser.add_argument("--url", help="where the project serves aiodata_django.statusviews.feed_status")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print. Raises CommandError."""
        try:
            told = asyncio.run(self._database())
        except (psycopg.Error, ConfigurationError) as error:
            raise CommandError(str(error).strip()) from error
        if options["url"]:
            told["process"] = self._server(options["url"])
        if options["json"]:
            self.stdout.write(json.dumps(told, indent=2))
            return
        for name, value in _flat("", told):
            self.stdout.write(f"{name}: {value}")

    async def _database(self) -> dict[str, Any]:
        known = settings()
        names = Names(known.db_schemas, known.feed_publication, known.feed_slot or DEFAULT_SLOT)
        async with opened(known.db_uri, names) as setup:
            problems, warnings = await setup.check()
            return {**await setup.status(), "problems": [*problems, *warnings]}

    def _server(self, url: str) -> Any:
        try:
            return requests.get(url, timeout=10).json()
        except (requests.RequestException, ValueError) as error:
            raise CommandError(f"{url} does not tell: {error}") from error


def _flat(prefix: str, value: Any) -> list[tuple[str, Any]]:
    """Nested values as dotted names; lists of plain values stay lists of lines."""
    if isinstance(value, dict):
        return [line for name, inner in value.items() for line in _flat(f"{prefix}{name}.", inner)]
    if isinstance(value, list) and value:
        return [line for number, inner in enumerate(value, 1) for line in _flat(f"{prefix}{number}.", inner)]
    return [(prefix.rstrip("."), value)]
