"""The films' schema as the planner sees it, and requests planned against it without any database.

What lives here: the schema read from ``films.json``, which ``tests/conformance`` keeps equal to the database
of ``tests/conformance/schema.sql``. What does not: any test.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

from aiodata_django.core import schemafile
from aiodata_django.core.query.config import QueryConfig
from aiodata_django.core.query.headers import Headers
from aiodata_django.core.query.outline import Outline, outline
from aiodata_django.core.query.prepared import Prepared, prepare
from aiodata_django.core.query.request import Dialect, HttpRequest

FILE = Path(__file__).parent / "films.json"
SCHEMA = schemafile.load(FILE.read_text())
CONFIG = QueryConfig(
    schemas=("api",), anon_role="anon", aggregates_enabled=True, plan_enabled=True, tx_allow_override=True
)


def request(method: str, target: str, body: Any = None, **headers: str) -> HttpRequest:
    """A request; header names are keywords with underscores."""
    path, _, query = target.partition("?")
    sent = [(name.replace("_", "-"), value) for name, value in headers.items()]
    raw = b"" if body is None else body.encode() if isinstance(body, str) else json.dumps(body).encode()
    return HttpRequest(method, quote(path, safe="/%"), query, Headers(sent), raw)


def looked_at(asked: HttpRequest, dialect: Dialect = Dialect.REST, config: QueryConfig = CONFIG) -> Outline:
    return outline(asked, dialect, config)


def prepared(asked: HttpRequest, dialect: Dialect = Dialect.REST, config: QueryConfig = CONFIG) -> Prepared:
    return prepare(looked_at(asked, dialect, config), SCHEMA, config, "anon")
