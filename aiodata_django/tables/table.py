"""What all built models have in common.

What lives here: the abstract base class and the names every part agrees on. What does not: fields and keys
(``tables.build``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from django.db import models
from django.db.models.expressions import DatabaseDefault

from ..core.schema import Relation
from .rowkey import RowKey

APP_LABEL = "aiodata"
HOME = "aiodata_django.models"

_LABELS = ("name", "title", "label")


class TableModel(models.Model):
    """A row of a table. ``__relation__`` is the table, ``__columns__`` maps columns to attributes."""

    __relation__: ClassVar[Relation]
    __columns__: ClassVar[Mapping[str, str]]

    class Meta:
        """Not a table itself."""

        abstract = True

    def __str__(self) -> str:
        """A column called name, title or label where there is one, else the key."""
        for column in _LABELS:
            value = getattr(self, self.__columns__[column], None) if column in self.__columns__ else None
            if isinstance(value, str) and value:
                return value
        return ", ".join(map(str, self.pk)) if isinstance(self.pk, RowKey) else str(self.pk)

    def save(self, *args: Any, **kwargs: Any) -> None:
        """As Django does it; defaults PostgreSQL filled in and did not return are read when asked for."""
        super().save(*args, **kwargs)
        for field in self._meta.concrete_fields:
            if isinstance(self.__dict__.get(field.attname), DatabaseDefault):
                del self.__dict__[field.attname]
