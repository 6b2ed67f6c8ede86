"""From the schema to model classes, and back to nothing.

What lives here: one unmanaged model per relation, its key, its foreign keys and their reverse names. What
does not: the fields of columns (``tables.fields``), names (``core.classnames``), and when to build
(``registry``).

Classes are attributes of the module ``aiodata_django.models``, so that ``shell`` and pickle find them.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from django.apps import apps
from django.db import models

from ..core.classnames import class_names, field_name, field_names
from ..core.names import QualifiedName
from ..core.schema import ForeignKey, Kind, Relation, Schema
from .fields import column_field, db_column, is_auto
from .fieldtypes import AnyField, TextCastField
from .rowkey import RowKeyField
from .table import APP_LABEL, HOME, TableModel

ROW_ADDRESS = "ctid"

# Names a field cannot have: a model's own attributes, what its metaclass adds, ours, and what methods call
# their first argument: nobody could say filter(self=…).
RESERVED = frozenset(dir(TableModel)) | {"objects", "pk", ROW_ADDRESS, "Meta", "_meta", "self"}

ON_DELETE = {"a": models.PROTECT, "r": models.PROTECT, "c": models.CASCADE, "n": models.SET_NULL}


def build(
    wanted: Mapping[QualifiedName, Plan], plans: Mapping[QualifiedName, Plan]
) -> dict[QualifiedName, type[TableModel]]:
    """A model for each plan ``wanted``, registered with Django; ``plans`` are all there are. No query.

    Relations whose model is registered already must be unloaded first.
    """
    return {name: _model(each, plans) for name, each in wanted.items()}


def unload(built: Iterable[type[TableModel]]) -> None:
    """Forget model classes: the app registry, their home module, and the caches that mention them."""
    home = sys.modules[HOME]
    for model in built:
        apps.all_models[APP_LABEL].pop(model._meta.model_name or "", None)
        if getattr(home, model.__name__, None) is model:
            delattr(home, model.__name__)
    apps.clear_cache()


@dataclass(frozen=True)
class Plan:
    """What one class will be, before there is any class: enough to compare two schemas by."""

    relation: Relation
    class_name: str
    schema_shown: bool
    links: Mapping[str, ForeignKey] = field(default_factory=dict)  # by the one column they are made of
    wide_links: tuple[ForeignKey, ...] = ()
    referenced: frozenset[tuple[str, ...]] = frozenset()  # columns that others' foreign keys point at

    @cached_property
    def fields(self) -> dict[str, str]:
        """The name of each column's field."""
        return field_names(self.relation.columns, foreign=self.links, reserved=RESERVED)

    @cached_property
    def attributes(self) -> dict[str, str]:
        """The name of the attribute that holds each column's value: ``owner_id`` for the field ``owner``."""
        return {c: name + "_id" if c in self.links else name for c, name in self.fields.items()}

    @cached_property
    def key(self) -> tuple[str, ...]:
        """The columns of the key; none for what has no key of its own."""
        return self.relation.key

    @property
    def addressed(self) -> bool:
        """Whether rows without a key can be told apart by where they lie."""
        return not self.key and self.relation.kind in (Kind.TABLE, Kind.PARTITIONED, Kind.MATERIALIZED_VIEW)


def plan(schema: Schema) -> dict[QualifiedName, Plan]:
    """What to build for a schema: each relation of the exposed schemas that has columns."""
    served = {name: r for name, r in schema.relations.items() if name.schema in schema.exposed and r.columns}
    ordered = sorted(served, key=lambda name: (schema.exposed.index(name.schema), name.name))
    names = class_names(ordered)
    keys = [(key.foreign, key.foreign_columns) for each in served.values() for key in each.foreign_keys]
    return {name: _plan(served[name], names, name.schema != schema.exposed[0], keys) for name in ordered}


def components(plans: Mapping[QualifiedName, Plan]) -> list[set[QualifiedName]]:
    """The relations in groups that foreign keys tie together: their classes refer to each other."""
    groups: dict[QualifiedName, set[QualifiedName]] = {name: {name} for name in plans}
    for name, each in plans.items():
        for key in (*each.links.values(), *each.wide_links):
            joined = groups[name] | groups[key.foreign]
            groups |= dict.fromkeys(joined, joined)
    return list({id(group): group for group in groups.values()}.values())


def _plan(
    relation: Relation,
    names: Mapping[QualifiedName, str],
    schema_shown: bool,
    keys: Iterable[tuple[QualifiedName, tuple[str, ...]]],
) -> Plan:
    reachable = [key for key in relation.foreign_keys if key.foreign in names]
    links: dict[str, ForeignKey] = {}
    for key in reachable:
        if len(key.columns) == 1 and not relation.columns[key.columns[0]].generated:
            links.setdefault(key.columns[0], key)
    return Plan(
        relation=replace(relation, oid=0),  # a restored dump is the same table
        class_name=names[relation.qualified],
        schema_shown=schema_shown,
        links=links,
        wide_links=tuple(key for key in reachable if len(key.columns) > 1),
        referenced=frozenset(columns for name, columns in keys if name == relation.qualified),
    )


def _model(plan: Plan, plans: Mapping[QualifiedName, Plan]) -> type[TableModel]:
    relation = plan.relation
    members: dict[str, Any] = {
        "__module__": HOME,
        "__doc__": relation.description or f"Rows of {relation.qualified}.",
        "__relation__": relation,
        "__columns__": dict(plan.attributes),
        "Meta": _meta(plan),
        **_key_members(plan),
        **{plan.fields[name]: _field(plan, name, plans) for name in relation.columns},
        **_wide_members(plan, plans),
    }
    model = type(plan.class_name, (TableModel,), members)
    setattr(sys.modules[HOME], plan.class_name, model)
    return model


def _meta(plan: Plan) -> type:
    relation = plan.relation
    shown = str(relation.qualified) if plan.schema_shown else relation.name
    wide = {columns for columns in {*relation.unique_keys, *plan.referenced} if len(columns) > 1}
    unique = {tuple(plan.fields[c] for c in columns) for columns in wide if set(columns) != set(plan.key)}
    return type(
        "Meta",
        (),
        {
            "app_label": APP_LABEL,
            "managed": False,
            "db_table": relation.qualified.sql.replace("%", "%%"),
            "verbose_name": shown,
            "verbose_name_plural": shown,
            "unique_together": tuple(sorted(unique)),
        },
    )


def _key_members(plan: Plan) -> dict[str, AnyField]:
    if len(plan.key) > 1:
        return {"pk": RowKeyField(*(plan.attributes[column] for column in plan.key))}
    if plan.addressed:
        return {
            ROW_ADDRESS: TextCastField(
                pg_type="tid", primary_key=True, editable=False, verbose_name=ROW_ADDRESS
            )
        }
    return {}


def _field(plan: Plan, column: str, plans: Mapping[QualifiedName, Plan]) -> AnyField:
    relation = plan.relation
    # A view without a key lends the name to its first column; nothing but the ORM's wish for one hangs on it.
    nominal = not plan.key and not plan.addressed and column == next(iter(relation.columns))
    whole_key = plan.key == (column,) or nominal
    options: dict[str, Any] = {"primary_key": True} if whole_key else {}
    if not whole_key and {(column,)} & {*relation.unique_keys, *plan.referenced}:
        options["unique"] = True
    if column in plan.links:
        return _link(plan, column, plans, options)
    auto = whole_key and is_auto(relation.columns[column])
    return column_field(relation.columns[column], key=column in plan.key or nominal, auto=auto, **options)


def _link(plan: Plan, column: str, plans: Mapping[QualifiedName, Plan], options: dict[str, Any]) -> AnyField:
    key, target = plan.links[column], plans[plan.links[column].foreign]
    one = options.pop("unique", False) or options.get("primary_key", False)
    own = column_field(plan.relation.columns[column], key=column in plan.key)
    kept = {"db_default": own.db_default} if own.has_db_default() else {}
    related: type[Any] = models.OneToOneField if one else models.ForeignKey
    return related(  # type: ignore[no-any-return]
        f"{APP_LABEL}.{target.class_name}",
        to_field=target.fields[key.foreign_columns[0]],
        db_constraint=False,
        db_column=db_column(column),
        verbose_name=column,
        help_text=own.help_text,
        null=own.null,
        blank=own.null or own.has_db_default(),
        **_relation_options(plan, key, plans),
        **options,
        **kept,
    )


def _wide_members(plan: Plan, plans: Mapping[QualifiedName, Plan]) -> dict[str, AnyField]:
    """Foreign keys of several columns: read-only relations beside the columns' own fields."""
    taken = {*RESERVED, *plan.fields.values(), *plan.attributes.values()}
    members: dict[str, AnyField] = {}
    for key in plan.wide_links:
        target = plans[key.foreign]
        columns = [*key.columns, key.foreign.name]
        name = list(field_names(columns, reserved=taken - set(key.columns)).values())[-1]
        while name in taken:
            name = field_name(f"{name}_{key.name}")
        taken.add(name)
        members[name] = models.ForeignObject(
            f"{APP_LABEL}.{target.class_name}",
            from_fields=[plan.attributes[column] for column in key.columns],
            to_fields=[target.attributes[column] for column in key.foreign_columns],
            editable=False,
            verbose_name=key.name,
            null=any(plan.relation.columns[column].nullable for column in key.columns),
            **_relation_options(plan, key, plans),
        )
    return members


def _relation_options(plan: Plan, key: ForeignKey, plans: Mapping[QualifiedName, Plan]) -> dict[str, Any]:
    accessor, query = _reverse_names(plan, key, plans[key.foreign])
    return {"on_delete": _on_delete(plan, key), "related_name": accessor, "related_query_name": query}


def _on_delete(plan: Plan, key: ForeignKey) -> Any:
    """The constraint's action as Django's, which shows what stands in the way; else PostgreSQL decides."""
    nullable = all(plan.relation.columns[column].nullable for column in key.columns)
    if key.on_delete == "n" and (not nullable or len(key.columns) > 1):
        return models.DO_NOTHING
    return ON_DELETE.get(key.on_delete, models.DO_NOTHING)


def _reverse_names(plan: Plan, key: ForeignKey, target: Plan) -> tuple[str, str]:
    """The accessor and the query name on the target: Django's defaults where they are free."""
    name = field_name(plan.class_name.lower())
    rivals = Counter(each.foreign for each in plan.relation.foreign_keys)
    if rivals[key.foreign] > 1:
        name = field_name(f"{name}_{'_'.join(key.columns)}")
    taken = {*RESERVED, *target.fields.values(), *target.attributes.values()}
    taken |= {field_name(each.foreign.name) for each in target.wide_links}
    while name in taken or name + "_set" in taken:
        name += "_of"
    return name + "_set", name
