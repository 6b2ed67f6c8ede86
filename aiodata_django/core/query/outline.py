"""The first look at a request: what every request needs, and no more.

What lives here: telling shape from values. The ``key`` of an outline is equal for requests that differ in
values only, so that one plan can serve them all. What does not: parsing the texts that are shape, which is
done once for each shape (``interpret``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ..errors import ApiError, RequestError, too_long
from . import grammar, media, querystring
from .config import QueryConfig
from .payload import Payload, read_payload
from .preferences import Preferences, parse_prefer
from .querystring import Parameter, Role
from .ranges import ALL, LIMIT_ZERO, RowRange, from_limit_offset, parse_range_header
from .request import Action, Dialect, HttpRequest, PlannedRange
from .statement import Slot
from .syntax import EmbedPath, Filter, Logic, Operation
from .values import Values, array_literal, set_aside

MAX_URL = 50 << 10
"""Bytes of path and query string that are read; PostgREST's server takes as many, its headers included."""

_NO_PREFERENCES = Preferences()
_LONG_OPERANDS = ("in.", "not.in.", "is.", "not.is.", "not.")


class Term(NamedTuple):
    """A parameter after the first look: its value set aside in ``slot``, or already ``parsed``."""

    parameter: Parameter
    slot: Slot | None = None
    parsed: Operation | tuple[EmbedPath, Filter | Logic] | None = None
    negated: bool = False


@dataclass(slots=True)
class Outline:
    """A request after the first look. ``key`` is None when its texts cannot be told from its values."""

    dialect: Dialect
    action: Action
    headers_only: bool
    schema: str
    negotiated: bool
    target: str
    terms: list[Term]
    values: Values
    keys: tuple[Slot, ...]
    ranges: tuple[tuple[str, PlannedRange], ...]
    top_range: RowRange
    page_limit: int | None
    accept: str
    content_type: media.MediaType
    preferences: Preferences
    payload: Payload | None = None
    payload_slot: Slot | None = None
    arguments: tuple[tuple[str, Slot], ...] = ()
    failure: ApiError | None = None
    key: tuple[object, ...] | None = None


_METHODS = {
    "GET": Action.READ,
    "HEAD": Action.READ,
    "POST": Action.CREATE,
    "PUT": Action.UPSERT,
    "PATCH": Action.UPDATE,
    "DELETE": Action.DELETE,
    "OPTIONS": Action.RELATION_INFO,
}
_CALLS = {
    "GET": Action.CALL_READ,
    "HEAD": Action.CALL_READ,
    "POST": Action.CALL,
    "OPTIONS": Action.ROUTINE_INFO,
}
_SCHEMA = {"GET": Action.INSPECT, "HEAD": Action.INSPECT, "OPTIONS": Action.SCHEMA_INFO}
_WITH_BODY = frozenset((Action.CREATE, Action.UPSERT, Action.UPDATE, Action.CALL))
_CONTENT_METHODS = frozenset(("POST", "PUT", "PATCH", "DELETE"))


class _Resource(NamedTuple):
    """What a path names: ``actions`` by method, and the name of what they are done to."""

    actions: Mapping[str, Action]
    target: str = ""
    keys: Sequence[str] = ()


def _resource(request: HttpRequest, dialect: Dialect, config: QueryConfig) -> _Resource:
    segments = querystring.split_path(request.path)
    if not segments:
        return _root(config)
    if segments[0] == "rpc" and len(segments) == 2:
        return _Resource(_CALLS, segments[1])
    if len(segments) > 1 and dialect is Dialect.REST:
        raise RequestError(404, "PGRST125", "Invalid path specified in request URL")
    return _Resource(_METHODS, segments[0], segments[1:])


def _root(config: QueryConfig) -> _Resource:
    if config.openapi_mode == "disabled":
        raise RequestError(404, "PGRST126", "Root endpoint metadata is disabled")
    if config.root_spec is not None:
        return _Resource(_CALLS, config.root_spec.name)
    return _Resource(_SCHEMA)


def _action(resource: _Resource, method: str) -> Action:
    action = resource.actions.get(method)
    if action is not None:
        return action
    if resource.actions is _CALLS:
        raise RequestError(405, "PGRST101", f"Cannot use the {method} method on RPC")
    raise RequestError(405, "PGRST117", f"Unsupported HTTP method: {method}")


def _schema(request: HttpRequest, config: QueryConfig) -> tuple[str, bool]:
    header = "content-profile" if request.method in _CONTENT_METHODS else "accept-profile"
    profile = request.header(header)
    if profile is None:
        return config.schemas[0], len(config.schemas) != 1
    if profile not in config.schemas:
        raise RequestError(
            406,
            "PGRST106",
            f"Invalid schema: {profile}",
            hint=f"Only the following schemas are exposed: {', '.join(config.schemas)}",
        )
    return profile, True


def outline(request: HttpRequest, dialect: Dialect, config: QueryConfig) -> Outline:
    """The first look at a request.

    Raises RequestError for a path, schema or method that cannot be, or too long a URL. Texts that do not
    parse, ranges that cannot be and bad bodies are kept in ``failure``: the errors of the query string come
    before them.
    """
    if len(request.path) + len(request.query) > MAX_URL:
        raise too_long(MAX_URL)
    resource = _resource(request, dialect, config)
    schema, negotiated = _schema(request, config)
    action = _action(resource, request.method)
    values, keys = Values.of(resource.keys)
    parameters = querystring.parse_query(request.query) if request.query else []
    sent = request.headers.first
    result = Outline(
        dialect=dialect,
        action=action,
        headers_only=request.method == "HEAD",
        schema=schema,
        negotiated=negotiated,
        target=resource.target,
        terms=[],
        values=values,
        keys=keys,
        ranges=(),
        top_range=ALL,
        page_limit=config.max_rows,
        accept=sent.get("accept", "*/*"),
        content_type=media.parse_media_type(sent.get("content-type", "application/json")),
        preferences=_preferences(request, config),
    )
    _read_terms(result, parameters)
    try:
        if parameters or "range" in sent or config.max_rows is not None:
            _read_ranges(result, parameters, request, config)
        if result.action in _WITH_BODY:
            _read_body(result, request)
    except ApiError as failure:
        result.failure = result.failure or failure
    if result.failure is None:
        result.key = _key(result, request)
    return result


def _preferences(request: HttpRequest, config: QueryConfig) -> Preferences:
    if "prefer" not in request.headers.first:
        return _NO_PREFERENCES
    given = tuple(value for name, value in request.headers if name == "prefer")
    return parse_prefer(given, config.tx_allow_override)


def _read_terms(result: Outline, parameters: list[Parameter]) -> None:
    for parameter in parameters:
        try:
            result.terms.append(_term(parameter, result.action, result.values))
        except ApiError as failure:
            # Which text fails first is decided where all are parsed in order.
            result.failure = failure
            result.terms.append(Term(parameter))


def _term(parameter: Parameter, action: Action, values: Values) -> Term:
    if parameter.role is Role.LOGIC:
        path, tree = grammar.parse_logic(parameter.name, parameter.value)
        return Term(parameter, parsed=(path, set_aside(tree, values)))
    if parameter.role is not Role.FILTER:
        return Term(parameter)
    if parameter.split:
        return Term(parameter, values.add(parameter.value[parameter.split :]))
    if action is Action.CALL_READ and not parameter.value.startswith(_LONG_OPERANDS):
        return Term(parameter, values.add(parameter.value))
    return _long_filter(parameter, values)


def _long_filter(parameter: Parameter, values: Values) -> Term:
    elements = _plain_list(parameter.value)
    if elements is None:
        negated, operation = grammar.parse_filter(parameter.value)
        if operation.operator != "in":
            return Term(parameter, parsed=operation, negated=negated)
        elements = operation.elements
    else:
        negated = parameter.value.startswith("not.")
    slot = values.add(array_literal(elements))
    return Term(parameter, parsed=Operation("in", slot), negated=negated)


def _plain_list(text: str) -> tuple[str, ...] | None:
    """The elements of ``in.(1,2,3)`` where nothing is quoted: long lists need not go through the grammar."""
    inner = text.removeprefix("not.")
    if not (inner.startswith("in.(") and inner.endswith(")")) or '"' in inner:
        return None
    inner = inner[4:-1].lstrip(" \t")  # the grammar's list begins behind the spaces
    return None if ")" in inner else tuple(inner.split(","))


def _read_ranges(
    result: Outline, parameters: list[Parameter], request: HttpRequest, config: QueryConfig
) -> None:
    header = request.header("range") if request.method == "GET" else None
    limits: dict[str, str] = {}
    offsets: dict[str, str] = {}
    for parameter in parameters:
        if parameter.role is Role.LIMIT:
            limits[parameter.name] = parameter.value
        elif parameter.role is Role.OFFSET:
            offsets[parameter.name[: -len("offset")] + "limit"] = parameter.value
    asked = {name: from_limit_offset(limits.get(name), offsets.get(name)) for name in (limits | offsets)}
    if header is None and not asked and config.max_rows is None:
        return
    result.top_range = _top_range(asked.get("limit", ALL), header, request.method)
    if result.action.mutates:
        return
    asked["limit"] = result.top_range
    result.page_limit = result.top_range.restricted(config.max_rows).limit
    result.ranges = tuple(
        (name, _planned(rows.restricted(config.max_rows), result.values))
        for name, rows in asked.items()
        if rows != ALL or config.max_rows is not None
    )


def _top_range(limits: RowRange, header: str | None, method: str) -> RowRange:
    from_header = ALL if header is None else parse_range_header(header)
    rows = LIMIT_ZERO if limits.is_limit_zero else from_header.intersection(limits)
    if rows.is_empty and not limits.is_limit_zero:
        details = (
            "The lower boundary must be lower than or equal to the upper boundary in the Range header."
            if from_header.is_empty
            else "Limit should be greater than or equal to zero."
        )
        raise RequestError(416, "PGRST103", "Requested range not satisfiable", details=details)
    if method == "PUT" and rows != ALL:
        message = "limit/offset querystring parameters are not allowed for PUT"
        raise RequestError(400, "PGRST114", message)
    return rows


def _planned(rows: RowRange, values: Values) -> PlannedRange:
    limit = None if rows.limit is None else values.add(str(rows.limit))
    return PlannedRange(limit, values.add(str(rows.lower)))


def _read_body(result: Outline, request: HttpRequest) -> None:
    action = result.action
    columns = columns_parameter(result) if action is not Action.UPSERT else None
    result.payload = read_payload(
        request.body,
        result.content_type,
        columns=columns,
        is_call=action is Action.CALL,
        uneven_rows=result.dialect is Dialect.QUERY and action is Action.CREATE,
    )
    result.payload_slot = result.values.add(result.payload.body)
    fields = result.payload.arguments or ()
    result.arguments = tuple((name, result.values.add(text)) for name, text in fields)


def columns_parameter(result: Outline) -> tuple[str, ...] | None:
    """The columns of ``columns=``, None without it. Raises RequestError."""
    text = first_value(result.terms, Role.COLUMNS)
    return None if text is None else grammar.parse_columns(text)


def first_value(terms: list[Term], role: Role) -> str | None:
    """The value of the first parameter in that role."""
    return next((term.parameter.value for term in terms if term.parameter.role is role), None)


def _key(result: Outline, request: HttpRequest) -> tuple[object, ...]:
    # Texts rather than the records made of them: a text knows its hash.
    payload, sent = result.payload, request.headers.first
    return (
        result.dialect is Dialect.QUERY,
        request.method,
        result.action,
        result.schema,
        result.negotiated,
        result.target,
        len(result.keys),
        tuple([_term_key(term) for term in result.terms]),
        tuple([(name, rows.limit is None) for name, rows in result.ranges]),
        result.accept,
        sent.get("content-type"),
        result.preferences if "prefer" in sent else None,
        payload and (payload.columns, payload.is_object, payload.uneven, _argument_names(payload)),
    )


def _argument_names(payload: Payload) -> tuple[str, ...] | None:
    return None if payload.arguments is None else tuple(name for name, _ in payload.arguments)


def _term_key(term: Term) -> object:
    parameter, slot, parsed, negated = term
    if parsed is not None:
        return parameter.name, parsed, negated
    if slot is not None:
        return parameter.name, parameter.value[: parameter.split]
    if parameter.role is Role.LIMIT or parameter.role is Role.OFFSET:
        return parameter.name
    return parameter.name, parameter.value
