"""Write the answers into a page: ``python -m tests.docs.rewrite docs/reference/query-language.md``.

Sends every request the page shows and puts what came in the place of what is shown: the status, the values of
the headers that are shown, the body. What holds ``...`` stays as it is while it still fits. Read the diff.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.conftest import Server, prepared, temporary_postgres
from tests.docs.conftest import FILMS, serve_films
from tests.docs.examples import ANYTHING, Example, compare, examples, parse, send
from tests.docs.pages import Page
from tests.live import LiveServer, token


def answer_text(example: Example, live: LiveServer) -> str:
    """What the answer's block should hold."""
    shown = parse(example.answer)
    status, reason, headers, body = send(live.url, parse(example.request), {"$TOKEN": token()})
    if ANYTHING in example.answer.text:
        try:
            compare(shown, status, headers, body)
        except AssertionError:
            pass
        else:
            return example.answer.text
    given = {name.lower(): value for name, value in headers}
    lines = [f"HTTP/1.1 {status} {reason}".rstrip()]
    lines += [f"{name}: {given.get(name.lower(), '(none)')}" for name, _ in shown.headers]
    text = "\n".join(lines) + "\n"
    return text + "\n" + shown_body(body.decode()) + "\n" if body else text


def shown_body(text: str) -> str:
    """A body as it is shown: arrays one row a line, errors one member a line."""
    try:
        value = json.loads(text)
    except ValueError:
        return text.rstrip("\n")
    if isinstance(value, list) and len(value) > 1 and len(text) > 60:
        return "[" + ",\n ".join(map(compact, value)) + "]"
    if isinstance(value, dict) and {"code", "message"} <= value.keys():
        return "{" + ",\n ".join(f"{compact(name)}:{compact(member)}" for name, member in value.items()) + "}"
    return compact(value)


def compact(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def rewrite(page: Page, uri: str) -> None:
    running: dict[object, LiveServer] = {}
    text = page.text
    try:
        for example in reversed(examples(page)):
            settings = example.request.settings
            live = running.get(settings) or running.setdefault(settings, serve_films(uri, settings))
            begin, end = example.answer.span
            text = text[:begin] + answer_text(example, live) + text[end:]
    finally:
        for live in running.values():
            live.close()
    page.path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    with temporary_postgres() as embedded:
        server = prepared(Server(embedded.uri()))
        for name in sys.argv[1:]:
            with server.database(FILMS.read_text()) as database:
                rewrite(Page(Path(name).resolve()), database)
