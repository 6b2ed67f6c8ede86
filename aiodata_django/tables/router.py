"""Where the built models live: on the alias of the settings, and never in a migration.

What lives here: the database router, for ``DATABASE_ROUTERS``. What does not: the check that it is there.
"""

from __future__ import annotations

from typing import Any

from django.db import DEFAULT_DB_ALIAS, models

from ..conf import current
from .table import APP_LABEL, TableModel

PATH = "aiodata_django.tables.router.TablesRouter"


class TablesRouter:
    """Reads and writes of built models go to ``AIODATA["database"]``; nothing of them is migrated.

    On an alias of their own nothing at all is migrated: its tables are PostgreSQL's affair.
    """

    def db_for_read(self, model: type[models.Model], **hints: Any) -> str | None:
        """The alias for built models, no opinion on others."""
        return current().database if issubclass(model, TableModel) else None

    db_for_write = db_for_read

    def allow_relation(self, one: models.Model, other: models.Model, **hints: Any) -> bool | None:
        """Built rows relate to built rows."""
        if isinstance(one, TableModel) and isinstance(other, TableModel):
            return True
        return None

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool | None:
        """Built models on their alias only, and nothing else on one that is theirs alone.

        Being unmanaged they are migrated nowhere; dumpdata and loaddata ask this too.
        """
        alias = current().database
        if app_label == APP_LABEL:
            return db == alias
        return False if db == alias != DEFAULT_DB_ALIAS else None
