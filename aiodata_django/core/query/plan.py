"""Plans: what a request means in this schema, ready to be rendered.

What lives here: records without behaviour. What does not: how they are made (``planner`` and its rooms), and
how they look in SQL (``sql``, ``statements``).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from ..names import QualifiedName
from ..schema import AnyRelationship, MediaHandler, Parameter, Relation, Routine
from .media import MediaType
from .request import Action, ApiRequest, PlannedRange
from .statement import Slot
from .syntax import JsonPath, Operation

SOURCE = "pgrst_source"  # the CTE that holds what was read, written or returned


@dataclass(frozen=True, slots=True)
class ColumnRef:
    """A column as far as it is known.

    ``type`` is its nominal type, empty when the column is not in the schema. ``to_json`` wraps it before a
    path is followed; ``to_tsvector`` holds the language (or an empty text) when a full-text search must
    convert it; ``transform`` is a domain representation; ``full_row`` stands for the whole row.
    """

    name: str
    path: JsonPath = ()
    to_json: bool = False
    to_tsvector: str | None = None
    type: str = ""
    transform: QualifiedName | None = None
    default: str | None = None
    full_row: bool = False


@dataclass(frozen=True, slots=True)
class Comparison:
    """A filter on a column."""

    column: ColumnRef
    operation: Operation
    negated: bool = False


@dataclass(frozen=True, slots=True)
class NullEmbed:
    """``rel=is.null``: whether the embedded relation has rows; ``alias`` is that of the embed."""

    alias: str
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Combination:
    """``and`` or ``or`` over conditions."""

    operator: str
    children: tuple[Condition, ...]
    negated: bool = False


Condition = Comparison | NullEmbed | Combination


@dataclass(frozen=True, slots=True)
class SelectTerm:
    """One selected column, or an aggregate over it."""

    column: ColumnRef
    aggregate: str | None = None
    aggregate_cast: str | None = None
    cast: str | None = None
    alias: str | None = None


@dataclass(frozen=True, slots=True)
class OrderBy:
    """One term of ORDER BY; with ``relation``, a column of that embed."""

    column: ColumnRef
    descending: bool | None = None
    nulls_first: bool | None = None
    relation: str | None = None


@dataclass(frozen=True, slots=True)
class SpreadField:
    """A field of a spread embed, as the parent selects it."""

    name: str
    aggregate: str | None = None
    aggregate_cast: str | None = None
    alias: str | None = None


@dataclass(frozen=True, slots=True)
class JsonEmbed:
    """An embed selected as one JSON object, or array; an ``empty`` one is joined but not selected."""

    name: str
    alias: str
    is_object: bool
    empty: bool


@dataclass(frozen=True, slots=True)
class SpreadEmbed:
    """An embed whose fields are selected as if they were the parent's."""

    fields: tuple[SpreadField, ...]
    alias: str


Embed = JsonEmbed | SpreadEmbed


@dataclass(frozen=True, slots=True)
class ToManySpread:
    """How a to-many spread is ordered: by columns selected for that purpose alone."""

    extra: tuple[tuple[str | None, SelectTerm], ...] = ()
    order: tuple[OrderBy, ...] = ()


class JoinCondition(NamedTuple):
    """``left.column = right.column``; the names may be aliases."""

    left: QualifiedName
    left_column: str
    right: QualifiedName
    right_column: str


@dataclass(slots=True)
class ReadNode:
    """One relation of a request: the root, or an embed.

    ``source`` is what stands in FROM, under ``alias``. ``name`` and ``request_alias`` are what the request
    calls it. ``spread`` is None, True for to-one, or a :class:`ToManySpread`. The planner fills a node in
    passes; afterwards nobody changes it.
    """

    source: QualifiedName
    name: str
    depth: int = 0
    alias: str | None = None
    request_alias: str | None = None
    hint: str | None = None
    join: str | None = None
    select: list[SelectTerm] = field(default_factory=list)
    where: list[Condition] = field(default_factory=list)
    order: list[OrderBy] = field(default_factory=list)
    range: PlannedRange | None = None
    max_rows: int | None = None
    relationship: AnyRelationship | None = None
    parent_alias: str | None = None
    conditions: list[JoinCondition] = field(default_factory=list)
    embed_alias: str = ""
    spread: bool | ToManySpread = False
    embeds: list[Embed] = field(default_factory=list)
    children: list[ReadNode] = field(default_factory=list)
    legacy_name: bool = False

    @property
    def called(self) -> str:
        """What filters, orders and the answer call it."""
        return self.request_alias or self.name


@dataclass(frozen=True, slots=True)
class Insert:
    """INSERT, also for upserts; ``conditions`` are those of a PUT."""

    target: QualifiedName
    columns: tuple[ColumnRef, ...]
    body: Slot
    is_object: bool
    apply_defaults: bool
    conflict: tuple[str, tuple[str, ...]] | None
    conditions: tuple[Condition, ...]
    returning: tuple[str, ...]
    primary_key: tuple[str, ...]
    merge_duplicates: bool


@dataclass(frozen=True, slots=True)
class Update:
    """UPDATE from one object."""

    target: QualifiedName
    columns: tuple[ColumnRef, ...]
    body: Slot
    is_object: bool
    apply_defaults: bool
    where: tuple[Condition, ...]
    returning: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Delete:
    """DELETE."""

    target: QualifiedName
    where: tuple[Condition, ...]
    returning: tuple[str, ...]


Mutation = Insert | Update | Delete


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a routine.

    ``arguments`` are slots by parameter (read-only calls and forms); ``body`` is the JSON of all others, or
    the one unnamed parameter's value (``single``).
    """

    routine: Routine
    parameters: tuple[Parameter, ...]
    arguments: dict[str, tuple[Slot, ...]] | None
    body: Slot | None
    is_object: bool
    single: bool
    returning: tuple[str, ...]
    filter_columns: tuple[str, ...]


class Aggregation(NamedTuple):
    """How rows become a body.

    ``kind`` is ``json``, ``object``, ``array`` (nulls stripped), ``csv``, ``geojson``, ``custom``, ``none``.
    ``explained``: only the plan is wanted, so the body need not be fit to be read.
    """

    kind: str
    nulls_stripped: bool = False
    handler: MediaHandler | None = None
    explained: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """A planned request. ``tree`` is absent for requests that touch no rows."""

    request: ApiRequest
    media: MediaType
    aggregation: Aggregation
    tree: ReadNode | None = None
    mutation: Mutation | None = None
    call: Call | None = None
    relation: Relation | None = None
    legacy_names: tuple[tuple[str, str], ...] = ()

    @property
    def action(self) -> Action:
        """What is to be done."""
        return self.request.action

    @property
    def read_only(self) -> bool:
        """Whether the transaction may write nothing."""
        if self.call is not None and self.action is Action.CALL:
            return self.call.routine.volatility != "v"
        return not self.action.mutates
