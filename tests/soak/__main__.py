"""``python -m tests.soak --seconds 3600 --seed 7``: a soak of any length, told as it goes."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import sys
from argparse import ArgumentParser
from dataclasses import replace

import django

from tests.conftest import temporary_postgres

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
django.setup()  # before the ORM's models are imported

from .nemesis import ACTS  # noqa: E402
from .run import Course, SoakFailure, soak  # noqa: E402
from .stage import SETTINGS  # noqa: E402


def main() -> int:
    """Run; 1 when an invariant does not hold."""
    parser = ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 31))
    parser.add_argument(
        "--acts", help=f"of the nemesis, with commas between (default: all of {', '.join(ACTS)})"
    )
    parser.add_argument("--big", type=int, default=5000, help="rows of a big transaction")
    parser.add_argument("--broken", default="", help="what the server does wrong (see server)")
    options = parser.parse_args()
    logging.basicConfig(level=logging.ERROR)
    course = Course(options.seconds, options.seed, big=options.big, broken=options.broken)
    if options.acts is not None:
        course = replace(course, acts=tuple(filter(None, options.acts.split(","))))
    print(f"seed {options.seed}")
    with temporary_postgres(**SETTINGS) as postgres:
        try:
            print(asyncio.run(soak(postgres, course)))
        except SoakFailure as failure:
            print(failure)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
