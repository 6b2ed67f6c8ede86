"""Model fields for what PostgreSQL can hold and Django's own fields cannot, or not without loss.

What lives here: the field classes, and how their values travel. What does not: which column gets which
(``tables.fields``), and how values are typed in a form (``tables.formfields``).

Most of them read the column as text. What psycopg would make of ``infinity``, a month of 31 days or the year
44 BC is an exception that takes the whole page with it, or another value than was stored.
"""

from __future__ import annotations

import datetime
import json
import re
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.query_utils import DeferredAttribute
from django.utils import timezone

from . import formfields
from .rowkey import KeyAttribute

if TYPE_CHECKING:
    AnyField = models.Field[Any, Any]
else:
    AnyField = models.Field


class ReadAsText(AnyField):
    """A column read by ``template`` and written as text with a cast to ``pg_type``.

    ``comparable`` is False for types without equality, which can be neither filtered nor sorted by.
    """

    template = "{}::text"
    pg_type = "text"
    comparable = True

    def db_type(self, connection: BaseDatabaseWrapper) -> str:
        """The column's type, which casts are written with."""
        return self.pg_type

    def select_format(self, compiler: Any, sql: str, params: Any) -> tuple[str, Any]:
        """The column as text, but not inside a subquery, where it is compared and not read."""
        return (sql if compiler.query.subquery else self.template.format(sql)), params

    def get_placeholder(self, value: Any, compiler: Any, connection: BaseDatabaseWrapper) -> str:
        """A parameter with its cast; ``%`` in a type's name is doubled for the driver."""
        return "%s::" + self.pg_type.replace("%", "%%")

    @property
    def db_returning(self) -> bool:
        """RETURNING knows no ``select_format``: only keys are returned, others are read when asked for."""
        return self.primary_key and self.has_db_default()

    def get_lookup(self, lookup_name: str) -> Any:
        """No lookup but ``isnull`` for types that cannot be compared."""
        if not self.comparable and lookup_name != "isnull":
            return None
        return super().get_lookup(lookup_name)


class TextCastField(ReadAsText, models.TextField):  # type: ignore[type-arg]
    """Any type by its text form, which PostgreSQL checks when it is written."""

    def __init__(self, *args: Any, pg_type: str = "text", comparable: bool = True, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.pg_type = pg_type
        self.comparable = comparable
        if pg_type == "inet":  # whose cast to text adds the mask that its own text form leaves out
            self.template = "(to_json({}) #>> '{{}}')"

    def deconstruct(self) -> Any:
        """With the type, so that clones keep it."""
        name, path, args, kwargs = super().deconstruct()
        return name, path, args, {**kwargs, "pg_type": self.pg_type, "comparable": self.comparable}

    def from_db_value(self, value: Any, expression: Any, connection: BaseDatabaseWrapper) -> Any:
        """The text, also where RETURNING gave what the driver made of it."""
        return value if value is None else str(value)

    def formfield(self, **kwargs: Any) -> Any:
        """One line of text, or the choices."""
        if self.choices is not None:
            return super().formfield(**kwargs)
        return super().formfield(**{"form_class": formfields.PlainTextField, "widget": None, **kwargs})


class _Text(AnyField):
    @property
    def descriptor_class(self) -> type[DeferredAttribute]:  # type: ignore[override]
        """How rows hold the value: a key has a form for URLs."""
        return KeyAttribute if self.primary_key else DeferredAttribute


class PlainTextField(_Text, models.TextField):  # type: ignore[type-arg]
    """``text``: nothing is stripped, and an empty input leaves a nullable column NULL."""

    def formfield(self, **kwargs: Any) -> Any:
        """Several lines; line ends as the database had them."""
        return super().formfield(**{"form_class": formfields.PlainTextField, **_empty(self), **kwargs})


class PlainCharField(_Text, models.CharField):  # type: ignore[type-arg]
    """``varchar`` and ``citext``: one line."""

    def formfield(self, **kwargs: Any) -> Any:
        """One line, nothing stripped."""
        return super().formfield(**{"form_class": formfields.PlainTextField, **_empty(self), **kwargs})


class PaddedCharField(PlainCharField):
    """``char(n)``, without the padding, which means nothing to PostgreSQL either."""

    def from_db_value(self, value: Any, expression: Any, connection: BaseDatabaseWrapper) -> Any:
        """The text up to its last letter."""
        return value.rstrip(" ") if isinstance(value, str) else value


def _empty(field: AnyField) -> dict[str, Any]:
    return {"empty_value": None if field.null else ""}


class NumericField(models.DecimalField):  # type: ignore[type-arg]
    """``numeric`` with or without precision; NaN and the infinities are values like others."""

    def db_type(self, connection: BaseDatabaseWrapper) -> str:
        """``numeric``, with precision and scale where the column has them."""
        if self.max_digits is None:
            return "numeric"
        return f"numeric({self.max_digits}, {self.decimal_places})"

    def _check_max_digits(self) -> list[Any]:
        return []

    def _check_decimal_places(self) -> list[Any]:
        return []

    def _check_decimal_places_and_max_digits(self, **kwargs: Any) -> list[Any]:
        return []

    def to_python(self, value: Any) -> Decimal | None:
        """A Decimal, finite or not. Raises ValidationError."""
        if value is None or isinstance(value, Decimal):
            return value
        try:
            return Decimal(str(value))
        except InvalidOperation:
            raise ValidationError(
                self.error_messages["invalid"], code="invalid", params={"value": value}
            ) from None

    def run_validators(self, value: Any) -> None:
        """PostgreSQL's limits for finite numbers; it rounds excess places itself."""
        if isinstance(value, Decimal) and value.is_finite() and self.max_digits is not None:
            super().run_validators(value)

    def get_db_prep_save(self, value: Any, connection: BaseDatabaseWrapper) -> Any:
        """The number as it is."""
        return value if hasattr(value, "as_sql") else self.to_python(value)

    def formfield(self, **kwargs: Any) -> Any:
        """A text input, for the words among the numbers."""
        return super().formfield(**{"form_class": formfields.NumericField, **kwargs})


class RealField(models.FloatField):  # type: ignore[type-arg]
    """``real`` and ``double precision``, NaN and the infinities too."""

    def formfield(self, **kwargs: Any) -> Any:
        """A text input, for the words among the numbers."""
        return super().formfield(**{"form_class": formfields.RealField, **kwargs})


class JsonTextField(ReadAsText, models.JSONField):
    """``json``, whose text psycopg would decode before Django does. It has no equality."""

    pg_type = "json"
    comparable = False

    def get_db_prep_value(self, value: Any, connection: BaseDatabaseWrapper, prepared: bool = False) -> Any:
        """JSON text; the cast makes it json, never jsonb, which would reorder it."""
        if value is None or hasattr(value, "as_sql"):
            return value
        return json.dumps(value, cls=self.encoder, ensure_ascii=False)


class MomentField(ReadAsText):
    """Dates and times read as ISO text, whatever DateStyle says.

    What Python has no value for (``infinity``, BC, five-digit years, 24:00:00) stays PostgreSQL's text.
    """

    template = "(to_json({}) #>> '{{}}')"
    unlike = re.compile(r"-?infinity|\d{4,}-\d\d-\d\d.*|24:00:00(\.0+)?([+-].*)?", re.IGNORECASE)

    def from_db_value(self, value: Any, expression: Any, connection: BaseDatabaseWrapper) -> Any:
        """The parsed value, or the text where there is none."""
        if not isinstance(value, str):
            return value
        try:
            return self.from_iso(value, connection)
        except ValueError:
            return value

    def from_iso(self, text: str, connection: BaseDatabaseWrapper) -> Any:
        """The value of ISO text. Raises ValueError for what Python cannot hold."""
        raise NotImplementedError

    def to_python(self, value: Any) -> Any:
        """A value of Python's, or one of PostgreSQL's own as text. Raises ValidationError."""
        try:
            return super().to_python(value)
        except ValidationError:
            if isinstance(value, str) and self.unlike.fullmatch(value.strip()):
                return value.strip()
            raise


class DateField(MomentField, models.DateField):  # type: ignore[type-arg]
    """``date``."""

    pg_type = "date"

    def from_iso(self, text: str, connection: BaseDatabaseWrapper) -> datetime.date:
        """A date."""
        return datetime.date.fromisoformat(text)

    def formfield(self, **kwargs: Any) -> Any:
        """A date, or a word PostgreSQL knows."""
        return super().formfield(**{"form_class": formfields.DateField, **kwargs})


class TimeField(MomentField, models.TimeField):  # type: ignore[type-arg]
    """``time``."""

    pg_type = "time"

    def from_iso(self, text: str, connection: BaseDatabaseWrapper) -> datetime.time:
        """A time."""
        return datetime.time.fromisoformat(text)

    def formfield(self, **kwargs: Any) -> Any:
        """A time to the microsecond, or 24:00:00."""
        return super().formfield(**{"form_class": formfields.TimeField, **kwargs})


class TimestampField(MomentField, models.DateTimeField):  # type: ignore[type-arg]
    """``timestamp``: a wall clock without a zone, so its values are naive whatever USE_TZ says."""

    pg_type = "timestamp"
    aware = False

    def from_iso(self, text: str, connection: BaseDatabaseWrapper) -> datetime.datetime:
        """A naive datetime."""
        return datetime.datetime.fromisoformat(text)

    def get_prep_value(self, value: Any) -> Any:
        """Naive values without Django's warning; aware ones as UTC's wall clock."""
        if isinstance(value, datetime.datetime):
            return timezone.make_naive(value, datetime.UTC) if timezone.is_aware(value) else value
        return self.to_python(models.Field.get_prep_value(self, value))

    def formfield(self, **kwargs: Any) -> Any:
        """Date and time, neither shifted by the current time zone."""
        return super().formfield(**{"form_class": formfields.TimestampField, **kwargs})


class TimestamptzField(MomentField, models.DateTimeField):  # type: ignore[type-arg]
    """``timestamptz``: a moment; aware where USE_TZ is on, as everywhere in Django."""

    pg_type = "timestamptz"
    aware = True

    def from_iso(self, text: str, connection: BaseDatabaseWrapper) -> datetime.datetime:
        """A datetime in the connection's time zone."""
        moment = datetime.datetime.fromisoformat(text)
        if not settings.USE_TZ:
            return moment.replace(tzinfo=None)
        return moment.astimezone(connection.timezone)

    def get_prep_value(self, value: Any) -> Any:
        """Aware values; words as they are."""
        value = self.to_python(models.Field.get_prep_value(self, value))
        if isinstance(value, datetime.datetime) and settings.USE_TZ and timezone.is_naive(value):
            return timezone.make_aware(value)
        return value

    def formfield(self, **kwargs: Any) -> Any:
        """Date and time in the current time zone, or a word PostgreSQL knows."""
        return super().formfield(**{"form_class": formfields.TimestamptzField, **kwargs})


class GeneratedColumn(models.GeneratedField):
    """A column PostgreSQL computes; never written, read again when asked for."""

    @property
    def db_returning(self) -> bool:  # type: ignore[override]
        """Not by RETURNING where the value must be read as text."""
        return not isinstance(self.output_field, ReadAsText)
