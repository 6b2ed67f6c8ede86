"""Which columns a write or a call returns, so that one can select from it, embed and filter."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..schema import ComputedRelationship
from .plan import Combination, Condition, NullEmbed, ReadNode


def needed_columns(tree: ReadNode, primary_key: Sequence[str]) -> tuple[str, ...]:
    """The columns selected, those joined by, and the key; ``*`` alone when all are wanted.

    Those ordered by are not among them, as in PostgREST: PostgreSQL then says which column is missing.
    """
    names = {term.column.name for term in tree.select}
    if "*" in names:
        return ("*",)
    if any(isinstance(child.relationship, ComputedRelationship) for child in tree.children):
        return ("*",)  # a function of the row may need any column
    return tuple(sorted(names | set(_joined(tree)) | set(primary_key)))


def _joined(tree: ReadNode) -> Iterator[str]:
    for child in tree.children:
        relationship = child.relationship
        if relationship is None or isinstance(relationship, ComputedRelationship):
            continue
        junction = relationship.junction
        pairs = relationship.columns if junction is None else junction.columns
        yield from (near for near, _ in pairs)


def filter_columns(tree: ReadNode) -> tuple[str, ...]:
    """The columns that filters anywhere in the tree name."""
    names = {name for node in _nodes(tree) for condition in node.where for name in _named(condition)}
    return tuple(sorted(names))


def _nodes(node: ReadNode) -> Iterator[ReadNode]:
    yield node
    for child in node.children:
        yield from _nodes(child)


def _named(condition: Condition) -> Iterator[str]:
    if isinstance(condition, Combination):
        for child in condition.children:
            yield from _named(child)
    elif isinstance(condition, NullEmbed):
        yield condition.alias
    else:
        yield condition.column.name
