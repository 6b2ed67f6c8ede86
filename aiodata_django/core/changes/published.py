"""Published tables: what the feed knows of a table, and its rows as JSON.

What lives here: the records the feed's catalogue query yields, and the rendering of a row and its key from
the values pgoutput sent. What does not: the query (``db.published``), values (``textjson``), who may see what
(``core.state.audience``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from ..names import QualifiedName
from .pgoutput import UNCHANGED, RelationMessage, Unchanged, Values
from .textjson import Renderer, Renderers, TypeShape, json_text


@dataclass(frozen=True, slots=True)
class PublishedColumn:
    """A column: ``type`` as ``format_type`` writes it, ``generated`` ``s``, ``v`` or empty, with its SQL."""

    name: str
    type_oid: int
    type: str
    generated: str = ""
    expression: str | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """A row-level security policy that SELECT has to pass. ``roles`` are oids, 0 for PUBLIC."""

    name: str
    permissive: bool
    roles: tuple[int, ...]
    using: str | None


@dataclass(frozen=True)
class PublishedTable:
    """A table as the feed sees it.

    ``identity`` is ``pg_class.relreplident``; ``obstacle`` says why the table gives no events, None when it
    does; ``root`` is the oid of the topmost partitioned table (its own otherwise), whose name rows go by.
    ``depends`` are the oids of other tables its policies read; ``looks_itself_up``: they look at rows of this
    table other than by their columns, so that the image of a row that is gone cannot be judged.
    ``revision`` changes with everything else that decides how rows look or who sees them, such as the labels
    of an enum or a function that a policy calls, and when the table is published anew.
    """

    oid: int
    schema: str
    name: str
    kind: str
    root: int
    identity: str
    key: tuple[str, ...]
    columns: tuple[PublishedColumn, ...]
    row_security: bool = False
    policies: tuple[Policy, ...] = ()
    depends: tuple[int, ...] = ()
    looks_itself_up: bool = False
    obstacle: str | None = None
    exposed: bool = True
    revision: str | None = None

    @property
    def qualified(self) -> QualifiedName:
        """Schema and name."""
        return QualifiedName(self.schema, self.name)

    @property
    def full(self) -> bool:
        """Whether old rows come whole."""
        return self.identity == "f"

    @cached_property
    def column(self) -> Mapping[str, PublishedColumn]:
        """Columns by name."""
        return {column.name: column for column in self.columns}

    def matches(self, relation: RelationMessage) -> bool:
        """Whether the stream describes the table as the catalogue does: names and types, in order."""
        carried = {column.name for column in relation.columns}
        mine = [(c.name, c.type_oid) for c in self.columns if c.name in carried or not c.generated]
        return mine == [(c.name, c.type_oid) for c in relation.columns]

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> PublishedTable:
        """A table from one record of the catalogue query."""
        policies = tuple(Policy(**{**p, "roles": tuple(p["roles"])}) for p in record["policies"])
        return cls(
            **{
                **record,
                "key": tuple(record["key"]),
                "columns": tuple(PublishedColumn(**column) for column in record["columns"]),
                "policies": policies,
                "depends": tuple(record["depends"]),
            }
        )


@dataclass(frozen=True)
class Published:
    """All tables the feed knows, by oid, with the shapes of their types."""

    tables: Mapping[int, PublishedTable]
    shapes: Mapping[int, TypeShape] = field(default_factory=dict)

    @cached_property
    def by_name(self) -> Mapping[QualifiedName, PublishedTable]:
        """Exposed tables that are no partitions, by name."""
        return {t.qualified: t for t in self.tables.values() if t.exposed and t.root == t.oid}

    @cached_property
    def histories(self) -> Mapping[int, tuple[tuple[int, str | None], ...]]:
        """For each root, its tables' revisions: other ones when a partition has come or gone, too."""
        found: dict[int, list[tuple[int, str | None]]] = {}
        for oid, table in sorted(self.tables.items()):
            found.setdefault(table.root, []).append((oid, table.revision))
        return {root: tuple(revisions) for root, revisions in found.items()}

    @cached_property
    def renderers(self) -> Renderers:
        """Renderers of all types."""
        return Renderers(self.shapes)

    def root(self, oid: int) -> PublishedTable | None:
        """The table whose name the rows of ``oid`` go by."""
        table = self.tables.get(oid)
        return table and self.tables.get(table.root)

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Published:
        """From the catalogue query's one value."""
        tables = (PublishedTable.from_json(table) for table in record["tables"])
        shapes = (TypeShape.from_json(shape) for shape in record["types"])
        return cls({table.oid: table for table in tables}, {shape.oid: shape for shape in shapes})


class RowFormat:
    """How rows of a relation, as pgoutput describes it, become JSON.

    ``columns`` are the columns wanted, in the order wanted. ``local`` is False when a wanted column is not in
    the stream (virtual, or generated and unpublished) or only PostgreSQL can render it.
    """

    def __init__(
        self, relation: RelationMessage, table: PublishedTable, renderers: Renderers, columns: Iterable[str]
    ) -> None:
        position = {column.name: index for index, column in enumerate(relation.columns)}
        self.names = tuple(columns)
        self._fields: list[tuple[int, bytes, Renderer]] = []
        self.local = True
        for name in self.names:
            index = position.get(name)
            if index is None:
                # Generated and not in the stream; otherwise added after this change, and left out.
                self.local &= name not in table.column or not table.column[name].generated
                continue
            render = renderers.of(relation.columns[index].type_oid)
            if render is None:
                self.local = False
            else:
                self._fields.append((index, json_text(name) + b":", render))
        self._key = [
            (position[name], renderers.of(relation.columns[position[name]].type_oid) or _quoted)
            for name in table.key
            if name in position
        ]
        self._key_names = [json_text(name) + b":" for name in table.key]
        # The relation the stream speaks of may be younger or older than the catalogue: then nothing fits.
        self.fits = len(self._key) == len(table.key)

    def row(self, values: Values) -> bytes:
        """The row as a JSON object. Raises ValueError when a value is unchanged TOAST."""
        return b"{" + b",".join([p + _value(values[i], r) for i, p, r in self._fields]) + b"}"

    def known(self, values: Values) -> bytes:
        """The row as a JSON object without its unchanged TOAST values."""
        fields = (f for f in self._fields if values[f[0]] is not UNCHANGED)
        return b"{" + b",".join([p + _value(values[i], r) for i, p, r in fields]) + b"}"

    def complete(self, values: Values) -> bool:
        """Whether no wanted value is unchanged TOAST."""
        return UNCHANGED not in values or all(values[f[0]] is not UNCHANGED for f in self._fields)

    def key(self, values: Values) -> bytes:
        """The key as a JSON array, in the order of the table's columns."""
        return b"[" + b",".join([_value(values[i], r) for i, r in self._key]) + b"]"

    def key_row(self, values: Values) -> bytes:
        """The key as a JSON object."""
        parts = (p + _value(values[i], r) for p, (i, r) in zip(self._key_names, self._key, strict=True))
        return b"{" + b",".join(parts) + b"}"


def _quoted(value: bytes) -> bytes:
    return json_text(value.decode("utf-8", "replace"))


def _value(value: bytes | Unchanged | None, render: Renderer) -> bytes:
    if value is None:
        return b"null"
    if value is UNCHANGED:
        raise ValueError("an unchanged TOAST value is not in the stream")
    return render(value)


_RAW_JSON = frozenset({114, 3802})


def image(relation: RelationMessage, values: Values, base_types: Mapping[int, int]) -> bytes:
    """The row as input for ``json_populate_record``: json raw, everything else as a string.

    ``base_types`` maps domains to what they stand on. Unchanged TOAST values are left out.
    """
    parts: list[bytes] = []
    for column, value in zip(relation.columns, values, strict=True):
        if isinstance(value, bytes):
            raw = base_types.get(column.type_oid, column.type_oid) in _RAW_JSON
            parts.append(json_text(column.name) + b":" + (value if raw else _quoted(value)))
    return b"{" + b",".join(parts) + b"}"
