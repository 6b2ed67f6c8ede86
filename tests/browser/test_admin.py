"""The admin in a real browser, served by Daphne from the demo project: what a person does with a table."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from playwright.sync_api import Browser, Page, expect

ROOT = Path(__file__).parent.parent.parent
SCHEMA = (ROOT / "demo_project" / "schema.sql").read_text()
ROWS = """
truncate api.pets, api.owners, api.remarks restart identity cascade;
insert into api.pets values ('Dog', 'Poodle', 'Rex', 1), ('Cat', 'a/b?c#d %25 & é', 'it''s "q", _2C', 2);
insert into api.owners (name, phones) values ('Ann', '{"1,2",3}');
insert into api.remarks (remark) values ('nobody has this key');
"""


@pytest.fixture(scope="module")
def database(make_module_database: Any) -> str:
    return make_module_database(SCHEMA + ROWS)


@pytest.fixture(scope="module")
def site(make_module_database: Any, database: str, as_user: Any, tmp_path_factory: Any) -> Iterator[str]:
    """The demo project's address, on databases of its own."""
    environment = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"} | {
        "DEMO_DATABASE": as_user(database, "authenticator"),
        "DEMO_DJANGO_DATABASE": make_module_database(""),
        "PGRST_SCHEMA_FILE": str(tmp_path_factory.mktemp("site") / "schema.json"),
        "DJANGO_SUPERUSER_PASSWORD": "boss",
        "PYTHONUNBUFFERED": "1",
    }
    manage = [sys.executable, str(ROOT / "manage.py")]
    for command in (
        ["aiodata_sync"],
        ["migrate", "--verbosity", "0"],
        ["createsuperuser", "--noinput", "--username", "boss", "--email", "boss@localhost"],
    ):
        subprocess.run(
            [*manage, *command], env=environment, check=True, stdout=subprocess.DEVNULL, timeout=60
        )
    serve = [*manage, "aiodata", "--host", "127.0.0.1", "--port", "0", "--server", "daphne"]
    log = tmp_path_factory.mktemp("log") / "server.log"
    with (
        log.open("wb") as output,
        subprocess.Popen(serve, env=environment, stdout=output, stderr=output) as server,
    ):
        try:
            yield address(log, server)
        finally:
            server.send_signal(signal.SIGINT)
            try:
                server.wait(15)
            except subprocess.TimeoutExpired:
                server.kill()


def address(log: Path, server: subprocess.Popen[bytes]) -> str:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and server.poll() is None:
        if found := re.search(r"serving at (http://[^/,\s]+)", log.read_text()):
            return found[1]
        time.sleep(0.05)
    raise RuntimeError(log.read_text())


@pytest.fixture
def page(browser: Browser, site: str) -> Iterator[Page]:
    """A page on the admin's index, logged in, in which no script may fail."""
    with browser.new_context(base_url=site, viewport={"width": 1200, "height": 900}) as context:
        page = context.new_page()
        failures: list[str] = []
        page.on("pageerror", lambda error: failures.append(str(error)))
        page.on("response", lambda answer: answer.status >= 500 and failures.append(answer.url))
        page.goto("/admin/")
        page.fill("#id_username", "boss")
        page.fill("#id_password", "boss")
        page.click("input[type=submit]")
        expect(page.locator("#user-tools")).to_contain_text("boss")
        yield page
        assert failures == []


def rows(database: str, query: str) -> list[Any]:
    with psycopg.connect(database) as connection:
        return connection.execute(query).fetchall()


def test_a_list_is_searched_and_a_row_with_a_hard_key_saved(page: Page, database: str) -> None:
    page.click("text=Pets")
    expect(page.locator("#result_list tbody tr")).to_have_count(2)
    picture(page, "list")
    page.fill("#searchbar", "2C")
    page.press("#searchbar", "Enter")
    expect(page.locator("#result_list tbody tr")).to_have_count(1)
    page.click("#result_list tbody th a")
    expect(page.locator("#id_breed")).to_have_value("a/b?c#d %25 & é")
    picture(page, "form")
    page.fill("#id_color", "77")
    page.click("input[name=_save]")
    expect(page.locator(".messagelist .success")).to_contain_text("was changed successfully")
    assert rows(database, "select type, breed, name, color from api.pets where type = 'Cat'") == [
        ("Cat", "a/b?c#d %25 & é", 'it\'s "q", _2C', 77)
    ]


def test_a_row_is_added_its_key_changed_and_deleted(page: Page, database: str) -> None:
    page.goto("/admin/aiodata/pets/add/")
    for field, value in {"type": "Fish", "breed": "Koi", "name": "Aqui"}.items():
        page.fill(f"#id_{field}", value)
    page.click("input[name=_continue]")
    expect(page.locator(".messagelist .success")).to_contain_text("was added successfully")
    assert rows(database, "select groomed from api.pets where type = 'Fish'") == [(False,)]

    page.goto("/admin/aiodata/pets/add/")
    for field, value in {"type": "Fish", "breed": "Koi", "name": "Aqui"}.items():
        page.fill(f"#id_{field}", value)
    page.click("input[name=_save]")
    expect(page.locator(".errorlist").first).to_contain_text("already exists")

    page.goto("/admin/aiodata/pets/Fish,Koi,Aqui/change/")
    page.fill("#id_name", "a/b")
    page.click("input[name=_continue]")
    expect(page).to_have_url(re.compile("/Fish,Koi,a~2Fb/change/$"))
    assert rows(database, "select name from api.pets where type = 'Fish'") == [("a/b",)]

    page.click("a.deletelink")
    page.click("input[type=submit]")
    expect(page.locator(".messagelist .success")).to_contain_text("was deleted successfully")
    assert rows(database, "select name from api.pets where type = 'Fish'") == []


def test_a_foreign_key_is_completed_and_a_moment_picked(page: Page, database: str) -> None:
    page.goto("/admin/aiodata/keepings/add/")
    page.click(".select2-selection")
    page.fill(".select2-search__field", "an")
    page.click(".select2-results__option:has-text('Ann')")
    for field, value in {"type": "Dog", "breed": "Poodle", "name": "Rex"}.items():
        page.fill(f"#id_{field}", value)
    page.click("input[name=_save]")
    expect(page.locator(".messagelist .success")).to_be_visible()
    assert rows(database, "select owner_id, name from api.keepings") == [(1, "Rex")]

    page.goto("/admin/aiodata/visits/add/")
    for field, value in {"type": "Dog", "breed": "Poodle", "name": "Rex", "reason": "Claws"}.items():
        page.fill(f"#id_{field}", value)
    page.locator(".field-at .datetimeshortcuts a", has_text="Today").click()
    page.locator(".field-at .datetimeshortcuts a", has_text="Now").click()
    page.click("input[name=_save]")
    expect(page.locator(".messagelist .success")).to_be_visible()
    assert rows(database, "select reason, at::date = (now() at time zone 'utc')::date from api.visits") == [
        ("Claws", True)
    ]


def test_an_array_survives_a_save_of_something_else(page: Page, database: str) -> None:
    page.goto("/admin/aiodata/owners/")
    page.click("#result_list tbody th a")
    expect(page.locator("#id_phones")).to_have_value('["1,2", "3"]')
    page.fill("#id_name", "Anna")
    picture(page, "owner")
    page.click("input[name=_save]")
    expect(page.locator(".messagelist .success")).to_be_visible()
    assert rows(database, "select name, phones from api.owners") == [("Anna", ["1,2", "3"])]


def test_a_table_without_key_and_a_view_can_be_looked_at_only(page: Page) -> None:
    page.goto("/admin/aiodata/remarks/")
    expect(page.locator(".aiodata-about")).to_contain_text("read-only")
    expect(page.locator(".addlink:visible").filter(has_text="Add remarks")).to_have_count(0)
    page.click("#result_list tbody th a")
    expect(page.locator("#content")).to_contain_text("nobody has this key")
    expect(page.locator("input[name=_save]")).to_have_count(0)
    page.goto("/admin/aiodata/ungroomed/")
    expect(page.locator("#result_list tbody th a")).to_have_count(0)
    expect(page.locator("#result_list tbody")).to_contain_text("Rex")


def picture(page: Page, name: str) -> None:
    """A screenshot, where one is asked for by SCREENSHOTS=<folder>."""
    if folder := os.environ.get("SCREENSHOTS"):
        page.screenshot(path=f"{folder}/{name}.png")
