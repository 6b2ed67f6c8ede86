"""CSV as PostgREST reads it: RFC 4180, blank lines left out, and the errors of the parser it uses.

What lives here: text to records. What does not: records to rows (``payload``).

The standard library's reader differs in what it takes and says nothing of where it stopped. What may surprise
is kept: a quoted field that nobody closes ends with the text, without its last character.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from .parsecerrors import show

_QUOTED = re.compile(r'[^"]*(?:""[^"]*)*')
_PLAIN = re.compile(r'[^",\r\n]*')
_LINE_END = re.compile(r"\r\n|\n|\r")
_SHOWN = 100  # bytes of what could not be read

Record = list[str]


class CsvError(ValueError):
    """The text is no CSV; the message is PostgREST's."""

    def __init__(self, reason: str, rest: str) -> None:
        left = rest.encode().decode("latin-1")
        cut = left[:_SHOWN].encode("latin-1").decode(errors="replace") + " (truncated)"
        super().__init__(f"parse error ({reason}) at {show(left) if len(left) <= _SHOWN else cut}")


def read_csv(text: str) -> tuple[Record, list[Record]]:
    """The header and the records behind it. Raises CsvError."""
    records = _split(text) if '"' not in text else _records(text)
    header = next(records)
    return header, [record for record in records if record != [""]]


def _split(text: str) -> Iterator[Record]:
    """All records of a text without quotes: most bodies, and several times as fast."""
    lines = _LINE_END.split(text) if "\r" in text else text.split("\n")
    if len(lines) == 1:
        raise CsvError("not enough input", "")
    for line in lines:
        yield line.split(",")


def _records(text: str) -> Iterator[Record]:
    """All records; the first must have a line end."""
    record, position = _record(text, 0)
    while True:
        yield record
        position = _line_end(text, position)
        record, position = _record(text, position)
        if position == len(text):
            yield record
            return


def _record(text: str, position: int) -> tuple[Record, int]:
    field, position = _field(text, position)
    record = [field]
    while text.startswith(",", position):
        field, position = _field(text, position + 1)
        record.append(field)
    return record, position


def _field(text: str, position: int) -> tuple[str, int]:
    if not text.startswith('"', position):
        match = _PLAIN.match(text, position)
        assert match is not None
        return match[0], match.end()
    match = _QUOTED.match(text, position + 1)
    assert match is not None
    if match.end() < len(text):
        return match[0].replace('""', '"'), match.end() + 1
    return _unclosed(match[0]), match.end()


def _unclosed(content: str) -> str:
    if not content:
        raise CsvError("Failed reading: trailing double quote", "")
    if content.endswith('""'):
        raise CsvError("Failed reading: insufficient input", "")
    return content[:-1].replace('""', '"')


def _line_end(text: str, position: int) -> int:
    match = _LINE_END.match(text, position)
    if match is None:
        reason = "not enough input" if position == len(text) else "Failed reading: satisfy"
        raise CsvError(reason, text[position:])
    return match.end()
