"""What the texts of a query string parse to: fields, filters, logic trees, selections and orders.

What lives here: records. What does not: parsing the texts (``grammar``), and whether the names in them exist
(``planner``).

Source: https://docs.postgrest.org/en/v16/references/api/url_grammar.html
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from .statement import Slot


@dataclass(frozen=True, slots=True)
class JsonStep:
    """``->key``, ``->>key`` (``as_text``) or an index: ``+0``, ``-1`` (``is_index``)."""

    operand: str
    is_index: bool = False
    as_text: bool = False


JsonPath = tuple[JsonStep, ...]


class Field(NamedTuple):
    """A column with an optional path into it."""

    name: str
    path: JsonPath = ()


@dataclass(frozen=True, slots=True)
class SelectField:
    """``alias:column->path::cast.aggregate()::aggregate_cast``; the aggregate in upper case."""

    field: Field
    alias: str | None = None
    cast: str | None = None
    aggregate: str | None = None
    aggregate_cast: str | None = None


@dataclass(frozen=True, slots=True)
class SelectRelation:
    """``alias:relation!hint!inner(…)``, or with ``spread`` ``...relation!hint(…)``."""

    relation: str
    items: tuple[SelectItem, ...] = ()
    alias: str | None = None
    hint: str | None = None
    join: str | None = None  # "inner", "left"
    spread: bool = False


SelectItem = SelectField | SelectRelation


@dataclass(frozen=True, slots=True)
class Operation:
    """An operator and its operand: text, for ``is`` the keyword it names, a slot once values are set aside.

    ``operator`` is PostgREST's word (``eq``, ``in``, ``isdistinct``, ``fts`` …); ``quantifier`` is ``any`` or
    ``all``; ``language`` belongs to full-text search; ``elements`` to ``in``.
    """

    operator: str
    operand: str | Slot = ""
    quantifier: str | None = None
    language: str | None = None
    elements: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Filter:
    """A condition on one field; ``negated`` by ``not.``."""

    field: Field
    operation: Operation
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Logic:
    """``and(…)`` or ``or(…)`` over filters and further logic."""

    operator: str
    children: tuple[Filter | Logic, ...]
    negated: bool = False


@dataclass(frozen=True, slots=True)
class OrderTerm:
    """``field.desc.nullslast``; with ``relation``, a field of an embedded to-one relation."""

    field: Field
    descending: bool | None = None
    nulls_first: bool | None = None
    relation: str | None = None


EmbedPath = tuple[str, ...]
