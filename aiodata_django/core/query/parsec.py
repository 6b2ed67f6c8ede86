"""A small parser-combinator kit whose error messages are those of Haskell's Parsec.

PostgREST's clients see "unexpected … expecting …" in the ``details`` of PGRST100, so the rules by which
errors are merged are part of the language we speak. What lives here: the combinators. What does not: any
grammar (``grammar``), and the text of an error (``parsecerrors``).

A parser is a function ``(text, position) -> Reply``. A reply says whether input was consumed (an alternative
is only tried when none was), whether it succeeded, the value, the new position, and the furthest error seen:
``(position, messages)``, where a message is ``(kind, text)``.

Source: Leijen and Meijer, "Parsec: Direct Style Monadic Parser Combinators For The Real World" (2001).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

from .parsecerrors import (
    EXPECTED,
    SYSTEM_UNEXPECTED,
    UNEXPECTED,
    Message,
    render,
    show,
    show_character,
)

Failure = tuple[int, tuple[Message, ...]]


class Reply(NamedTuple):
    """What a parser answers."""

    consumed: bool
    ok: bool
    value: Any
    position: int
    error: Failure


Parser = Callable[[str, int], Reply]


class ParseFailure(Exception):
    """A text that does not parse; ``details`` is Parsec's one-line rendering, ``column`` counts from 1."""

    def __init__(self, text: str, error: Failure) -> None:
        self.line, self.column = _line_and_column(text, error[0])
        self.details = render(error[1])
        super().__init__(self.details)


def parse(parser: Parser, text: str) -> Any:
    """The value of ``parser`` on ``text``; trailing input is allowed, as Parsec's ``parse`` does.

    Raises ParseFailure.
    """
    reply = parser(text, 0)
    if not reply.ok:
        raise ParseFailure(text, reply.error)
    return reply.value


def _line_and_column(text: str, position: int) -> tuple[int, int]:
    line, column = 1, 1
    for character in text[:position]:
        if character == "\n":
            line, column = line + 1, 1
        elif character == "\t":
            column += 8 - (column - 1) % 8
        else:
            column += 1
    return line, column


def merge(first: Failure, second: Failure) -> Failure:
    """The error that says more: one with messages, then the further one; both at the same place."""
    if not second[1]:
        return first if first[1] else (first if first[0] >= second[0] else second)
    if not first[1]:
        return second
    if first[0] == second[0]:
        return first[0], first[1] + second[1]
    return first if first[0] > second[0] else second


def _expect(error: Failure, expected: Message) -> Failure:
    return error[0], (expected, *[message for message in error[1] if message[0] != EXPECTED])


@lru_cache(maxsize=256)
def _unexpected(character: str) -> tuple[Message, ...]:
    return ((SYSTEM_UNEXPECTED, show(character) if character else ""),)


def _found(text: str, position: int) -> tuple[Message, ...]:
    """That what stands there was not expected."""
    return _unexpected(text[position] if position < len(text) else "")


def pure(value: Any) -> Parser:
    """Succeeds with ``value`` and takes nothing."""
    return lambda text, position: Reply(False, True, value, position, (position, ()))


def fail_silently(text: str, position: int) -> Reply:
    """Fails without a message (Parsec's ``mzero``)."""
    return Reply(False, False, None, position, (position, ()))


def satisfy(predicate: Callable[[str], bool]) -> Parser:
    """One character for which ``predicate`` holds."""

    def run(text: str, position: int) -> Reply:
        if position < len(text) and predicate(text[position]):
            return Reply(True, True, text[position], position + 1, (position + 1, ()))
        return Reply(False, False, None, position, (position, _found(text, position)))

    return run


def label(parser: Parser, text: str) -> Parser:
    """``parser``, called ``text`` in errors where it fails without consuming (Parsec's ``<?>``)."""

    expected = (EXPECTED, text)

    def run(source: str, position: int) -> Reply:
        reply = parser(source, position)
        consumed, ok, value, end, error = reply
        if consumed or (ok and not error[1]):
            return reply
        return Reply(consumed, ok, value, end, _expect(error, expected))

    return run


def char(character: str) -> Parser:
    """Exactly this character."""
    return label(satisfy(lambda c: c == character), show(character))


def string(wanted: str) -> Parser:
    """Exactly these characters; a partial match has consumed."""
    shown = show(wanted)

    def run(text: str, position: int) -> Reply:
        if text.startswith(wanted, position):
            end = position + len(wanted)
            return Reply(True, True, wanted, end, (end, ()))
        matched = 0
        while position + matched < len(text) and text[position + matched] == wanted[matched]:
            matched += 1
        error = (position, ((EXPECTED, shown), *_found(text, position + matched)))
        return Reply(matched > 0, False, None, position, error)

    return run


def one_of(characters: str) -> Parser:
    """One of these characters."""
    return satisfy(lambda c: c in characters)


def none_of(characters: str) -> Parser:
    """Any character but these."""
    return satisfy(lambda c: c not in characters)


any_char = satisfy(lambda c: True)
letter = label(satisfy(str.isalpha), "letter")
digit = label(satisfy(lambda c: "0" <= c <= "9"), "digit")


def bind(parser: Parser, then: Callable[[Any], Parser]) -> Parser:
    """``parser``, then the parser its value leads to."""

    def run(text: str, position: int) -> Reply:
        first = parser(text, position)
        if not first.ok:
            return first
        second = then(first.value)(text, first.position)
        if second.consumed:
            return second
        return second._replace(consumed=first.consumed, error=merge(first.error, second.error))

    return run


def seq(*parsers: Parser) -> Parser:
    """All of them in order; the value is the tuple of their values."""

    def run(text: str, position: int) -> Reply:
        consumed, values = False, []
        error: Failure = (position, ())
        for parser in parsers:
            took, ok, value, position, said = parser(text, position)
            error = said if took else merge(error, said)
            consumed = consumed or took
            if not ok:
                return Reply(consumed, False, None, position, error)
            values.append(value)
        return Reply(consumed, True, tuple(values), position, error)

    return run


def fmap(function: Callable[[Any], Any], parser: Parser) -> Parser:
    """``parser`` with ``function`` applied to its value."""

    def run(text: str, position: int) -> Reply:
        reply = parser(text, position)
        consumed, ok, value, end, error = reply
        return Reply(consumed, True, function(value), end, error) if ok else reply

    return run


def attempt(parser: Parser) -> Parser:
    """``parser``, which consumes nothing when it fails (Parsec's ``try``)."""

    def run(text: str, position: int) -> Reply:
        reply = parser(text, position)
        return reply if reply.ok else Reply(False, False, None, position, reply.error)

    return run


def choice(*parsers: Parser) -> Parser:
    """The first that succeeds; later ones are tried only when nothing was consumed."""

    def run(text: str, position: int) -> Reply:
        error: Failure = (position, ())
        for parser in parsers:
            reply = parser(text, position)
            if reply.consumed:
                return reply
            error = merge(error, reply.error)
            if reply.ok:
                return Reply(False, True, reply.value, reply.position, error)
        return Reply(False, False, None, position, error)

    return run


def many(parser: Parser) -> Parser:
    """Zero or more; stops where ``parser`` fails without consuming."""

    def run(text: str, position: int) -> Reply:
        consumed = False
        values: list[Any] = []
        while True:
            reply = parser(text, position)
            if not reply.consumed:
                # Parsec forgets the errors of the elements before, and so must we.
                return Reply(consumed, True, values, position, reply.error)
            if not reply.ok:
                return reply
            consumed, position = True, reply.position
            values.append(reply.value)

    return run


def many1(parser: Parser) -> Parser:
    """One or more."""
    return fmap(lambda pair: [pair[0], *pair[1]], seq(parser, many(parser)))


def run_of(holds: Callable[[str], bool], one: Parser) -> Parser:
    """``many(one)`` as text, for a ``one`` that takes a single character just where ``holds`` is true.

    Most of a text is runs of plain characters; going through ``one`` for each costs ten times as much.
    """

    def run(text: str, position: int) -> Reply:
        end = position
        while end < len(text) and holds(text[end]):
            end += 1
        return Reply(end > position, True, text[position:end], end, one(text, end).error)

    return run


def run_of1(holds: Callable[[str], bool], one: Parser) -> Parser:
    """``many1(one)`` as :func:`run_of` does it."""
    characters = run_of(holds, one)

    def run(text: str, position: int) -> Reply:
        reply = characters(text, position)
        return reply if reply.consumed else one(text, position)

    return run


def text_without(characters: str) -> Parser:
    """Any number of characters but these, as text."""
    return run_of(lambda c: c not in characters, none_of(characters))


def text1_without(characters: str) -> Parser:
    """At least one character, and none of these, as text."""
    return run_of1(lambda c: c not in characters, none_of(characters))


def sep_by1(parser: Parser, separator: Parser) -> Parser:
    """One or more, separated."""
    rest = many(fmap(lambda pair: pair[1], seq(separator, parser)))
    return fmap(lambda pair: [pair[0], *pair[1]], seq(parser, rest))


def sep_by(parser: Parser, separator: Parser) -> Parser:
    """Zero or more, separated."""
    return choice(sep_by1(parser, separator), pure([]))


def option(default: Any, parser: Parser) -> Parser:
    """``parser`` or else ``default``."""
    return choice(parser, pure(default))


def between(opening: Parser, closing: Parser, parser: Parser) -> Parser:
    """``parser`` in brackets."""
    return fmap(lambda triple: triple[1], seq(opening, parser, closing))


def look_ahead(parser: Parser) -> Parser:
    """``parser`` without moving on when it succeeds."""

    def run(text: str, position: int) -> Reply:
        reply = parser(text, position)
        return Reply(False, True, reply.value, position, (position, ())) if reply.ok else reply

    return run


def not_followed_by(parser: Parser) -> Parser:
    """Succeeds where ``parser`` fails, and takes nothing."""

    def run(text: str, position: int) -> Reply:
        reply = parser(text, position)
        if not reply.ok:
            return Reply(False, True, None, position, (position, ()))
        # The error stands behind what was read: so it is further along than what else was expected here.
        return Reply(
            False, False, None, position, (reply.position, ((UNEXPECTED, show_character(reply.value)),))
        )

    return run


def _end(text: str, position: int) -> Reply:
    if position == len(text):
        return Reply(False, True, None, position, (position, ()))
    shown = show_character(text[position])
    return Reply(False, False, None, position, (position, ((UNEXPECTED, shown),)))


eof = label(_end, "end of input")
