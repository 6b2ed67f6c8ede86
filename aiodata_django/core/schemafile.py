"""The schema as a file, what differs between two schemas, and a fingerprint of one.

What lives here: the text form (JSON, an entry a line so that version control shows what changed), its exact
inverse, and the comparison. What does not: reading or writing files, and deciding when to.
"""

from __future__ import annotations

import hashlib
import json
import types
from collections.abc import Callable, Container, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from functools import cache, partial
from itertools import chain
from typing import Any, NamedTuple, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from .names import QualifiedName
from .schema import (
    AnyRelationship,
    ComputedRelationship,
    MediaHandler,
    Relation,
    Relationship,
    Routine,
    Schema,
)

FORMAT = 1
_WIDTH = 240  # a column with all it has on one line

T = TypeVar("T")


class SchemaFileError(ValueError):
    """The text is no schema file of this version; the message says what to do."""


# Text form


def dump(schema: Schema) -> str:
    """The schema as text; ``load(dump(schema)) == schema``."""
    return _layout(_document(schema)) + "\n"


def load(text: str) -> Schema:
    """The schema of a text that :func:`dump` wrote. Raises SchemaFileError."""
    try:
        document = json.loads(text)
        if document["format"] != FORMAT:
            raise SchemaFileError(f"schema file of format {document['format']}, not {FORMAT}: sync it again")
        return _schema(document)
    except SchemaFileError:
        raise
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise SchemaFileError(f"not a schema file, sync it again: {error!r}") from error


def _document(schema: Schema) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "version": schema.version,
        "exposed": list(schema.exposed),
        "descriptions": dict(schema.descriptions),
        "relations": [_encode(relation) for relation in schema.relations.values()],
        "relationships": [_encode(each) for them in schema.relationships.values() for each in them],
        "joined_out_of_sight": [list(name) for name, them in schema.relationships.items() if not them],
        "routines": [_encode(each) for them in schema.routines.values() for each in them],
        "representations": [[*types, *function] for types, function in schema.representations.items()],
        "media_handlers": [_encode(handler) for handler in schema.media_handlers],
    }


def _schema(document: Mapping[str, Any]) -> Schema:
    relations = _decode(tuple[Relation, ...], document["relations"])
    return Schema(
        exposed=tuple(document["exposed"]),
        relations={relation.qualified: relation for relation in relations},
        relationships=_group(map(_relationship, document["relationships"]), lambda each: each.table)
        | {QualifiedName(*name): () for name in document.get("joined_out_of_sight", ())},
        routines=_group(_decode(tuple[Routine, ...], document["routines"]), lambda each: each.qualified),
        representations={
            (source, target): QualifiedName(schema, name)
            for source, target, schema, name in document["representations"]
        },
        media_handlers=_decode(tuple[MediaHandler, ...], document["media_handlers"]),
        descriptions=document["descriptions"],
        version=document["version"],
    )


def _relationship(record: Mapping[str, Any]) -> AnyRelationship:
    if "function" in record:
        return _decode(ComputedRelationship, record)
    return _decode(Relationship, record)


def _group(items: Iterable[T], key: Callable[[T], QualifiedName]) -> dict[QualifiedName, tuple[T, ...]]:
    groups: dict[QualifiedName, list[T]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return {name: tuple(group) for name, group in groups.items()}


def _encode(value: Any) -> Any:
    """Records become objects without the fields at their default, columns by name a list of columns."""
    if is_dataclass(value):
        return {
            field.name: _encode(own)
            for field in fields(value)
            if (own := getattr(value, field.name)) != field.default
        }
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return [_encode(each) for each in value.values()]
    if isinstance(value, tuple):
        return [_encode(each) for each in value]
    return value


def _decode(wanted: type[T], value: Any) -> T:
    return cast("T", _decoder(cast("Hashable", wanted))(value))


@cache
def _decoder(wanted: Any) -> Callable[[Any], Any]:
    """What turns a JSON value into one of the type ``wanted``."""
    origin, arguments = get_origin(wanted), get_args(wanted)
    if origin in (Union, types.UnionType):
        return _optional(_decoder(next(each for each in arguments if each is not type(None))))
    if origin is tuple and arguments[-1] is Ellipsis:
        each = _decoder(arguments[0])
        return lambda value: tuple(map(each, value))
    if origin is tuple:
        decoders = [_decoder(each) for each in arguments]
        return lambda value: tuple(d(item) for d, item in zip(decoders, value, strict=True))
    if origin is not None and issubclass(origin, Mapping):
        item = _decoder(arguments[1])
        return lambda value: {record.name: record for record in map(item, value)}
    if is_dataclass(wanted):
        return _record_decoder(wanted)
    if issubclass(wanted, tuple):
        return lambda value: wanted(*value)
    return wanted if issubclass(wanted, Enum) else partial(_checked, wanted)


def _record_decoder(wanted: Any) -> Callable[[Any], Any]:
    hints = get_type_hints(wanted)
    decoders = {field.name: _decoder(hints[field.name]) for field in fields(wanted)}
    return lambda value: wanted(**{name: decoders[name](own) for name, own in value.items()})


def _optional(decoder: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else decoder(value)


def _checked(wanted: type, value: Any) -> Any:
    if type(value) is not wanted:
        raise TypeError(f"{value!r} is not {wanted.__name__}")
    return value


def _layout(value: Any, indent: str = "") -> str:
    """JSON in which what fits a line stands on one."""
    line = json.dumps(value, ensure_ascii=False)
    if len(line) + len(indent) <= _WIDTH or not isinstance(value, list | dict):
        return line
    inner = indent + " "
    if isinstance(value, dict):
        parts = [
            f"{json.dumps(key, ensure_ascii=False)}: {_layout(each, inner)}" for key, each in value.items()
        ]
        return "{\n" + ",\n".join(inner + part for part in parts) + f"\n{indent}}}"
    return "[\n" + ",\n".join(inner + _layout(each, inner) for each in value) + f"\n{indent}]"


# Comparison


class Action(Enum):
    """What happened to a part of the schema."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


class Part(Enum):
    """The kinds of parts that schemas differ in."""

    SCHEMA = "schema"
    RELATION = "relation"
    COLUMN = "column"
    RELATIONSHIP = "relationship"
    ROUTINE = "routine"
    REPRESENTATION = "representation"
    MEDIA_HANDLER = "media handler"


class FieldChange(NamedTuple):
    """A field of a part that changed: its values as the schema file has them."""

    field: str
    old: Any
    new: Any


@dataclass(frozen=True, slots=True)
class SchemaChange:
    """One difference.

    ``name`` is the relation, routine, ... concerned, ``member`` what of it: the column's name, the routine's
    parameter types, the relationship's other end. ``fields`` is empty unless CHANGED; a relation's ``order``
    are the names of its columns, told when the same ones stand otherwise.
    """

    action: Action
    part: Part
    name: QualifiedName
    member: str = ""
    fields: tuple[FieldChange, ...] = ()

    def __str__(self) -> str:
        changed = ", ".join(f"{each.field} {each.old!r} -> {each.new!r}" for each in self.fields)
        about = f"{self.name} {self.member}".rstrip()
        return f"{self.part.value} {about} {self.action.value}{': ' if changed else ''}{changed}"


def diff(old: Schema, new: Schema) -> list[SchemaChange]:
    """What changed from ``old`` to ``new``, removals first; empty when both would be served alike.

    Oids and column numbers do not count, as a restored dump gets new ones; nor do time zones and version.
    """
    before, after = _elements(old), _elements(new)
    removed = [SchemaChange(Action.REMOVED, *key) for key in _missing(before, after)]
    added = [SchemaChange(Action.ADDED, *key) for key in _missing(after, before)]
    changed = [
        SchemaChange(Action.CHANGED, *key, fields=changes)
        for key in before
        if key in after and (changes := _field_changes(before[key], after[key]))
    ]
    return removed + added + changed


def fingerprint(schema: Schema) -> str:
    """64 hexadecimal digits, the same for two schemas exactly when :func:`diff` finds nothing in them."""
    elements = _elements(schema).items()
    lines = sorted(json.dumps([key.part.value, key.name, key.member, about]) for key, about in elements)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


class _Element(NamedTuple):
    """What identifies a part of a schema."""

    part: Part
    name: QualifiedName
    member: str = ""


_Record = Mapping[str, Any]


def _elements(schema: Schema) -> dict[_Element, _Record]:
    """All that counts of a schema: its parts, and what may change about each."""
    elements: dict[_Element, _Record] = {}
    for position, name in enumerate(schema.exposed):
        about: _Record = {"position": position, "description": schema.descriptions.get(name)}
        elements[_Element(Part.SCHEMA, QualifiedName("", name))] = about
    for relation in schema.relations.values():
        elements.update(_relation_elements(relation))
    for relationship in chain.from_iterable(schema.relationships.values()):
        member, about = _relationship_element(relationship)
        elements[_Element(Part.RELATIONSHIP, relationship.table, member)] = about
    for routine in chain.from_iterable(schema.routines.values()):
        member = f"({', '.join(parameter.nominal_type for parameter in routine.parameters)})"
        elements[_Element(Part.ROUTINE, routine.qualified, member)] = _fields(
            routine, "schema", "name", "oid"
        )
    for (source, target), function in schema.representations.items():
        about = {"function": list(function)}
        elements[_Element(Part.REPRESENTATION, QualifiedName("", source), f"to {target}")] = about
    for handler in schema.media_handlers:
        name_ = handler.function or handler.routine or QualifiedName("", "")
        member = f"{handler.media_type} for {handler.target or 'any relation'}"
        elements[_Element(Part.MEDIA_HANDLER, name_, member)] = _fields(handler)
    return elements


def _relation_elements(relation: Relation) -> Iterator[tuple[_Element, _Record]]:
    about = _fields(relation, "schema", "name", "oid", "columns")
    yield _Element(Part.RELATION, relation.qualified), {**about, "order": list(relation.columns)}
    for column in relation.columns.values():
        about = _fields(column, "name", "position")
        yield _Element(Part.COLUMN, relation.qualified, column.name), about


def _relationship_element(relationship: AnyRelationship) -> tuple[str, _Record]:
    if isinstance(relationship, ComputedRelationship):
        return f"by {relationship.function}", _fields(relationship, "table", "function")
    key = json.dumps(_encode(relationship.junction or relationship.columns), ensure_ascii=False)
    member = f"{relationship.cardinality.value} {relationship.foreign} by {relationship.constraint} {key}"
    return member, _fields(
        relationship, "table", "foreign", "cardinality", "constraint", "columns", "junction"
    )


def _fields(record: Any, *but: str) -> _Record:
    return {
        field.name: _encode(getattr(record, field.name)) for field in fields(record) if field.name not in but
    }


def _missing(these: Iterable[_Element], those: Container[_Element]) -> Iterator[_Element]:
    """What only ``these`` have; columns go without saying where their relation does."""
    for element in these:
        is_column = element.part is Part.COLUMN
        if element not in those and (not is_column or _Element(Part.RELATION, element.name) in those):
            yield element


def _field_changes(old: _Record, new: _Record) -> tuple[FieldChange, ...]:
    return tuple(
        FieldChange(name, old[name], new[name])
        for name in old
        if old[name] != new[name] and not (name == "order" and set(old[name]) != set(new[name]))
    )
