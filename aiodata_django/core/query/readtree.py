"""The tree of relations a request reads: its passes, in the order in which their errors are told.

What lives here: building the tree, hanging filters, orders and ranges on its nodes, finding relationships.
What does not: aggregates and spreads (``spreads``), and the choice of media type (``negotiate``).

Source: https://docs.postgrest.org/en/v16/references/api/resource_embedding.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from ..errors import RequestError
from ..names import QualifiedName
from ..schema import Relationship, Schema
from .config import QueryConfig
from .embedding import find_relationship, is_to_one, join_conditions
from .plan import (
    SOURCE,
    Combination,
    Comparison,
    Condition,
    NullEmbed,
    OrderBy,
    ReadNode,
    SelectTerm,
    ToManySpread,
)
from .request import ApiRequest, PlannedRange
from .resolve import Resolver
from .spreads import add_embeds, hoist_aggregates, order_to_many_spreads, refuse_aggregates
from .syntax import EmbedPath, Filter, JsonStep, Logic, OrderTerm, SelectItem, SelectRelation

Change = Callable[[ReadNode], None]


def read_tree(request: ApiRequest, schema: Schema, config: QueryConfig, relation: QualifiedName) -> ReadNode:
    """The tree of a request that starts at ``relation``.

    Raises RequestError and SchemaError for embeds that are not there, ambiguous, or misused.
    """
    resolver = Resolver(schema, relation)
    root = _node(resolver, relation, request.select)
    _hang(root, request, resolver, config)
    _relate(root, None, request, schema)
    _expand_stars(root, resolver, spread_above=False)
    for node in walk(root):
        node.select = [_aliased(term, bool(node.spread)) for term in node.select]
    for node in walk(root):
        node.order = [_related_order(node, term) for term in node.order]
    for node in walk(root):
        node.where = [_null_embeds(node, condition) for condition in node.where]
    add_embeds(root)
    refuse_aggregates(root, config.aggregates_enabled)
    hoist_aggregates(root)
    order_to_many_spreads(root)
    if not request.action.mutates:
        for node in walk(root):
            node.max_rows = config.max_rows
    return root


def walk(node: ReadNode) -> Iterator[ReadNode]:
    """The node and all below it, parents first."""
    yield node
    for child in node.children:
        yield from walk(child)


# ---------------------------------------------------------------- building


def _node(resolver: Resolver, source: QualifiedName, items: Sequence[SelectItem], depth: int = 0) -> ReadNode:
    node = ReadNode(source, source.name, depth)
    own = resolver.of(source)
    for item in items:
        if isinstance(item, SelectRelation):
            node.children.append(_child(resolver, source.schema, item, depth + 1))
        else:
            node.select.append(
                SelectTerm(own.output(item.field), item.aggregate, item.aggregate_cast, item.cast, item.alias)
            )
    return node


def _child(resolver: Resolver, schema: str, item: SelectRelation, depth: int) -> ReadNode:
    child = _node(resolver, QualifiedName(schema, item.relation), item.items, depth)
    child.request_alias, child.hint, child.join = item.alias, item.hint, item.join
    child.spread = item.spread
    return child


# ---------------------------------------------------------------- filters, orders, ranges


def _hang(root: ReadNode, request: ApiRequest, resolver: Resolver, config: QueryConfig) -> None:
    """Hangs everything on the node it names. From last to first, as each step puts its node to the front."""
    own_filters = not request.action.mutates  # those of a write choose the rows to write
    changes: list[tuple[EmbedPath, Change]] = []
    changes += [(p, _condition(resolver, tree)) for p, tree in request.logic if p or own_filters]
    changes += [(path, _range(rows)) for path, rows in request.ranges]
    changes += [(path, _order(resolver, terms)) for path, terms in request.orders]
    changes += [(p, _condition(resolver, tree)) for p, tree in request.filters if p or own_filters]
    for path, change in reversed(changes):
        _at(root, path, config.legacy_target_names, change)


def _condition(resolver: Resolver, tree: Filter | Logic) -> Change:
    return lambda node: node.where.insert(0, resolver.of(node.source).condition(tree))


def _order(resolver: Resolver, terms: Sequence[OrderTerm]) -> Change:
    # Not that of the node: an embed's order is resolved as if its columns were the root's, as PostgREST does.
    return lambda node: setattr(node, "order", [resolver.order(term) for term in terms])


def _range(rows: PlannedRange) -> Change:
    return lambda node: setattr(node, "range", rows)


def _at(node: ReadNode, path: EmbedPath, legacy: bool, change: Change) -> None:
    if not path:
        change(node)
        return
    target = path[0]
    child = next((c for c in node.children if _is_called(c, target, legacy)), None)
    if child is None:
        raise _not_embedded(node, target)
    if child.name == target and child.request_alias not in (None, target):
        child.legacy_name = True
    node.children.remove(child)
    node.children.insert(0, child)
    _at(child, path[1:], legacy, change)


def _is_called(node: ReadNode, target: str, legacy: bool) -> bool:
    return target in (node.name, node.request_alias) if legacy else node.called == target


def _not_embedded(node: ReadNode, target: str) -> RequestError:
    message = f"'{target}' is not an embedded resource in this request"
    renamed = next((c for c in node.children if c.name == target and c.request_alias), None)
    if renamed is None:
        hint = f"Verify that '{target}' is included in the 'select' query parameter."
        return RequestError(400, "PGRST108", message, hint=hint)
    return RequestError(
        400,
        "PGRST108",
        message,
        details="Target names are not allowed in filters if they have an alias",
        hint=f"Change '{renamed.name}' to '{renamed.request_alias}' in filters, orders or limits.",
    )


# ---------------------------------------------------------------- relationships


def _relate(node: ReadNode, parent: ReadNode | None, request: ApiRequest, schema: Schema) -> None:
    if parent is None:
        _relate_root(node, request)
    else:
        _relate_child(node, parent, request, schema)
    for child in node.children:
        _relate(child, node, request, schema)


def _relate_root(root: ReadNode, request: ApiRequest) -> None:
    if request.action.mutates or request.action.calls:
        root.alias = root.source.name
        root.source = QualifiedName("", SOURCE)


def _relate_child(node: ReadNode, parent: ReadNode, request: ApiRequest, schema: Schema) -> None:
    # Only the root's alias can be a relation's name, where it stands for rows written or returned.
    origin = parent.alias or parent.source.name if node.depth == 1 else parent.source.name
    relationship = find_relationship(schema, request.schema, origin, node.name, node.hint)
    node.relationship = relationship
    node.source = relationship.foreign
    node.embed_alias = f"{relationship.table.name}_{node.called}_{node.depth}"
    node.parent_alias = parent.alias
    has_junction = isinstance(relationship, Relationship) and relationship.junction is not None
    if not has_junction:
        node.alias = f"{relationship.foreign.name}_{node.depth}"
    node.conditions = join_conditions(relationship, node.alias, parent.alias)
    if node.spread and not is_to_one(relationship):
        node.spread = ToManySpread()


# ---------------------------------------------------------------- stars and aliases


def _expand_stars(node: ReadNode, resolver: Resolver, *, spread_above: bool) -> None:
    """Names the columns of ``*`` where it cannot stay: with aggregates, representations, to-many spreads."""
    grouped = (
        spread_above or any(term.aggregate for term in node.select) or isinstance(node.spread, ToManySpread)
    )
    named = resolver.of(
        QualifiedName(resolver.relation.schema, node.alias or "")
        if node.source == QualifiedName("", SOURCE)
        else node.source
    )
    if _has_star(node) and (grouped or named.has_output_representation()):
        node.select = [out for term in node.select for out in _expanded(term, named, bool(node.spread))]
    for child in node.children:
        _expand_stars(child, resolver, spread_above=grouped)


def _has_star(node: ReadNode) -> bool:
    return any(
        term.column.name == "*"
        and (term.aggregate is None or (bool(node.spread) and term.aggregate == "COUNT"))
        for term in node.select
    )


def _expanded(term: SelectTerm, resolver: Resolver, spread: bool) -> list[SelectTerm]:
    if term.column.name != "*" or term.column.path:
        return [term]
    if term.aggregate is None:
        return [replace(term, column=resolver.output_column(column)) for column in resolver.columns()]
    if spread and term.aggregate == "COUNT":
        return [replace(term, column=replace(term.column, full_row=True))]
    return [term]


def _aliased(term: SelectTerm, spread: bool) -> SelectTerm:
    if term.alias is not None:
        return term
    if term.aggregate is not None:
        return replace(term, alias=term.aggregate.lower()) if spread else term
    if term.column.path:
        return replace(term, alias=_path_name(term.column.name, term.column.path))
    if term.column.transform is not None:
        return replace(term, alias=term.column.name)
    return term


def _path_name(name: str, path: Sequence[JsonStep]) -> str:
    """The last key of a path; an index takes the name of the key before it."""
    keys = [step.operand for step in path if not step.is_index]
    return keys[-1] if keys else name


# ---------------------------------------------------------------- what refers to embeds


def _related_order(node: ReadNode, term: OrderBy) -> OrderBy:
    if term.relation is None:
        return term
    child = next((c for c in node.children if c.called == term.relation), None)
    if child is None:
        raise RequestError(
            400,
            "PGRST108",
            f"'{term.relation}' is not an embedded resource in this request",
            hint=f"Verify that '{term.relation}' is included in the 'select' query parameter.",
        )
    if child.relationship is None or not is_to_one(child.relationship):
        raise RequestError(
            400,
            "PGRST118",
            f"A related order on '{child.called}' is not possible",
            details=f"'{node.source.name}' and '{child.called}' do not form"
            " a many-to-one or one-to-one relationship",
        )
    return replace(term, relation=child.embed_alias)


def _null_embeds(node: ReadNode, condition: Condition) -> Condition:
    if isinstance(condition, Combination):
        children = tuple(_null_embeds(node, child) for child in condition.children)
        return replace(condition, children=children)
    if not isinstance(condition, Comparison) or condition.column.path:
        return condition
    child = next((c for c in node.children if c.called == condition.column.name), None)
    if child is None:
        return condition
    if condition.operation.operator == "is" and condition.operation.operand == "null":
        return NullEmbed(child.embed_alias, condition.negated)
    return condition
