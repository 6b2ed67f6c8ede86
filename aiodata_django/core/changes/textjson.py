"""Values in PostgreSQL's text format -> JSON, byte for byte as ``to_json`` of the row prints them.

What lives here: type shapes as the catalogue gives them, and the renderer of each. What does not: rows
(``published``), and types whose JSON only PostgreSQL knows (a cast to json of their own): for those there
is no renderer, and the row has to be rendered by SQL.

The text is expected under ``DateStyle=ISO``. Source of the rules: ``to_json`` in
https://www.postgresql.org/docs/18/functions-json.html and the array and record formats in
https://www.postgresql.org/docs/18/arrays.html#ARRAYS-IO and /rowtypes.html#ROWTYPES-IO-SYNTAX.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from json.encoder import encode_basestring
from typing import Any

Renderer = Callable[[bytes], bytes]


@dataclass(frozen=True, slots=True)
class TypeShape:
    """What decides how a type's values look as JSON.

    ``base`` is a domain's base type, ``element`` an array's element type (0: none), ``fields`` the names and
    types of a composite. ``json_cast`` says that the type has its own cast to json.
    """

    oid: int
    name: str
    base: int = 0
    element: int = 0
    delimiter: str = ","
    fields: tuple[tuple[str, int], ...] = ()
    json_cast: bool = False

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> TypeShape:
        """A shape from one record of the catalogue query."""
        fields = tuple((name, oid) for name, oid in record.get("fields") or ())
        return cls(**{**record, "fields": fields})


def json_text(text: str) -> bytes:
    """A JSON string, escaped as PostgreSQL does: only what must be."""
    return encode_basestring(text).encode("utf-8", "replace")


def _text(value: bytes) -> bytes:
    return json_text(value.decode("utf-8", "replace"))


def _raw(value: bytes) -> bytes:
    return value


def _boolean(value: bytes) -> bytes:
    return b"true" if value == b"t" else b"false"


def _number(value: bytes) -> bytes:
    # NaN and the infinities are the only texts of numbers with a letter other than the exponent's e.
    return b'"' + value + b'"' if value[-1:] in (b"N", b"y") else value


def _timestamp(value: bytes) -> bytes:
    return b'"' + value.replace(b" ", b"T", 1) + b'"' if value[-1:] != b"y" else b'"' + value + b'"'


_BARE_OFFSET = re.compile(rb"([+-]\d\d)( BC)?$")


def _timestamptz(value: bytes) -> bytes:
    # ISO output shortens the offset to hours where it can, JSON (xsd:dateTime) never does.
    return _timestamp(_BARE_OFFSET.sub(rb"\1:00\2", value))


def _int2vector(value: bytes) -> bytes:
    return b"[" + b",".join(value.split()) + b"]"


def _oidvector(value: bytes) -> bytes:
    return b"[" + b",".join(b'"' + part + b'"' for part in value.split()) + b"]"


_BUILTIN: dict[int, Renderer] = {
    16: _boolean,
    20: _number,
    21: _number,
    23: _number,
    700: _number,
    701: _number,
    1700: _number,
    114: _raw,  # json
    3802: _raw,  # jsonb
    1114: _timestamp,
    1184: _timestamptz,
    22: _int2vector,
    30: _oidvector,
}


class Renderers:
    """The renderer of each type, built on first use. ``of`` answers None where only SQL can render."""

    def __init__(self, shapes: Mapping[int, TypeShape]) -> None:
        self._shapes = shapes
        self._known: dict[int, Renderer | None] = dict(_BUILTIN)

    def of(self, oid: int) -> Renderer | None:
        """How values of the type are rendered, None when only PostgreSQL can."""
        if oid not in self._known:
            self._known[oid] = self._build(oid)
        return self._known[oid]

    def _build(self, oid: int) -> Renderer | None:
        shape = self._shapes.get(oid)
        if shape is None:
            return _text
        if shape.base:
            return self.of(shape.base)
        if shape.element:
            element = self.of(shape.element)
            return element and _array(element, shape.delimiter)
        if shape.fields:
            return self._composite(shape)
        return None if shape.json_cast else _text

    def _composite(self, shape: TypeShape) -> Renderer | None:
        renderers = [self.of(oid) for _, oid in shape.fields]
        known = [renderer for renderer in renderers if renderer is not None]
        if len(known) < len(renderers):
            return None
        return _record([json_text(name) + b":" for name, _ in shape.fields], known)


def _array(element: Renderer, delimiter: str) -> Renderer:
    def render(value: bytes) -> bytes:
        return _nested(parse_array(value.decode("utf-8", "replace"), delimiter), element)

    return render


def _nested(items: Sequence[Any], element: Renderer) -> bytes:
    return b"[" + b",".join(_item(item, element) for item in items) + b"]"


def _item(item: Any, element: Renderer) -> bytes:
    if item is None:
        return b"null"
    return _nested(item, element) if isinstance(item, list) else element(item.encode())


def _record(prefixes: Sequence[bytes], renderers: Sequence[Renderer]) -> Renderer:
    def render(value: bytes) -> bytes:
        fields = parse_record(value.decode("utf-8", "replace"))
        parts = (
            prefix + (b"null" if field is None else renderer(field.encode()))
            for prefix, renderer, field in zip(prefixes, renderers, fields, strict=True)
        )
        return b"{" + b",".join(parts) + b"}"

    return render


_ARRAY_TOKENS: dict[str, re.Pattern[str]] = {}


def _array_tokens(delimiter: str) -> re.Pattern[str]:
    if delimiter not in _ARRAY_TOKENS:
        stop = re.escape(delimiter)
        _ARRAY_TOKENS[delimiter] = re.compile(
            rf'([{{}}])|{stop}|"((?:[^"\\]|\\.)*)"|((?:[^{{}}"\\{stop}]|\\.)+)', re.DOTALL
        )
    return _ARRAY_TOKENS[delimiter]


_ESCAPE = re.compile(r"\\(.)", re.DOTALL)


def parse_array(text: str, delimiter: str = ",") -> list[Any]:
    """An array literal as nested lists of text and None. Bounds (``[0:1]=``) are dropped, as JSON does.

    Raises ValueError for text that is no array literal.
    """
    start = text.find("{")
    stack: list[list[Any]] = [[]]
    for brace, quoted, bare in _array_matches(text, start, delimiter):
        if brace == "{":
            stack.append([])
        elif brace == "}":
            if len(stack) < 2:
                raise ValueError(f"not an array literal: {text!r}")
            closed = stack.pop()
            stack[-1].append(closed)
        elif quoted is not None:
            stack[-1].append(_ESCAPE.sub(r"\1", quoted))
        elif bare is not None:
            stack[-1].append(None if bare == "NULL" else _ESCAPE.sub(r"\1", bare))
    if len(stack) != 1 or len(stack[0]) != 1 or not isinstance(stack[0][0], list):
        raise ValueError(f"not an array literal: {text!r}")
    return stack[0][0]


def _array_matches(
    text: str, position: int, delimiter: str
) -> Iterator[tuple[str | None, str | None, str | None]]:
    match = _array_tokens(delimiter).match
    while 0 <= position < len(text):
        found = match(text, position)
        if found is None:
            raise ValueError(f"not an array literal: {text!r}")
        position = found.end()
        yield found.group(1), found.group(2), found.group(3)


_FIELD = re.compile(r'(?:"((?:[^"\\]|""|\\.)*)"|([^,()"\\]*))([,)])', re.DOTALL)
_FIELD_ESCAPE = re.compile(r'\\(.)|"(")', re.DOTALL)


def parse_record(text: str) -> list[str | None]:
    """A record literal as its fields; an empty unquoted field is null.

    Raises ValueError for text that is no record literal.
    """
    fields: list[str | None] = []
    position = 1
    while text[:1] == "(" and position < len(text):
        found = _FIELD.match(text, position)
        if found is None:
            break
        quoted, bare, end = found.groups()
        fields.append((bare or None) if quoted is None else _FIELD_ESCAPE.sub(r"\1\2", quoted))
        position = found.end()
        if end == ")":
            if position == len(text):
                return fields
            break
    raise ValueError(f"not a record literal: {text!r}")
