"""Keys that print and parse as URL text, which is all the admin needs of composite ones.

What lives here: the key of a row as a tuple with a text form, the field that makes it, the lookups that
accept the text, and the one plain key that has none, the empty text. What does not: the encoding of one part
(``core.names``) and which columns form a key.

``RowKey("Dog", "a/b")`` prints as ``Dog,a~2Fb``: no ``%`` (servers decode it), no ``_`` (the admin decodes
it), no ``/``, and a ``,`` between the parts only.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models.fields.composite import CompositeAttribute
from django.db.models.fields.tuple_lookups import TupleExact, TupleIn
from django.db.models.query_utils import DeferredAttribute

from ..core.names import row_key_text, untilde


class RowKey(tuple[Any, ...]):
    """The values of a row's key, in the order of the table's columns; ``str()`` is its URL text."""

    __slots__ = ()

    def __str__(self) -> str:
        return row_key_text(map(part_text, self))


def part_text(value: Any) -> str:
    """A value as the text its field's ``to_python`` reads back."""
    if isinstance(value, (bytes, memoryview, bytearray)):
        return b64encode(value).decode()
    return str(value)


class EmptyKey(str):
    """The empty text as a key, which as part of a URL must not be empty."""

    __slots__ = ()

    # The admin quotes keys by translate(). A lone "_" is what that makes of no other text.
    in_url = "_"

    def translate(self, table: Any, /) -> str:
        """What stands for it in a URL."""
        return self.in_url


class KeyAttribute(DeferredAttribute):
    """A text that is the whole key, the empty one as an EmptyKey."""

    def __get__(self, instance: Any, cls: Any = None) -> Any:
        value = super().__get__(instance, cls)
        return EmptyKey() if value == "" else value

    def __set__(self, instance: Any, value: Any) -> None:
        instance.__dict__[self.field.attname] = value


class BadRowKey(ValidationError, ValueError):
    """Text that is no key of this table. Two bases: some callers in Django catch one, some the other."""


class RowKeyAttribute(CompositeAttribute):
    """``row.pk`` as a RowKey."""

    def __get__(self, instance: Any, cls: Any = None) -> Any:
        return self if instance is None else RowKey(super().__get__(instance, cls))


class RowKeyField(models.CompositePrimaryKey):
    """A composite primary key whose values are RowKeys and which reads their text form."""

    descriptor_class = RowKeyAttribute

    def deconstruct(self) -> Any:
        """As Django's own class, so that nothing that is stored names this one."""
        name, _, args, kwargs = super().deconstruct()
        return name, "django.db.models.CompositePrimaryKey", args, kwargs

    def to_python(self, value: Any) -> Any:
        """A RowKey from its text; a JSON array is a fixture's and read as Django does. Raises BadRowKey."""
        if isinstance(value, str) and not value.startswith("["):
            return self._parse(value)
        return super().to_python(value)

    def _parse(self, text: str) -> RowKey:
        parts = text.split(",")
        if len(parts) != len(self.field_names):
            raise BadRowKey(f"{text!r} is no key of {len(self.field_names)} columns.", code="invalid")
        try:
            fields: Any = self.fields
            return RowKey(f.to_python(untilde(part)) for f, part in zip(fields, parts, strict=True))
        except (ValidationError, ValueError):
            raise BadRowKey(f"{text!r} is no key of this table.", code="invalid") from None


def _row_keys(field: Any, values: Sequence[Any]) -> list[Any]:
    return [field.to_python(value) if isinstance(value, str) else value for value in values]


@RowKeyField.register_lookup
class RowKeyIn(TupleIn):
    """``pk__in`` with texts among the keys, as checkboxes send them."""

    def get_prep_lookup(self) -> Any:
        """The keys as tuples."""
        if self.rhs_is_direct_value():
            self.rhs = _row_keys(self.lhs.field, list(self.rhs))
        return super().get_prep_lookup()


@RowKeyField.register_lookup
class RowKeyExact(TupleExact):
    """``pk=`` with a text, as a LogEntry remembers it."""

    def get_prep_lookup(self) -> Any:
        """The key as a tuple."""
        if isinstance(self.rhs, str):
            self.rhs = self.lhs.field.to_python(self.rhs)
        return super().get_prep_lookup()
