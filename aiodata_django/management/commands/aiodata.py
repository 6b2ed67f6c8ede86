"""``manage.py aiodata [postgrest.conf] [options]``: the reference's command line, and the site behind it."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.conf import settings as django_settings
from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler
from django.core.asgi import get_asgi_application
from django.core.management.base import BaseCommand, CommandError

from aiodata_django.asgi import aiodata_asgi
from aiodata_django.conf import ConfigurationError, Sources, django_sources
from aiodata_django.options import add_options, with_options
from aiodata_django.runtime import configure
from aiodata_django.servers import Application
from aiodata_django.serving import CannotServe, address_of, listen, serve


class Command(BaseCommand):
    """Serves the schema, /state and the site. Command line wins over environment, environment over file."""

    help = "Serve the schema and its changes, with this project's site behind them."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The reference's options, and the choice of server."""
        add_options(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Serve until interrupted."""
        try:
            self.serve(with_options(django_sources(), options), options["server"])
        except (ConfigurationError, CannotServe) as error:
            raise CommandError(str(error)) from None

    def serve(self, sources: Sources, server: str) -> None:
        """Serve by these sources until interrupted. Raises ConfigurationError, CannotServe."""
        settings = sources.settings()
        configure(sources)
        bound = listen(settings.server_host, settings.server_port)
        url = address_of(bound, settings.server_host)

        def ready() -> None:
            self.stdout.write(self.style.SUCCESS(f"serving at {url}, tables at {url}{settings.query_path}"))
            self.stdout.flush()

        serve(aiodata_asgi(site()), bound, server=server, ping=settings.state_ping_interval, ready=ready)


def site() -> Application:
    """Django's application; with its static files where DEBUG has runserver serve them."""
    application = get_asgi_application()
    if django_settings.DEBUG and "django.contrib.staticfiles" in django_settings.INSTALLED_APPS:
        application = ASGIStaticFilesHandler(application)
    return application
