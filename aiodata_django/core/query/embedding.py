"""Embedding: which relationship an embed follows.

What lives here: the search by target and hint, and its errors. What does not: how relationships are derived
(``core.relationships``).

Source: https://docs.postgrest.org/en/v16/references/api/resource_embedding.html
"""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import SchemaError
from ..names import QualifiedName
from ..schema import AnyRelationship, Cardinality, ComputedRelationship, Relationship, Schema
from .hints import MINIMUM_FOR_PARAMETERS, nearest, ranked
from .plan import JoinCondition


def is_to_one(relationship: AnyRelationship) -> bool:
    """Whether a row embeds at most one row."""
    if isinstance(relationship, ComputedRelationship):
        return relationship.to_one
    return relationship.cardinality.to_one


def find_relationship(
    schema: Schema, exposed: str, origin: str, target: str, hint: str | None
) -> AnyRelationship:
    """The one relationship from ``origin`` that ``target`` and ``hint`` name.

    Raises SchemaError PGRST200 when there is none, PGRST201 (300) when there are several.
    """
    known = _candidates(schema, exposed, origin)
    found = [relationship for relationship in known if _matches(relationship, target, hint)]
    if len(found) == 1:
        return found[0]
    if found:
        raise _ambiguous(origin, target, found)
    raise _missing(schema, exposed, origin, target, hint)


def _candidates(schema: Schema, exposed: str, origin: str) -> Sequence[AnyRelationship]:
    """Those to relations of the schema, and those its functions compute, wherever they lead."""
    known = schema.relationships.get(QualifiedName(exposed, origin), ())
    return [relationship for relationship in known if _schema_of(relationship) == exposed]


def _schema_of(relationship: AnyRelationship) -> str:
    if isinstance(relationship, ComputedRelationship):
        return relationship.function.schema
    return relationship.foreign.schema


def _matches(relationship: AnyRelationship, target: str, hint: str | None) -> bool:
    if isinstance(relationship, ComputedRelationship):
        return target == relationship.function.name
    if relationship.is_self:
        return _matches_self(relationship, target, hint)
    if hint is not None:
        return target == relationship.foreign.name and _hinted(relationship, hint)
    if target == relationship.foreign.name:
        return True
    return not relationship.foreign_is_view and (
        _constraint(relationship, target) or _column(relationship, target)
    )


def _matches_self(relationship: Relationship, target: str, hint: str | None) -> bool:
    # One foreign key, two directions: the relation's name means the rows that refer to this one, the
    # column's name the row this one refers to.
    to_many = relationship.cardinality is Cardinality.ONE_TO_MANY
    by_name = target == relationship.foreign.name and to_many
    if hint is not None:
        return by_name and _foreign_column(relationship, hint)
    return by_name or (relationship.cardinality is Cardinality.MANY_TO_ONE and _column(relationship, target))


def _hinted(relationship: Relationship, hint: str) -> bool:
    if relationship.junction is not None:
        return hint == relationship.junction.table.name
    return (
        _constraint(relationship, hint) or _column(relationship, hint) or _foreign_column(relationship, hint)
    )


def _constraint(relationship: Relationship, name: str) -> bool:
    return relationship.junction is None and name == relationship.constraint


def _column(relationship: Relationship, name: str) -> bool:
    return len(relationship.columns) == 1 and relationship.columns[0][0] == name


def _foreign_column(relationship: Relationship, name: str) -> bool:
    return len(relationship.columns) == 1 and relationship.columns[0][1] == name


def _missing(schema: Schema, exposed: str, origin: str, target: str, hint: str | None) -> SchemaError:
    by_hint = f" using the hint '{hint}'" if hint is not None else ""
    return SchemaError(
        400,
        "PGRST200",
        f"Could not find a relationship between '{origin}' and '{target}' in the schema cache",
        details=f"Searched for a foreign key relationship between '{origin}' and '{target}'{by_hint}"
        f" in the schema '{exposed}', but no matches were found.",
        hint=_near_names(schema, exposed, origin, target),
    )


def _near_names(schema: Schema, exposed: str, origin: str, target: str) -> str | None:
    if _is_related(schema, exposed, origin):
        children = [relationship.foreign.name for relationship in _candidates(schema, exposed, origin)]
        near = [name for score, name in ranked(target, children, MINIMUM_FOR_PARAMETERS) if score < 1]
        return f"Perhaps you meant '{near[0]}' instead of '{target}'." if near else None
    parents = {name.name for name in schema.relationships if _is_related(schema, exposed, name.name)}
    parent = nearest(origin, parents, MINIMUM_FOR_PARAMETERS)
    return f"Perhaps you meant '{parent}' instead of '{origin}'." if parent else None


def _is_related(schema: Schema, exposed: str, name: str) -> bool:
    """Whether it relates to anything of the schema, be it through a junction nobody sees."""
    related = schema.relationships.get(QualifiedName(exposed, name)) == ()
    return related or bool(_candidates(schema, exposed, name))


def _ambiguous(origin: str, target: str, found: Sequence[AnyRelationship]) -> SchemaError:
    hints = ", ".join(map(_hint_for, found))
    return SchemaError(
        300,
        "PGRST201",
        f"Could not embed because more than one relationship was found for '{origin}' and '{target}'",
        details=[_described(relationship) for relationship in found],
        hint=f"Try changing '{target}' to one of the following: {hints}."
        " Find the desired relationship in the 'details' key.",
    )


def _hint_for(relationship: AnyRelationship) -> str:
    if isinstance(relationship, ComputedRelationship):  # which has no hint: a function has its name alone
        return ""
    junction = relationship.junction
    return f"'{relationship.foreign.name}!{junction.table.name if junction else relationship.constraint}'"


def _described(relationship: AnyRelationship) -> dict[str, str]:
    if isinstance(relationship, ComputedRelationship):
        return {}
    junction = relationship.junction
    if junction is not None:
        near = ", ".join(column for _, column in junction.columns)
        far = ", ".join(column for _, column in junction.foreign_columns)
        way = (
            f"{junction.table.name} using {junction.constraint}({near})"
            f" and {junction.foreign_constraint}({far})"
        )
    else:
        near = ", ".join(column for column, _ in relationship.columns)
        far = ", ".join(column for _, column in relationship.columns)
        way = (
            f"{relationship.constraint} using {relationship.table.name}({near})"
            f" and {relationship.foreign.name}({far})"
        )
    return {
        "cardinality": relationship.cardinality.value,
        "embedding": f"{relationship.table.name} with {relationship.foreign.name}",
        "relationship": way,
    }


def join_conditions(
    relationship: AnyRelationship, alias: str | None, parent_alias: str | None
) -> list[JoinCondition]:
    """How an embed's rows belong to a row of its parent; a computed relationship needs no telling."""
    if isinstance(relationship, ComputedRelationship):
        return []
    parent = QualifiedName("", parent_alias) if parent_alias else relationship.table
    junction = relationship.junction
    if junction is None:
        child = QualifiedName("", alias) if alias else relationship.foreign
        return [JoinCondition(child, far, parent, near) for near, far in relationship.columns]
    across = [
        JoinCondition(junction.table, middle, relationship.foreign, far)
        for far, middle in junction.foreign_columns
    ]
    return across + [JoinCondition(junction.table, middle, parent, near) for near, middle in junction.columns]
