"""Where the columns of a view come from: which column of which base table each of them shows unchanged.

What lives here: a reader of PostgreSQL's ``pg_node_tree`` text, as ``pg_rewrite.ev_action`` holds it, and
the way from a view through other views down to tables. What does not: the keys and relationships that
follow.

The format is what ``nodeToString`` of PostgreSQL writes (src/backend/nodes/outfuncs.c)::

    node   {LABEL :field value :field value}
    list   (value value), or (i 1 2), (o 1 2), (b 1 2), (x 1 2) of integers, oids, bits, transaction ids
    null   <>
    token  everything else, its special characters escaped by a backslash
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeGuard

# Special is only what nodeToString escapes: other white space and quotes are part of tokens.
_TOKEN = re.compile(r"[(){}]|(?:[^ \n\t(){}\\]|\\.)+", re.DOTALL)
_STRUCTURE = re.compile(r"\\.|[(){}]| :targetList ", re.DOTALL)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)


class NodeTreeError(ValueError):
    """The text is no ``pg_node_tree``."""


@dataclass(slots=True)
class Node:
    """A node: its label (``QUERY``, ``TARGETENTRY``) and its fields in order."""

    label: str
    fields: dict[str, Value] = field(default_factory=dict)


# A field may hold several tokens (a constant's length and bytes): they stand in a tuple.
Value = Node | list["Value"] | tuple["Value", ...] | str | None


class Origin(NamedTuple):
    """A column of a relation, by oid and ``attnum``."""

    relation: int
    column: int


class Source(NamedTuple):
    """What a view's column (its number) shows."""

    column: int
    origin: Origin


def parse_node_tree(text: str) -> Value:
    """The whole tree as nested values: nodes, lists, tokens (unescaped), None for ``<>``.

    Raises NodeTreeError where brackets do not match or something follows the tree.
    """
    tokens = _tokens(text)
    value = _read(tokens)
    if next(tokens, None) is not None:
        raise NodeTreeError("something follows the node tree")
    return value


def _tokens(text: str, position: int = 0) -> Iterator[str]:
    return (match[0] for match in _TOKEN.finditer(text, position))


def _read(words: Iterator[str]) -> Value:
    """The next value. Keeps a stack of its own: expressions nest deeper than Python's calls may."""
    outer: list[tuple[str, list[Value]]] = []
    opened, items = "", list[Value]()
    for word in words:
        if word in "({":
            outer.append((opened, items))
            opened, items = word, []
            continue
        if word in ")}":
            if opened + word not in ("()", "{}"):
                raise NodeTreeError(f"{word} closes nothing")
            closed: Value = items if word == ")" else _node(items)
            opened, items = outer.pop()
            items.append(closed)
        else:
            items.append(_atom(word))
        if not outer:
            return items[0]
    raise NodeTreeError("the node tree ends too early")


def _atom(word: str) -> str | None:
    if word == "<>":
        return None
    if word == '""':
        return ""
    return _ESCAPE.sub(r"\1", word) if "\\" in word else word


def _node(items: Sequence[Value]) -> Node:
    """A node from what stands between its braces. After a field's name comes a value, whatever its look."""
    label = items[0] if items else None
    if not isinstance(label, str):
        raise NodeTreeError("a node has no label")
    node = Node(label)
    start = 1
    while start < len(items):
        name = items[start]
        if not _is_field_name(name):
            raise NodeTreeError(f"{label} has a value without a name")
        end = start + 2
        while end < len(items) and not _is_field_name(items[end]):
            end += 1
        values = items[start + 1 : end]
        node.fields[name[1:]] = values[0] if len(values) == 1 else tuple(values)
        start = end
    return node


def _is_field_name(item: Value) -> TypeGuard[str]:
    return isinstance(item, str) and item.startswith(":")


def target_list(action: str) -> Value:
    """The target list of the one query of a view's rule, without reading the rest of a possibly long text.

    None when the rule has none.
    """
    depth = 0
    for match in _STRUCTURE.finditer(action):
        found = match[0]
        if found in "({":
            depth += 1
        elif found in ")}":
            depth -= 1
        elif found[0] == " " and depth == 2:  # the list of queries, the first query
            return _read(_tokens(action, match.end()))
    return None


def view_sources(action: str) -> tuple[Source, ...]:
    """The columns of a view that show a relation's column as it is, in order. ``action`` is ``ev_action``."""
    entries = target_list(action)
    if not isinstance(entries, list):
        return ()
    return tuple(source for entry in entries if isinstance(entry, Node) and (source := _source(entry)))


def _source(entry: Node) -> Source | None:
    column, table, original, junk = (
        str(entry.fields.get(name)) for name in ("resno", "resorigtbl", "resorigcol", "resjunk")
    )
    if entry.label != "TARGETENTRY" or junk == "true" or table == "0":
        return None
    return Source(int(column), Origin(int(table), int(original)))


Dependencies = Mapping[int, Mapping[Origin, tuple[int, ...]]]


def resolve_views(actions: Mapping[int, str]) -> Dependencies:
    """For each view (by oid): which of its columns show which column, of base tables and of views on the way.

    ``actions`` holds the rules of the views that may be looked through. A column can be shown several times.
    """
    direct = {view: view_sources(action) for view, action in actions.items()}
    by_column = {
        view: {source.column: source.origin for source in sources} for view, sources in direct.items()
    }
    return {view: _resolve(sources, by_column) for view, sources in direct.items()}


def _resolve(
    sources: Sequence[Source], views: Mapping[int, Mapping[int, Origin]]
) -> Mapping[Origin, tuple[int, ...]]:
    shown: dict[Origin, tuple[int, ...]] = {}
    for source in sources:
        for origin in _way_down(source.origin, views):
            shown[origin] = (*shown.get(origin, ()), source.column)
    return shown


def _way_down(origin: Origin | None, views: Mapping[int, Mapping[int, Origin]]) -> Iterator[Origin]:
    seen: set[Origin] = set()  # CREATE OR REPLACE VIEW can make views read one another
    while origin is not None and origin not in seen:
        seen.add(origin)
        yield origin
        origin = views.get(origin.relation, {}).get(origin.column)
