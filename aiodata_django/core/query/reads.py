"""The SELECT of a tree of relations, and the SELECT that counts its rows.

What lives here: joins of embeds as lateral subqueries, grouping, limits. What does not: how rows become a
body (``statements``).
"""

from __future__ import annotations

from collections.abc import Iterator

from ..names import QualifiedName
from ..schema import ComputedRelationship, Relationship
from .expressions import aggregate, alias, condition, field, join_condition, order_by, select_term, where
from .fragment import EMPTY, Sql, concat, ident, join, param, qualified
from .plan import (
    ColumnRef,
    Combination,
    Condition,
    Embed,
    JsonEmbed,
    NullEmbed,
    ReadNode,
    SelectTerm,
    SpreadEmbed,
    SpreadField,
    ToManySpread,
)

_ALL = SelectTerm(ColumnRef("*"))


def select(node: ReadNode) -> Sql:
    """The rows of a node, its embeds joined."""
    table = _reference(node)
    # Without a select list all columns are taken; the aggregation above leaves out what is not wanted.
    terms = [_ALL] if not node.select and not node.children else node.select
    selected = [select_term(table, term) for term in terms]
    if isinstance(node.spread, ToManySpread):
        selected += [_extra(table, relation, term) for relation, term in node.spread.extra]
    for embed in node.embeds:
        selected += _selected_embed(embed)
    return concat(
        "SELECT ",
        join(", ", selected),
        _from(node),
        *(_join(embed, child) for embed, child in zip(node.embeds, node.children, strict=True)),
        where(table, node.where, node.conditions),
        _group_by(table, node),
        _spaced(order_by(table, node.order)),
        limits(node),
    )


def _spaced(sql: Sql) -> Sql:
    return concat(" ", sql) if sql.text else EMPTY


def _reference(node: ReadNode) -> QualifiedName:
    """What the columns of a node are qualified with."""
    relationship = node.relationship
    if isinstance(relationship, ComputedRelationship):
        return QualifiedName("", node.alias or relationship.function.name)
    return QualifiedName("", node.alias) if node.alias else node.source


def _from(node: ReadNode) -> Sql:
    relationship = node.relationship
    if isinstance(relationship, ComputedRelationship):
        # The cast chooses among overloads where the row comes from a CTE and has no type of its own.
        row = ident(node.parent_alias or relationship.table.name)
        source = concat(qualified(relationship.function), "(", row, "::", qualified(relationship.table), ")")
    else:
        source = qualified(node.source)
    through = EMPTY
    if isinstance(relationship, Relationship) and relationship.junction is not None:
        through = concat(", ", qualified(relationship.junction.table))
    return concat(" FROM ", source, alias(node.alias), through)


def _extra(table: QualifiedName, relation: str | None, term: SelectTerm) -> Sql:
    return select_term(QualifiedName("", relation) if relation else table, term)


def _selected_embed(embed: Embed) -> list[Sql]:
    if isinstance(embed, SpreadEmbed):
        return [_spread_field(embed.alias, spread) for spread in embed.fields]
    if embed.empty:
        return []
    name = ident(embed.alias)
    if embed.is_object:
        return [concat("row_to_json(", name, ".*)::jsonb", alias(embed.name))]
    return [concat("COALESCE( ", name, ".", name, ", '[]')", alias(embed.name))]


def _spread_field(embed: str, spread: SpreadField) -> Sql:
    expression = _embedded(embed, spread.name)
    return aggregate(spread.aggregate, spread.aggregate_cast, expression) + alias(spread.alias)


def _embedded(embed: str, name: str) -> Sql:
    return concat(ident(embed), ".", Sql("*") if name == "*" else ident(name))


def _join(embed: Embed, child: ReadNode) -> Sql:
    name = ident(embed.alias)
    inner = child.join == "inner"
    rows = select(child)
    on = Sql("TRUE")
    if _gathers(embed, child):
        rows = concat(
            "SELECT json_agg(", name, ")::jsonb AS ", name, _gathered(embed, child),
            " FROM (", rows, " ) AS ", name,
        )  # fmt: skip
        on = concat(name, " IS NOT NULL") if inner else on
    kind = "INNER" if inner else "LEFT"
    return concat(f" {kind} JOIN LATERAL ( ", rows, " ) AS ", name, " ON ", on)


def _gathers(embed: Embed, child: ReadNode) -> bool:
    if isinstance(embed, JsonEmbed):
        return not embed.is_object
    return isinstance(child.spread, ToManySpread)


def _gathered(embed: Embed, child: ReadNode) -> Sql:
    """The fields of a to-many spread, each an array in the order asked for."""
    if not isinstance(embed, SpreadEmbed) or not isinstance(child.spread, ToManySpread):
        return EMPTY
    order = order_by(QualifiedName("", embed.alias), child.spread.order)
    return concat(
        *(
            concat(
                ", COALESCE(json_agg(", _embedded(embed.alias, spread.name), " ", order, "),'[]')::jsonb",
                alias(spread.alias or spread.name),
            )
            for spread in embed.fields
        )
    )  # fmt: skip


# ---------------------------------------------------------------- grouping and limits


def _group_by(table: QualifiedName, node: ReadNode) -> Sql:
    spreads = [embed for embed in node.embeds if isinstance(embed, SpreadEmbed)]
    grouped = any(term.aggregate for term in node.select) or any(
        spread.aggregate for embed in spreads for spread in embed.fields
    )
    terms = list(_group_terms(table, node)) if grouped else []
    return concat(" GROUP BY ", join(", ", terms)) if terms else EMPTY


def _group_terms(table: QualifiedName, node: ReadNode) -> Iterator[Sql]:
    for term in node.select:
        if term.aggregate is None:
            yield ident(term.alias) if term.alias is not None else field(table, term.column)
    for embed in node.embeds:
        if isinstance(embed, JsonEmbed):
            yield ident(embed.name)
            continue
        for spread in embed.fields:
            if spread.aggregate is None:
                yield concat(ident(embed.alias), ".", ident(spread.alias or spread.name))


def limits(node: ReadNode) -> Sql:
    """LIMIT and OFFSET, or nothing."""
    if node.range is None:
        return Sql(f" LIMIT {node.max_rows} OFFSET 0") if node.max_rows is not None else EMPTY
    limit = Sql("ALL") if node.range.limit is None else param(node.range.limit)
    return concat(" LIMIT ", limit, " OFFSET ", param(node.range.offset))


# ---------------------------------------------------------------- counting


def count(node: ReadNode) -> Sql:
    """One row for each row of the root, whatever the limit; inner joins count by EXISTS."""
    table = _reference(node)
    pieces = [_count_condition(table, node, tree) for tree in node.where]
    pieces += [join_condition(pair) for pair in node.conditions]
    pieces += [concat("EXISTS (", count(child), " )") for child in node.children if child.join == "inner"]
    filtered = concat(" WHERE ", join(" AND ", pieces)) if pieces else EMPTY
    return concat("SELECT 1 ", _from(node), filtered)


def _count_condition(table: QualifiedName, node: ReadNode, tree: Condition) -> Sql:
    if isinstance(tree, Combination):
        children = (_count_condition(table, node, child) for child in tree.children)
        joined = join(f" {tree.operator.upper()} ", children)
        return concat("NOT" if tree.negated else "", " (", joined, ")")
    if isinstance(tree, NullEmbed):
        child = next(child for child in node.children if child.embed_alias == tree.alias)
        return concat("" if tree.negated else "NOT ", "EXISTS (", count(child), ")")
    return condition(table, tree)
