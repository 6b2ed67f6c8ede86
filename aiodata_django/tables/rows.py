"""Rows from the change feed as instances of the built models.

What lives here: JSON values to what the fields of a model hold. What does not: where the values come from
(``feed``), and what becomes of the rows (``relay``).
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, TypeVar

from django.db import connections, models

from .fieldtypes import MomentField, PaddedCharField, TextCastField
from .table import TableModel

Row = TypeVar("Row", bound=TableModel)

_UNTOLD = object()


def row_of(model: type[Row], values: Mapping[str, Any], using: str) -> Row:
    """An instance of ``model`` with ``values``, JSON by column; what is not among them is deferred.

    Columns the model does not know are passed over: the row may be older or newer than the model.
    """
    fields = {field.attname: field for field in model._meta.concrete_fields}
    known = {
        attribute: value
        for column, attribute in model.__columns__.items()
        if column in values and (value := _value(fields[attribute], values[column], using)) is not _UNTOLD
    }
    names = [field.attname for field in model._meta.concrete_fields if field.attname in known]
    row: Row = model.from_db(using, names, [known[name] for name in names])
    return row


def _floats(value: Any) -> Any:
    """A JSON document with the floats Django reads it with."""
    if isinstance(value, dict):
        return {key: _floats(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_floats(each) for each in value]
    return float(value) if isinstance(value, Decimal) else value


def _value(field: Any, value: Any, using: str) -> Any:
    """What reading the column would have given; ``_UNTOLD`` where JSON does not tell it."""
    while field.is_relation:
        field = field.target_field
    field = getattr(field, "output_field", None) or field
    if value is None:
        return None
    if isinstance(field, models.JSONField):
        return _floats(value)
    if isinstance(field, models.BinaryField):
        return bytes.fromhex(value.removeprefix("\\x"))
    if isinstance(field, (MomentField, PaddedCharField)):
        return field.from_db_value(value, None, connections[using])
    if isinstance(field, TextCastField):
        return str(value) if isinstance(value, (str, int, Decimal)) else _UNTOLD
    return field.to_python(value)
