"""Requests that the documentation shows, with the answers it shows: sent, and compared.

What lives here: reading a request and an answer from their blocks, sending one and comparing the other. What
does not: which server they are sent to (``conftest``). The convention is in docs/contributing.md.
"""

from __future__ import annotations

import http.client
import json
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from tests.docs.pages import Block, Page

ANYTHING = "..."


@dataclass(frozen=True)
class Message:
    """A request or an answer: its first line, its headers as written, its body."""

    first: str
    headers: tuple[tuple[str, str], ...]
    body: str


@dataclass(frozen=True)
class Example:
    """A request block and the answer block right behind it."""

    page: Page
    request: Block
    answer: Block

    @property
    def id(self) -> str:
        return f"{self.page.name}:{self.request.line}"


def examples(page: Page) -> list[Example]:
    """The examples of a page, in order. Every http block must belong to one."""
    blocks = [block for block in page.blocks() if block.info == "http"]
    assert len(blocks) % 2 == 0, f"{page.name}: an http block without its answer or request"
    pairs = [
        Example(page, request, answer) for request, answer in zip(blocks[::2], blocks[1::2], strict=True)
    ]
    for pair in pairs:
        assert not pair.request.text.startswith("HTTP/"), f"{pair.id}: an answer where a request belongs"
        assert pair.answer.text.startswith("HTTP/1.1"), f"{pair.id}: no answer follows"
    return pairs


def parse(block: Block) -> Message:
    head, _, body = block.text.partition("\n\n")
    first, *lines = head.splitlines()
    headers = tuple(
        (name.strip(), value.strip()) for name, _, value in (line.partition(":") for line in lines)
    )
    return Message(first.strip(), headers, body.rstrip("\n"))


def send(url: str, request: Message, words: dict[str, str]) -> tuple[int, str, list[tuple[str, str]], bytes]:
    """The answer to a request; ``words`` such as ``$TOKEN`` are replaced in its headers."""
    method, _, target = request.first.partition(" ")
    headers = {}
    for name, value in request.headers:
        for word, meant in words.items():
            value = value.replace(word, meant)
        headers[name] = value
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=20)
    try:
        # What a URL cannot hold is encoded, as curl -G and browsers do; % stays as it is.
        connection.request(
            method, quote(target, safe="/?&=.,:;()*!+<>-_~%$'@{}[]|"), request.body.encode(), headers
        )
        answer = connection.getresponse()
        return answer.status, answer.reason, answer.getheaders(), answer.read()
    finally:
        connection.close()


def compare(shown: Message, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
    """Whether the answer is the one shown: its status, the headers that are shown, its body."""
    assert shown.first.split()[1:2] == [str(status)], f"status {status}: {body.decode()}"
    known: dict[str, list[str]] = {}
    for name, value in headers:
        known.setdefault(name.lower(), []).append(value)
    for name, value in shown.headers:
        given = known.get(name.lower(), [])
        assert any(_matches(value, one) for one in given), f"{name}: {given} instead of {value}"
    _compare_body(shown.body, body.decode())


def _compare_body(shown: str, given: str) -> None:
    if shown == given.rstrip("\n"):
        return
    if ANYTHING in shown:
        assert _matches(_squeezed(shown), _squeezed(given)), given
        return
    assert _json(shown) == _json(given), f"{given!r} instead of {shown!r}"


def _json(text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=lambda pairs: pairs) if text else text
    except ValueError:
        return text.rstrip("\n")


def _squeezed(text: str) -> str:
    return re.sub(r"\s+", "", text)


def _matches(shown: str, given: str) -> bool:
    return re.fullmatch(".*".join(map(re.escape, shown.split(ANYTHING))), given, re.S) is not None
