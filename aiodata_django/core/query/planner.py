"""Planning: a request and a schema make a plan, or an error that says why not.

What lives here: the steps, one function a kind of request. What does not: the tree (``readtree``), routines
(``routines``), media types (``negotiate``).
"""

from __future__ import annotations

from dataclasses import replace

from ..errors import RequestError, SchemaError
from ..names import QualifiedName
from ..schema import Relation, Schema
from .config import QueryConfig
from .hints import nearest
from .media import MediaType
from .negotiate import NOTHING, negotiate, negotiate_inspection
from .plan import Condition, Delete, Insert, Mutation, Plan, ReadNode, Update
from .preferences import refuse_long_timezone
from .readtree import read_tree, walk
from .request import Action, ApiRequest, Dialect
from .resolve import Resolver
from .returning import needed_columns
from .routines import find_routine, plan_call, refuse_limit_of_single
from .syntax import EmbedPath, Field, Filter, Operation

_NAMES_SEARCHED = 500
"""So many names, and a near one is not looked for, as PostgREST does not."""


def plan(request: ApiRequest, schema: Schema, config: QueryConfig) -> Plan:
    """What the request means in this schema.

    Raises RequestError for requests that cannot be served, SchemaError for what the schema does not have.
    """
    action = request.action
    if action is Action.INSPECT:
        return Plan(request, negotiate_inspection(request.accept), NOTHING)
    if action is Action.SCHEMA_INFO:
        return Plan(request, MediaType(""), NOTHING)
    if action.calls or action is Action.ROUTINE_INFO:
        return _plan_call(request, schema, config)
    relation = find_relation(schema, request.schema, request.target)
    request = with_key_filters(request, relation)
    if action is Action.RELATION_INFO:
        return Plan(request, MediaType(""), NOTHING, relation=relation)
    if action is Action.READ:
        return _plan_read(request, relation, schema, config)
    return _plan_mutation(request, relation, schema, config)


def find_relation(schema: Schema, exposed: str, name: str) -> Relation:
    """The relation of a request. Raises SchemaError PGRST205 (404) with a near name."""
    relation = schema.relation(exposed, name)
    if relation is not None:
        return relation
    names = [known.name for known in schema.relations if known.schema == exposed]
    near = nearest(name, names) if len(names) < _NAMES_SEARCHED else None
    raise SchemaError(
        404,
        "PGRST205",
        f"Could not find the table '{exposed}.{name}' in the schema cache",
        hint=f"Perhaps you meant the table '{exposed}.{near}'" if near else None,
    )


def with_key_filters(request: ApiRequest, relation: Relation) -> ApiRequest:
    """The request with its key segments as filters, the n-th on the n-th key column.

    Raises RequestError AIOD101 for more segments than the key has columns: what they would filter is not
    there, and leaving them out would read, or delete, more than was meant.
    """
    if not request.keys:
        return request
    if len(request.keys) > len(relation.key):
        columns = ", ".join(relation.key)
        has = f"has the key columns {columns}" if relation.key else "has no primary key"
        raise RequestError(
            400,
            "AIOD101",
            f"Too many key segments for '{relation.name}'",
            details=f"The path has {len(request.keys)} key segments, but '{relation.name}' {has}.",
            hint="Use filters in the query string for other columns.",
        )
    filters = tuple(
        (EmbedPath(), Filter(Field(column), Operation("eq", slot)))
        for column, slot in zip(relation.key, request.keys, strict=False)
    )
    names = request.filter_names | frozenset(relation.key[: len(request.keys)])
    return replace(request, filters=filters + request.filters, filter_names=names)


def _plan_read(request: ApiRequest, relation: Relation, schema: Schema, config: QueryConfig) -> Plan:
    tree = read_tree(request, schema, config, relation.qualified)
    aggregation, media = negotiate(request, schema, config, relation.qualified, tree)
    _refuse_preferences(request, schema)
    return Plan(request, media, aggregation, tree, relation=relation, legacy_names=_legacy_names(tree))


def _plan_mutation(request: ApiRequest, relation: Relation, schema: Schema, config: QueryConfig) -> Plan:
    tree = read_tree(request, schema, config, relation.qualified)
    mutation = _mutation(request, relation, schema, tree)
    _refuse_keyless(request, config)
    _refuse_preferences(request, schema)
    aggregation, media = negotiate(request, schema, config, relation.qualified, tree)
    return Plan(
        request, media, aggregation, tree, mutation, relation=relation, legacy_names=_legacy_names(tree)
    )


def _plan_call(request: ApiRequest, schema: Schema, config: QueryConfig) -> Plan:
    routine = find_routine(request, schema)
    name = routine.returns.type.name if routine.returns.is_composite else routine.name
    relation = QualifiedName(routine.schema, name)
    tree = read_tree(request, schema, config, relation)
    # OPTIONS, too, is refused what a call would be refused.
    aggregation, media = negotiate(request, schema, config, relation, tree)
    _refuse_preferences(request, schema)
    refuse_limit_of_single(request, routine)
    call = plan_call(request, routine, tree)
    if request.action is Action.ROUTINE_INFO:
        return Plan(request, MediaType(""), NOTHING, call=call)
    return Plan(request, media, aggregation, tree, call=call, legacy_names=_legacy_names(tree))


def _refuse_preferences(request: ApiRequest, schema: Schema) -> None:
    preferences = request.preferences
    refuse_long_timezone(preferences, schema.version)
    if preferences.strict and preferences.invalid:
        raise RequestError(
            400,
            "PGRST122",
            "Invalid preferences given with handling=strict",
            details=f"Invalid preferences: {', '.join(preferences.invalid)}",
        )


def _refuse_keyless(request: ApiRequest, config: QueryConfig) -> None:
    if config.allow_keyless_writes or request.dialect is not Dialect.QUERY:
        return
    whole_table = not request.filters and not request.logic
    if whole_table and request.action in (Action.UPDATE, Action.DELETE):
        verb = request.action.name
        message = f"{verb} requires a key or a filter"
        hint = "Name the rows by key segments or filters."
        raise RequestError(400, "AIOD102", message, hint=hint)


def _legacy_names(tree: ReadNode) -> tuple[tuple[str, str], ...]:
    return tuple((node.name, node.request_alias or "") for node in walk(tree) if node.legacy_name)


def _mutation(request: ApiRequest, relation: Relation, schema: Schema, tree: ReadNode) -> Mutation:
    resolver = Resolver(schema, relation.qualified)
    returning = _returning(request, relation, tree)
    if request.action is Action.DELETE:
        return Delete(relation.qualified, _conditions(request, resolver), returning)
    payload, body = request.payload, request.payload_slot
    assert payload is not None
    assert body is not None
    defaults = request.preferences.missing == "default" or payload.uneven
    if request.action is Action.UPSERT:
        _check_put(request, relation)
        defaults = False
    columns = tuple(resolver.written(relation, name) for name in payload.columns)
    if request.action is Action.UPDATE:
        where = _conditions(request, resolver)
        return Update(relation.qualified, columns, body, payload.is_object, defaults, where, returning)
    return Insert(
        target=relation.qualified,
        columns=columns,
        body=body,
        is_object=payload.is_object,
        apply_defaults=defaults,
        conflict=_conflict(request, relation),
        conditions=_conditions(request, resolver) if request.action is Action.UPSERT else (),
        returning=returning,
        primary_key=relation.primary_key if request.action is Action.CREATE else (),
        merge_duplicates=_merges(request),
    )


def _returning(request: ApiRequest, relation: Relation, tree: ReadNode) -> tuple[str, ...]:
    if not request.representation and request.preferences.representation != "headers-only":
        return ()
    return needed_columns(tree, relation.primary_key)


def _conditions(request: ApiRequest, resolver: Resolver) -> tuple[Condition, ...]:
    filters = [resolver.condition(tree) for path, tree in request.filters if not path]
    logic = [resolver.condition(tree) for _, tree in request.logic]
    return tuple(filters + logic)


def _merges(request: ApiRequest) -> bool:
    return request.action is Action.UPSERT or request.preferences.resolution == "merge-duplicates"


def _conflict(request: ApiRequest, relation: Relation) -> tuple[str, tuple[str, ...]] | None:
    if request.action is Action.UPSERT:
        return "merge-duplicates", relation.primary_key
    if request.preferences.resolution is None:
        return None
    on = relation.primary_key if request.on_conflict is None else request.on_conflict
    return request.preferences.resolution, on


def _check_put(request: ApiRequest, relation: Relation) -> None:
    equalities = all(
        not tree.negated and tree.operation.operator == "eq" and tree.operation.quantifier is None
        for path, tree in request.filters
        if not path
    )
    keys = frozenset(relation.primary_key)
    if request.logic or not keys or request.filter_names != keys or not equalities:
        raise RequestError(
            405,
            "PGRST105",
            "Filters must include all and only primary key columns with 'eq' operators",
        )
