"""The page at /docs/ in a real browser: what a reader sees, and what trying a request does."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.live import LiveServer, token


@pytest.fixture
def docs(browser: Browser, aiodata_server: LiveServer) -> Iterator[Page]:
    """The page, as somebody new opens it; no script may fail, and its policy may stop nothing."""
    with browser.new_context(viewport={"width": 1200, "height": 1000}) as context:
        page = context.new_page()
        page.set_default_timeout(10_000)
        failures: list[str] = []
        page.on("pageerror", lambda error: failures.append(str(error)))
        page.on("console", lambda message: failures.append(message.text) if is_failure(message) else None)
        page.goto(aiodata_server.url + "/docs/")
        expect(page.get_by_role("link", name="pets", exact=True)).to_be_visible()
        yield page
        assert failures == []


def is_failure(message) -> bool:
    """Chromium logs every 4xx as an error, and some tests are about these."""
    return message.type == "error" and not message.text.startswith("Failed to load resource")


def enter(docs: Page, role: str = "auth") -> None:
    docs.get_by_label("Token").fill(token(role))
    docs.get_by_role("button", name="Apply").click()


def choose(docs: Page, name: str) -> None:
    docs.get_by_role("link", name=name, exact=True).click()
    expect(docs.get_by_role("heading", name=name, exact=True)).to_be_visible()


def send(docs: Page) -> tuple[str, object]:
    """Send the form; the status line and the body of the answer."""
    with docs.expect_response(lambda response: "/rest/" in response.url):
        docs.get_by_role("button", name="Send").click()
    status = docs.locator("#answer .status")
    expect(status).to_be_visible()
    text = docs.locator("#answer-body").inner_text()
    return status.inner_text(), json.loads(text) if text else None


def picture(docs: Page, name: str) -> None:
    """Keep a picture, where the variable says; tests do not look at it."""
    directory = os.environ.get("PICTURES")
    if directory:
        docs.screenshot(path=Path(directory) / f"docs-{name}.png", full_page=True)


def test_a_reader_sees_what_anonymous_may_use(docs: Page) -> None:
    expect(docs.get_by_role("heading", level=1)).to_have_text("Pets and those who care for them")
    expect(docs.locator("#tables")).to_contain_text("ungroomed")
    expect(docs.locator("#functions")).not_to_contain_text("paint")


def test_columns_tell_types_keys_and_comments(docs: Page) -> None:
    choose(docs, "pets")
    row = docs.get_by_role("row").filter(has=docs.get_by_text("breed", exact=True))
    expect(row).to_contain_text("This is a Primary Key.")
    expect(row).not_to_contain_text("<pk/>")
    expect(row).to_contain_text("not null")
    expect(docs.get_by_role("row").filter(has_text="RGB, 24 bits")).to_contain_text("int32")
    picture(docs, "columns")


def test_rows_are_read_with_a_filter(docs: Page) -> None:
    choose(docs, "pets")
    docs.get_by_role("button", name="Add a filter").click()
    docs.get_by_label("Column").select_option("type")
    docs.get_by_label("Value").fill("Parrot")
    docs.get_by_label("select", exact=True).fill("name")
    expect(docs.locator("#request")).to_contain_text("/rest/pets?type=eq.Parrot&select=name&limit=10")
    assert send(docs)[1] == [{"name": "A/B 100%"}]
    docs.get_by_role("button", name="Remove").click()
    expect(docs.locator("#request")).not_to_contain_text("Parrot")


def test_a_refused_write_shows_the_error(docs: Page) -> None:
    choose(docs, "owners")
    docs.get_by_label("Method").select_option("POST")
    status, body = send(docs)
    assert status.startswith("401")
    assert isinstance(body, dict)
    assert body["code"] == "42501"


def test_with_a_token_rows_are_written_changed_and_deleted(docs: Page, aiodata_server: LiveServer) -> None:
    enter(docs)
    expect(docs.locator("#functions")).to_contain_text("paint")
    choose(docs, "remarks")
    docs.get_by_label("Method").select_option("POST")
    docs.get_by_label("Body").fill('{"remark": "It\'s <b>open</b>"}')
    status, body = send(docs)
    assert status.startswith("201")
    assert isinstance(body, list)
    assert body[0]["remark"] == "It's <b>open</b>"
    picture(docs, "write")

    docs.get_by_label("Method").select_option("PATCH")
    docs.get_by_role("button", name="Add a filter").click()
    docs.get_by_label("Column").select_option("remark")
    docs.get_by_label("Operator").select_option("like")
    docs.get_by_label("Value").fill("*open*")
    docs.get_by_label("Body").fill('{"remark": "shut"}')
    assert send(docs)[0].startswith("200")
    with psycopg.connect(aiodata_server.admin_uri) as connection:
        assert ("shut",) in connection.execute("select remark from api.remarks").fetchall()

    docs.get_by_label("Method").select_option("DELETE")
    docs.get_by_role("button", name="Add a filter").click()
    docs.get_by_label("Column").select_option("remark")
    docs.get_by_label("Value").fill("shut")
    assert send(docs)[0].startswith("200")
    with psycopg.connect(aiodata_server.admin_uri) as connection:
        assert ("shut",) not in connection.execute("select remark from api.remarks").fetchall()


def test_a_function_is_called(docs: Page) -> None:
    enter(docs)
    choose(docs, "paint")
    docs.get_by_label("Body").fill('{"type": "Horse", "color": 5}')
    status, body = send(docs)
    assert status.startswith("200")
    assert isinstance(body, list)
    assert [(row["name"], row["color"]) for row in body] == [("Melekush", 5)]


def test_the_shell_line_keeps_the_token_secret(docs: Page) -> None:
    enter(docs)
    choose(docs, "pets")
    expect(docs.locator("#request")).to_contain_text('"Authorization: Bearer $TOKEN"')
    expect(docs.locator("#request")).not_to_contain_text(token())


def test_the_token_outlives_a_reload_of_the_tab(docs: Page) -> None:
    enter(docs)
    docs.reload()
    expect(docs.locator("#functions")).to_contain_text("paint")


def test_a_bad_token_is_explained(docs: Page) -> None:
    docs.get_by_label("Token").fill("nonsense")
    docs.get_by_role("button", name="Apply").click()
    expect(docs.get_by_role("alert")).to_contain_text("cannot be described")


def test_names_are_found_by_typing(docs: Page) -> None:
    docs.get_by_label("Find").fill("VIS")
    expect(docs.locator("#tables li")).to_have_text(["visits"])


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_in_both_color_schemes(docs: Page, scheme: str) -> None:
    docs.emulate_media(color_scheme=scheme)
    choose(docs, "pets")
    for selector in ("body", "#about", "td", "pre", "button.send", "nav a[aria-current]"):
        assert contrast(docs, selector) >= 4.5, selector
    picture(docs, scheme)


def contrast(docs: Page, selector: str) -> float:
    """The contrast of text and ground (WCAG 2.2, 1.4.3)."""
    return docs.evaluate(
        """selector => {
            const parse = text => text.match(/[\\d.]+/g).map(Number);
            const ground = node => {
                const [r, g, b, a = 1] = parse(getComputedStyle(node).backgroundColor);
                return a === 0 && node.parentElement ? ground(node.parentElement) : [r, g, b];
            };
            const light = color => color.map(v => v / 255)
                .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
                .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
            const node = document.querySelector(selector);
            const pair = [light(parse(getComputedStyle(node).color).slice(0, 3)), light(ground(node))];
            return (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
        }""",
        selector,
    )
