"""The text of a parse error, and of what was found in its place, as Haskell's Parsec writes them.

What lives here: messages to one line, literals as ``show`` writes them. What does not: which messages an
error has (``parsec``).
"""

from __future__ import annotations

from collections.abc import Sequence

SYSTEM_UNEXPECTED, UNEXPECTED, EXPECTED, MESSAGE = range(4)
Message = tuple[int, str]
"""One of the kinds above, and a text."""


def show(text: str) -> str:
    """A string literal as Haskell's ``show`` writes it."""
    out: list[str] = []
    last = ""
    for character in text:
        # What would be read on as part of the escape before it is kept apart by an empty one.
        if (character.isdecimal() and last[1:].isdecimal()) or (character == "H" and last == "\\SO"):
            out.append("\\&")
        last = _escaped(character)
        out.append(last)
    return '"' + "".join(out) + '"'


def _escaped(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    if " " <= character <= "~":
        return character
    code = ord(character)
    return f"\\{_ESCAPES[code] if code < 32 else 'DEL' if code == 127 else code}"


_ESCAPES = (  # of the characters below the space, in their order
    *("NUL", "SOH", "STX", "ETX", "EOT", "ENQ", "ACK", "a", "b", "t", "n", "v", "f", "r", "SO", "SI"),
    *("DLE", "DC1", "DC2", "DC3", "DC4", "NAK", "SYN", "ETB", "CAN", "EM", "SUB", "ESC", "FS", "GS", "RS"),
    "US",
)


def show_character(character: str) -> str:
    """A character literal as Haskell's ``show`` writes it."""
    if character == "'":
        return "'\\''"
    body = show(character)[1:-1]
    return "'\"'" if character == '"' else f"'{body}'"


def render(messages: Sequence[Message]) -> str:
    """The messages of an error in one line, in Parsec's order and wording."""
    by_kind: list[list[str]] = [[], [], [], []]
    for kind, text in messages:
        by_kind[kind].append(text)
    system, unexpected, expected, other = by_kind
    if not messages:
        return "unknown parse error"
    parts = []
    if system and not unexpected:
        parts.append("unexpected " + (system[0] or "end of input"))
    parts += [_many("unexpected", unexpected), _many("expecting", expected), _many("", other)]
    return " ".join(_distinct(parts)).strip()


def _distinct(texts: Sequence[str]) -> list[str]:
    return [text for text in dict.fromkeys(texts) if text]


def _many(prefix: str, texts: Sequence[str]) -> str:
    texts = _distinct(texts)
    if not texts:
        return ""
    listed = texts[0] if len(texts) == 1 else ", ".join(texts[:-1]) + " or " + texts[-1]
    return f"{prefix} {listed}".strip()
