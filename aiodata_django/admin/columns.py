"""What a list and a form of a table show: columns, filters, search, chosen from the columns' types.

What lives here: the choices. What does not: the admin class that takes them (``table_admin``).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from django.contrib.admin import site as default_site
from django.contrib.admin.utils import quote
from django.db import models
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html

from ..core.schema import Column
from ..tables import fieldtypes
from ..tables.build import ROW_ADDRESS
from ..tables.table import TableModel

Shown = str | Callable[[Any], Any]

MOST_COLUMNS = 10
MOST_FILTERS = 6
_TEXT = (fieldtypes.PlainTextField, fieldtypes.PlainCharField)
_DATES = (fieldtypes.DateField, fieldtypes.TimestampField, fieldtypes.TimestamptzField)


def listed(model: type[TableModel]) -> list[Shown]:
    """What a list shows: the key first, then the other columns in their order, up to ten."""
    fields = [f for f in model._meta.concrete_fields if f.name != ROW_ADDRESS]
    keys = [f for f in fields if f in model._meta.pk_fields]
    rest = [f for f in fields if f not in keys]
    return [shown(field) for field in (keys + rest)[: max(MOST_COLUMNS, len(keys))]]


def detailed(model: type[TableModel]) -> list[Shown]:
    """What a page nobody can write on shows: everything."""
    return [shown(field) for field in model._meta.concrete_fields if field.name != ROW_ADDRESS]


def editable(model: type[TableModel]) -> list[str]:
    """What is typed in: everything PostgreSQL does not write itself."""
    return [f.name for f in model._meta.concrete_fields if f.editable and not _is_auto(f)]


def computed(model: type[TableModel]) -> list[Shown]:
    """What a form only shows: generated columns, identities, and bytes."""
    fields = [f for f in model._meta.concrete_fields if f.name != ROW_ADDRESS]
    return [shown(field) for field in fields if not field.editable or _is_auto(field)]


def _is_auto(field: Any) -> bool:
    return isinstance(field, models.AutoField | models.SmallAutoField | models.BigAutoField)


def shown(field: Any) -> Shown:
    """A field's name, or what shows its value where Django's own way fails."""
    output = getattr(field, "output_field", None) or field
    if field.is_relation:
        return _described(field, lambda row: _link(field, getattr(row, field.attname)))
    if isinstance(output, (fieldtypes.NumericField, fieldtypes.RealField)):
        return _described(field, lambda row: _number(getattr(row, field.attname)))
    if isinstance(output, models.BinaryField):
        return _described(field, lambda row: _size(getattr(row, field.attname)))
    return str(field.name)


def _described(field: Any, show: Callable[[Any], Any]) -> Callable[[Any], Any]:
    show.__name__ = field.name
    show.short_description = field.verbose_name  # type: ignore[attr-defined]
    # By the attribute, not the relation: sorting by a foreign key must not join.
    show.admin_order_field = field.attname  # type: ignore[attr-defined]
    return show


def _link(field: Any, value: Any) -> Any:
    """A foreign key as a link to its row; no query, so rows out of sight are no obstacle."""
    target = field.remote_field.model
    if value is None or field.target_field != target._meta.pk:
        return value
    try:
        url = reverse(f"{default_site.name}:aiodata_{target._meta.model_name}_change", args=(quote(value),))
    except NoReverseMatch:
        return value
    return format_html('<a href="{}">{}</a>', url, value)


def _number(value: Any) -> Any:
    finite = math.isfinite(value) if isinstance(value, (Decimal, float)) else True
    return value if finite else str(value)


def _size(value: Any) -> Any:
    return None if value is None else f"{len(value)} B"


def filters(model: type[TableModel]) -> list[str]:
    """What a list is filtered by: flags, enums, dates. Other columns would run SELECT DISTINCT first."""
    fields = [f for f in model._meta.concrete_fields if not f.is_relation and f.name != ROW_ADDRESS]
    cheap = [f for f in fields if f.choices or isinstance(f, (models.BooleanField, *_DATES))]
    return [f.name for f in cheap[:MOST_FILTERS]]


def searched(model: type[TableModel]) -> list[str]:
    """What a search looks into: texts, or the key where there are none."""
    fields = [f for f in model._meta.concrete_fields if f.name != ROW_ADDRESS]
    texts = [f.name for f in fields if isinstance(f, _TEXT)]
    keys = [f.attname for f in model._meta.pk_fields if getattr(f, "comparable", True) and not f.is_relation]
    return texts or [name for name in keys if name != ROW_ADDRESS]


def sortable(model: type[TableModel]) -> list[str]:
    """What a list can be sorted by: types PostgreSQL has an order for."""
    return [
        f.attname if f.is_relation else f.name
        for f in model._meta.concrete_fields
        if getattr(getattr(f, "output_field", None) or f, "comparable", True)
    ]


_LITERAL = re.compile(
    r"'((?:[^']|'')*)'(?:::[^']+)?|(-?\d+(?:\.\d+)?)|\((-\d+(?:\.\d+)?)\)(?:::.+)?|(true|false)"
)


def literal_default(column: Column) -> str | bool | None:
    """A default that is a plain literal, to show in the form of a new row; None for anything computed.

    And for arrays, whose literals forms do not read: they have JSON.
    """
    found = _LITERAL.fullmatch(column.default or "")
    if found is None or (column.base_type or column.type).endswith("[]"):
        return None
    quoted, number, negative, flag = found.groups()
    if flag is not None:
        return bool(flag == "true")
    return quoted.replace("''", "'") if quoted is not None else number or negative
