"""System checks: what is wrong with the setup, and what to run.

What lives here: the checks of settings and database, and the registration of all. What does not: those of the
models (``registry.tables_checks``).

===============  =========================================================================================
aiodata.E010     the settings cannot be used
aiodata.W011     a setting is ignored or deprecated
aiodata.W012     neither an anonymous role nor a secret: every request is refused
aiodata.W102     (database) the schema file is not what the database holds now
aiodata.W120     (deploy) jwt-secret is shorter than 32 bytes
aiodata.W121     (deploy) tokens are verified with a key set fetched over plain HTTP
aiodata.E130     (database) the database cannot be reached
aiodata.E131     (database) the login role may not become the anonymous role
aiodata.W132     (database) the login role is a superuser
aiodata.W133     (database) no change events: wal_level
aiodata.W134     (database) no change events: the login role has no REPLICATION right
aiodata.W135     (database) no change events: no replication slot is free
aiodata.W136     (database) no change events: no publication, and no right to create it
aiodata.W137     (database) the publication is not as it should be, and there is no right to alter it
===============  =========================================================================================

Those of the database run with ``manage.py check --database default`` and with ``migrate``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from textwrap import shorten
from typing import Any, NamedTuple

import psycopg
from asgiref.sync import async_to_sync
from django.core.checks import CheckMessage, Error, Tags, register
from django.core.checks import Warning as CheckWarning
from psycopg.rows import args_row

from .conf import ConfigurationError, Settings, current
from .core.schemafile import SchemaChange, SchemaFileError, diff
from .core.schemafile import load as read_schema
from .db.catalog import load_schema_sync
from .feed.setup import Names, opened
from .registry import tables_checks

_STATE = """
select current_user,
       current_setting('wal_level'),
       r.rolsuper,
       r.rolreplication,
       %(anon)s::text is null or pg_has_role(current_user, to_regrole(quote_ident(%(anon)s::text)), 'member'),
       -- The slot of a running server is one of those in use.
       (select count(*) < current_setting('max_replication_slots')::int
               or bool_or(database = current_database()
                          and (slot_name ~ '^aiodata_' or slot_name = %(slot)s::text))
        from pg_catalog.pg_replication_slots),
       has_database_privilege(current_database(), 'create')
       or exists (select from pg_catalog.pg_publication where pubname = %(publication)s::text),
       coalesce((select not pg_has_role(current_user, p.pubowner, 'usage')
                 from pg_catalog.pg_publication p where p.pubname = %(publication)s::text), false)
from pg_catalog.pg_roles r
where r.rolname = current_user
"""


def check_settings(**_: Any) -> Sequence[CheckMessage]:
    """The settings, without any query."""
    try:
        settings = current()
    except ConfigurationError as error:
        hint = "Correct AIODATA in the settings, the file it names, or the PGRST_ variables."
        return [Error(problem, hint=hint, id="aiodata.E010") for problem in error.problems]
    return [*_settings_checks(settings), *tables_checks()]


def _settings_checks(settings: Settings) -> Iterator[CheckMessage]:
    for warning in settings.warnings:
        hint = "Remove the setting, or write it as the warning says."
        yield CheckWarning(warning, hint=hint, id="aiodata.W011")
    if settings.db_anon_role is None and settings.secret is None:
        hint = "Set db-anon-role to a role for requests without token, or jwt-secret to verify tokens with."
        yield CheckWarning("Every request will be refused.", hint=hint, id="aiodata.W012")


def check_deployment(**_: Any) -> Sequence[CheckMessage]:
    """What is good enough on one's own machine only."""
    try:
        secret = current().secret
    except ConfigurationError:
        return []  # told by check_settings
    if secret is not None and secret.key is not None and len(secret.key) < 32:
        hint = 'Make one: python -c "import secrets; print(secrets.token_urlsafe(32))"'
        message = f"jwt-secret has {len(secret.key)} bytes; one of less than 32 can be guessed."
        return [CheckWarning(message, hint=hint, id="aiodata.W120")]
    if secret is not None and secret.url is not None and secret.url.startswith("http://"):
        hint = "Use the https:// address of the key set."
        return [CheckWarning("jwt-secret is fetched over plain HTTP.", hint=hint, id="aiodata.W121")]
    return []


def check_database(databases: Sequence[str] | None = None, **_: Any) -> Sequence[CheckMessage]:
    """What the database lacks; asked only where Django may ask databases."""
    try:
        settings = current()
    except ConfigurationError:
        return []
    if not databases:
        return []
    parameters = {
        "anon": settings.db_anon_role,
        "slot": settings.feed_slot,
        "publication": settings.feed_publication,
    }
    try:
        with (
            psycopg.connect(settings.db_uri, connect_timeout=5) as connection,
            connection.cursor(row_factory=args_row(_State)) as cursor,
        ):
            state = cursor.execute(_STATE, parameters).fetchone()
    except psycopg.Error as error:
        hint = "Start PostgreSQL, or correct db-uri."
        return [Error(f"The database cannot be reached: {error}", hint=hint, id="aiodata.E130")]
    assert state is not None  # whoever is logged in has a role
    feed = _feed_checks(settings, state) if settings.feed_enabled else ()
    return [*_role_checks(settings, state), *feed, *_schema_file_checks(settings)]


class _State(NamedTuple):
    """What :data:`_STATE` answers."""

    login: str
    wal_level: str
    superuser: bool
    replication: bool
    may_become: bool | None
    slot: bool
    publication: bool
    publication_of_others: bool


def _role_checks(settings: Settings, state: _State) -> Iterator[CheckMessage]:
    login, anon = state.login, settings.db_anon_role
    if not state.may_become:
        hint = (
            f'Run as superuser: CREATE ROLE "{anon}" NOLOGIN, unless it is there; GRANT "{anon}" TO "{login}"'
        )
        yield Error(f'The role "{login}" may not become "{anon}".', hint=hint, id="aiodata.E131")
    if state.superuser:
        hint = "Make a role that may log in and become the others, and nothing else: see the documentation."
        yield CheckWarning(f'The login role "{login}" is a superuser.', hint=hint, id="aiodata.W132")


def _feed_checks(settings: Settings, state: _State) -> Iterator[CheckMessage]:
    """Why there would be no change events; everything else is served all the same."""
    login, publication = state.login, settings.feed_publication
    if state.wal_level != "logical":
        hint = 'Run as superuser "ALTER SYSTEM SET wal_level = logical", and restart PostgreSQL.'
        message = f"No change events: PostgreSQL's wal_level is {state.wal_level}."
        yield CheckWarning(message, hint=hint, id="aiodata.W133")
    if not (state.replication or state.superuser):
        hint = f'Run as superuser: ALTER ROLE "{login}" REPLICATION'
        message = f'No change events: the role "{login}" has no REPLICATION right.'
        yield CheckWarning(message, hint=hint, id="aiodata.W134")
    if not state.slot:
        hint = "Drop slots that pg_replication_slots shows as not active, or raise max_replication_slots."
        message = "No change events: all replication slots are in use."
        yield CheckWarning(message, hint=hint, id="aiodata.W135")
    if not state.publication:
        hint = "Run with the URI of the tables' owner: manage.py aiodata_feed create --no-slot --db-uri URI"
        message = (
            f'No change events: there is no publication "{publication}", and "{login}" may not create it.'
        )
        yield CheckWarning(message, hint=hint, id="aiodata.W136")
    if state.publication_of_others:  # our own is mended when the server starts
        for problem in async_to_sync(_publication_problems)(settings):
            message = f'The publication "{publication}" is not as it should be.'
            yield CheckWarning(message, hint=problem, id="aiodata.W137")


async def _publication_problems(settings: Settings) -> list[str]:
    async with opened(settings.db_uri, Names(settings.db_schemas, settings.feed_publication)) as setup:
        return await setup.publication_problems()


def _schema_file_checks(settings: Settings) -> Iterator[CheckMessage]:
    """Whether the models are still the database's. A file that is missing or broken is told elsewhere."""
    if settings.schema_file is None:
        return
    try:
        known = read_schema(Path(settings.schema_file).read_text(encoding="utf-8"))
        present = load_schema_sync(
            settings.db_uri, schemas=settings.db_schemas, extra_search_path=settings.db_extra_search_path
        )
    except (OSError, SchemaFileError, UnicodeDecodeError, psycopg.Error):
        return
    if changes := diff(known, present):
        message = (
            f"The schema file {settings.schema_file} is not what the database holds now: {_told(changes)}."
        )
        yield CheckWarning(message, hint="Run: manage.py aiodata_sync", id="aiodata.W102")


def _told(changes: Sequence[SchemaChange]) -> str:
    """The first few."""
    rest = len(changes) - 3
    return "; ".join(shorten(str(change), 100) for change in changes[:3]) + (
        f"; and {rest} more" if rest > 0 else ""
    )


def register_all() -> None:
    """Register the checks; called when the app is ready."""
    register(check_settings, "aiodata")
    register(check_deployment, "aiodata", deploy=True)
    register(check_database, Tags.database)
