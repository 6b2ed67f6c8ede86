"""The second look at a request: every text parsed, once for each shape.

What lives here: the order in which texts are parsed, which is the order in which their errors are told.
"""

from __future__ import annotations

from . import grammar, media
from .outline import Outline, Term, columns_parameter, first_value
from .querystring import Role
from .request import Action, ApiRequest
from .statement import Slot
from .syntax import EmbedPath, Filter, Logic, Operation


def interpret(result: Outline) -> ApiRequest:
    """Everything the request says. Raises RequestError for the first text that does not parse."""
    terms = result.terms
    orders = tuple(
        (grammar.parse_tree_path(t.parameter.name)[0], grammar.parse_order(t.parameter.value))
        for t in terms
        if t.parameter.role is Role.ORDER
    )
    logic = tuple(_logic(t) for t in terms if t.parameter.role is Role.LOGIC)
    if result.action is not Action.DELETE:
        columns_parameter(result)
    selected = first_value(terms, Role.SELECT)
    select = grammar.parse_select("*" if selected is None else selected)
    filters, arguments = _filters(result)
    conflict = first_value(terms, Role.ON_CONFLICT)
    on_conflict = None if conflict is None else grammar.parse_on_conflict(conflict)
    if result.failure is not None:
        raise result.failure
    return ApiRequest(
        dialect=result.dialect,
        action=result.action,
        headers_only=result.headers_only,
        schema=result.schema,
        negotiated=result.negotiated,
        target=result.target,
        keys=result.keys,
        select=select,
        filters=filters,
        filter_names=frozenset(t.parameter.name for t in terms if t.parameter.role is Role.FILTER),
        logic=logic,
        orders=orders,
        ranges=tuple((grammar.parse_tree_path(name)[0], rows) for name, rows in result.ranges),
        arguments=arguments,
        on_conflict=on_conflict,
        accept=media.parse_accept(result.accept),
        content_type=result.content_type,
        preferences=result.preferences,
        payload=result.payload,
        payload_slot=result.payload_slot,
    )


def _logic(term: Term) -> tuple[EmbedPath, Filter | Logic]:
    if isinstance(term.parsed, tuple):
        return term.parsed
    return grammar.parse_logic(term.parameter.name, term.parameter.value)


def _filters(
    result: Outline,
) -> tuple[tuple[tuple[EmbedPath, Filter], ...], tuple[tuple[str, Slot], ...]]:
    filters: list[tuple[EmbedPath, Filter]] = []
    arguments: list[tuple[str, Slot]] = []
    for term in result.terms:
        if term.parameter.role is not Role.FILTER:
            continue
        path, field_ = grammar.parse_tree_path(term.parameter.name)
        operation = _operation(term)
        if operation is None:
            assert term.slot is not None
            arguments.append((field_.name, term.slot))
        else:
            filters.append((path, Filter(field_, operation[1], operation[0])))
    return tuple(filters), (*arguments, *result.arguments)


def _operation(term: Term) -> tuple[bool, Operation] | None:
    """Whether negated, and the operation; None for an argument of a call."""
    if isinstance(term.parsed, Operation):
        return term.negated, term.parsed
    parameter = term.parameter
    if term.slot is None:
        return grammar.parse_filter(parameter.value)
    if not parameter.split:
        return None
    negated, operation = grammar.parse_filter(parameter.value[: parameter.split])
    return negated, Operation(operation.operator, term.slot, operation.quantifier, operation.language)
