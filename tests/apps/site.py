"""The tests' site behind the server, as ``manage.py aiodata`` of a project serves it."""

import os
import sys

from django.core.management import execute_from_command_line

if __name__ == "__main__":
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    execute_from_command_line([sys.argv[0], "aiodata", *sys.argv[1:]])
