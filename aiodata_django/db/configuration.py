"""What the database says about how it wants to be served.

What lives here: reading ``pgrst.*`` settings of the login role, those the pre-config function makes, and the
settings of the roles it may become. What does not: what the settings mean (``conf``).

Source: https://docs.postgrest.org/en/v16/references/configuration.html#in-database-configuration,
https://docs.postgrest.org/en/v16/references/transactions.html#impersonated-role-settings
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

import psycopg

from aiodata_django.core.names import QualifiedName

_ROLE_SETTINGS = """
select unnest(setconfig)
from pg_catalog.pg_db_role_setting
where setrole = (select oid from pg_catalog.pg_roles where rolname = current_user)
    and setdatabase in (0, (select oid from pg_catalog.pg_database where datname = current_database()))
order by setdatabase
"""

_CURRENT_SETTINGS = """
select name || '=' || current_setting('pgrst.' || name, true)
from unnest(%s::text[]) name
where current_setting('pgrst.' || name, true) is not null
"""

# Only what the login role may set before it becomes the role; PostgreSQL 14 cannot grant more than "user".
_SETTINGS_OF_ROLES = """
with recursive member (roleid) as (
    select roleid from pg_catalog.pg_auth_members m join pg_catalog.pg_roles r on r.oid = m.member
    where r.rolname = current_user
    union
    select m.roleid from pg_catalog.pg_auth_members m join member on m.member = member.roleid
)
select r.rolname, c.setting
from member
join pg_catalog.pg_roles r on r.oid = member.roleid
cross join lateral unnest(r.rolconfig) c (setting)
join pg_catalog.pg_settings s on s.name = lower(split_part(c.setting, '=', 1))
where s.context = 'user' {or_granted}
order by r.rolname
"""


@dataclass(frozen=True)
class DatabaseConfiguration:
    """``settings`` by name without ``pgrst.``; ``roles`` maps a role to what ALTER ROLE … SET gave it."""

    settings: Mapping[str, str] = field(default_factory=dict)
    roles: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


async def load_configuration(
    conninfo: str, *, names: Collection[str], pre_config: QualifiedName | None = None
) -> DatabaseConfiguration:
    """Ask the database at ``conninfo``, in one read-only transaction that leaves nothing behind.

    ``names`` are the settings looked for; ``pre_config`` is a function that makes some with ``set_config``.
    The role's settings in this database win over the role's own, and those over the function's.
    Raises psycopg.Error.
    """
    async with await psycopg.AsyncConnection.connect(conninfo, autocommit=True) as connection:
        await connection.execute("begin read only")
        found: dict[str, str] = {}
        if pre_config is not None:
            await connection.execute(f"select {pre_config.sql}()".encode())
            found |= _pairs(await _column(connection, _CURRENT_SETTINGS, [list(names)]))
        of_role = _pairs(await _column(connection, _ROLE_SETTINGS))
        prefixed = {f"pgrst.{name}": name for name in names}
        found |= {prefixed[key]: value for key, value in of_role.items() if key in prefixed}
        roles = await _settings_of_roles(connection)
        await connection.execute("rollback")
    return DatabaseConfiguration(found, roles)


async def _settings_of_roles(connection: psycopg.AsyncConnection) -> dict[str, dict[str, str]]:
    granted = "or has_parameter_privilege(s.name, 'set')" if connection.info.server_version >= 150000 else ""
    cursor = await connection.execute(_SETTINGS_OF_ROLES.format(or_granted=granted).encode())
    roles: dict[str, dict[str, str]] = {}
    async for role, setting in cursor:
        roles.setdefault(role, {}).update(_pairs([setting]))
    return roles


async def _column(
    connection: psycopg.AsyncConnection, query: str, parameters: list[object] | None = None
) -> list[str]:
    cursor = await connection.execute(query.encode(), parameters)
    return [row[0] for row in await cursor.fetchall()]


def _pairs(settings: Iterable[str]) -> dict[str, str]:
    """``name=value`` texts; the last of a name counts."""
    return dict(setting.split("=", 1) for setting in settings)
