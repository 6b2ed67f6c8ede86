"""Answers: status, headers and body from a plan and what the database said.

What lives here: pure functions from an outcome to a :class:`Response`. What does not: decoding what the
database said (``outcomes``), what functions set of an answer (``overrides``), and sending.

Source: https://docs.postgrest.org/en/v16/references/api/pagination_count.html
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple
from urllib.parse import quote

from ..errors import Header, RequestError
from . import querystring
from .outcomes import Outcome
from .overrides import overridden, overridden_status
from .plan import Insert, Plan
from .ranges import RowRange, content_range, range_status
from .request import Action, HttpRequest

VARY = ("Vary", "Accept, Prefer, Range")
JSON_TYPE = ("Content-Type", "application/json; charset=utf-8")


@dataclass(slots=True)
class Response:
    """What is sent. A body that is an iterator is streamed, without Content-Length; 204 and 304 have none."""

    status: int
    headers: list[Header]
    body: bytes | AsyncIterator[bytes] = b""
    reason: str | None = None

    def __post_init__(self) -> None:
        # Functions may set any status. What was sent behind these two would be read as the next answer.
        if self.status in (204, 304):
            self.body = b""
            self.headers = [header for header in self.headers if header[0].lower() != "content-length"]


class Fixed(NamedTuple):
    """The headers that are the same for every answer of a plan."""

    content: tuple[Header, ...]
    applied: tuple[Header, ...]


@dataclass(slots=True)
class Context:
    """What an answer depends on beside the plan."""

    request: HttpRequest
    top_range: RowRange
    fixed: Fixed
    minimal_errors: bool = False


def respond_stream(plan: Plan, context: Context, body: AsyncIterator[bytes]) -> Response:
    """The answer to a read whose rows are sent as they come: their number is not known when it begins."""
    headers: list[Header] = [
        ("Content-Range", content_range(1, 0, None)),
        ("Content-Location", content_location(context.request, plan.request.target)),
        *context.fixed.content,
        *context.fixed.applied,
        VARY,
    ]
    return Response(200, headers, body)


# ---------------------------------------------------------------- answers


@dataclass(slots=True)
class _Draft:
    status: int
    headers: list[Header] = field(default_factory=list)
    body: bytes = b""


def respond(plan: Plan, outcome: Outcome, context: Context) -> Response:
    """The answer to a request whose results stand. Raises RequestError for bad ``response.*`` settings."""
    if plan.media.plan is not None:
        return Response(200, [_length(outcome.body), *context.fixed.content, VARY], outcome.body)
    draft = _ANSWERS[plan.action](plan, outcome, context)
    draft.headers.append(VARY)
    if outcome.status is None and outcome.headers is None:
        return Response(draft.status, draft.headers, draft.body)
    status = overridden_status(outcome.status) or draft.status
    return Response(status, overridden(draft.headers, outcome.headers), draft.body)


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


def legacy_warning(names: Sequence[tuple[str, str]]) -> Header:
    """The Warning that an embed was called by its relation's name though it has an alias."""
    changes = ", ".join(f"`{name}` to `{alias}`" for name, alias in names)
    text = (
        "Embedded resource was referenced by relation name even though it has an alias. This is deprecated"
        f" and will stop working in a future release. Update {changes} in query string filters, orders or"
        " limits."
    )
    return "Warning", f'299 PostgRESTv16.2 "{text}"'
