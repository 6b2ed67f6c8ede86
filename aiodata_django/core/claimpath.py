"""The old path language for the role claim, ``.realm.roles[0]`` and ``.roles[?(@ ^== "web_")]``.

What lives here: parsing and walking it. What does not: the standard JSON Path that replaced it (a library,
used in ``auth``), and the choice between the two. Source:
https://docs.postgrest.org/en/v14/references/auth.html#jwt-role-extraction
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

_STEP = re.compile(
    r"""
      \.(?P<key>[$@\w]+)
    | \."(?P<quoted>[^"]*)"
    | \[(?P<index>\d+)\]
    | \[\?\(@\s*(?P<operator>==\^|==|!=|\^==|\*==)\s*"(?P<operand>[^"]*)"\)\]$
    """,
    re.VERBOSE,
)

_COMPARE: dict[str, Callable[[str, str], bool]] = {
    "==": lambda value, operand: value == operand,
    "!=": lambda value, operand: value != operand,
    "^==": lambda value, operand: value.startswith(operand),
    "==^": lambda value, operand: value.endswith(operand),
    "*==": lambda value, operand: operand in value,
}

Step = str | int | tuple[str, str]


def parse_claim_path(text: str) -> tuple[Step, ...]:
    """The steps of a path: member names, array indexes, and at most one (operator, operand) at the end.

    Raises ValueError for text that is no path.
    """
    steps: list[Step] = []
    position = 0
    while position < len(text):
        match = _STEP.match(text, position)
        if match is None:
            raise ValueError(f"not a path to a claim, from {text[position:]!r}")
        steps.append(_step(match))
        position = match.end()
    if not steps:
        raise ValueError("an empty path")
    return tuple(steps)


def _step(match: re.Match[str]) -> Step:
    if match["index"] is not None:
        return int(match["index"])
    if match["operator"] is not None:
        return match["operator"], match["operand"]
    return match["quoted"] if match["key"] is None else match["key"]


def walk_claim_path(steps: Sequence[Step], claims: Any) -> Sequence[Any]:
    """The value at the path, alone in a list; an empty list where the claims have no such place."""
    found = [claims]
    for step in steps:
        found = [child for value in found for child in _child(value, step)]
    return found


def _child(value: Any, step: Step) -> list[Any]:
    if isinstance(step, str):
        return [value[step]] if isinstance(value, Mapping) and step in value else []
    if not isinstance(value, list):
        return []
    if isinstance(step, int):
        return value[step : step + 1]
    holds, operand = _COMPARE[step[0]], step[1]
    return [item for item in value if isinstance(item, str) and holds(item, operand)][:1]
