"""The admin's widgets for our form fields. What does not live here: the fields (``tables.formfields``)."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.admin import widgets as admin
from django.db import models
from django.utils.translation import gettext_lazy as _

from ..tables import fieldtypes
from ..tables.arrays import ArrayField
from ..tables.formfields import MomentWidget
from ..tables.ranges import TextRange


class AdminMomentWidget(MomentWidget):
    """Date and time with the admin's calendar and clock; words fit into the first input."""

    template_name = "admin/widgets/split_datetime.html"

    def __init__(self, attrs: dict[str, Any] | None = None) -> None:
        parts = (admin.BaseAdminDateWidget(), admin.BaseAdminTimeWidget())
        forms.MultiWidget.__init__(self, parts, attrs)

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        """The labels of the two inputs."""
        context = super().get_context(name, value, attrs)
        return {**context, "date_label": _("Date:"), "time_label": _("Time:")}


class PreciseTimeWidget(admin.BaseAdminTimeWidget):
    """A time to the microsecond."""

    supports_microseconds = True

    def format_value(self, value: Any) -> Any:
        """ISO, with microseconds where there are any."""
        return value.isoformat() if hasattr(value, "isoformat") else value


class NumberWidget(forms.TextInput):
    """A number, or NaN."""

    def __init__(self) -> None:
        super().__init__({"class": "vIntegerField", "inputmode": "decimal"})


OVERRIDES: dict[type[Any], dict[str, Any]] = {
    fieldtypes.TimestampField: {"widget": AdminMomentWidget},
    fieldtypes.TimestamptzField: {"widget": AdminMomentWidget},
    fieldtypes.DateField: {"widget": admin.AdminDateWidget},
    fieldtypes.TimeField: {"widget": PreciseTimeWidget},
    fieldtypes.NumericField: {"widget": NumberWidget},
    fieldtypes.RealField: {"widget": NumberWidget},
    fieldtypes.PlainTextField: {"widget": forms.Textarea({"class": "vLargeTextField", "rows": 1})},
    fieldtypes.TextCastField: {"widget": admin.AdminTextInputWidget},
    models.JSONField: {"widget": forms.Textarea({"class": "vLargeTextField", "rows": 1})},
    ArrayField: {"widget": forms.Textarea({"class": "vLargeTextField", "rows": 1})},
    TextRange: {"widget": admin.AdminTextInputWidget},
}
