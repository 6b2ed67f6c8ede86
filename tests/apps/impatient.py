"""The server with less patience, so that tests of slow clients take no minutes."""

import os
import sys

from aiodata_django import cli, consumers
from aiodata_django.feed import line, reader, reader2

if __name__ == "__main__":
    line.PATIENCE = reader.PATIENCE = float(os.environ.get("PATIENCE", "3"))
    consumers.CLOSING_SECONDS = 0.5
    reader2.HELLO_SECONDS = float(os.environ.get("HELLO_SECONDS", "0.5"))
    sys.exit(cli.main())
