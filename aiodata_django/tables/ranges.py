"""Ranges, read from PostgreSQL's notation because a bound may be one that Python has no value for.

What lives here: the notation and a field per range type. What does not: multiranges, which stay text.
Source: https://www.postgresql.org/docs/current/rangetypes.html#RANGETYPES-IO
"""

from __future__ import annotations

import re
from typing import Any, ClassVar

from django.contrib.postgres import fields as postgres
from django.core.exceptions import ValidationError
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils.translation import gettext_lazy as _
from psycopg.types.range import Range

from . import formfields
from .fieldtypes import AnyField, DateField, NumericField, ReadAsText, TimestampField, TimestamptzField

_BOUND = r'"((?:[^"\\]|\\.|"")*)"|([^",\[\]()]*)'
_RANGE = re.compile(rf"\s*([\[(])(?:{_BOUND}),(?:{_BOUND})([\])])\s*", re.DOTALL)


def parse_range(text: str) -> Range[str]:
    """A range of texts. Raises ValueError."""
    if text.strip().lower() == "empty":
        return Range(empty=True)
    found = _RANGE.fullmatch(text)
    if found is None:
        raise ValueError(f"not a range: {text!r}")
    opening, quoted_lower, lower, quoted_upper, upper, closing = found.groups()
    return Range(_bound(quoted_lower, lower), _bound(quoted_upper, upper), opening + closing)


def _bound(quoted: str | None, plain: str | None) -> str | None:
    if quoted is None:
        return (plain or "").strip() or None
    return re.sub(r'\\(.)|"(")', lambda match: match[1] or match[2], quoted, flags=re.DOTALL)


def range_text(value: Range[Any]) -> str:
    """PostgreSQL's notation of a range."""
    if value.isempty:
        return "empty"
    return f"{value.bounds[0]}{_quoted(value.lower)},{_quoted(value.upper)}{value.bounds[1]}"


def _quoted(bound: Any) -> str:
    if bound is None:
        return ""
    return '"' + str(bound).replace("\\", "\\\\").replace('"', '\\"') + '"'


class TextRange(ReadAsText):
    """What the five range fields share; ``bound`` converts the bounds."""

    bound: ClassVar[AnyField]

    def from_db_value(self, value: Any, expression: Any, connection: BaseDatabaseWrapper) -> Any:
        """A Range of Python values; bounds Python cannot hold are texts."""
        return self._converted(parse_range(value)) if isinstance(value, str) else value

    def _converted(self, texts: Range[str]) -> Range[Any]:
        if texts.isempty:
            return texts
        lower, upper = (bound and self.bound.to_python(bound) for bound in (texts.lower, texts.upper))
        return Range(lower, upper, texts.bounds)

    def to_python(self, value: Any) -> Any:
        """A Range of its notation. Raises ValidationError."""
        if not isinstance(value, str):
            return super().to_python(value)
        try:
            return self._converted(parse_range(value))
        except ValueError:
            raise ValidationError(_("Enter a range, such as [1,10)."), code="invalid") from None

    def get_db_prep_value(self, value: Any, connection: BaseDatabaseWrapper, prepared: bool = False) -> Any:
        """The notation, since the driver refuses bounds of unlike types."""
        value = value if prepared else self.get_prep_value(value)
        return range_text(value) if isinstance(value, Range) else value

    def value_to_string(self, obj: Any) -> str:
        """The notation."""
        value = self.value_from_object(obj)
        return range_text(value) if isinstance(value, Range) else value

    def formfield(self, **kwargs: Any) -> Any:
        """The notation in a text input."""
        notation = {"form_class": formfields.RangeField, "read": self.to_python, "write": range_text}
        return models.Field.formfield(self, **{**notation, **kwargs})

    def check(self, **kwargs: Any) -> list[Any]:
        """Without Django's wish for its app of PostgreSQL's extras, of which nothing is used."""
        return [found for found in super().check(**kwargs) if found.id != "postgres.E005"]


class IntegerRange(TextRange, postgres.IntegerRangeField):
    """``int4range``."""

    pg_type = "int4range"
    bound = models.IntegerField()


class BigIntegerRange(TextRange, postgres.BigIntegerRangeField):
    """``int8range``."""

    pg_type = "int8range"
    bound = models.BigIntegerField()


class NumericRange(TextRange, postgres.DecimalRangeField):
    """``numrange``."""

    pg_type = "numrange"
    bound = NumericField()


class DateRange(TextRange, postgres.DateRangeField):
    """``daterange``."""

    pg_type = "daterange"
    bound = DateField()


class TimestampRange(TextRange, postgres.DateTimeRangeField):
    """``tsrange``; naive bounds."""

    pg_type = "tsrange"
    bound = TimestampField()


class TimestamptzRange(TextRange, postgres.DateTimeRangeField):
    """``tstzrange``; aware bounds where the connection is."""

    pg_type = "tstzrange"
    bound = TimestamptzField()
