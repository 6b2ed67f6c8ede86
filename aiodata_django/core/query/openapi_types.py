"""PostgreSQL's types, defaults and comments in the words of OpenAPI 2.0.

What lives here: what is said of one column or one parameter. What does not: paths, operations and the
document they make (``openapi``).

Sources: https://docs.postgrest.org/en/v16/references/api/openapi.html,
https://github.com/OAI/OpenAPI-Specification/blob/main/versions/2.0.md
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import NoReturn

from ..schema import AnyRelationship, Cardinality, Column, Parameter, Relation, Relationship

Json = dict[str, object]

_TYPES: Mapping[str, str | None] = {
    "character varying": "string",
    "character": "string",
    "text": "string",
    "boolean": "boolean",
    "smallint": "integer",
    "integer": "integer",
    "bigint": "integer",
    "numeric": "number",
    "real": "number",
    "double precision": "number",
    "json": None,  # any JSON value: no type at all says so
    "jsonb": None,
}

# These two are formats of JSON Schema too, and CURRENT_DATE is no date to those who validate.
_LITERALS: Mapping[str, re.Pattern[str]] = {
    "date": re.compile(r"\d{4}-\d\d-\d\d"),
    "uuid": re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
}


def swagger_type(name: str) -> str | None:
    """The JSON type for a type as ``format_type`` writes it; None where any value may stand."""
    return _TYPES.get(name, "array" if name.endswith("[]") else "string")


_FORMATS = {"smallint": "int32", "integer": "int32", "bigint": "int64"}  # those OpenAPI has a word for


def swagger_format(name: str) -> str:
    """The format of a type: the type itself, but for integers."""
    return _FORMATS.get(name, name)


def typed(name: str) -> Json:
    """``format``, ``type`` and ``items`` of a type."""
    found: Json = {"format": swagger_format(name)}
    kind = swagger_type(name)
    if kind is not None:
        found["type"] = kind
    if kind == "array":
        element = swagger_type(name.removesuffix("[]"))
        found["items"] = {} if element is None else {"type": element}
    return found


def column_type(column: Column) -> str:
    """The type a column is described with.

    Domains are described as what they stand on; types outside ``pg_catalog`` keep name and modifier, since
    what is below them says little.
    """
    base = column.base_type or column.type
    # Only names outside pg_catalog are qualified, and no name inside it has a dot.
    return column.nominal_type if "." in base else base


def parsed_default(type_name: str, default: str | None) -> object:
    """The default expression as a JSON value, None where it is none.

    Texts lose their quotes and their cast; a function call stays readable as a text. Anything that is not
    JSON then is left out.
    """
    if default is None:
        return None
    text = default
    if swagger_type(type_name) == "string":
        cast = f"::{type_name}"
        bare = default.removesuffix(cast).strip("'") if default.endswith(cast) else default
        literal = _LITERALS.get(type_name)
        if literal is not None and not literal.fullmatch(bare):
            return None
        text = f'"{bare}"'
    try:
        return json.loads(text, parse_constant=_refuse)
    except ValueError:
        return None


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)  # NaN and Infinity are Python's, not JSON's


def column_property(relation: Relation, column: Column, relationships: Iterable[AnyRelationship]) -> Json:
    """The property of a relation's definition that describes a column."""
    name = column_type(column)
    found = typed(name)
    default = parsed_default(name, column.default)
    if default is not None:
        found["default"] = default
    description = column_description(relation, column, relationships)
    if description is not None:
        found["description"] = description
    if column.enum and column.category != "A":
        found["enum"] = list(column.enum)
    if column.max_length is not None:
        found["maxLength"] = column.max_length
    return found


def column_description(
    relation: Relation, column: Column, relationships: Iterable[AnyRelationship]
) -> str | None:
    """The comment of a column, and notes on keys that generators of clients read."""
    notes = ["This is a Primary Key.<pk/>"] if column.name in relation.primary_key else []
    target = _refers_to(relation, column, relationships)
    if target is not None:
        table, foreign = target
        key = f"`{table}.{foreign}`"
        notes.append(f"This is a Foreign Key to {key}.<fk table='{table}' column='{foreign}'/>")
    if not notes:
        return column.description
    comment = "" if column.description is None else f"{column.description}\n\n"
    return comment + "\n".join(["Note:", *notes])


def _refers_to(
    relation: Relation, column: Column, relationships: Iterable[AnyRelationship]
) -> tuple[str, str] | None:
    """What a column alone is the foreign key to: a table, or else a view, of the same schema."""
    ways = [way for way in relationships if _is_foreign_key(way, column.name, relation.schema)]
    ways.sort(key=lambda way: isinstance(way, Relationship) and way.foreign_is_view)
    way = next(iter(ways), None)
    return (way.foreign.name, way.columns[0][1]) if isinstance(way, Relationship) else None


def _is_foreign_key(way: AnyRelationship, column: str, schema: str) -> bool:
    if not isinstance(way, Relationship) or way.foreign.schema != schema or way.is_parent:
        return False
    to_one = way.cardinality in (Cardinality.MANY_TO_ONE, Cardinality.ONE_TO_ONE)
    return to_one and [own for own, _ in way.columns] == [column]


def query_parameter(parameter: Parameter, name: str) -> Json:
    """An argument of a function in the query string; ``name`` is its type. Variadic ones are repeated."""
    found: Json = {"name": parameter.name, "in": "query", "required": parameter.required}
    kind = swagger_type(name)
    if parameter.variadic:
        element = name.removesuffix("[]")
        found["items"] = {"type": swagger_type(element) or "string", "format": swagger_format(element)}
        return found | {"type": kind or "string", "collectionFormat": "multi"}
    # An array is written as PostgreSQL writes it, {1,2}; a parameter must have a type.
    return found | {"format": swagger_format(name), "type": "string" if kind in (None, "array") else kind}


def summary_and_description(comment: str | None) -> Json:
    """The first line of a comment as ``summary``, what follows as ``description``."""
    if comment is None:
        return {}
    summary, _, rest = comment.partition("\n")
    found: Json = {"summary": summary}
    rest = rest.lstrip("\n")
    if rest:
        found["description"] = rest
    return found
