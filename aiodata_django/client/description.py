"""The schema's description, ``GET /``: the tables a client has, their columns and their keys."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..core.state.entry import Entry, entry
from .error import Error


class Fields:
    """The columns of a table: in order when iterated, by name as attribute or item, by position as item.

    Each is an entry of ``main`` (part of the key), ``type`` (``pg_type.typname``), ``dims``, ``null``,
    ``info`` (the comment), ``refs`` (table and column, or null twice) and ``name``.
    """

    def __init__(self, fields: Mapping[str, Entry]) -> None:
        self._fields = dict(fields)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._fields.values())

    def __len__(self) -> int:
        return len(self._fields)

    def __contains__(self, field: object) -> bool:
        return field in self._fields if isinstance(field, str) else field in self._fields.values()

    def __getitem__(self, which: str | int) -> Entry:
        return self._fields[which] if isinstance(which, str) else list(self._fields.values())[which]

    def __getattr__(self, name: str) -> Entry:
        try:
            return self.__dict__["_fields"][name]  # type: ignore[no-any-return]
        except KeyError:
            raise AttributeError(f"no field {name!r}") from None

    def __eq__(self, other: object) -> bool:
        return list(self) == list(other) if isinstance(other, (Fields, list, tuple)) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<Fields {', '.join(self._fields)}>"


@dataclass(frozen=True)
class Description:
    """One table as the server describes it."""

    name: str
    fields: Fields

    @classmethod
    def of_copy(cls, name: str, columns: Iterable[tuple[str, str]], key: Container[str]) -> Description:
        """A table as its rows tell it: names and types of columns, and the key; the rest is not known."""
        unknown = {"dims": 0, "null": None, "info": None}
        about = {column: {"main": column in key, "type": kind, **unknown} for column, kind in columns}
        return cls(name, Fields({column: _field(column, each) for column, each in about.items()}))

    @property
    def columns(self) -> list[tuple[str, str]]:
        """(name, type) of each column, in order."""
        return [(field.name, field.type) for field in self.fields]

    @property
    def key(self) -> tuple[str, ...]:
        """The columns of the primary key, in the order of the columns."""
        return tuple(field.name for field in self.fields if field.main)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Description) and (self.name, self.fields) == (other.name, other.fields)


def descriptions(schema: Any) -> list[Description]:
    """The tables of a description. Raises Error when it is none."""
    if not isinstance(schema, Mapping):
        raise Error("the answer to GET / is no description of a schema", details=str(schema)[:200])
    return [
        Description(name, Fields({column: _field(column, about) for column, about in columns.items()}))
        for name, columns in schema.items()
    ]


def _field(name: str, about: Mapping[str, Any]) -> Entry:
    return entry({**about, "refs": tuple(about.get("refs") or (None, None)), "name": name})
