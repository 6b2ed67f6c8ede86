"""Names for Python: what a table's class and a column's field are called, whatever PostgreSQL calls them.

What lives here: the rules, and who yields where two names meet. What does not: which names Django keeps for
itself (passed in as ``reserved``) and the classes (``tables.build``).

A name that is a good Python name stays as it is; others are mangled as Django's ``inspectdb`` does it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable
from itertools import count
from keyword import iskeyword

from .names import QualifiedName


def class_names(relations: Iterable[QualifiedName]) -> dict[QualifiedName, str]:
    """A class name for each relation, unique without regard to case; earlier relations choose first."""
    taken: set[str] = set()
    names: dict[QualifiedName, str] = {}
    for relation in relations:
        names[relation] = name = _free(class_name(relation.name), taken)
        taken.add(name.lower())
    return names


def class_name(table: str) -> str:
    """``order_items`` -> ``OrderItems``; ``1st`` -> ``Table1st``; ``none`` -> ``NoneTable``."""
    words = re.split("_+", _letters(table))
    name = "".join(word[:1].upper() + word[1:] for word in words)
    if not name.isidentifier():
        name = "Table" + name
    return name + "Table" if iskeyword(name) else name


def _free(name: str, taken: Collection[str]) -> str:
    return next(c for c in _candidates(name, "") if c.lower() not in taken)


def field_names(
    columns: Iterable[str], *, foreign: Collection[str] = (), reserved: Collection[str] = ()
) -> dict[str, str]:
    """A field name for each column, in the order of the columns.

    ``foreign`` are the columns that become foreign keys: ``owner_id`` -> ``owner``, whose attribute
    ``owner_id`` is taken too. Names that need no mangling are given first, so no neighbour can take them.
    """
    columns = tuple(columns)
    taken = set(reserved)
    names: dict[str, str] = {}
    for column in sorted(columns, key=lambda c: (c in foreign, field_name(c) != c)):
        names[column] = _claim_foreign(column, taken) if column in foreign else _claim(column, taken)
    return {column: names[column] for column in columns}


def _claim(column: str, taken: set[str]) -> str:
    name = next(c for c in _candidates(field_name(column), "_") if c not in taken)
    taken.add(name)
    return name


def _claim_foreign(column: str, taken: set[str]) -> str:
    wanted = field_name(column.removesuffix("_id") or column)
    name = next(c for c in _candidates(wanted, "_") if not taken & {c, c + "_id"})
    taken |= {name, name + "_id"}
    return name


def field_name(column: str) -> str:
    """``from`` -> ``from_field``, ``1st`` -> ``field_1st``, ``a.b`` -> ``a_b``, ``x_`` -> ``x_field``."""
    name = re.sub("_+", "_", _letters(column))
    if name.endswith("_"):
        name += "field"
    if name.startswith("_"):
        name = "field" + name
    if not name.isidentifier():
        name = "field_" + name
    return name + "_field" if iskeyword(name) or name == "pk" else name


def _candidates(name: str, separator: str) -> Iterable[str]:
    yield name
    for number in count(2):
        yield f"{name}{separator}{number}"


def _letters(text: str) -> str:
    """What may stand in an identifier, normalised as Python itself does it; ``_`` for the rest."""
    text = unicodedata.normalize("NFKC", text)
    return "".join(letter if ("a" + letter).isidentifier() else "_" for letter in text)
