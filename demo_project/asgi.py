"""What the server runs: the ready-made application, the API in front of Django."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "demo_project.settings")

from aiodata_django.asgi import application  # noqa: F401
