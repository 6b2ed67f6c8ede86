"""Columns, conditions and order in SQL.

What lives here: rendering the small parts of a plan. What does not: whole SELECTs (``reads``), writes and
calls (``writes``), and the statement around them (``statements``).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..names import QualifiedName
from .fragment import EMPTY, Sql, concat, ident, join, param, qualified
from .plan import ColumnRef, Combination, Comparison, Condition, JoinCondition, OrderBy, SelectTerm
from .statement import Slot, Value
from .syntax import JsonPath, Operation

_OPERATORS = {
    "eq": "=",
    "neq": "<>",
    "gt": ">",
    "gte": ">=",
    "lt": "<",
    "lte": "<=",
    "like": "like",
    "ilike": "ilike",
    "match": "~",
    "imatch": "~*",
    "cs": "@>",
    "cd": "<@",
    "ov": "&&",
    "sl": "<<",
    "sr": ">>",
    "nxr": "&<",
    "nxl": "&>",
    "adj": "-|-",
}
_FULL_TEXT = {
    "fts": "@@ to_tsquery",
    "plfts": "@@ plainto_tsquery",
    "phfts": "@@ phraseto_tsquery",
    "wfts": "@@ websearch_to_tsquery",
}
_IS = {
    "null": "NULL",
    "not_null": "NOT NULL",
    "true": "TRUE",
    "false": "FALSE",
    "unknown": "UNKNOWN",
}


def column(table: QualifiedName, name: str) -> Sql:
    """A column of a table or alias; ``*`` stays a star."""
    return concat(qualified(table), ".", Sql("*") if name == "*" else ident(name))


def json_path(path: JsonPath) -> Sql:
    """``->`` and ``->>`` steps."""
    return concat(
        *(
            concat("->>" if step.as_text else "->", param(step.operand), "::int" if step.is_index else "")
            for step in path
        )
    )


def field(table: QualifiedName, ref: ColumnRef) -> Sql:
    """A column with its path, as it is compared and ordered."""
    if ref.full_row:
        return ident(table.name)
    plain = column(table, ref.name)
    if ref.path:
        plain = concat("to_jsonb(", plain, ")") if ref.to_json else plain
        plain += json_path(ref.path)
    if ref.to_tsvector is None:
        return plain
    return concat("to_tsvector(", _language(ref.to_tsvector), plain, ")")


def _language(language: str | None) -> Sql:
    return concat(param(language), ", ") if language else EMPTY


def call(function: QualifiedName, argument: Sql) -> Sql:
    """A function of one argument."""
    return concat(qualified(function), "(", argument, ")")


def transformed(table: QualifiedName, ref: ColumnRef) -> Sql:
    """A column as it is selected, through its domain representation."""
    plain = field(table, ref)
    return call(ref.transform, plain) if ref.transform else plain


def cast(target: str | None, expression: Sql) -> Sql:
    """A cast to a type named in the request: its name is a bare word, checked by the grammar."""
    return concat("CAST( ", expression, f" AS {target} )") if target else expression


def alias(name: str | None) -> Sql:
    """`` AS "name"``, or nothing."""
    return concat(" AS ", ident(name)) if name is not None else EMPTY


def aggregate(function: str | None, target: str | None, expression: Sql) -> Sql:
    """An aggregate over an expression, cast; the expression itself when there is none."""
    if function is None:
        return expression
    return cast(target, concat(f"{function}(", expression, ")"))


def select_term(table: QualifiedName, term: SelectTerm) -> Sql:
    """One item of a select list."""
    expression = cast(term.cast, transformed(table, term.column))
    return aggregate(term.aggregate, term.aggregate_cast, expression) + alias(term.alias)


# ---------------------------------------------------------------- conditions


def where(table: QualifiedName, conditions: Iterable[Condition], joins: Iterable[JoinCondition] = ()) -> Sql:
    """WHERE over all conditions, or nothing."""
    pieces = [condition(table, c) for c in conditions] + [join_condition(j) for j in joins]
    return concat(" WHERE ", join(" AND ", pieces)) if pieces else EMPTY


def join_condition(pair: JoinCondition) -> Sql:
    """Two columns that must be equal."""
    return concat(column(pair.left, pair.left_column), " = ", column(pair.right, pair.right_column))


def condition(table: QualifiedName, tree: Condition) -> Sql:
    """A condition on the rows of a table."""
    if isinstance(tree, Combination):
        children = join(f" {tree.operator.upper()} ", (condition(table, child) for child in tree.children))
        return concat("NOT" if tree.negated else "", " (", children, ")")
    if isinstance(tree, Comparison):
        return comparison(table, tree)
    return concat(ident(tree.alias), " IS ", "NOT " if not tree.negated else "", "DISTINCT FROM NULL")


def comparison(table: QualifiedName, tree: Comparison) -> Sql:
    """A column compared with a value, which is always a parameter."""
    negation = "NOT " if tree.negated else ""
    return concat(negation, field(table, tree.column), " ", _operation(tree.operation, tree.column))


def _operation(operation: Operation, ref: ColumnRef) -> Sql:
    name, operand = operation.operator, operation.operand
    if name == "is":
        return Sql(f"IS {_IS[str(operand)]}")
    if name == "isdistinct":
        return concat("IS DISTINCT FROM ", param(operand))
    if name == "in":
        return concat("= ANY (", _elements(operand, ref), ")")
    if name in _FULL_TEXT:
        return concat(_FULL_TEXT[name], "(", _language(operation.language), param(operand), ")")
    return concat(f"{_OPERATORS[name]} ", _operand(operation, ref))


def _operand(operation: Operation, ref: ColumnRef) -> Sql:
    if operation.operator in ("like", "ilike"):
        assert isinstance(operation.operand, Slot)
        value = param(Slot(operation.operand.index, _stars_to_percents))
    else:
        value = param(operation.operand)
        value = call(ref.transform, value) if ref.transform else value
    if operation.quantifier is None:
        return value
    return concat(f"{operation.quantifier.upper()}(", value, ")")


def _stars_to_percents(value: Value) -> Value:
    return value.replace("*", "%") if isinstance(value, str) else value


def _elements(operand: str | Slot, ref: ColumnRef) -> Sql:
    if ref.transform is None:
        return param(operand)
    # Each element goes through the representation; unnest keeps the text short for any number of them.
    return concat("(SELECT ", call(ref.transform, concat("unnest(", param(operand), "::text[])")), ")")


# ---------------------------------------------------------------- order


def order_by(table: QualifiedName, terms: Sequence[OrderBy]) -> Sql:
    """ORDER BY, or nothing."""
    return concat("ORDER BY ", join(", ", (_order_term(table, term) for term in terms))) if terms else EMPTY


def _order_term(table: QualifiedName, term: OrderBy) -> Sql:
    if term.relation is not None:
        ref = ColumnRef(term.column.name, term.column.path)
        expression = field(QualifiedName("", term.relation), ref)
    else:
        expression = field(table, term.column)
    direction = {None: "", True: " DESC", False: " ASC"}[term.descending]
    nulls = {None: "", True: " NULLS FIRST", False: " NULLS LAST"}[term.nulls_first]
    return concat(expression, direction, nulls)
