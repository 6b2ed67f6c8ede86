"""The schema in memory: relations, relationships, routines and what else requests are planned against.

What lives here: frozen records, their lookups and their JSON form. What does not: the catalogue query that
fills them (``db.catalog``), and how relationships are derived from keys (``core.relationships``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property

from .names import QualifiedName


class Kind(Enum):
    """What sort of relation; the values are ``pg_class.relkind``."""

    TABLE = "r"
    VIEW = "v"
    MATERIALIZED_VIEW = "m"
    PARTITIONED = "p"
    FOREIGN = "f"

    @property
    def is_view(self) -> bool:
        """Views and materialized views, whose keys and relationships are those of their base tables."""
        return self in (Kind.VIEW, Kind.MATERIALIZED_VIEW)


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    ``type`` is ``format_type(oid, null)``, what a cast is written with; ``nominal_type`` has the modifier
    too (``character varying(20)``); ``typname`` is ``pg_type.typname`` (``int4``, ``_text``).
    ``identity`` is ``a``, ``d`` or empty, ``generated`` is ``s``, ``v`` or empty, as in ``pg_attribute``.
    """

    name: str
    type: str
    nominal_type: str
    typname: str
    position: int
    base_type: str = ""  # format_type of what a domain stands on, itself for other types
    type_schema: str = "pg_catalog"
    type_kind: str = "b"  # pg_type.typtype: b, c, d, e, r, m
    category: str = "U"  # pg_type.typcategory
    dims: int = 0
    nullable: bool = True
    default: str | None = None
    max_length: int | None = None
    enum: tuple[str, ...] = ()  # the labels, of an array those of its elements
    description: str | None = None
    identity: str = ""
    generated: str = ""
    refs: tuple[str, str] | None = None  # (table, column) of the last single-column pairing

    @property
    def writable(self) -> bool:
        """False for generated columns and identities that are always generated."""
        return not self.generated and self.identity != "a"


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """A foreign key, columns paired by position. Actions are ``pg_constraint`` letters (a r c n d)."""

    name: str
    columns: tuple[str, ...]
    foreign: QualifiedName
    foreign_columns: tuple[str, ...]
    on_delete: str = "a"
    on_update: str = "a"


@dataclass(frozen=True)
class Relation:
    """A table, view, materialized view, partitioned or foreign table.

    ``primary_key`` is in the order of the constraint; :attr:`key` in the order of the columns, which is the
    order of path segments and row keys everywhere.
    """

    schema: str
    name: str
    kind: Kind
    columns: Mapping[str, Column]
    primary_key: tuple[str, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    unique_keys: tuple[tuple[str, ...], ...] = ()
    description: str | None = None
    insertable: bool = False
    updatable: bool = False
    deletable: bool = False
    oid: int = 0
    replica_identity: str = "d"  # pg_class.relreplident
    row_security: bool = False
    key_deferrable: bool = False

    @property
    def qualified(self) -> QualifiedName:
        """Schema and name."""
        return QualifiedName(self.schema, self.name)

    @cached_property
    def key(self) -> tuple[str, ...]:
        """Primary key columns in the order of the table's columns."""
        return tuple(name for name in self.columns if name in self.primary_key)


class Cardinality(Enum):
    """How many rows stand on each side of a relationship."""

    MANY_TO_ONE = "many-to-one"
    ONE_TO_MANY = "one-to-many"
    ONE_TO_ONE = "one-to-one"
    MANY_TO_MANY = "many-to-many"

    @property
    def to_one(self) -> bool:
        """Whether a row of the relation sees at most one row of the other."""
        return self in (Cardinality.MANY_TO_ONE, Cardinality.ONE_TO_ONE)


@dataclass(frozen=True, slots=True)
class Junction:
    """The table in the middle of a many-to-many relationship."""

    table: QualifiedName
    constraint: str  # junction -> relation
    foreign_constraint: str  # junction -> foreign relation
    columns: tuple[tuple[str, str], ...]  # (relation column, junction column)
    foreign_columns: tuple[tuple[str, str], ...]  # (foreign column, junction column)


@dataclass(frozen=True, slots=True)
class Relationship:
    """A directed way from ``table`` to ``foreign`` along a foreign key (or two, through a junction).

    ``columns`` pairs (column of table, column of foreign); empty for many-to-many, whose ``constraint`` is
    the junction's name. ``is_parent`` tells, for one-to-one, that ``table`` is the referenced side.
    """

    table: QualifiedName
    foreign: QualifiedName
    cardinality: Cardinality
    constraint: str
    columns: tuple[tuple[str, str], ...] = ()
    junction: Junction | None = None
    is_parent: bool = False
    table_is_view: bool = False
    foreign_is_view: bool = False

    @property
    def is_self(self) -> bool:
        """Both ends are the same relation."""
        return self.table == self.foreign


@dataclass(frozen=True, slots=True)
class ComputedRelationship:
    """A function from a row of ``table`` to rows of ``foreign`` (one row: ``to_one``)."""

    function: QualifiedName
    table: QualifiedName
    foreign: QualifiedName
    to_one: bool

    @property
    def is_self(self) -> bool:
        """Both ends are the same relation."""
        return self.table == self.foreign


@dataclass(frozen=True, slots=True)
class Parameter:
    """An input parameter of a routine. ``type`` is what a cast is written with."""

    name: str
    type: str
    nominal_type: str
    required: bool
    variadic: bool = False


@dataclass(frozen=True, slots=True)
class ReturnType:
    """What a routine returns.

    ``type`` is the SQL name of the type: for composites the row type (``pg_catalog.record`` for OUT and TABLE
    columns), a media type's name for such domains.
    """

    type: QualifiedName
    is_set: bool = False
    is_composite: bool = False
    is_domain: bool = False  # declared as a domain
    is_void: bool = False

    @property
    def is_scalar(self) -> bool:
        """Not rows with columns."""
        return not self.is_composite


@dataclass(frozen=True, slots=True)
class Routine:
    """A function that can be called as ``/rpc/<name>``. ``volatility`` is ``i``, ``s`` or ``v``."""

    schema: str
    name: str
    parameters: tuple[Parameter, ...]
    returns: ReturnType
    volatility: str = "v"
    variadic: bool = False
    description: str | None = None
    settings: tuple[tuple[str, str], ...] = ()  # SET clauses, e.g. ("statement_timeout", "1s")
    oid: int = 0

    @property
    def qualified(self) -> QualifiedName:
        """Schema and name."""
        return QualifiedName(self.schema, self.name)


@dataclass(frozen=True, slots=True)
class MediaHandler:
    """An aggregate or function that renders rows as a media type.

    ``target`` None means any relation; ``function`` None means the routine's own result already is the media
    type (it returns the domain).
    """

    media_type: str  # lower case; "*/*" for the any handler
    function: QualifiedName | None
    target: QualifiedName | None
    routine: QualifiedName | None = None
    type: QualifiedName | None = None  # the domain
    is_bytes: bool = False  # a domain over bytea
    is_jsonb: bool = False


AnyRelationship = Relationship | ComputedRelationship


@dataclass(frozen=True)
class Schema:
    """All that is known of the database, and for which schemas (``exposed``, in the order configured).

    ``relations`` holds relations of every exposed and extra schema that relationships may reach;
    ``relationships`` is keyed by the relation they start from, in a stable order.
    ``representations`` maps (source type, target type) to a cast function, types as ``format_type`` writes
    them. ``keywords``: PostgreSQL's version as ``server_version_num``.
    """

    exposed: tuple[str, ...]
    relations: Mapping[QualifiedName, Relation]
    relationships: Mapping[QualifiedName, tuple[AnyRelationship, ...]] = field(default_factory=dict)
    routines: Mapping[QualifiedName, tuple[Routine, ...]] = field(default_factory=dict)
    representations: Mapping[tuple[str, str], QualifiedName] = field(default_factory=dict)
    media_handlers: tuple[MediaHandler, ...] = ()
    descriptions: Mapping[str, str | None] = field(default_factory=dict)  # of schemas
    version: int = 0  # server_version_num

    def relation(self, schema: str, name: str) -> Relation | None:
        """The relation of that name, None when there is none."""
        return self.relations.get(QualifiedName(schema, name))
