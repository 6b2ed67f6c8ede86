"""The process's current schema and its models.

What lives here: loading them from the schema file at start-up, swapping them while running, and asking for
them. What does not: how models are made (``tables.build``), who must hear of a swap (they subscribe), and any
query.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import RLock

from django.core.checks import CheckMessage, Error
from django.core.checks import Warning as CheckWarning

from .conf import ConfigurationError
from .conf import current as settings
from .core.names import QualifiedName
from .core.schema import Schema
from .core.schemafile import SchemaChange, SchemaFileError, diff
from .core.schemafile import load as read_schema
from .tables.build import Plan, build, components, plan, unload
from .tables.checks import alias_checks
from .tables.table import TableModel

log = logging.getLogger(__name__)

EMPTY = Schema(exposed=(), relations={})


@dataclass(frozen=True)
class Swap:
    """What a swap did. ``removed`` and ``added`` are classes; a rebuilt model is in both."""

    old: Schema
    new: Schema
    changes: tuple[SchemaChange, ...]
    removed: tuple[type[TableModel], ...]
    added: tuple[type[TableModel], ...]


Subscriber = Callable[[Swap], None]


@dataclass
class _State:
    schema: Schema = EMPTY
    plans: Mapping[QualifiedName, Plan] = field(default_factory=dict)
    models: Mapping[QualifiedName, type[TableModel]] = field(default_factory=dict)
    problem: str | None = None


_state = _State()
_subscribers: list[Subscriber] = []
_lock = RLock()


def current() -> Schema:
    """The schema the models were built from; an empty one before :func:`load`."""
    return _state.schema


def models() -> Mapping[QualifiedName, type[TableModel]]:
    """The built models by relation."""
    return _state.models


def model(schema: str, name: str) -> type[TableModel] | None:
    """The model of a relation, None for one that has none."""
    return _state.models.get(QualifiedName(schema, name))


def subscribe(subscriber: Subscriber) -> None:
    """Have ``subscriber`` called after each swap, in the order of subscription; twice is once."""
    if subscriber not in _subscribers:
        _subscribers.append(subscriber)


def unsubscribe(subscriber: Subscriber) -> None:
    """The end of :func:`subscribe`."""
    if subscriber in _subscribers:
        _subscribers.remove(subscriber)


def load(path: str | Path | None = None) -> Schema:
    """Build the models of a schema file, the settings' unless given; issues no query and never raises.

    A file that is missing or unreadable leaves no models and a system check that says so: a site must start.
    """
    try:
        path = path or settings().schema_file
        schema = read_schema(Path(path).read_text(encoding="utf-8")) if path else EMPTY
        problem = None
    except ConfigurationError:
        schema, problem = EMPTY, None  # the check of the settings tells
    except OSError as error:
        schema, problem = EMPTY, f"{path}: {error.strerror}"
    except (SchemaFileError, UnicodeDecodeError) as error:
        schema, problem = EMPTY, f"{path}: {error}"
    swap(schema)
    _state.problem = problem
    return schema


def swap(schema: Schema) -> Swap:
    """Make ``schema`` the current one; models of relations that did not change stay the same classes."""
    with _lock:
        old, plans = _state.schema, plan(schema)
        gone, fresh = _differing(_state.plans, plans)
        removed = tuple(_state.models[name] for name in gone)
        unload(removed)
        kept = {name: each for name, each in _state.models.items() if name not in gone}
        added = build({name: plans[name] for name in fresh}, plans)
        _state.schema, _state.plans, _state.problem = schema, plans, None
        _state.models = {name: added.get(name) or kept[name] for name in plans}
        done = Swap(old, schema, tuple(diff(old, schema)), removed, tuple(added.values()))
        for subscriber in _subscribers:
            subscriber(done)
    return done


def _differing(
    old: Mapping[QualifiedName, Plan], new: Mapping[QualifiedName, Plan]
) -> tuple[set[QualifiedName], set[QualifiedName]]:
    """Whose models go, and whose are built: those that changed and all that foreign keys tie to them."""
    changed = {name for name in {*old, *new} if old.get(name) != new.get(name)}
    for plans in (old, new):
        changed |= {name for group in components(plans) if group & changed for name in group}
    return changed & old.keys(), changed & new.keys()


def tables_checks() -> list[CheckMessage]:
    """The system checks of the models: their alias, the router, the schema file. No query."""
    return [*alias_checks(), *_file_checks()]


def _file_checks() -> list[CheckMessage]:
    path = settings().schema_file
    if path is None:
        hint = "Set AIODATA['schema_file'] to a path in your project, then run: manage.py aiodata_sync"
        return [CheckWarning("No schema file, hence no models.", hint=hint, id="aiodata.W103")]
    if not Path(path).exists():
        hint = "Run: manage.py aiodata_sync"
        return [CheckWarning(f"The schema file {path} does not exist yet.", hint=hint, id="aiodata.W104")]
    if _state.problem:
        # An error, so that remove_stale_contenttypes and the like stop while the models are missing.
        hint = "Restore it from version control, or run: manage.py aiodata_sync"
        return [Error(f"The schema file cannot be read: {_state.problem}", hint=hint, id="aiodata.E003")]
    return []
