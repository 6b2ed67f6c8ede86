"""Answers: status, headers and body from a plan and what the database said.

What lives here: pure functions from results to a :class:`Response`, and whether results stand at all
(:func:`verdict`). What does not: sending.

Sources: https://docs.postgrest.org/en/v16/references/api/pagination_count.html,
https://docs.postgrest.org/en/v16/references/transactions.html#response-headers
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple
from urllib.parse import quote

from ..errors import ApiError, Header, RequestError
from . import querystring
from .config import QueryConfig
from .plan import Insert, Plan
from .ranges import RowRange, content_range, range_status
from .request import Action, HttpRequest
from .statement import Row, Rows

VARY = ("Vary", "Accept, Prefer, Range")
JSON_TYPE = ("Content-Type", "application/json; charset=utf-8")


@dataclass(slots=True)
class Response:
    """What is sent. A body that is an iterator is streamed, without Content-Length."""

    status: int
    headers: list[Header]
    body: bytes | AsyncIterator[bytes] = b""
    reason: str | None = None


@dataclass(slots=True)
class Outcome:
    """The one row of the main statement, decoded. ``total`` is None when nobody counted."""

    page_total: int = 0
    total: int | None = None
    location: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    headers: bytes | None = None
    status: bytes | None = None
    inserted: int | None = None


class Fixed(NamedTuple):
    """The headers that are the same for every answer of a plan."""

    content: tuple[Header, ...]
    applied: tuple[Header, ...]


class Context(NamedTuple):
    """What an answer depends on beside the plan."""

    request: HttpRequest
    top_range: RowRange
    fixed: Fixed
    minimal_errors: bool = False


def decode(rows: Rows, plan: Plan) -> Outcome:
    """The outcome of the main statement. A trigger or rule may leave no row at all."""
    if not rows.rows:
        return Outcome(total=0 if plan.call is not None else None)
    total, page_total, *location, body, headers, status, inserted = rows.rows[0]
    handler = plan.aggregation.handler
    return Outcome(
        page_total=int(page_total or 0),
        total=None if total is None else int(total),
        location=tuple((k, v) for k, v in json.loads(location[0])) if location and location[0] else (),
        body=bytes.fromhex((body or b"").decode()) if handler and handler.is_bytes else body or b"",
        headers=headers,
        status=status,
        inserted=None if inserted is None else int(inserted),
    )


ROW_SEPARATOR = b", \n "
"""What ``json_agg`` puts between rows."""


_NO_SETTINGS = b"[null, null]"


def decode_rows(rows: Sequence[Row]) -> Outcome:
    """The outcome of a statement of rows that are all there, as if they had been aggregated."""
    last = rows[-1][0] or _NO_SETTINGS
    headers, status = (None, None) if last == _NO_SETTINGS else json.loads(last)
    return Outcome(
        page_total=len(rows) - 1,
        body=b"[" + ROW_SEPARATOR.join([row[0] or b"null" for row in rows[:-1]]) + b"]",
        headers=headers and headers.encode(),
        status=status and status.encode(),
    )


async def stream_rows(chunks: AsyncIterator[Sequence[Row]]) -> AsyncIterator[bytes]:
    """A JSON array of rows, chunk by chunk; the last row of all holds settings and is left out."""
    opening = b"["
    held: bytes | None = None
    async for chunk in chunks:
        texts = [row[0] or b"null" for row in chunk]
        if held is not None:
            texts.insert(0, held)
        held = texts.pop()  # perhaps the last of all
        if texts:
            yield opening + ROW_SEPARATOR.join(texts)
            opening = ROW_SEPARATOR
    yield b"[]" if opening == b"[" else b"]"


def respond_stream(plan: Plan, context: Context, body: AsyncIterator[bytes]) -> Response:
    """The answer to a read whose rows are sent as they come: their number is not known when it begins."""
    headers: list[Header] = [
        ("Content-Range", content_range(1, 0, None)),
        ("Content-Location", content_location(context.request, plan.request.target)),
        *context.fixed.content,
        *context.fixed.applied,
    ]
    return Response(200, headers, body)


# ---------------------------------------------------------------- whether results stand


def inspects_results(plan: Plan) -> bool:
    """Whether the results decide if the transaction may commit."""
    if plan.media.plan is not None:
        return False
    preferences = plan.request.preferences
    limited = preferences.strict and preferences.max_affected is not None
    return (
        (plan.media.is_object and plan.action is not Action.UPSERT)
        or plan.action is Action.UPSERT
        or (limited and plan.action in (Action.UPDATE, Action.DELETE, Action.CALL, Action.CALL_READ))
    )


def objection(plan: Plan, outcome: Outcome) -> ApiError | None:
    """Why the results must not stand, None when they may."""
    if plan.action is Action.UPSERT:
        if outcome.page_total == 1:
            return None
        message = "Payload values do not match URL in primary key column(s)"
        return RequestError(400, "PGRST115", message)
    if plan.media.is_object and outcome.page_total != 1:
        return RequestError(
            406,
            "PGRST116",
            "Cannot coerce the result to a single JSON object",
            details=f"The result contains {outcome.page_total} rows",
        )
    return _too_many_affected(plan, outcome)


def _too_many_affected(plan: Plan, outcome: Outcome) -> ApiError | None:
    preferences = plan.request.preferences
    limit = preferences.max_affected
    applies = plan.action in (Action.UPDATE, Action.DELETE) or plan.call is not None
    if not preferences.strict or limit is None or not applies or outcome.page_total <= limit:
        return None
    return RequestError(
        400,
        "PGRST124",
        "Query result exceeds max-affected preference constraint",
        details=f"The query affects {outcome.page_total} rows",
    )


def planned_total(rows: Rows) -> int | None:
    """The planner's guess from an ``EXPLAIN (FORMAT JSON)``."""
    try:
        return int(json.loads(rows.rows[0][0] or b"null")[0]["Plan"]["Plan Rows"])
    except (IndexError, KeyError, TypeError, ValueError):
        return None


def with_guess(outcome: Outcome, plan: Plan, guess: int | None, config: QueryConfig) -> Outcome:
    """The outcome with the total that ``count=planned`` or ``count=estimated`` tells."""
    total = outcome.total
    if plan.request.preferences.count == "planned":
        total = guess
    elif total is not None and (config.max_rows is None or total > config.max_rows):
        # The exact count stops behind max-rows; where there is no such bound PostgREST takes the guess, too.
        total = max(total, guess or 0)
    return Outcome(
        outcome.page_total,
        total,
        outcome.location,
        outcome.body,
        outcome.headers,
        outcome.status,
        outcome.inserted,
    )


# ---------------------------------------------------------------- answers


@dataclass(slots=True)
class _Draft:
    status: int
    headers: list[Header] = field(default_factory=list)
    body: bytes = b""


def respond(plan: Plan, outcome: Outcome, context: Context) -> Response:
    """The answer to a request whose results stand. Raises RequestError for bad ``response.*`` settings."""
    if plan.media.plan is not None:
        return Response(200, [_length(outcome.body), *context.fixed.content], outcome.body)
    draft = _ANSWERS[plan.action](plan, outcome, context)
    status = _overridden_status(outcome.status) or draft.status
    return Response(status, _overridden(draft.headers, outcome.headers), draft.body)


def _length(body: bytes) -> Header:
    return "Content-Length", str(len(body))


_NOT_TOLD: dict[Action, tuple[str, ...]] = {
    Action.READ: ("resolution", "representation", "missing", "max_affected"),
    Action.CREATE: ("max_affected",),
    Action.UPDATE: ("resolution",),
    Action.UPSERT: ("resolution", "missing", "max_affected"),
    Action.DELETE: ("resolution", "missing"),
    Action.CALL: ("resolution", "representation", "missing"),
    Action.CALL_READ: ("resolution", "representation", "missing"),
}


def fixed_headers(plan: Plan) -> Fixed:
    """Content-Type, Content-Profile and Preference-Applied: what the plan alone decides."""
    content: list[Header] = [("Content-Type", plan.media.content_type)]
    if plan.request.negotiated:
        content.append(("Content-Profile", plan.request.schema))
    return Fixed(tuple(content), _applied(plan))


def _applied(plan: Plan) -> tuple[Header, ...]:
    """Preference-Applied, of the preferences that mean something for this kind of request."""
    left_out = set(_NOT_TOLD.get(plan.action, ()))
    mutation = plan.mutation
    if isinstance(mutation, Insert) and not mutation.primary_key and plan.request.on_conflict is None:
        left_out.add("resolution")  # without a key there is nothing to resolve
    applied = replace(plan.request.preferences, **dict.fromkeys(left_out)).applied()  # type: ignore[arg-type]
    return (("Preference-Applied", applied),) if applied else ()


def _counted(plan: Plan, outcome: Outcome) -> int | None:
    return outcome.page_total if plan.request.preferences.count in ("exact", "estimated") else None


def _page(outcome: Outcome, rows: RowRange) -> tuple[int, str]:
    upper = rows.lower + outcome.page_total - 1
    return (
        range_status(rows.lower, upper, outcome.total),
        content_range(rows.lower, upper, outcome.total),
    )


def out_of_bounds(rows: RowRange, total: int | None) -> RequestError:
    """416: the offset is past the last row."""
    details = f"An offset of {rows.lower} was requested, but there are only {total or 0} rows."
    return RequestError(416, "PGRST103", "Requested range not satisfiable", details=details)


def _past_the_end(outcome: Outcome, context: Context) -> bytes:
    return out_of_bounds(context.top_range, outcome.total).body(minimal=context.minimal_errors)


def content_location(request: HttpRequest, target: str) -> str:
    """The canonical address of what is read."""
    query = querystring.canonical(request.query) if request.query else ""
    return f"/{target}?{query}" if query else f"/{target}"


def _read(plan: Plan, outcome: Outcome, context: Context) -> _Draft:
    status, shown = _page(outcome, context.top_range)
    content = _past_the_end(outcome, context) if status == 416 else outcome.body
    body = b"" if plan.request.headers_only else content
    headers: list[Header] = [
        ("Content-Range", shown),
        ("Content-Location", content_location(context.request, plan.request.target)),
    ]
    if not plan.request.headers_only:
        headers.append(_length(body))
    headers += context.fixed.content
    headers += context.fixed.applied
    return _Draft(status, headers, body)


def _created(plan: Plan, outcome: Outcome, context: Context) -> _Draft:
    request = plan.request
    full = request.representation
    headers: list[Header] = [_length(outcome.body if full else b"")]
    if outcome.location:
        pairs = "&".join(f"{quote(k, safe='')}={_quoted(v)}" for k, v in outcome.location)
        headers.append(("Location", f"/{request.target}?{pairs}"))
    headers.append(("Content-Range", content_range(1, 0, _counted(plan, outcome))))
    headers += context.fixed.applied
    if full:
        headers += context.fixed.content
    merged = request.preferences.resolution == "merge-duplicates"
    status = 200 if merged and (outcome.inserted or 0) <= 0 else 201
    return _Draft(status, headers, outcome.body if full else b"")


def _quoted(text: str) -> str:
    return quote(text, safe="-_.~")


def _updated(plan: Plan, outcome: Outcome, context: Context) -> _Draft:
    shown = content_range(0, outcome.page_total - 1, _counted(plan, outcome))
    return _represented(plan, outcome, context, [("Content-Range", shown), *context.fixed.applied])


def _deleted(plan: Plan, outcome: Outcome, context: Context) -> _Draft:
    shown = content_range(1, 0, _counted(plan, outcome))
    return _represented(plan, outcome, context, [("Content-Range", shown), *context.fixed.applied])


def _represented(
    plan: Plan, outcome: Outcome, context: Context, headers: list[Header], status: int = 200
) -> _Draft:
    if not plan.request.representation:
        return _Draft(204, headers)
    return _Draft(status, [*headers, _length(outcome.body), *context.fixed.content], outcome.body)


def _upserted(plan: Plan, outcome: Outcome, context: Context) -> _Draft:
    status = 201 if outcome.inserted is not None and outcome.inserted > 0 else 200
    return _represented(plan, outcome, context, list(context.fixed.applied), status)


def _called(plan: Plan, outcome: Outcome, context: Context) -> _Draft:
    assert plan.call is not None
    status, shown = _page(outcome, context.top_range)
    headers: list[Header] = [("Content-Range", shown), *context.fixed.applied]
    returns = plan.call.routine.returns
    if returns.is_void and not returns.is_set:
        return _Draft(204, headers)
    content = _past_the_end(outcome, context) if status == 416 else outcome.body
    if plan.request.headers_only:
        return _Draft(status, [*headers, *context.fixed.content])
    return _Draft(status, [*headers, _length(content), *context.fixed.content], content)


_ANSWERS: dict[Action, Callable[[Plan, Outcome, Context], _Draft]] = {
    Action.READ: _read,
    Action.CREATE: _created,
    Action.UPDATE: _updated,
    Action.UPSERT: _upserted,
    Action.DELETE: _deleted,
    Action.CALL: _called,
    Action.CALL_READ: _called,
}

# ---------------------------------------------------------------- OPTIONS


def respond_info(plan: Plan) -> Response:
    """The answer to OPTIONS: which methods can be used."""
    headers = [("Content-Length", "0"), ("Access-Control-Allow-Origin", "*"), ("Allow", _allowed(plan))]
    return Response(200, headers)


def _allowed(plan: Plan) -> str:
    if plan.action is Action.SCHEMA_INFO:
        return "OPTIONS,GET,HEAD"
    if plan.call is not None:
        return "OPTIONS,POST" if plan.call.routine.volatility == "v" else "OPTIONS,GET,HEAD,POST"
    relation = plan.relation
    assert relation is not None
    methods = ["OPTIONS,GET,HEAD"]
    methods += ["POST"] if relation.insertable else []
    methods += ["PUT"] if relation.insertable and relation.updatable and relation.primary_key else []
    methods += ["PATCH"] if relation.updatable else []
    methods += ["DELETE"] if relation.deletable else []
    return ",".join(methods)


# ---------------------------------------------------------------- response.headers, response.status


def is_final_status(status: int) -> bool:
    """Whether HTTP can end an answer with that status (RFC 9110, 15)."""
    return 200 <= status <= 999


def is_header(name: str, value: str) -> bool:
    """Whether HTTP can carry the header: a token, and no line break that begins another (RFC 9110, 5)."""
    return _TOKEN.fullmatch(name) is not None and _BREAKS.search(value) is None


_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_BREAKS = re.compile(r"[\r\n\0]")


def _overridden_status(text: bytes | None) -> int | None:
    if text is None:
        return None
    match = re.match(rb"[0-9]+", text)
    if match is None or not is_final_status(int(match[0][:9])):
        raise RequestError(500, "PGRST112", "response.status guc must be a valid status code")
    return int(match[0])


def _overridden(headers: Sequence[Header], text: bytes | None) -> list[Header]:
    """The headers with those a function set: they replace ours of the same name."""
    if text is None:
        return list(headers)
    own = _header_list(text)
    names = {name.lower() for name, _ in own}
    return [*(header for header in headers if header[0].lower() not in names), *own]


def _header_list(text: bytes) -> list[Header]:
    try:
        given = json.loads(text)
    except ValueError:
        given = None
    valid = isinstance(given, list) and all(
        isinstance(item, dict)
        and len(item) == 1
        and all(isinstance(value, str) and is_header(name, value) for name, value in item.items())
        for item in given
    )
    if not valid:
        shape = "a JSON array composed of objects with a single key and a string value"
        raise RequestError(500, "PGRST111", f"response.headers guc must be {shape}")
    return [(str(name), str(value)) for item in given for name, value in item.items()]


def legacy_warning(names: Sequence[tuple[str, str]]) -> Header:
    """The Warning that an embed was called by its relation's name though it has an alias."""
    changes = ", ".join(f"`{name}` to `{alias}`" for name, alias in names)
    text = (
        "Embedded resource was referenced by relation name even though it has an alias. This is deprecated"
        f" and will stop working in a future release. Update {changes} in query string filters, orders or"
        " limits."
    )
    return "Warning", f'299 PostgRESTv16.2 "{text}"'
