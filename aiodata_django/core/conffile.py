"""The text of a ``postgrest.conf``, read into a flat mapping of keys to values.

What lives here: the grammar of the file (comments, quoting, ``$(VAR)``). What does not: which keys exist and
what their values mean (``conf``).

Grammar, one setting a line: ``key = value  # comment``. Values are strings in double quotes, numbers,
booleans and lists; they are written as in TOML, so the standard library's parser reads each of them.
Source: https://docs.postgrest.org/en/v16/references/configuration.html#config-file
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from typing import Any

_SETTING = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_.\-]*)\s*=\s*(.*)$", re.DOTALL)
_REFERENCE = re.compile(r"\$(?:\$|\(([A-Za-z0-9_.\-]+)\))")
_SWITCHES = {"on": True, "off": False, "true": True, "false": False}


class ConfFileError(ValueError):
    """A line that cannot be read; the message gives its number and says what to write instead."""


def parse_conf(text: str, variables: Mapping[str, str]) -> dict[str, Any]:
    """The settings of a configuration file, keys as written (``db-uri``, ``app.settings.jwt_secret``).

    ``variables`` is the environment that ``$(VAR)`` is looked up in, after the keys above the line; ``$$``
    stands for one dollar sign. Of a key given twice the last value counts. Raises ConfFileError.
    """
    settings: dict[str, Any] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            key, value = _setting(line)
            settings[key] = _interpolate(value, settings, variables)
        except ConfFileError as error:
            raise ConfFileError(f"line {number}: {error}") from None
    return settings


def _setting(line: str) -> tuple[str, Any]:
    match = _SETTING.match(line)
    if match is None:
        raise ConfFileError(f'expected `key = "value"`, found {line.strip()!r}')
    key, raw = match.groups()
    return key, _value(raw)


def _value(raw: str) -> Any:
    bare = raw.split("#", 1)[0].strip()
    switch = _SWITCHES.get(bare.lower())
    if switch is not None:
        return switch
    try:
        return tomllib.loads("value = " + raw)["value"]
    except tomllib.TOMLDecodeError:
        raise ConfFileError(f"put the value in double quotes, with \\ before inner ones: {bare!r}") from None


def _interpolate(value: Any, settings: Mapping[str, Any], variables: Mapping[str, str]) -> Any:
    if isinstance(value, list):
        return [_interpolate(item, settings, variables) for item in value]
    if not isinstance(value, str) or "$" not in value:
        return value

    def replacement(match: re.Match[str]) -> str:
        name = match.group(1)
        if name is None:
            return "$"
        if name in settings:
            return str(settings[name])
        if name not in variables:
            raise ConfFileError(
                f"$({name}) is not set: export {name}, or write $$({name}) for the text itself"
            )
        return variables[name]

    return _REFERENCE.sub(replacement, value)
