"""What the documentation shows is what happens: requests with their answers, and Python with its output."""

from __future__ import annotations

import argparse
import ast
import asyncio
import io
import re
import shlex
import urllib.request
from collections.abc import Callable
from contextlib import redirect_stdout
from inspect import CO_COROUTINE

import pytest

from tests.docs.examples import compare, examples, parse, send
from tests.docs.pages import Block, Page, pages
from tests.live import DEMO_SCHEMA, SECRET, token

ALL = [example for page in pages() for example in examples(page)]
PYTHON = [page for page in pages() if any(block.info == "python run" for block in page.blocks())]


@pytest.mark.parametrize("example", ALL, ids=lambda example: example.id)
def test_the_answer_shown_is_the_answer_given(docs_server, example):
    live = docs_server(example.request.settings)
    status, _, headers, body = send(live.url, parse(example.request), {"$TOKEN": token()})
    compare(parse(example.answer), status, headers, body)


@pytest.mark.parametrize("page", PYTHON, ids=lambda page: page.name)
async def test_the_python_shown_prints_what_is_shown(make_aiodata_server: Callable[..., object], page: Page):
    blocks = page.blocks()
    sql = "".join(block.text for block in blocks if block.info == "sql run")
    live = make_aiodata_server(DEMO_SCHEMA + sql)
    names: dict[str, object] = {"__name__": "docs", "TOKEN": token(), "SECRET": SECRET}
    for number, block in enumerate(blocks):
        if block.info != "python run":
            continue
        code = block.text.replace("http://localhost:4000", live.url)
        printed = await run(code, f"{page.name}:{block.line}", names)
        following = blocks[number + 1] if number + 1 < len(blocks) else None
        if following is not None and following.info == "text output":
            assert printed.rstrip() == following.text.rstrip(), f"{page.name}:{block.line}"


async def run(code: str, name: str, names: dict[str, object]) -> str:
    """Run a block, a script or what one types into ``python -m asyncio``; what it printed."""
    compiled = compile(code, name, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    out = io.StringIO()
    with redirect_stdout(out):
        if compiled.co_flags & CO_COROUTINE:
            await eval(compiled, names)
        else:
            await asyncio.to_thread(exec, compiled, names)  # it may run an event loop of its own
    return re.sub(r"http://127\.0\.0\.1:\d+", "http://localhost:4000", out.getvalue())


CURLS = [(page, block) for page in pages() for block in page.blocks() if block.info == "console run"]


@pytest.mark.parametrize(("page", "block"), CURLS, ids=lambda case: getattr(case, "name", ""))
def test_what_curl_is_shown_to_print_is_what_it_prints(aiodata_server, page: Page, block: Block):
    commands = re.split(r"^\$ ", block.text, flags=re.M)[1:]
    for command in commands:
        line, _, shown = command.partition("\n")
        url, headers, body, method = curl(line)
        request = urllib.request.Request(
            url.replace("http://localhost:4000", aiodata_server.url), body, headers, method=method
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert answer.read().decode().rstrip() == shown.rstrip(), f"{page.name}:{block.line}"


def curl(line: str) -> tuple[str, dict[str, str], bytes | None, str | None]:
    """URL, headers, body and method of a curl command."""
    parser = argparse.ArgumentParser()
    parser.add_argument("curl")
    parser.add_argument("url")
    parser.add_argument("-X", dest="method")
    parser.add_argument("-H", dest="headers", action="append", default=[])
    parser.add_argument("-d", dest="body")
    given = parser.parse_args(shlex.split(line.replace("$TOKEN", token())))
    headers = dict(header.split(": ", 1) for header in given.headers)
    return given.url, headers, given.body and given.body.encode(), given.method
