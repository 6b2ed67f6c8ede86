"""Arrays of any depth as lists.

What lives here: the field and its equality. What does not: the fields of elements (``tables.fieldtypes``),
and which arrays are none for Django (``tables.fields``).
"""

from __future__ import annotations

import datetime
import json
from decimal import Decimal
from typing import Any

from django.contrib.postgres.fields import ArrayField as DjangoArrayField
from django.core.exceptions import ValidationError
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.lookups import Exact
from django.utils.translation import gettext_lazy as _

from . import formfields
from .fieldtypes import AnyField, MomentField, ReadAsText


class ArrayField(ReadAsText, DjangoArrayField):  # type: ignore[type-arg]
    """Arrays of any depth, read through JSON and written as arrays of text with a cast.

    The values are lists, nested as deep as the array is, of what ``base_field`` makes of the elements.
    """

    template = "to_json({})::text"

    def db_type(self, connection: BaseDatabaseWrapper) -> str:
        """The array's type."""
        return self.array_type

    def __init__(self, base_field: AnyField, *, array_type: str = "text[]", **kwargs: Any) -> None:
        super().__init__(base_field, **kwargs)
        self.array_type = self.pg_type = array_type
        self.comparable = getattr(base_field, "comparable", True)
        # Set by the parent in __init__ where the base field has one; ours converts whole arrays.
        self.from_db_value = self._read

    def deconstruct(self) -> Any:
        """With the type, so that clones keep it."""
        name, path, args, kwargs = super().deconstruct()
        return name, path, args, {**kwargs, "array_type": self.array_type}

    def check(self, **kwargs: Any) -> list[Any]:
        """Without Django's wish for its app of PostgreSQL's extras, of which nothing is used."""
        return [found for found in super().check(**kwargs) if found.id != "postgres.E005"]

    def _read(self, value: Any, expression: Any, connection: BaseDatabaseWrapper) -> Any:
        if not isinstance(value, str):
            return value
        return self._each(json.loads(value, parse_float=Decimal), lambda leaf: self._leaf(leaf, connection))

    def _leaf(self, leaf: Any, connection: BaseDatabaseWrapper) -> Any:
        if isinstance(self.base_field, MomentField):
            return self.base_field.from_db_value(leaf, None, connection)
        return self.base_field.to_python(leaf)

    def _each(self, value: Any, convert: Any) -> Any:
        if isinstance(value, (list, tuple)):
            return [self._each(item, convert) for item in value]
        return value if value is None else convert(value)

    def to_python(self, value: Any) -> Any:
        """Lists of the base field's values. Raises ValidationError."""
        if isinstance(value, str):
            try:
                value = json.loads(value)
            except ValueError:
                raise ValidationError(_("Enter a JSON array."), code="invalid") from None
        return self._each(value, self.base_field.to_python)

    def get_db_prep_value(self, value: Any, connection: BaseDatabaseWrapper, prepared: bool = False) -> Any:
        """Lists of text, which the cast turns into the elements' type."""
        if isinstance(value, (list, tuple)):
            return self._each(value, lambda leaf: _array_text(self.base_field.get_prep_value(leaf)))
        return value

    def value_to_string(self, obj: Any) -> str:
        """JSON, for serializers and admin forms."""
        return json.dumps(self._each(self.value_from_object(obj), _json_leaf), ensure_ascii=False)

    def validate(self, value: Any, model_instance: Any) -> None:
        """As any field; the elements were converted, and PostgreSQL checks them."""
        models.Field.validate(self, value, model_instance)

    def run_validators(self, value: Any) -> None:
        """None of our own."""

    def formfield(self, **kwargs: Any) -> Any:
        """JSON text, which has a form for nested arrays, NULLs and commas."""
        array = {"form_class": formfields.ArrayField, "read": self.to_python, "write": _json_leaf}
        return models.Field.formfield(self, **{**array, **kwargs})


@ArrayField.register_lookup
class ArrayExact(Exact):
    """Equality of whole arrays. Django's own takes the elements of the outer list for the base field's."""

    def process_rhs(self, compiler: Any, connection: BaseDatabaseWrapper) -> Any:
        """The array's text with its cast."""
        sql, parameters = super().process_rhs(compiler, connection)
        return f"{sql}::" + self.lhs.output_field.array_type.replace("%", "%%"), parameters


def _array_text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (dict, list)):
        return json.dumps(value, ensure_ascii=False)
    return value.isoformat() if isinstance(value, (datetime.date, datetime.time)) else str(value)


def _json_leaf(value: Any) -> Any:
    return value if isinstance(value, (bool, int, float, str)) else _array_text(value)
