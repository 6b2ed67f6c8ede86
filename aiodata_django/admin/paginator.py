"""A paginator that does not count millions of rows to draw a page of a hundred.

What lives here: the estimate and when it is good enough.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.paginator import Paginator
from django.db import connections
from django.utils.functional import cached_property

if TYPE_CHECKING:
    _Base = Paginator[Any]
else:
    _Base = Paginator

LARGE = 100_000


class EstimatedPaginator(_Base):
    """Counts exactly, but for a whole table beyond 100,000 rows takes PostgreSQL's own estimate."""

    @cached_property
    def count(self) -> int:
        """Rows; an estimate for large tables without a filter."""
        rows: Any = self.object_list
        if not rows.query.where:
            estimate = self._estimate(rows)
            if estimate > LARGE:
                return estimate
        return int(rows.count())

    def _estimate(self, rows: Any) -> int:
        """``pg_class.reltuples``: -1 for never analysed, and 0 for partitioned tables before 14."""
        relation = rows.model.__relation__.qualified
        with connections[rows.db].cursor() as cursor:
            cursor.execute("select reltuples::int8 from pg_class where oid = to_regclass(%s)", [relation.sql])
            row = cursor.fetchone()
        return int(row[0]) if row else 0
