"""aiodata-django: a live PostgreSQL schema for Django.

Importing this package imports neither Django nor psycopg, so that ``aiodata_django.client`` can be used where
no Django is configured. What is public stands in the modules; ``docs/reference/python-api.md`` lists it.
"""

from __future__ import annotations

__version__ = "0.1.0"
