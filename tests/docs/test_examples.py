"""What the documentation shows is what happens: requests with their answers, and Python with its output."""

from __future__ import annotations

import ast
import io
import re
from collections.abc import Callable
from contextlib import redirect_stdout
from inspect import CO_COROUTINE

import pytest

from tests.docs.examples import compare, examples, parse, send
from tests.docs.pages import Page, pages
from tests.live import DEMO_SCHEMA, token

ALL = [example for page in pages() for example in examples(page)]
PYTHON = [page for page in pages() if any(block.info == "python run" for block in page.blocks())]


@pytest.mark.parametrize("example", ALL, ids=lambda example: example.id)
def test_the_answer_shown_is_the_answer_given(docs_server, example):
    live = docs_server(example.request.settings)
    status, _, headers, body = send(live.url, parse(example.request), {"$TOKEN": token()})
    compare(parse(example.answer), status, headers, body)


@pytest.mark.parametrize("page", PYTHON, ids=lambda page: page.name)
async def test_the_python_shown_prints_what_is_shown(make_aiodata_server: Callable[..., object], page: Page):
    live = make_aiodata_server(DEMO_SCHEMA)
    names: dict[str, object] = {"__name__": "docs", "TOKEN": token()}
    blocks = page.blocks()
    for number, block in enumerate(blocks):
        if block.info != "python run":
            continue
        code = block.text.replace("http://localhost:4000", live.url)
        printed = await run(code, f"{page.name}:{block.line}", names)
        following = blocks[number + 1] if number + 1 < len(blocks) else None
        if following is not None and following.info == "text output":
            assert printed.rstrip() == following.text.rstrip(), f"{page.name}:{block.line}"


async def run(code: str, name: str, names: dict[str, object]) -> str:
    """Run a block, which may await, as if typed into ``python -m asyncio``; what it printed."""
    compiled = compile(code, name, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    out = io.StringIO()
    with redirect_stdout(out):
        found = eval(compiled, names)
        if compiled.co_flags & CO_COROUTINE:
            await found
    return re.sub(r"http://127\.0\.0\.1:\d+", "http://localhost:4000", out.getvalue())
