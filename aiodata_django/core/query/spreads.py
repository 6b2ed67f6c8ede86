"""Embeds as selected by their parents: JSON, or spread among the parent's own fields.

What lives here: what a parent selects of its embeds, aggregates that move up through to-one spreads, and the
order of to-many spreads.

Sources: https://docs.postgrest.org/en/v16/references/api/resource_embedding.html#spread-embedded-resource,
https://docs.postgrest.org/en/v16/references/api/aggregate_functions.html
"""

from __future__ import annotations

from dataclasses import replace

from ..errors import RequestError
from .embedding import is_to_one
from .plan import (
    ColumnRef,
    Embed,
    JsonEmbed,
    OrderBy,
    ReadNode,
    SelectTerm,
    SpreadEmbed,
    SpreadField,
    ToManySpread,
)

# (alias of the embed, name of the field) -> what is applied to it above
Hoisted = dict[tuple[str, str], tuple[str, str | None, str | None]]


def add_embeds(node: ReadNode) -> None:
    """Fills ``embeds`` of every node, from the leaves up."""
    for child in node.children:
        add_embeds(child)
    node.embeds = [_embed(child) for child in node.children]


def _embed(child: ReadNode) -> Embed:
    if child.spread:
        return SpreadEmbed(tuple(_spread_fields(child)), child.embed_alias)
    assert child.relationship is not None
    return JsonEmbed(child.called, child.embed_alias, is_to_one(child.relationship), _selects_nothing(child))


def _selects_nothing(node: ReadNode) -> bool:
    return not node.select and all(_selects_nothing(child) for child in node.children)


def _spread_fields(node: ReadNode) -> list[SpreadField]:
    fields = [SpreadField(term.alias or term.column.name) for term in node.select]
    for embed in node.embeds:
        if isinstance(embed, SpreadEmbed):
            fields += embed.fields
        else:
            fields.append(SpreadField(embed.name))
    return fields


def refuse_aggregates(node: ReadNode, enabled: bool) -> None:
    """Raises RequestError PGRST123 where aggregates are used and not enabled."""
    if not enabled and any(term.aggregate for term in node.select):
        raise RequestError(400, "PGRST123", "Use of aggregate functions is not allowed")
    for child in node.children:
        refuse_aggregates(child, enabled)


def hoist_aggregates(node: ReadNode) -> Hoisted:
    """Moves the aggregates of to-one spreads up to where their rows are grouped.

    An aggregate inside the subquery of one row would do nothing; it is meant for the rows of the parent.
    """
    below: Hoisted = {}
    for child in node.children:
        below |= hoist_aggregates(child)
    passes_on = node.spread is True
    own = _take_aggregates(node) if passes_on else {}
    if passes_on:
        return own | {(node.embed_alias, name): applied for (_, name), applied in below.items()}
    if node.children:
        node.embeds = [_with_aggregates(embed, below) for embed in node.embeds]
    return {}


def _take_aggregates(node: ReadNode) -> Hoisted:
    taken: Hoisted = {}
    for term in node.select:
        if term.aggregate is not None:
            name = term.alias or term.column.name
            taken[node.embed_alias, name] = (term.aggregate, term.aggregate_cast, term.alias)
    node.select = [replace(term, aggregate=None, aggregate_cast=None) for term in node.select]
    return taken


def _with_aggregates(embed: Embed, hoisted: Hoisted) -> Embed:
    if not isinstance(embed, SpreadEmbed):
        return embed
    return replace(embed, fields=tuple(_aggregated(field, embed.alias, hoisted) for field in embed.fields))


def _aggregated(field: SpreadField, alias: str, hoisted: Hoisted) -> SpreadField:
    applied = hoisted.get((alias, field.name))
    return field if applied is None else SpreadField(field.name, *applied)


def order_to_many_spreads(node: ReadNode) -> None:
    """Moves the order of to-many spreads to where their rows are gathered into arrays.

    Raises RequestError PGRST127 for aggregates in them.
    """
    if isinstance(node.spread, ToManySpread):
        if _has_aggregates(node):
            details = "Aggregates are not implemented for one-to-many or many-to-many spreads."
            raise RequestError(400, "PGRST127", "Feature not implemented", details=details)
        extra = [_extra(node, term, index) for index, term in enumerate(node.order, 1)]
        node.spread = ToManySpread(
            tuple(selected for selected, _ in extra), tuple(ordered for _, ordered in extra)
        )
        node.order = []
    for child in node.children:
        order_to_many_spreads(child)


def _has_aggregates(node: ReadNode) -> bool:
    return any(term.aggregate for term in node.select) or any(
        field.aggregate for embed in node.embeds if isinstance(embed, SpreadEmbed) for field in embed.fields
    )


def _extra(node: ReadNode, term: OrderBy, index: int) -> tuple[tuple[str | None, SelectTerm], OrderBy]:
    """The column to select for an order, and the order by its alias; the index keeps aliases apart."""
    alias = f"{node.embed_alias}_{term.column.name}_{index}"
    return (
        (term.relation, SelectTerm(term.column, alias=alias)),
        OrderBy(ColumnRef(alias), term.descending, term.nulls_first),
    )
