"""``manage.py aiodata_sync``: write the schema file, and give its tables their permissions.

What lives here: the command. What does not: the introspection (``db.catalog``) and the file's form
(``core.schemafile``).
"""

from __future__ import annotations

import os
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import psycopg
from django.apps import apps
from django.contrib.auth.management import create_permissions
from django.contrib.contenttypes.management import create_contenttypes
from django.contrib.contenttypes.models import ContentType
from django.core.management.base import BaseCommand, CommandError
from django.db import Error as DatabaseError
from django.db import connections, router
from psycopg.conninfo import make_conninfo

from ... import registry
from ...conf import Settings
from ...conf import current as settings
from ...core.schema import Schema
from ...core.schemafile import SchemaFileError, diff, dump
from ...core.schemafile import load as read_schema
from ...db.catalog import load_schema_sync
from ...tables.table import APP_LABEL


class Command(BaseCommand):
    """Introspect the database, write the schema file, create content types and permissions."""

    help = "Writes the schema file that models are built from, and creates the tables' permissions."
    # It must run where the checks fail: before there is a schema file, and to mend a broken one.
    requires_system_checks: list[str] = []  # noqa: RUF012  as Django declares it

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The options."""
        parser.add_argument(
            "--database", metavar="ALIAS", help="the alias to introspect (default: AIODATA's)"
        )
        parser.add_argument(
            "--output", metavar="FILE", help="the schema file (default: AIODATA['schema_file'])"
        )
        parser.add_argument(
            "--check", action="store_true", help="write nothing; exit with 1 if the file is out of date"
        )
        parser.add_argument(
            "--permissions-only", action="store_true", help="only create content types and permissions"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Run. Raises CommandError, whose exit code is 1."""
        if options["permissions_only"]:
            return self._permit(options["verbosity"])
        file = Path(options["output"] or settings().schema_file or self._no_file())
        schema = self._introspect(options["database"])
        changes = [str(change) for change in diff(self._read(file), schema)]
        for change in changes:
            self.stdout.write(f"  {change}")
        if options["check"]:
            return self._report(file, changes)
        self._write(file, schema)
        self.stdout.write(self.style.SUCCESS(f"{file}: {len(schema.relations)} relations."))
        registry.swap(schema)
        return self._permit(options["verbosity"])

    def _no_file(self) -> str:
        raise CommandError("Set AIODATA['schema_file'] to a path in your project, or pass --output.")

    def _introspect(self, alias: str | None) -> Schema:
        own = settings()
        try:
            return load_schema_sync(
                conninfo(own, alias), schemas=own.db_schemas, extra_search_path=own.db_extra_search_path
            )
        except psycopg.Error as error:
            raise CommandError(f"The database cannot be introspected: {error}") from None

    def _read(self, file: Path) -> Schema:
        try:
            return read_schema(file.read_text(encoding="utf-8"))
        except (FileNotFoundError, SchemaFileError, UnicodeDecodeError):
            return registry.EMPTY  # about to be replaced, or out of date by definition
        except OSError as error:
            raise CommandError(f"{file}: {error.strerror}") from None

    def _report(self, file: Path, changes: list[str]) -> None:
        if changes:
            raise CommandError(f"{file} is out of date. Run: manage.py aiodata_sync")
        self.stdout.write(self.style.SUCCESS(f"{file} is up to date."))

    def _write(self, file: Path, schema: Schema) -> None:
        """Replace the file whole: a process that starts meanwhile reads the old one or the new one."""
        draft = file.with_name(f"{file.name}.{os.getpid()}")
        try:
            draft.write_text(dump(schema), encoding="utf-8")
            draft.replace(file)
        except OSError as error:
            draft.unlink(missing_ok=True)
            raise CommandError(f"{file}: {error.strerror}") from None

    def _permit(self, verbosity: int) -> None:
        """Content types and permissions of tables that appeared since migrate ran; without them only
        superusers see a table in the admin.
        """
        app, alias = apps.get_app_config(APP_LABEL), router.db_for_write(ContentType)
        try:
            if ContentType._meta.db_table not in connections[alias].introspection.table_names():
                self.stdout.write("Permissions will be created by: manage.py migrate")
                return
            create_contenttypes(app, verbosity=verbosity - 1, interactive=False, using=alias)
            create_permissions(app, verbosity=verbosity - 1, interactive=False, using=alias)
        except DatabaseError as error:
            raise CommandError(f"Permissions could not be created on {alias!r}: {error}") from None


def conninfo(own: Settings, alias: str | None) -> str:
    """What to connect with: the settings' database, or the alias named. Raises CommandError."""
    if alias is None:
        return own.db_uri
    if alias not in connections.settings:
        raise CommandError(f"There is no database alias {alias!r}.")
    if connections[alias].vendor != "postgresql":
        raise CommandError(f"The database alias {alias!r} is not PostgreSQL.")
    parameters = connections[alias].get_connection_params()
    known = {info.keyword.decode() for info in psycopg.pq.Conninfo.get_defaults()}
    return make_conninfo(**{k: v for k, v in parameters.items() if k in known})
