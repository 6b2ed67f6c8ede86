"""The body of a write: which columns it names, and the bytes PostgreSQL is given.

What lives here: reading JSON, CSV and form bodies only as far as their keys, and the errors of bad ones.
What does not: casting values, which is PostgreSQL's work. JSON passes through untouched.

msgspec rather than the standard library, because its ``Raw`` skips over values without building them: a bulk
insert would otherwise cost more here than in PostgreSQL.
Source: https://docs.postgrest.org/en/v16/references/api/tables_views.html#insert
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from ..errors import RequestError
from . import media
from .csvtext import CsvError, read_csv
from .querystring import parse_form
from .samekeys import LEAST, common_keys

_ROWS = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])
_ROW = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ANYTHING = msgspec.json.Decoder(msgspec.Raw)


@dataclass(frozen=True, slots=True)
class Payload:
    """A body.

    ``columns`` are the keys, sorted. ``is_object`` tells one JSON object from an array. ``arguments`` are the
    fields of a form sent to a function. ``uneven`` tells that the rows do not all have the same keys.
    """

    body: bytes
    columns: tuple[str, ...] = ()
    is_object: bool = False
    arguments: tuple[tuple[str, str], ...] | None = None
    uneven: bool = False


def read_payload(
    body: bytes,
    content_type: media.MediaType,
    *,
    columns: Sequence[str] | None,
    is_call: bool,
    uneven_rows: bool,
) -> Payload:
    """The payload of a write or a call.

    ``columns`` are those of the ``columns`` parameter, which replace the keys of a JSON body; ``uneven_rows``
    allows rows of one array to have unlike keys. Raises RequestError PGRST102.
    """
    if content_type == media.JSON:
        if columns is not None:
            return Payload(body, tuple(sorted(set(columns))), _looks_like_object(body))
        return _read_json(b"{}" if is_call and not body else body, uneven_rows)
    if content_type == media.CSV:
        return _read_csv(body, uneven_rows)
    if content_type == media.FORM:
        return _read_form(body, is_call)
    if is_call and content_type in (media.TEXT, media.XML, media.OCTETS):
        return Payload(body)
    raise RequestError(400, "PGRST102", f"Content-Type not acceptable: {content_type.mime}")


def _looks_like_object(body: bytes) -> bool:
    # PostgreSQL validates the JSON; which function unpacks it depends on the first character only.
    return body.lstrip(b" \t\n\r")[:1] == b"{"


def _read_json(body: bytes, uneven_rows: bool) -> Payload:
    try:
        if not body.isascii():
            body.decode()  # the decoder does not look into the values that it skips
        if _looks_like_object(body):
            return Payload(body, tuple(sorted(_ROW.decode(body))), is_object=True)
        if body.lstrip(b" \t\n\r")[:1] != b"[":
            _ANYTHING.decode(body)
            return Payload(b"[]")
        return _read_rows(body, uneven_rows)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise RequestError(400, "PGRST102", "Empty or invalid json") from None


def _read_rows(body: bytes, uneven_rows: bool) -> Payload:
    keys = common_keys(body) if len(body) >= LEAST else None
    if keys is not None:
        return Payload(body, tuple(sorted(keys)))
    try:
        rows = _ROWS.decode(body)
    except msgspec.ValidationError:
        _ANYTHING.decode(body)  # it was not read to its end
        raise RequestError(400, "PGRST102", "All object keys must match") from None
    return _rows_payload(body, rows, uneven_rows, "All object keys must match")


def _rows_payload(
    body: bytes, rows: Sequence[Mapping[str, Any]], uneven_rows: bool, complaint: str
) -> Payload:
    if not rows:
        return Payload(b"[]")
    keys = rows[0].keys()
    if all(row.keys() == keys for row in rows):
        return Payload(body, tuple(sorted(keys)))
    if not uneven_rows:
        raise RequestError(400, "PGRST102", complaint)
    return Payload(body, tuple(sorted(_union(rows))), uneven=True)


def _union(rows: Iterable[Mapping[str, Any]]) -> set[str]:
    return set().union(*(row.keys() for row in rows))


def _read_csv(body: bytes, uneven_rows: bool) -> Payload:
    try:
        header, lines = read_csv(body.decode())
    except (CsvError, UnicodeDecodeError) as error:
        raise RequestError(400, "PGRST102", str(error)) from None
    rows = [
        {name: None if text == "NULL" else text for name, text in zip(header, line, strict=False)}
        for line in lines
    ]
    encoded = json.dumps(rows, ensure_ascii=False).encode()
    return _rows_payload(encoded, rows, uneven_rows, "All lines must have same number of fields")


def _read_form(body: bytes, is_call: bool) -> Payload:
    fields = parse_form(body)
    if is_call:
        return Payload(body, tuple(sorted({name for name, _ in fields})), arguments=tuple(fields))
    row = dict(fields)
    return Payload(json.dumps(row, ensure_ascii=False).encode(), tuple(sorted(row)), is_object=True)
