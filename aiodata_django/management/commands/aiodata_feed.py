"""``manage.py aiodata_feed create|drop|status|check``: what the change feed needs in the database."""

from __future__ import annotations

import asyncio
import json
from argparse import ArgumentParser
from typing import Any

import psycopg
from django.core.management.base import BaseCommand, CommandError

from ...conf import ConfigurationError
from ...conf import current as settings
from ...feed.service import DEFAULT_SLOT
from ...feed.setup import Names, Report, Setup, opened


class Command(BaseCommand):
    """Make, remove, show or judge publication, durable slot, replica identities and the event trigger."""

    help = "Manage what the change feed needs in the database."
    requires_system_checks: list[str] = []  # noqa: RUF012  as Django declares it

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The options."""
        parser.add_argument("action", choices=("create", "drop", "status", "check"))
        parser.add_argument("--db-uri", help="connect as this user, the tables' owner (default: db-uri)")
        parser.add_argument("--no-slot", action="store_true", help="create no durable slot")
        parser.add_argument("--no-identities", action="store_true", help="leave replica identities alone")
        parser.add_argument("--no-trigger", action="store_true", help="install no event trigger")

    def handle(self, *args: Any, **options: Any) -> None:
        """Run. Raises CommandError."""
        try:
            asyncio.run(self._run(options))
        except (psycopg.Error, ConfigurationError) as error:
            raise CommandError(str(error).strip()) from error

    async def _run(self, options: dict[str, Any]) -> None:
        known = settings()
        names = Names(known.db_schemas, known.feed_publication, known.feed_slot or DEFAULT_SLOT)
        async with opened(options["db_uri"] or known.db_uri, names) as setup:
            await getattr(self, "_" + options["action"])(setup, options)

    async def _create(self, setup: Setup, options: dict[str, Any]) -> None:
        self._tell(
            await setup.create(
                slot=not options["no_slot"],
                identities=not options["no_identities"],
                trigger=not options["no_trigger"],
            )
        )

    async def _drop(self, setup: Setup, options: dict[str, Any]) -> None:
        self._tell(await setup.drop())

    async def _status(self, setup: Setup, options: dict[str, Any]) -> None:
        self.stdout.write(json.dumps(await setup.status(), indent=2))

    async def _check(self, setup: Setup, options: dict[str, Any]) -> None:
        problems, warnings = await setup.check()
        for problem in (*problems, *warnings):
            self.stdout.write(self.style.WARNING(problem))
        if problems:
            raise CommandError("the change feed is not as it should be")
        self.stdout.write(self.style.SUCCESS("the change feed has all it needs"))

    def _tell(self, report: Report) -> None:
        for line in report.done:
            self.stdout.write(self.style.SUCCESS(line))
        if report.failed:
            raise CommandError("\n".join(report.failed))
