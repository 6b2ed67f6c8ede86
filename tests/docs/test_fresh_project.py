"""The README's install and the tutorial, followed to the letter in fresh Django projects."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

import aiohttp
import psycopg
import pytest

from tests.docs.pages import ROOT, Block, page
from tests.live import free_port

INTERACTIVE = re.compile("runserver|shell|createsuperuser")


class Project:
    """A project made by ``django-admin startproject``, with what a page says done to it."""

    def __init__(self, directory: Path, uri: str) -> None:
        self.directory = directory
        self._uri = uri
        self._address = urlsplit(uri)
        self._environment = {k: v for k, v in os.environ.items() if "DJANGO" not in k and "AIOD" not in k}
        self._environment["PYTHONPATH"] = str(ROOT)
        self._run("-m", "django", "startproject", "mysite", ".")

    def follow(self, block: Block) -> None:
        """Do what a block shows: SQL, a file to append to, commands of manage.py but for the server."""
        if block.info == "sql":
            self._execute(block.text)
        elif block.info.startswith("python append="):
            file = self.directory / "mysite" / block.info.removeprefix("python append=")
            with file.open("a") as opened:
                opened.write("\n" + self._here(block.text))
        elif " file=" in block.info:
            file = self.directory / block.info.partition(" file=")[2]
            file.parent.mkdir(exist_ok=True)
            file.write_text(self._as_superuser(block.text))
        elif block.info == "console":
            for command in re.findall(r"^\$ python (manage\.py .*?)(?: +#.*)?$", block.text, re.M):
                if not INTERACTIVE.search(command):
                    self._run(*command.split())

    def _execute(self, sql: str) -> None:
        with psycopg.connect(self._uri, autocommit=True) as connection:
            for statement in filter(str.strip, re.sub(r"--.*", "", sql).split(";\n")):
                try:
                    connection.execute(statement.encode())
                except psycopg.errors.DuplicateObject:
                    assert "create role" in statement  # the tests' server has the roles already

    def _here(self, settings: str) -> str:
        """Settings with the address of the test's database in place of the page's."""
        there = {
            '"localhost"': self._address.hostname,
            '"5432"': str(self._address.port or 5432),
            '"mydb"': self._address.path[1:],
            '"secret"': "authenticator",  # the role is the tests' own
        }
        for shown, meant in there.items():
            assert shown in settings, f"the settings shown do not say {shown}"
            settings = settings.replace(shown, json.dumps(meant))
        return settings

    def _as_superuser(self, text: str) -> str:
        """With the tests' superuser in place of the page's."""
        shown = '"USER": "postgres", "PASSWORD": "secret"'
        user, password = (unquote(part or "") for part in (self._address.username, self._address.password))
        return text.replace(shown, f'"USER": {user!r}, "PASSWORD": {password!r}')

    def pytest(self) -> str:
        """The project's own tests."""
        return self._run("-m", "pytest", "-q")

    def manage(self, *arguments: str) -> str:
        return self._run("manage.py", *arguments)

    def _run(self, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-W", "error::ResourceWarning", *arguments],
            cwd=self.directory,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    @contextmanager
    def server(self, *command: str) -> Iterator[str]:
        """``manage.py`` with this command on a free port; its URL."""
        port = free_port()
        process = subprocess.Popen(
            [sys.executable, "manage.py", *(part.replace("PORT", str(port)) for part in command)],
            cwd=self.directory,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        try:
            url = f"http://127.0.0.1:{port}"
            wait_for(url, process)
            yield url
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.communicate(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()


def wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            urllib.request.urlopen(url + "/query/notes", timeout=5).close()
            return
        except (urllib.error.URLError, OSError):
            assert process.poll() is None, process.stdout.read().decode()
            assert time.monotonic() < deadline, "the server does not answer"
            time.sleep(0.1)


@pytest.fixture
def fresh_project(tmp_path: Path, make_database) -> Project:
    return Project(tmp_path, make_database())


async def test_the_install_of_the_readme_works_in_a_fresh_project(fresh_project: Project):
    for block in page("README.md").blocks():
        fresh_project.follow(block)
    fresh_project.manage("check", "--database", "api", "--fail-level", "WARNING")
    token = fresh_project.manage("aiodata_token", "auth").strip()
    with fresh_project.server("runserver", "--noreload", "127.0.0.1:PORT") as url:
        async with aiohttp.ClientSession() as session:
            await reads_writes_and_hears(session, url, token)


async def test_the_tutorial_of_a_first_project_works(fresh_project: Project):
    for block in page("docs/tutorial/first-django-project.md").blocks():
        fresh_project.follow(block)
    token = fresh_project.manage("aiodata_token", "auth").strip()
    orm = "from aiodata_django.models import Notes; print(Notes.objects.filter(done=False).update(done=True))"
    heard = fresh_project.directory / "heard.txt"
    with fresh_project.server("aiodata_serve", "--port", "PORT") as url:
        async with aiohttp.ClientSession() as session:
            headers = {"Authorization": f"Bearer {token}"}
            async with session.ws_connect(url + "/state"):  # changes are heard from here on
                await session.post(url + "/query/notes", json=[{"note": "Buy tea"}], headers=headers)
                await asyncio.to_thread(wait_for_text, heard)
        assert heard.read_text() == "1 Buy tea\n"
        assert fresh_project.manage("shell", "-c", orm).split()[-1] == "1"


def test_the_tests_of_the_page_on_tests_pass_in_a_fresh_project(fresh_project: Project):
    for name in ("README.md", "docs/how-to/write-tests.md"):
        for block in page(name).blocks():
            fresh_project.follow(block)
    assert "1 passed" in fresh_project.pytest()


def wait_for_text(file: Path) -> None:
    deadline = time.monotonic() + 10
    while not (file.exists() and file.read_text()):
        assert time.monotonic() < deadline, f"{file.name} was not written"
        time.sleep(0.05)


async def reads_writes_and_hears(session: aiohttp.ClientSession, url: str, token: str) -> None:
    """A table is read and written, its change is heard, the admin and the page are there."""
    async with session.ws_connect(url + "/state") as socket:
        written = await session.post(
            url + "/query/notes", json=[{"note": "hello"}], headers={"Authorization": f"Bearer {token}"}
        )
        assert (written.status, await written.json()) == (201, [{"id": 1, "note": "hello"}])
        heard = json.loads((await socket.receive(timeout=10)).data)
        assert heard == ["POST", "notes", [], [{"id": 1, "note": "hello"}]]
    refused = await session.post(url + "/query/notes", json=[{"note": "hello"}])
    assert refused.status == 401
    for path, part in (
        ("/admin/login/", "Django administration"),
        ("/docs/", "<html"),
        ("/rest/notes", "hello"),
    ):
        answer = await session.get(url + path)
        assert (answer.status, part in await answer.text()) == (200, True)
