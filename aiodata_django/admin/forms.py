"""The form of a row: what nobody touched stays, a key is checked, a refusal of PostgreSQL becomes an error.

What lives here: the model form. What does not: its fields (``tables.formfields``) and saving
(``table_admin``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.db import DatabaseError
from django.db.models.expressions import DatabaseDefault

from ..tables.table import TableModel

if TYPE_CHECKING:
    RowForm = forms.ModelForm[TableModel]
else:
    RowForm = forms.ModelForm


class TableForm(RowForm):
    """A form of one row. ``key_before`` is the key the row has in the database, None for a new row."""

    refusal: DatabaseError | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.adding = self.instance._state.adding
        self.key_before = None if self.adding else self.instance.pk
        self._before = dict(self.instance.__dict__)

    def _get_validation_exclusions(self) -> set[str]:
        """The key is checked when all of it is in the form: an existing row is not added twice."""
        excluded: set[str] = super()._get_validation_exclusions()  # type: ignore[misc]
        if all(field.name in self.fields for field in self.instance._meta.pk_fields):
            excluded.discard("pk")
        return excluded

    def _post_clean(self) -> None:
        super()._post_clean()  # type: ignore[misc]
        for field in self.instance._meta.concrete_fields:
            if field.name in self.fields and field.name not in self.changed_data:
                self._leave(field)
        if self.refusal is not None:
            self._refuse(self.refusal)

    def _leave(self, field: Any) -> None:
        """An untouched value is the one that was read, to the bit, or what PostgreSQL's default makes."""
        if not self.adding and field.attname in self._before:
            setattr(self.instance, field.attname, self._before[field.attname])
        elif self.adding and field.has_db_default():
            setattr(self.instance, field.attname, DatabaseDefault(field.db_default))

    def _refuse(self, error: DatabaseError) -> None:
        column = getattr(getattr(error.__cause__, "diag", None), "column_name", None)
        names = {f.verbose_name: f.name for f in self.instance._meta.concrete_fields if f.name in self.fields}
        self.add_error(names.get(column or ""), refusal_text(error))


def refusal_text(error: DatabaseError) -> str:
    """What PostgreSQL said, without the SQL it said it about."""
    diag = getattr(error.__cause__, "diag", None)
    if diag is None or not diag.message_primary:
        return str(error)
    return ". ".join(part.rstrip(".") for part in (diag.message_primary, diag.message_detail) if part) + "."
