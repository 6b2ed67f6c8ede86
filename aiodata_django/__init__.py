"""aiodata-django: a live PostgreSQL schema for Django.

Importing this package imports neither Django nor psycopg: the public names are resolved lazily (PEP 562),
so that ``aiodata_django.client`` can be used where no Django is configured.
"""

from __future__ import annotations

__version__ = "0.1.0"
