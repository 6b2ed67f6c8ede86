"""The reference is whole: what the code has, the pages name, and they name nothing it does not have."""

from __future__ import annotations

import ast
import importlib
import re
from argparse import ArgumentParser
from dataclasses import MISSING, fields
from importlib import import_module
from pathlib import Path

import pytest
from django.core.management import get_commands, load_command_class

from aiodata_django import signals
from aiodata_django.conf import AIODT, ALIASES, FOREIGN, IN_DATABASE, NAMES, Settings
from aiodata_django.options import add_options
from tests.docs.pages import ROOT, page

PACKAGE = ROOT / "aiodata_django"
SETTINGS = page("docs/reference/settings.md")
HTTP = page("docs/reference/http.md")
CHECKS = page("docs/reference/checks.md")
COMMANDS = page("docs/reference/commands.md")


def rows(text: str) -> dict[str, list[str]]:
    """The rows of a page's tables by their first cell's code."""
    found = {}
    for line in text.splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if cells and (name := re.fullmatch(r"`([^`]+)`", cells[0])):
            found[name[1]] = cells[1:]
    return found


DOCUMENTED = rows(SETTINGS.text)


@pytest.mark.parametrize("name", sorted(NAMES))
def test_a_setting_is_documented_with_its_default(name):
    cells = DOCUMENTED[name.replace("_", "-")]
    default = next(f.default for f in fields(Settings) if f.name == name)
    assert default is not MISSING
    assert shown(name, default) in cells[0], f"{name}: {default!r} is shown as {cells[0]}"


def shown(name: str, default: object) -> str:
    """A default as the page has it."""
    if name == "server_cors_allowed_origins":
        return "any origin"
    if default is None or default == ():
        return "none"
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    if isinstance(default, tuple):
        return f"`{', '.join(default)}`"
    return f"`{default:g}`" if isinstance(default, float) else f"`{default}`"


def test_no_setting_is_documented_that_is_none():
    known = {name.replace("_", "-") for name in NAMES} | {*AIODT, "app.settings.<name>"}
    assert {name for name in DOCUMENTED if name not in known} == set()


@pytest.mark.parametrize("name", sorted({*ALIASES, *FOREIGN}))
def test_other_names_of_postgrests_are_told(name):
    assert f"`{name.replace('_', '-')}`" in SETTINGS.text


@pytest.mark.parametrize("name", sorted(IN_DATABASE))
def test_what_may_be_set_in_the_database_is_told(name):
    assert f"`{name}`" in SETTINGS.text


@pytest.mark.parametrize(("variable", "setting"), AIODT.items())
def test_variables_of_the_proxy_are_told(variable, setting):
    assert DOCUMENTED[variable][0] == f"`{setting.replace('_', '-')}`"


def sources() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def texts_of(path: Path) -> set[str]:
    """The string constants of a file, docstrings left out."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    doc = {ast.get_docstring(node, clean=False) for node in ast.walk(tree) if isinstance(node, DOCUMENTABLE)}
    constants = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant))
    return {value for value in constants if isinstance(value, str)} - doc


DOCUMENTABLE = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
TEXTS = set().union(*map(texts_of, sources()))


def test_every_error_code_is_documented_and_no_other():
    raised = {text for text in TEXTS if re.fullmatch(r"PGRST(\d{3}|X\d\d)|AIODT?\d{3}", text)}
    assert {name for name in rows(HTTP.text) if name.startswith(("PGRST", "AIOD"))} == raised


def test_every_check_is_documented_and_no_other():
    told = {text for text in TEXTS if re.fullmatch(r"aiodata\.[EW]\d{3}", text)}
    assert {name for name in rows(CHECKS.text) if name.startswith("aiodata.")} == told


def commands() -> list[str]:
    return sorted(name for name, app in get_commands().items() if app == "aiodata_django")


@pytest.mark.parametrize("name", commands())
def test_a_command_is_documented_with_all_its_options(name):
    assert f"## manage.py {name}\n" in COMMANDS.text
    command = load_command_class("aiodata_django", name)
    parser = ArgumentParser(add_help=False)
    command.add_arguments(parser)
    for option in parser._option_string_actions:
        assert f"`{option}" in COMMANDS.text or f"[{option} " in COMMANDS.text, option


def test_the_command_without_a_project_is_documented_with_all_its_options():
    parser = ArgumentParser(add_help=False)
    add_options(parser)
    assert set(parser._option_string_actions) <= rows(COMMANDS.text).keys()


def test_every_signal_is_documented():
    text = page("docs/reference/signals.md").text
    names = [name for name, value in vars(signals).items() if isinstance(value, signals.Signal)]
    assert names
    for name in names:
        assert f"`{name}`" in text


def test_what_the_python_api_names_is_there():
    table = rows(page("docs/reference/python-api.md").text)
    for module_name, (names,) in table.items():
        module = importlib.import_module(module_name)
        if module_name in ("aiodata_django.models", "aiodata_django.urls"):
            continue
        for name in re.findall(r"`(\w+)(?:\([^`]*\))?`", names):
            assert hasattr(module, name) or name == "embedded", f"{module_name}.{name}"


def test_the_client_exports_what_is_documented():
    client = import_module("aiodata_django.client")
    text = page("docs/reference/python-api.md").text + page("docs/reference/client.md").text
    for name in client.__all__:
        assert f"`{name}" in text, name
