"""Which Django field a column gets.

What lives here: the map from PostgreSQL's types to fields, and the options every field of a column takes.
What does not: the field classes (``tables.fieldtypes``), foreign keys and keys (``tables.build``).
"""

from __future__ import annotations

import re
from typing import Any

from django.db import models
from django.db.models.expressions import RawSQL, Value
from django.utils.html import escape

from ..core.names import quote_ident
from ..core.schema import Column
from . import ranges
from .arrays import ArrayField
from .fieldtypes import (
    AnyField,
    DateField,
    GeneratedColumn,
    JsonTextField,
    NumericField,
    PaddedCharField,
    PlainCharField,
    PlainTextField,
    RealField,
    TextCastField,
    TimeField,
    TimestampField,
    TimestamptzField,
)

# By ``format_type`` without a modifier; domains are looked up by the type they stand on.
SIMPLE: dict[str, type[AnyField]] = {
    "smallint": models.SmallIntegerField,
    "integer": models.IntegerField,
    "bigint": models.BigIntegerField,
    "boolean": models.BooleanField,
    "real": RealField,
    "double precision": RealField,
    "numeric": NumericField,
    "text": PlainTextField,
    "character varying": PlainCharField,
    "character": PaddedCharField,
    "uuid": models.UUIDField,
    "date": DateField,
    "time without time zone": TimeField,
    "timestamp without time zone": TimestampField,
    "timestamp with time zone": TimestamptzField,
    "jsonb": models.JSONField,
    "json": JsonTextField,
    "bytea": models.BinaryField,
    "int4range": ranges.IntegerRange,
    "int8range": ranges.BigIntegerRange,
    "numrange": ranges.NumericRange,
    "daterange": ranges.DateRange,
    "tsrange": ranges.TimestampRange,
    "tstzrange": ranges.TimestamptzRange,
}

AUTO: dict[str, type[AnyField]] = {
    "smallint": models.SmallAutoField,
    "integer": models.AutoField,
    "bigint": models.BigAutoField,
}

# Without a default btree operator class: neither = in the way Django needs it, nor ORDER BY.
INCOMPARABLE = frozenset(
    {
        "json",
        "xml",
        "point",
        "line",
        "lseg",
        "box",
        "path",
        "polygon",
        "circle",
        "jsonpath",
        "aclitem",
        "refcursor",
        "xid",
        "cid",
        "pg_node_tree",
        "txid_snapshot",
        "pg_snapshot",
    }
    | {
        f"reg{name}"
        for name in (
            "class",
            "type",
            "proc",
            "procedure",
            "role",
            "namespace",
            "oper",
            "operator",
            "config",
            "dictionary",
            "collation",
        )
    }
)

# Elements whose JSON form is not their text: the array stays PostgreSQL's literal.
OPAQUE_ELEMENTS = frozenset({"json", "jsonb", "bytea", "xml"})


def column_field(column: Column, *, key: bool = False, auto: bool = False, **options: Any) -> AnyField:
    """The field of a column.

    ``key``: part of the row's key, hence not nullable. ``auto``: the whole key, of an integer type, filled
    by PostgreSQL. Further options go to the field as they are.
    """
    options = {**_column_options(column), **options}
    if auto and _base(column) in AUTO:
        return AUTO[_base(column)](**{k: v for k, v in options.items() if k not in ("db_default", "null")})
    if column.generated or (column.identity == "a" and not auto):
        return _generated(column, options)
    if key:
        options |= {"null": False}
    return _typed(column, {**options, **_blank(column, options)})


def db_column(name: str) -> str:
    """A column's name as Django must be given it: quoted where it would not quote right, ``%`` doubled.

    Text that begins and ends with a quote is taken for quoted by Django; ``%`` is the driver's placeholder.
    """
    quoted = quote_ident(name) if '"' in name else name
    return quoted.replace("%", "%%")


def is_auto(column: Column) -> bool:
    """Whether PostgreSQL counts the values up itself: an identity or a serial."""
    counted = bool(column.identity) or (column.default or "").startswith("nextval(")
    return counted and _base(column) in AUTO


def _base(column: Column) -> str:
    return column.base_type or column.type


def _column_options(column: Column) -> dict[str, Any]:
    options: dict[str, Any] = {
        "db_column": db_column(column.name),
        "verbose_name": column.name,
        "null": column.nullable,
    }
    if column.description:
        options["help_text"] = escape(column.description)  # which forms show as it is, markup and all
    if column.default is not None and not column.generated:
        options["db_default"] = RawSQL(column.default, ())  # noqa: S611  the catalogue's own text
    return options


def _blank(column: Column, options: dict[str, Any]) -> dict[str, Any]:
    """Blank where PostgreSQL has something to put there, or where nothing is a text like others."""
    text = _base(column) in ("text", "character varying", "character") and not column.enum
    return {"blank": column.nullable or "db_default" in options or text}


def _generated(column: Column, options: dict[str, Any]) -> AnyField:
    own = {k: v for k, v in options.items() if k not in ("db_default", "null", "blank")}
    output = _typed(column, {"null": True})
    # The expression is PostgreSQL's own and never rendered; db_persist only matters to migrations.
    return GeneratedColumn(expression=Value(None), output_field=output, db_persist=True, **own)


def _typed(column: Column, options: dict[str, Any]) -> AnyField:
    base = _base(column)
    if column.enum and not base.endswith("[]"):
        return _enum(column, options)
    if base.endswith("[]"):
        return _array(column, options)
    if base == "citext" or base.endswith(".citext"):
        return PlainTextField(**options)
    field = SIMPLE.get(base)
    if field is None:
        # PostgreSQL takes a literal beside a row for a row of unknown type, and refuses it.
        comparable = _comparable(base) and column.type_kind != "c"
        return TextCastField(pg_type=_cast(column), comparable=comparable, **options)
    return field(**options, **_modifier(column, field))


def _cast(column: Column) -> str:
    """What parameters are cast to: ``bit`` alone is ``bit(1)``, and ``bit(4)`` would cut without a word."""
    return "bit varying" if column.type == "bit" else column.type


def _enum(column: Column, options: dict[str, Any]) -> AnyField:
    choices = [(label, label) for label in column.enum]
    return TextCastField(pg_type=column.type, choices=choices, **options)


def _array(column: Column, options: dict[str, Any]) -> AnyField:
    element = _base(column).removesuffix("[]")
    if element in OPAQUE_ELEMENTS or (column.category == "A" and _is_structured(column, element)):
        return TextCastField(pg_type=column.type, comparable=_comparable(element), **options)
    simple = SIMPLE.get(element)
    base = simple() if simple else TextCastField(pg_type=element, comparable=_comparable(element))
    return ArrayField(base, array_type=column.type, **options)


def _is_structured(column: Column, element: str) -> bool:
    """Whether elements may be rows: any type of the user's own that is no enum."""
    return "." in element and not column.enum


def _comparable(base: str) -> bool:
    return base not in INCOMPARABLE and not base.endswith(".xml")


def _modifier(column: Column, field: type[AnyField]) -> dict[str, Any]:
    """Length, or precision and scale, out of ``character varying(20)`` and ``numeric(10,2)``."""
    if issubclass(field, models.CharField):
        return {"max_length": column.max_length}
    found = re.fullmatch(r"numeric\((\d+),(-?\d+)\)", column.nominal_type)
    if not issubclass(field, NumericField) or found is None:
        return {}
    digits, places = int(found[1]), int(found[2])
    if not 0 <= places <= digits:  # PostgreSQL 15 has scales beyond Django's idea of them
        return {}
    return {"max_digits": digits, "decimal_places": places}
