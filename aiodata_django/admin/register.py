"""Registering the built models with an admin site, and keeping up when they change.

What lives here: registration, the choice of admin class, and new URLs in place. What does not: the admin
classes themselves (``table_admin``).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from django.conf import settings
from django.contrib.admin import AdminSite
from django.contrib.admin import site as default_site
from django.urls import URLResolver, clear_url_caches, get_resolver

from .. import registry
from ..tables.table import TableModel
from .table_admin import TableAdmin, TableAdminMixin

AdminClass = TypeVar("AdminClass", bound=type[TableAdminMixin])

_chosen: dict[str, type[TableAdminMixin]] = {}
_sites: list[AdminSite] = []


def register_all(site: AdminSite = default_site) -> None:
    """Register every built model with ``site``, now and after each schema change. Issues no query."""
    if site not in _sites:
        _sites.append(site)
    _register(site, registry.models().values())
    registry.subscribe(refresh)


def table_admin(table: str) -> Callable[[AdminClass], AdminClass]:
    """A class decorator: use this admin class for a table, named as its model (``"Pets"``).

    It must be built on TableAdminMixin. It may run before or after the models are built.
    """

    def choose(admin_class: AdminClass) -> AdminClass:
        _chosen[table.lower()] = admin_class
        for site in _sites:
            _register(site, [m for m in registry.models().values() if m._meta.model_name == table.lower()])
        return admin_class

    return choose


def refresh(swap: registry.Swap) -> None:
    """Follow a schema change: unregister what went, register what came, and replace the sites' URLs."""
    if not swap.removed and not swap.added:
        return
    for site in _sites:
        for model in swap.removed:
            site._registry.pop(model, None)
        _register(site, swap.added)
        _refresh_urls(site)


def _register(site: AdminSite, models: Iterable[type[TableModel]]) -> None:
    for model in models:
        # AdminSite.register refuses composite keys; everything behind it copes with ours.
        site._registry[model] = _admin_class(model)(model, site)


def _admin_class(model: type[TableModel]) -> Callable[..., TableAdminMixin]:
    return _chosen.get(model._meta.model_name or "", TableAdmin)


def _refresh_urls(site: AdminSite) -> None:
    """New patterns inside the resolvers that stand: the project's URL modules are not run again."""
    if getattr(settings, "ROOT_URLCONF", None) not in sys.modules:
        return  # nobody has asked for a URL yet, as in a command
    for resolver in _resolvers(get_resolver().url_patterns):
        if resolver.app_name == "admin" and resolver.namespace == site.name:
            resolver.url_patterns[:] = site.get_urls()
    clear_url_caches()


def _resolvers(patterns: Iterable[object]) -> Iterator[URLResolver]:
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            yield pattern
            if pattern.app_name != "admin":
                yield from _resolvers(pattern.url_patterns)
