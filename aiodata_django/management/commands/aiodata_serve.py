"""``manage.py aiodata_serve``: the project's own ASGI application under Daphne or uvicorn."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any, cast

from channels.routing import get_default_application
from django.core.management.base import BaseCommand, CommandError

from aiodata_django.conf import ConfigurationError, current
from aiodata_django.servers import Application
from aiodata_django.serving import SERVERS, CannotServe, address_of, listen, serve


class Command(BaseCommand):
    """Serves ASGI_APPLICATION by the project's settings alone, one process."""

    help = "Serve this project's ASGI_APPLICATION."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Where to listen, and with what."""
        parser.add_argument("--host", help="address to listen on (default: server-host)")
        parser.add_argument("--port", type=int, help="port to listen on (default: server-port)")
        parser.add_argument("--server", choices=SERVERS, default="uvicorn", help="default: uvicorn")

    def handle(self, *args: Any, **options: Any) -> None:
        """Serve until interrupted."""
        try:
            settings = current()
            host = options["host"] or settings.server_host
            port = settings.server_port if options["port"] is None else options["port"]
            bound = listen(host, port)
            ready = f"serving at {address_of(bound, host)}"
            serve(
                cast(Application, get_default_application()),
                bound,
                server=options["server"],
                ping=settings.state_ping_interval,
                ready=lambda: self.stdout.write(self.style.SUCCESS(ready)),
            )
        except (ConfigurationError, CannotServe) as error:
            raise CommandError(str(error)) from None
