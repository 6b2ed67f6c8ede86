"""Checks of the alias the built models live on. No query: only what the settings say.

What lives here: the findings. What does not: who registers them with Django (``apps``).
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error
from django.core.checks import Warning as CheckWarning
from django.db import DEFAULT_DB_ALIAS, connections
from django.utils.module_loading import import_string

from ..conf import current
from .router import PATH, TablesRouter


def alias_checks() -> list[CheckMessage]:
    """Whether the alias exists, is PostgreSQL, gives up connecting, and is routed to."""
    alias = current().database
    if alias not in connections.settings:
        hint = f"Add {alias!r} to DATABASES, or name another alias as AIODATA['database']."
        return [Error(f"There is no database alias {alias!r}.", hint=hint, id="aiodata.E001")]
    entry = connections.settings[alias]
    return [*_engine(alias, entry), *_timeout(alias, entry), *_router(alias), *_roles(alias)]


def _engine(alias: str, entry: dict[str, Any]) -> list[CheckMessage]:
    if str(entry["ENGINE"]).endswith(("postgresql", "postgis")):
        return []
    hint = "Use django.db.backends.postgresql there, or name another alias as AIODATA['database']."
    return [Error(f"The database alias {alias!r} is not PostgreSQL.", hint=hint, id="aiodata.E002")]


def _timeout(alias: str, entry: dict[str, Any]) -> list[CheckMessage]:
    if "connect_timeout" in (entry.get("OPTIONS") or {}):
        return []
    hint = f"DATABASES[{alias!r}]['OPTIONS'] = {{'connect_timeout': 2}}"
    message = f"The database alias {alias!r} has no connect_timeout: a silent server hangs every process."
    return [CheckWarning(message, hint=hint, id="aiodata.W101")]


def _router(alias: str) -> list[CheckMessage]:
    routers = [import_string(r) if isinstance(r, str) else type(r) for r in settings.DATABASE_ROUTERS]
    if alias == DEFAULT_DB_ALIAS or any(isinstance(r, type) and issubclass(r, TablesRouter) for r in routers):
        return []
    hint = f"DATABASE_ROUTERS = [{PATH!r}]"
    return [Error("The models' database router is not installed.", hint=hint, id="aiodata.E004")]


def _roles(alias: str) -> list[CheckMessage]:
    if current().user_role is None or alias != DEFAULT_DB_ALIAS:
        return []
    hint = (
        "Give the models an alias of their own, even for the same database, and name it AIODATA['database']."
    )
    message = "AIODATA['user_role'] would take Django's own tables away from the admin."
    return [Error(message, hint=hint, id="aiodata.E005")]
