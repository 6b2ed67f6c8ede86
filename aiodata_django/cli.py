"""``aiodata-django [postgrest.conf] [options]``: serve any PostgreSQL from its file alone.

What lives here: the command that needs no project and no Django database. What does not: its options
(``options``) and its server (``serving``).
"""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser
from collections.abc import Sequence

from . import __version__
from .conf import ConfigurationError, Sources
from .options import add_options, with_options
from .serving import CannotServe, address_of, listen, log_to_terminal, serve


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the status to exit with: 2 for settings that cannot be, 1 where it cannot serve."""
    parser = ArgumentParser(prog="aiodata-django", description="Serve a PostgreSQL schema, live.")
    parser.add_argument("--version", action="version", version=__version__)
    add_options(parser)
    options = parser.parse_args(argv)
    try:
        run(with_options(Sources(environ=os.environ), vars(options)), options.server)
    except ConfigurationError as error:
        for problem in error.problems:
            say(problem)
        return 2
    except CannotServe as error:
        say(str(error))
        return 1
    return 0


def say(sentence: str) -> None:
    """One line to stderr."""
    sys.stderr.write(f"aiodata-django: {sentence}\n")


def run(sources: Sources, server: str) -> None:
    """Serve by these sources until interrupted. Raises ConfigurationError, CannotServe."""
    settings = sources.settings()
    _stand_alone()
    from .asgi import aiodata_asgi
    from .runtime import configure

    log_to_terminal(settings.log_level)
    configure(sources)
    bound = listen(settings.server_host, settings.server_port)
    url = address_of(bound, settings.server_host)
    serve(
        aiodata_asgi(),
        bound,
        server=server,
        ping=settings.state_ping_interval,
        ready=lambda: say(f"serving at {url}{settings.query_path}"),
    )


def _stand_alone() -> None:
    """Give Django the little it needs to be imported: no project, no database, no apps but ours."""
    import django
    from django.conf import settings

    if not settings.configured:
        settings.configure(INSTALLED_APPS=["aiodata_django"], DATABASES={}, USE_TZ=True)
        django.setup()


if __name__ == "__main__":
    sys.exit(main())
