"""Form fields whose untouched values come back as they went out.

What lives here: how the values of ``tables.fieldtypes`` are typed and shown. What does not: the admin's
widgets (``admin.widgets``).

A form must not change what nobody touched: no spaces stripped, no line ends replaced, no microseconds lost,
no time zone applied twice, and ``infinity``, NaN and 44 BC accepted because they may stand there already.
"""

from __future__ import annotations

import datetime
import json
import math
import re
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any, ClassVar

from django import forms
from django.core.exceptions import ValidationError
from django.forms.utils import from_current_timezone, to_current_timezone
from django.utils.translation import gettext_lazy as _

# What PostgreSQL holds and Python has no value for: years before 1 and after 9999, and the infinities.
BEYOND_DATE = re.compile(r"-?infinity|(\d{4,}-\d\d-\d\d)( BC)?", re.IGNORECASE)
BEYOND_MOMENT = re.compile(r"-?infinity|\d{4,}-\d\d-\d\d[T ]\d\d:\d\d.*", re.IGNORECASE)


class PlainTextField(forms.CharField):
    """Text with nothing stripped; browsers' line ends become the database's."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "strip": False})

    def to_python(self, value: Any) -> Any:
        """The text with ``\\n`` for line ends."""
        value = super().to_python(value)
        return value.replace("\r\n", "\n") if isinstance(value, str) else value

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Whether more than line ends differ."""
        return bool(super().has_changed(_lines(initial), _lines(data)))


def _lines(value: Any) -> Any:
    return value.replace("\r\n", "\n") if isinstance(value, str) else value


class NumericField(forms.CharField):
    """A Decimal, finite or not."""

    default_error_messages: ClassVar[dict[str, Any]] = {"invalid": _("Enter a number.")}

    def __init__(self, *, max_digits: int | None = None, decimal_places: int | None = None, **kwargs: Any):
        super().__init__(**kwargs)

    def to_python(self, value: Any) -> Any:
        """The number, None for nothing. Raises ValidationError."""
        if value in self.empty_values:
            return None
        try:
            return Decimal(str(value).strip())
        except InvalidOperation:
            raise ValidationError(self.error_messages["invalid"], code="invalid") from None

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Whether the number or its scale differs."""
        try:
            return str(self.to_python(initial)) != str(self.to_python(data))
        except ValidationError:
            return True


class RealField(NumericField):
    """A float, finite or not."""

    def __init__(self, *, min_value: Any = None, max_value: Any = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)

    def to_python(self, value: Any) -> Any:
        """The number, None for nothing. Raises ValidationError."""
        try:
            return None if value in self.empty_values else float(value)
        except ValueError:
            raise ValidationError(self.error_messages["invalid"], code="invalid") from None

    def prepare_value(self, value: Any) -> Any:
        """The shortest text that reads back the same."""
        return repr(value) if isinstance(value, float) and math.isfinite(value) else value


class DateField(forms.DateField):
    """A date, or PostgreSQL's text for what Python has no date for."""

    def to_python(self, value: Any) -> Any:
        """The date or the text. Raises ValidationError."""
        if isinstance(value, str) and BEYOND_DATE.fullmatch(value.strip()):
            return _or_text(datetime.date.fromisoformat, value.strip())
        return super().to_python(value)


class TimeField(forms.TimeField):
    """A time to the microsecond; 24:00:00 is one to PostgreSQL."""

    def to_python(self, value: Any) -> Any:
        """The time or the text. Raises ValidationError."""
        if isinstance(value, str) and value.strip() == "24:00:00":
            return value.strip()
        return super().to_python(value)


def _or_text(parse: Callable[[str], Any], text: str) -> Any:
    try:
        return parse(text)
    except ValueError:
        return text


class MomentWidget(forms.SplitDateTimeWidget):
    """Date and time in two inputs; microseconds where there are any; words in the first input."""

    supports_microseconds = True

    def decompress(self, value: Any) -> Any:
        """The two inputs' texts."""
        if not isinstance(value, datetime.datetime):
            return [value, None]
        return [value.date().isoformat(), value.time().isoformat()]


class TimestampField(forms.MultiValueField):
    """A naive datetime, or PostgreSQL's text for what Python has none for."""

    widget = MomentWidget
    default_error_messages: ClassVar[dict[str, Any]] = {
        "invalid_date": _("Enter a valid date."),
        "invalid_time": _("Enter a valid time."),
    }

    def __init__(self, **kwargs: Any) -> None:
        fields = (MomentDateField(required=False), forms.TimeField(required=False))
        super().__init__(fields, require_all_fields=False, **kwargs)

    def compress(self, data_list: list[Any]) -> Any:
        """Date and time joined; no time means midnight. Raises ValidationError for a time without a date."""
        date, time = (*data_list, None, None)[:2]
        if isinstance(date, str):
            return date
        if date is None:
            if time is None:
                return None
            raise ValidationError(self.error_messages["invalid_date"], code="invalid_date")
        return self.localize_moment(datetime.datetime.combine(date, time or datetime.time()))

    def localize_moment(self, moment: datetime.datetime) -> datetime.datetime:
        """The wall clock as it stands."""
        return moment


class MomentDateField(DateField):
    """The date part, or the whole text of a moment Python cannot hold."""

    def to_python(self, value: Any) -> Any:
        """The date or the text. Raises ValidationError."""
        if isinstance(value, str) and BEYOND_MOMENT.fullmatch(value.strip()):
            return value.strip()
        return super().to_python(value)


class TimestamptzField(TimestampField):
    """A datetime in the current time zone, aware where USE_TZ is on."""

    def prepare_value(self, value: Any) -> Any:
        """The wall clock of the current time zone."""
        return to_current_timezone(value) if isinstance(value, datetime.datetime) else value

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Whether the wall clock of the current time zone differs."""
        return bool(super().has_changed(self.prepare_value(initial), data))

    def localize_moment(self, moment: datetime.datetime) -> datetime.datetime:
        """Aware. Raises ValidationError for a time that does not exist or exists twice."""
        return from_current_timezone(moment)


class ArrayField(forms.CharField):
    """An array as JSON text."""

    widget = forms.Textarea

    def __init__(self, *, read: Callable[[Any], Any], write: Callable[[Any], Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.read, self.write = read, write

    def to_python(self, value: Any) -> Any:
        """The list. Raises ValidationError."""
        if value in self.empty_values:
            return None
        array = self.read(value)
        if not isinstance(array, list):
            raise ValidationError(_("Enter a JSON array."), code="invalid")
        return array

    def run_validators(self, value: Any) -> None:
        """Text's validators have nothing to say of lists."""

    def validate(self, value: Any) -> None:
        """Required means not NULL; an empty array is a value."""
        if self.required and value is None:
            raise ValidationError(self.error_messages["required"], code="required")

    def prepare_value(self, value: Any) -> Any:
        """JSON text."""
        return (
            value
            if value is None or isinstance(value, str)
            else json.dumps(self._written(value), ensure_ascii=False)
        )

    def _written(self, value: Any) -> Any:
        if isinstance(value, (list, tuple)):
            return [self._written(item) for item in value]
        return value if value is None else self.write(value)

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Whether the arrays differ, not their texts."""
        try:
            return bool(initial != self.to_python(data))
        except ValidationError:
            return True


class RangeField(forms.CharField):
    """A range in PostgreSQL's own notation, such as ``[1,10)``."""

    def __init__(self, *, read: Callable[[Any], Any], write: Callable[[Any], str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.read, self.write = read, write

    def to_python(self, value: Any) -> Any:
        """The range. Raises ValidationError."""
        return None if value in self.empty_values else self.read(value)

    def prepare_value(self, value: Any) -> Any:
        """PostgreSQL's notation."""
        return value if value is None or isinstance(value, str) else self.write(value)

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Whether the ranges differ."""
        try:
            return bool(initial != self.to_python(data))
        except ValidationError:
            return True

    def run_validators(self, value: Any) -> None:
        """Text's validators have nothing to say of ranges."""
