"""Names to columns: what a field of a request is in this schema.

What lives here: types, JSON conversions and domain representations of fields. What does not: the tree of
embeds (``planner``).

Source: https://docs.postgrest.org/en/v16/references/api/domain_representations.html
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from ..errors import SchemaError
from ..names import QualifiedName
from ..schema import Column, Relation, Schema
from .plan import ColumnRef, Combination, Comparison, Condition, OrderBy
from .syntax import Field, Filter, Logic, OrderTerm

_OUTPUT = "json"


@dataclass(frozen=True, slots=True)
class Resolver:
    """Resolves the fields of one relation; those it does not know are left to PostgreSQL."""

    schema: Schema
    relation: QualifiedName

    def of(self, relation: QualifiedName) -> Resolver:
        """The resolver of another relation of the same schema."""
        return Resolver(self.schema, relation)

    def columns(self) -> Iterable[Column]:
        """The columns of the relation, none when it is unknown."""
        relation = self.schema.relations.get(self.relation)
        return relation.columns.values() if relation else ()

    def _column(self, name: str) -> Column | None:
        relation = self.schema.relations.get(self.relation)
        return relation.columns.get(name) if relation else None

    def field(self, field: Field, *, language: str | None = None) -> ColumnRef:
        """The column of a field; ``language`` is given for full-text search."""
        column = self._column(field.name)
        if column is None:
            return ColumnRef(field.name, field.path, to_json=True)
        is_json = column.nominal_type in ("json", "jsonb")
        searchable = None if (column.base_type or column.type) == "tsvector" else language
        return replace(_known(column), path=field.path, to_json=not is_json, to_tsvector=searchable)

    def output(self, field: Field) -> ColumnRef:
        """The column as it is selected."""
        return self._represented(self.field(field), _OUTPUT)

    def output_column(self, column: Column) -> ColumnRef:
        """A known column as it is selected."""
        return self._represented(_known(column), _OUTPUT)

    def has_output_representation(self) -> bool:
        """Whether any column is selected through a domain representation."""
        return any((c.nominal_type, _OUTPUT) in self.schema.representations for c in self.columns())

    def _represented(self, ref: ColumnRef, target: str) -> ColumnRef:
        function = self.schema.representations.get((ref.type, target))
        return replace(ref, transform=function) if function else ref

    def condition(self, tree: Filter | Logic) -> Condition:
        """A filter, or a tree of them, on this relation."""
        if isinstance(tree, Logic):
            return Combination(tree.operator, tuple(map(self.condition, tree.children)), tree.negated)
        language = tree.operation.language or "" if tree.operation.operator.endswith("fts") else None
        ref = self.field(tree.field, language=language)
        function = self.schema.representations.get(("text", ref.type))
        return Comparison(replace(ref, transform=function) if function else ref, tree.operation, tree.negated)

    def order(self, term: OrderTerm) -> OrderBy:
        """A term of ``order``."""
        if term.relation is not None:
            ref = ColumnRef(term.field.name, term.field.path)
        else:
            ref = self.field(term.field)
        return OrderBy(ref, term.descending, term.nulls_first, term.relation)

    def written(self, relation: Relation, name: str) -> ColumnRef:
        """A column that is written. Raises SchemaError PGRST204 when there is none of that name."""
        column = relation.columns.get(name)
        if column is None:
            message = f"Could not find the '{name}' column of '{relation.name}' in the schema cache"
            raise SchemaError(400, "PGRST204", message)
        ref = _known(column)
        function = self.schema.representations.get(("json", ref.type))
        return replace(ref, type="json", transform=function) if function else ref


def _known(column: Column) -> ColumnRef:
    return ColumnRef(column.name, type=column.nominal_type, default=column.default)
