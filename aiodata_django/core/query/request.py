"""A request: what is asked for, judged by nothing but itself.

What lives here: the records. What does not: how they are read (``outline``, ``interpret``), and whether
anything named exists (``plan``).

Sources: https://docs.postgrest.org/en/v16/references/api.html, and our own key segments on ``/query``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from .headers import Headers
from .media import MediaType
from .payload import Payload
from .preferences import Preferences
from .statement import Slot
from .syntax import EmbedPath, Filter, Logic, OrderTerm, SelectItem


class Dialect(Enum):
    """``QUERY`` is aiodata's, with key segments; ``REST`` is PostgREST's, exactly."""

    QUERY = "query"
    REST = "rest"


class Action(Enum):
    """What is to be done."""

    READ = "read"
    CREATE = "create"
    UPDATE = "update"
    UPSERT = "upsert"
    DELETE = "delete"
    CALL_READ = "call read-only"
    CALL = "call"
    RELATION_INFO = "relation info"
    ROUTINE_INFO = "routine info"
    SCHEMA_INFO = "schema info"
    INSPECT = "inspect"

    __hash__ = object.__hash__  # members are looked up in each request, and Enum's own hash is Python's

    @property
    def mutates(self) -> bool:
        """Writes to a relation."""
        return self in (Action.CREATE, Action.UPDATE, Action.UPSERT, Action.DELETE)

    @property
    def calls(self) -> bool:
        """Calls a routine."""
        return self in (Action.CALL, Action.CALL_READ)


@dataclass(slots=True)
class HttpRequest:
    """The pieces of HTTP, as they came.

    ``path`` is raw (percent-encoded), below the mount, and starts with a slash; ``query`` is raw and has no
    question mark. ``mount`` is where the dialect is mounted.
    """

    method: str
    path: str
    query: str
    headers: Headers
    body: bytes = b""
    mount: str = ""

    def header(self, name: str) -> str | None:
        """The first header of that (lower case) name."""
        return self.headers.first.get(name)


class PlannedRange(NamedTuple):
    """A range with its numbers set aside: ``limit`` None takes all rows."""

    limit: Slot | None
    offset: Slot


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """What a request asks for, values left out.

    Every value is a :class:`Slot`; lists keep the order of the query string. ``arguments`` are those of a
    read-only call or a form; ``filter_names`` are the filters' names as they were written.
    """

    dialect: Dialect
    action: Action
    headers_only: bool
    schema: str
    negotiated: bool
    target: str
    keys: tuple[Slot, ...]
    select: tuple[SelectItem, ...]
    filters: tuple[tuple[EmbedPath, Filter], ...]
    filter_names: frozenset[str]
    logic: tuple[tuple[EmbedPath, Filter | Logic], ...]
    orders: tuple[tuple[EmbedPath, tuple[OrderTerm, ...]], ...]
    ranges: tuple[tuple[EmbedPath, PlannedRange], ...]
    arguments: tuple[tuple[str, Slot], ...]
    on_conflict: tuple[str, ...] | None
    accept: tuple[MediaType, ...]
    content_type: MediaType
    preferences: Preferences
    payload: Payload | None
    payload_slot: Slot | None

    @property
    def representation(self) -> bool:
        """The rows written are to be returned: asked for, or by the habit of ``/query``."""
        if self.preferences.representation is None:
            return self.dialect is Dialect.QUERY
        return self.preferences.full
