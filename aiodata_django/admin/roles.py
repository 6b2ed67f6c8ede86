"""Admin pages under the PostgreSQL role of the person who looks at them.

What lives here: the transaction in which a page is made and rendered, and the role's privileges on a table.
What does not: which role that is (``AIODATA["user_role"]``, a callable of the project's own).

Without that setting pages run as the alias's own login role, and only Django's permissions count.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import connections, transaction
from django.http import HttpRequest
from django.utils.module_loading import import_string

from .. import registry
from ..conf import current
from ..core.names import QualifiedName


def scoped() -> bool:
    """Whether pages run under roles."""
    return current().user_role is not None


@contextmanager
def role_scope(request: HttpRequest) -> Iterator[None]:
    """A transaction on the tables' alias under the user's role, with their claims; nothing if not scoped.

    Raises PermissionDenied for a user without a role.
    """
    if not scoped():
        yield
        return
    alias = current().database
    role = _role_of(request.user)
    claims = json.dumps({"role": role, "sub": str(request.user.pk)})
    nested = connections[alias].in_atomic_block
    with transaction.atomic(using=alias):
        _become(alias, role, claims)
        request._aiodata_role = role  # type: ignore[attr-defined]
        try:
            yield
        finally:
            del request._aiodata_role  # type: ignore[attr-defined]
        if nested:  # what is local to a transaction outlives its savepoints
            _become(alias, "none", "")


def _become(alias: str, role: str, claims: str) -> None:
    with connections[alias].cursor() as cursor:
        cursor.execute(
            "select set_config('role', %s, true), set_config('request.jwt.claims', %s, true)", [role, claims]
        )


def _role_of(user: Any) -> str:
    role_of: Callable[[Any], str | None] = import_string(current().user_role or "")
    role = role_of(user)
    # PostgreSQL reads "none" as the login role itself.
    if not role or role == "none":
        raise PermissionDenied
    return role


def granted(request: HttpRequest, relation: QualifiedName, privilege: str) -> bool:
    """Whether the role of the scope has a privilege on a table, or on one of its columns.

    ``privilege``: SELECT, INSERT, UPDATE or DELETE. Outside a scope it is for Django's permissions to say.
    """
    if not hasattr(request, "_aiodata_role"):
        return True
    if not hasattr(request, "_aiodata_granted"):
        request._aiodata_granted = _privileges()  # type: ignore[attr-defined]
    return (relation, privilege) in request._aiodata_granted  # type: ignore[attr-defined]


# Every table at once: the admin's side bar asks about all of them on each page.
_PRIVILEGES = """
select n.nspname, c.relname, p.name
from pg_class c
join pg_namespace n on n.oid = c.relnamespace and has_schema_privilege(n.oid, 'usage')
cross join (values ('SELECT'), ('INSERT'), ('UPDATE'), ('DELETE')) as p (name)
where n.nspname = any (%s) and (
  has_table_privilege(c.oid, p.name) or p.name <> 'DELETE' and has_any_column_privilege(c.oid, p.name)
)
"""


def _privileges() -> frozenset[tuple[QualifiedName, str]]:
    with connections[current().database].cursor() as cursor:
        cursor.execute(_PRIVILEGES, [list(registry.current().exposed)])
        return frozenset((QualifiedName(schema, name), has) for schema, name, has in cursor.fetchall())
