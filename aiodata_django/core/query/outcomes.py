"""What the database said, decoded: how many rows, the body, what a function set; and whether it may stand.

What lives here: pure functions from rows to an :class:`Outcome`, and the objections to one. What does not:
the answer that is made of it (``response``).
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from ..errors import ApiError, RequestError
from .config import QueryConfig
from .plan import Plan
from .request import Action
from .statement import Row, Rows


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
    texts = [row[0] or b"null" for row in rows]
    texts.pop()
    return Outcome(
        page_total=len(texts),
        body=b"[%b]" % ROW_SEPARATOR.join(texts),
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
