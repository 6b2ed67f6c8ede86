"""What a subscription's query string says: PostgREST filters and ``select``, made ready to judge rows by.

What lives here: query string -> columns and a condition. What does not: the grammar (``core.query``), who may
see what (``audience``).
"""

from __future__ import annotations

from typing import NamedTuple

from ..errors import RequestError, too_long
from ..names import QualifiedName
from ..query import expressions, grammar
from ..query.fragment import Sql, join
from ..query.outline import MAX_URL
from ..query.querystring import Parameter, Role, parse_query
from ..query.resolve import Resolver
from ..query.syntax import EmbedPath, Filter, Logic, SelectField
from ..query.values import Values, set_aside
from ..schema import Schema


class Condition(NamedTuple):
    """SQL with a NUL for each parameter, columns under the table's own name; the parameters in order."""

    text: str
    params: tuple[bytes | None, ...]

    def numbered(self, first: int) -> str:
        """The SQL with its parameters numbered from ``first`` on."""
        pieces = self.text.split("\x00")
        return pieces[0] + "".join(f"${first + n}{piece}" for n, piece in enumerate(pieces[1:]))


class Narrowing(NamedTuple):
    """``columns`` None for all of them; ``condition`` None for every row."""

    columns: tuple[str, ...] | None
    condition: Condition | None


EVERYTHING = Narrowing(None, None)


def parse_narrowing(query: str, schema: Schema, table: QualifiedName) -> Narrowing:
    """What a query string says of a table.

    Raises RequestError: PGRST100 for what a feed cannot do, AIOD104 for more than requests may say.
    """
    if len(query) > MAX_URL:
        raise too_long(MAX_URL)
    values = Values()
    columns: tuple[str, ...] | None = None
    trees: list[Filter | Logic] = []
    for parameter in parse_query(query):
        if parameter.role is Role.SELECT:
            columns = _columns(parameter.value)
        else:
            trees.append(set_aside(_tree(parameter), values))
    if not trees:
        return Narrowing(columns, None)
    resolver = Resolver(schema, table)
    alias = QualifiedName("", table.name)
    sql = join(" and ", (_bracketed(expressions.condition(alias, resolver.condition(t))) for t in trees))
    return Narrowing(columns, Condition(sql.text, tuple(sql.statement().bind(values).params)))


def _bracketed(sql: Sql) -> Sql:
    return "(" + sql + ")"


def _tree(parameter: Parameter) -> Filter | Logic:
    path: EmbedPath
    tree: Filter | Logic
    if parameter.role is Role.FILTER:
        path, field = grammar.parse_tree_path(parameter.name)
        negated, operation = grammar.parse_filter(parameter.value)
        tree = Filter(field, operation, negated)
    elif parameter.role is Role.LOGIC:
        path, tree = grammar.parse_logic(parameter.name, parameter.value)
    else:
        raise _refused(f"{parameter.name} has no meaning in a subscription")
    if path:
        raise _refused("a subscription cannot filter by another table")
    return tree


def _columns(text: str) -> tuple[str, ...] | None:
    names = []
    for item in grammar.parse_select(text):
        plain = isinstance(item, SelectField) and not (
            item.field.path or item.alias or item.cast or item.aggregate
        )
        if not isinstance(item, SelectField) or not plain:
            raise _refused("a subscription selects plain columns only")
        names.append(item.field.name)
    return None if "*" in names else tuple(dict.fromkeys(names))


def _refused(message: str) -> RequestError:
    return RequestError(400, "PGRST100", message, hint="Use column filters, and/or, and select=a,b,c.")
