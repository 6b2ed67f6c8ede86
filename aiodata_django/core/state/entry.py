"""Entries: one immutable row each, and how JSON becomes entries.

What lives here: the classes made for each table's columns, and the decoding of whole answers or pieces of
them. What does not: where entries are kept (``cache``) and where the JSON comes from.

msgspec is the one third party in the core. Making a million rows out of JSON text is what a client waits for
at its start, and a typed decoder into slotted records does it several times faster, and in half the memory,
than ``json`` into dicts (``benchmarks/cache.py`` has the figures).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Any, ClassVar, cast

import msgspec
from msgspec import structs

_INTEGERS = frozenset({"int2", "int4", "int8"})
_FLOATS = frozenset({"float4", "float8"})
_TEXTS = frozenset(
    """
    text varchar bpchar name char citext uuid bytea xml ltree money oid bit varbit inet cidr macaddr macaddr8
    date time timetz timestamp timestamptz interval tsvector tsquery
    int4range int8range numrange tsrange tstzrange daterange
    int4multirange int8multirange nummultirange tsmultirange tstzmultirange datemultirange
    """.split()  # noqa: SIM905 - forty names read better as words than as a list
)
# Array elements which cannot hold a fraction, or hold nothing else: their values need no second look.
_PLAIN_ELEMENTS = _INTEGERS | _TEXTS | {"bool", "numeric"}
PIECE = 128 * 1024  # bytes decoded at once: what keeps an event loop's stall at a few milliseconds


class Entry(msgspec.Struct, frozen=True, gc=False):
    """One row: ``entry.name``, ``entry["name"]``, iteration over column names. It never changes.

    Values are JSON's: int, str, bool, None, list, dict; float for ``float4`` and ``float8``, int or
    :class:`~decimal.Decimal` for ``numeric``, so that no digit is lost. ``NaN`` and infinities are strings.
    Entries are equal when they have the same columns with equal values. Unknown names raise AttributeError
    or KeyError.
    """

    # No garbage collection: rows come from JSON text, so none can be part of a cycle.
    column_fields: ClassVar[Mapping[str, str]] = {}

    def __getitem__(self, name: str) -> Any:
        return getattr(self, type(self).column_fields[name])

    def __getattr__(self, name: str) -> Any:
        # Reached only by names that cannot be attributes as they stand, such as ``my column``.
        try:
            return getattr(self, type(self).column_fields[name])
        except KeyError:
            raise AttributeError(f"no column {name!r}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(type(self).column_fields)

    def __len__(self) -> int:
        return len(type(self).column_fields)

    def __eq__(self, other: object) -> bool:
        if type(self) is type(other):
            return msgspec.Struct.__eq__(self, other)
        if not isinstance(other, Entry):
            return NotImplemented
        return asdict(self) == asdict(other)

    def __ne__(self, other: object) -> bool:
        return not self == other  # Struct has one of its own, by which entries of two classes always differ

    def __hash__(self) -> int:
        return hash(frozenset(asdict(self).items()))

    def __repr__(self) -> str:
        return f"Entry({', '.join(f'{name}={value!r}' for name, value in asdict(self).items())})"


def asdict(entry: Entry) -> dict[str, Any]:
    """A new dict of an entry's columns and values."""
    return dict(zip(type(entry).column_fields, structs.astuple(entry), strict=True))


#: Whether two entries of one class are equal, without the detour through Python that ``==`` takes. Of two
#: classes (the table has another column since) it answers NotImplemented: ask whether it ``is True``.
same: Callable[[Any, Any], bool] = msgspec.Struct.__eq__


class _Anything(type):
    """Makes every value an instance: msgspec checks what a decoding hook returns against its type."""

    def __instancecheck__(cls, instance: object) -> bool:
        return True


class _Json(metaclass=_Anything):
    """A column of type json or jsonb: fractions are floats wherever that loses nothing."""


class _Unknown(metaclass=_Anything):
    """A column whose type may have any JSON form: domain, composite, enum, extension type."""


def _as_float(number: Decimal) -> float | Decimal:
    """The float of the same value, or the number itself where there is none."""
    approximate = float(number)
    return approximate if Decimal(repr(approximate)) == number else number


def _with_floats(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _with_floats(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_with_floats(member) for member in value]
    return _as_float(value) if isinstance(value, Decimal) else value


def _decoded(kind: type, value: Any) -> Any:
    """msgspec's hook for the two loose kinds of column. A bare number of unknown type stays exact."""
    return value if kind is _Unknown and isinstance(value, Decimal) else _with_floats(value)


def _annotation(typname: str) -> Any:
    """What a column of this type (``pg_type.typname``) is decoded as."""
    if typname in _TEXTS:
        return str | None
    if typname in _INTEGERS:
        return int | None
    if typname == "bool":
        return bool | None
    if typname in _FLOATS:
        return float | str | None  # "NaN", "Infinity" and "-Infinity" are strings in JSON
    if typname == "numeric" or (typname.startswith("_") and typname[1:] in _PLAIN_ELEMENTS):
        return Any
    return _Json | None if typname in ("json", "jsonb") else _Unknown | None


_TYPNAMES = {
    "smallint": "int2",
    "integer": "int4",
    "bigint": "int8",
    "boolean": "bool",
    "real": "float4",
    "double precision": "float8",
    "character varying": "varchar",
    "character": "bpchar",
    "bit varying": "varbit",
    "time without time zone": "time",
    "time with time zone": "timetz",
    "timestamp without time zone": "timestamp",
    "timestamp with time zone": "timestamptz",
}


def typname_of(written: str) -> str:
    """``pg_type.typname`` of a type as ``format_type`` writes it: ``_numeric`` of ``numeric(8,2)[]``."""
    element = re.sub(r"\(.*\)", "", written.removesuffix("[]"))
    typname = _TYPNAMES.get(element, element)
    return f"_{typname}" if written.endswith("[]") else typname


def is_scalar(typname: str) -> bool:
    """Whether values of this type are surely hashable: neither lists nor dicts."""
    return typname in _TEXTS or typname in _INTEGERS or typname in _FLOATS or typname in ("bool", "numeric")


def is_text(typname: str) -> bool:
    """Whether values of this type are always strings."""
    return typname in _TEXTS


def _make(columns: Iterable[tuple[str, Any]]) -> type[Entry]:
    columns = tuple(columns)
    fields = _fields([column for column, _ in columns])
    made = msgspec.defstruct(
        "Entry",
        # A column the server no longer sends reads as null until the new description is here.
        [(fields[column], annotation, None) for column, annotation in columns],
        bases=(Entry,),
        rename={field: column for column, field in fields.items()},
        frozen=True,
        gc=False,
        namespace={"column_fields": fields},
        module=__name__,
    )
    return cast("type[Entry]", made)


def _fields(columns: Sequence[str]) -> dict[str, str]:
    """The attribute that holds each column: its own name, unless that cannot be one or is Python's."""
    fields = {}
    for position, column in enumerate(columns):
        field = column
        if not column.isidentifier() or column.startswith("__") or column == "column_fields":
            field = f"column_{position}"
            while field in columns:
                field += "_"
        fields[column] = field
    return fields


@lru_cache(maxsize=512)
def _untyped(columns: tuple[str, ...]) -> type[Entry]:
    return _make((column, Any) for column in columns)


def entry(values: Mapping[str, Any]) -> Entry:
    """An entry of any columns, for answers whose shape no table gives."""
    return _untyped(tuple(values))(*values.values())


class EntryType:
    """The entries of one table: their class, and the decoders of JSON rows into it.

    ``columns`` are (name, ``pg_type.typname``) pairs in the table's order.
    """

    def __init__(self, columns: Sequence[tuple[str, str]]) -> None:
        self.columns = tuple(columns)
        self.names = tuple(name for name, _ in columns)
        self._annotations = [(name, _annotation(typname)) for name, typname in columns]
        self.make = _make(self._annotations)
        hooks: Any = {"dec_hook": _decoded, "float_hook": Decimal}
        self._hooks = hooks
        self._row: Callable[[bytes | msgspec.Raw], Entry] = msgspec.json.Decoder(self.make, **hooks).decode
        self._rows: Callable[[bytes], list[Entry]] = self.decoder(lambda made: list[made])  # type: ignore[valid-type]

    def decoder(self, shape: Callable[[type[Entry]], Any]) -> Callable[[str | bytes], Any]:
        """A decoder of messages that hold entries: ``shape`` makes their type from the entries' class."""
        return msgspec.json.Decoder(shape(self.make), **self._hooks).decode

    def row(self, source: bytes | msgspec.Raw | Mapping[str, Any] | Entry) -> Entry:
        """An entry from a JSON object, its text, or another entry. Raises ValueError for what is not JSON."""
        if type(source) is msgspec.Raw or isinstance(source, bytes):
            try:
                return self._row(source)
            except msgspec.ValidationError:
                return self._loosely(_LOOSE_ROW.decode(source))
        if isinstance(source, Entry):
            return source if isinstance(source, self.make) else self._from_mapping(asdict(source))
        return self._from_mapping(source)

    def all(self, sources: Sequence[bytes | msgspec.Raw | Mapping[str, Any] | Entry]) -> Sequence[Entry]:
        """Entries of what :meth:`row` takes, unless they are entries of this table already."""
        kinds = set(map(type, sources))
        if kinds == {self.make}:
            return cast("Sequence[Entry]", sources)
        if kinds == {msgspec.Raw}:  # one call of the decoder costs more than the brackets around them
            return self.rows(b"".join((b"[", b",".join(cast("Sequence[msgspec.Raw]", sources)), b"]")))
        return list(map(self.row, sources))

    def rows(self, text: bytes) -> list[Entry]:
        """Entries from a JSON array of objects. Raises ValueError for what is not JSON."""
        try:
            return self._rows(text)
        except msgspec.ValidationError:
            # A column's type has changed under us: take the values as they come.
            return [self._loosely(values) for values in _LOOSE_ROWS.decode(text)]

    def coercion(self, name: str) -> Callable[[Any], Any] | None:
        """How a number from elsewhere becomes what the rows hold in this column; None where it already is."""
        typname = dict(self.columns)[name]
        if typname in _FLOATS:
            return lambda value: float(value) if isinstance(value, Decimal) else value
        if typname == "numeric":
            return lambda value: Decimal(repr(value)) if isinstance(value, float) else value
        return None if is_scalar(typname) else lambda value: _decoded(_Unknown, value)

    def _loosely(self, values: Mapping[str, Any]) -> Entry:
        known = self._converted(values)
        return self.make(*map(known.get, self.names))

    def _converted(self, values: Mapping[str, Any]) -> dict[str, Any]:
        return {
            name: values[name] if annotation is Any else _decoded(_Unknown, values[name])
            for name, annotation in self._annotations
            if name in values
        }

    def values(self, text: bytes | msgspec.Raw) -> dict[str, Any]:
        """The values of some of the columns, as rows would have them. Raises ValueError."""
        row = self.row(text)
        return {name: row[name] for name in _LOOSE_ROW.decode(text) if name in self.names}

    def _from_mapping(self, values: Mapping[str, Any]) -> Entry:
        return self.make(*map(values.get, self.names))


def decode(text: bytes | str | msgspec.Raw) -> Any:
    """Any JSON text; fractions become floats where that loses nothing, else Decimals."""
    return _with_floats(_LOOSE.decode(text))


def encode(value: Any) -> bytes:
    """JSON text of plain values, dates, UUIDs, Decimals (as numbers) and entries."""
    return _ENCODER.encode(value)


_LOOSE = msgspec.json.Decoder(float_hook=Decimal)
_LOOSE_ROW = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal)
_LOOSE_ROWS = msgspec.json.Decoder(list[dict[str, Any]], float_hook=Decimal)
_ENCODER = msgspec.json.Encoder(decimal_format="number")


class RowReader:
    """Rows out of a JSON array that arrives in pieces of any size; a row may be cut anywhere.

    ``rows`` decodes one complete array. Feed until the text ends, then close.
    """

    def __init__(self, rows: Callable[[bytes], list[Entry]], *, piece: int = PIECE) -> None:
        self._rows = rows
        self._piece = piece
        self._wanted = piece
        self._opening: bytes | None = None  # how each row begins: {"first column":
        self._text = bytearray()

    def feed(self, text: bytes | memoryview) -> list[Entry]:
        """Take more text; the rows that are complete, when it is worth the call."""
        self._text += text
        return self._split() if len(self._text) >= self._wanted else []

    def close(self) -> list[Entry]:
        """The last rows. Raises ValueError when the text is not a whole array."""
        text = bytes(self._text)
        self._text.clear()
        return self._rows(b"[" + text if self._opening else text)

    def _split(self) -> list[Entry]:
        """Decode up to the last place where a row begins.

        That the pieces before a comma, put in brackets, are valid JSON proves that the comma separates rows:
        inside a row they would lack a bracket or a quote. So a wrong guess costs time, never a row.
        """
        if self._opening is None and not self._open():
            return []
        end = len(self._text)
        for _ in range(8):
            end = self._text.rfind(self._opening or b"", 1, end)
            if end < 0:
                break
            comma = self._text.rfind(b",", 0, end)
            if not self._text[comma + 1 : end].strip() and (rows := self._try(comma)) is not None:
                del self._text[:end]
                self._wanted = self._piece
                return rows
        self._wanted = 2 * len(self._text)  # one long row, or many look-alikes inside of it
        return []

    def _try(self, comma: int) -> list[Entry] | None:
        with memoryview(self._text) as text:
            array = b"".join((b"[", text[:comma], b"]"))
        try:
            return self._rows(array)
        except ValueError:
            return None

    def _open(self) -> bool:
        """Learn how rows begin, and drop the array's bracket."""
        start = self._text.find(b"{")
        colon = self._text.find(b":", start)
        if start < 0 or colon < 0 or self._text[:start].strip() != b"[":
            return False
        self._opening = bytes(self._text[start : colon + 1])
        del self._text[:start]
        return True
