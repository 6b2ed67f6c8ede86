"""The gate: what an audience may see of a transaction's changes.

What lives here: from changes of one table to what is sent about them, rendering locally where everybody sees
every row and asking PostgreSQL otherwise. What does not: the text of the question (``core.state.audience``)
and the order of things (``hub``).

Each question runs in a transaction of its own under the audience's role, so that a policy that raises hurts
nobody else.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from typing import NamedTuple

from ..core.changes.pgoutput import UNCHANGED, RelationMessage, Values
from ..core.changes.published import Published, PublishedTable, RowFormat, image
from ..core.changes.transaction import DELETE, TRUNCATE, Change
from ..core.errors import ApiError
from ..core.query.statement import Batch, Query
from ..core.state.audience import GRANTS_SQL, Audience, Grants, Viewer, judging_sql, self_test_sql
from ..db.pool import Pool

logger = logging.getLogger("aiodata.feed")

PUT, PART, DEL, EMPTY, RESYNC = "put", "part", "del", "truncate", "resync"

_SCOPE_SQL = (
    b"select pg_catalog.set_config('role', $1, true),"
    b" pg_catalog.set_config('request.jwt.claims', $2, true),"
    b" pg_catalog.set_config('search_path', $3, true)"
)


class Seen(NamedTuple):
    """What an audience gets to know of one change.

    ``order`` is the change's place in its part. ``op``: ``put`` (``row``), ``part`` (``row`` without what is
    unchanged TOAST), ``del``, ``truncate``, ``resync`` when the change cannot be told by itself, or empty
    for nothing. ``key`` is the row's key as a JSON array, ``old_key`` the one before when it changed.
    ``entered``: the row was not seen before. ``row`` of a ``del`` is what is known of the row.
    """

    order: int
    op: str
    key: bytes = b"[]"
    row: bytes = b""
    old_key: bytes | None = None
    entered: bool = False


Ordered = tuple[int, Change]
_TESTS_KEPT = 4096


class Gate:
    """Asks for ``pool`` under roles; ``search_path`` is what requests have."""

    def __init__(self, pool: Pool, search_path: str) -> None:
        self.pool = pool
        self._search_path = search_path
        self.checks = 0
        self._tested: dict[tuple[Viewer, int, str | None], tuple[PublishedTable, bool]] = {}

    def scope(self, viewer: Viewer) -> Query:
        """The statement that makes a transaction the viewer's."""
        return Query(_SCOPE_SQL, (viewer.role.encode(), viewer.claims.encode(), self._search_path.encode()))

    async def grants(self, role: str, published: Published) -> Grants:
        """What a role may select. Raises ApiError when the role cannot be taken."""
        oids = "{" + ",".join(str(oid) for oid in published.tables) + "}"
        viewer = Viewer(role, "{}")
        result = await self.pool.run(
            Batch([self.scope(viewer), Query(GRANTS_SQL, (oids.encode(),))], scope=role)
        )
        return Grants.from_json(json.loads(result.results[1].rows[0][0] or b"{}"))

    async def judge(self, audience: Audience, published: Published, changes: Sequence[Ordered]) -> list[Seen]:
        """What the audience gets to know of changes of its table. Raises ApiError when a policy does."""
        shaping = Shaping(audience, published)
        if audience.guarded and not await self._judges(shaping, changes[0][1].relation):
            return [Seen(order, RESYNC) for order, _ in changes[:1]]
        if audience.open and all(shaping.format(change.relation).local for _, change in changes):
            return [shaping.told(order, change) for order, change in changes]
        return await self._judged(shaping, changes)

    async def _judges(self, shaping: Shaping, relation: RelationMessage) -> bool:
        """Whether policies can be put to images: tried once, on rows that are there."""
        audience, table = shaping.audience, shaping.table
        if table.looks_itself_up:
            return False
        which = (audience.viewer, audience.table, audience.policy)
        known = self._tested.get(which)
        if known is None or known[0] is not table:
            if len(self._tested) >= _TESTS_KEPT:
                self._tested.clear()
            known = self._tested[which] = (table, await self._self_test(shaping, relation))
        return known[1]

    async def _self_test(self, shaping: Shaping, relation: RelationMessage) -> bool:
        audience = shaping.audience
        query = Query(self_test_sql(shaping.table, audience, shaping.missing(relation)), ())
        try:
            result = await self.pool.run(
                Batch([self.scope(audience.viewer), query], scope=audience.viewer.role)
            )
        except ApiError as error:
            if error.passing:
                raise
            # Images have no system columns. Other errors are not theirs: not all columns may be selected, so
            # there is nothing to try it on; or the rows themselves raise, and judging will tell.
            return error.code != "42703"
        right = result.results[1].rows[0][0] == b"t"
        if not right:
            logger.warning("policies of %s cannot be put to images of rows", shaping.table.qualified)
        return right

    async def _judged(self, shaping: Shaping, changes: Sequence[Ordered]) -> list[Seen]:
        images = [shaping.images(change) for _, change in changes]
        flat = [one for pair in images for one in pair if one is not None]
        if not flat:
            return [shaping.judged(order, change, None, None) for order, change in changes]
        missing = shaping.missing(changes[0][1].relation)
        audience = shaping.audience
        viewer = audience.viewer
        params = audience.filter.params if audience.filter is not None else ()
        query = Query(judging_sql(shaping.table, audience, missing), (b"[" + b",".join(flat) + b"]", *params))
        result = await self.pool.run(Batch([self.scope(viewer), query], scope=viewer.role))
        self.checks += len(flat)
        answers = iter(result.results[1].rows)
        verdicts = [tuple(next(answers) if one is not None else None for one in pair) for pair in images]
        return [
            shaping.judged(order, change, *verdict)
            for (order, change), verdict in zip(changes, verdicts, strict=True)
        ]


Verdict = tuple[bytes | None, ...] | None


class Shaping:
    """The shape changes take for one audience."""

    def __init__(self, audience: Audience, published: Published) -> None:
        self.audience = audience
        self.table: PublishedTable = published.tables[audience.table]
        self._published = published
        self._formats: dict[int, RowFormat] = {}
        self._bases = {shape.oid: shape.base for shape in published.shapes.values() if shape.base}

    def format(self, relation: RelationMessage) -> RowFormat:
        """How rows of the relation are rendered."""
        known = self._formats.get(id(relation))
        if known is None:
            known = RowFormat(relation, self.table, self._published.renderers, self.audience.columns)
            self._formats[id(relation)] = known
        return known

    def missing(self, relation: RelationMessage) -> tuple[str, ...]:
        """Generated columns that the stream does not carry."""
        carried = {column.name for column in relation.columns}
        return tuple(c.name for c in self.table.columns if c.generated and c.name not in carried)

    def told(self, order: int, change: Change) -> Seen:
        """A change as everybody sees it."""
        form = self.format(change.relation)
        if change.kind == TRUNCATE:
            return self._emptied(order, change)
        if change.kind == DELETE:
            assert change.old is not None
            return Seen(order, DEL, form.key(change.old), self._remains(form, change), None, False)
        assert change.new is not None
        key = form.key(change.new)
        old_key = form.key(change.old) if change.old is not None else key
        entered = change.kind == "insert"
        moved = old_key if old_key != key else None
        if form.complete(change.new):
            return Seen(order, PUT, key, form.row(change.new), moved, entered)
        return Seen(order, PART, key, form.known(change.new), moved, entered)

    def _emptied(self, order: int, change: Change) -> Seen:
        whole = change.relation.oid == self.audience.table
        return Seen(order, EMPTY if whole else RESYNC)

    def _remains(self, form: RowFormat, change: Change) -> bytes:
        assert change.old is not None
        if change.old_full and form.local and form.complete(change.old):
            return form.row(change.old)
        return form.key_row(change.old)

    def images(self, change: Change) -> tuple[bytes | None, bytes | None]:
        """The new and the old row as questions, None where there is none or it is not whole."""
        new = old = None
        if change.new is not None and UNCHANGED not in change.new:
            new = self._image(change.relation, change.new)
        if change.old is not None and change.old_full:
            old = self._image(change.relation, change.old)
        return new, old

    def _image(self, relation: RelationMessage, values: Values) -> bytes:
        return image(relation, values, self._bases)

    def judged(self, order: int, change: Change, new: Verdict, old: Verdict) -> Seen:
        """A change as one sees it who may see these images of it."""
        form = self.format(change.relation)
        if change.kind == TRUNCATE:
            return self._emptied(order, change)
        if change.new is not None and new is None:
            return Seen(order, RESYNC)  # unchanged TOAST: whether it is seen cannot be told
        key = form.key(change.new) if change.new is not None else b""
        old_key = form.key(change.old) if change.old is not None else key
        # Whoever is only filtered may be told of rows it never had: it could have read them.
        was = _seen(old) if change.old_full else change.kind != "insert" and not self.audience.guarded
        moved = old_key if change.new is not None and old_key != key else None
        if new is not None and _seen(new):
            return Seen(order, PUT, key, new[1] or b"", moved if was else None, not was)
        if was:
            row = (old and old[1]) or (form.key_row(change.old) if change.old is not None else b"{}")
            return Seen(order, DEL, old_key, row)
        if change.kind != "insert" and not change.old_full:
            return Seen(order, RESYNC)  # it may have been seen: the old row is not in the WAL
        return Seen(order, "")


def _seen(verdict: Verdict) -> bool:
    return verdict is not None and verdict[0] == b"t"
