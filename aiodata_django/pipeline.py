"""From a request to its answer: authenticate, outline, plan, run, respond.

What lives here: the order of the stages, and the one place where they meet the database. What does not: any
of the stages (``core.query``), HTTP itself (``asgi``, ``views``).
"""

from __future__ import annotations

import asyncio
import time
import traceback
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from .auth import Authenticator
from .conf import Settings
from .core.errors import ApiError, Header, InternalError
from .core.identity import Identity
from .core.query import cors, openapi, outcomes, response
from .core.query.describe import description, readable_columns
from .core.query.outcomes import Outcome
from .core.query.outline import Outline, outline
from .core.query.prepared import CHUNK, PlanCache, Prepared, prepare
from .core.query.refusal import refuse
from .core.query.request import Action, Dialect, HttpRequest
from .core.query.response import Context, Response
from .core.query.statement import Batch, Row, Rows
from .core.query.statements import set_config
from .core.schema import Schema
from .db.pool import Pool
from .db.stream import Stream
from .observe import Trouble, observe

_UNAVAILABLE = 503
_RETRY_AFTER = ("Retry-After", "0")  # seconds: connections are made anew by the next request

LARGE_BODY, LONG_QUERY = 1 << 18, 1 << 12
"""Bytes of what is read in a thread: a large CSV takes seconds, in which others want their answers."""

_READERS = ThreadPoolExecutor(2, "aiodata-read")
"""More would not read faster, and each may need twenty times the body's size."""

LSN_HEADER = "Aiodata-LSN"
"""The position behind what a write committed: ``client.synced(lsn)`` waits for it."""


class Timing:
    """How long each stage took, for Server-Timing. Times in milliseconds."""

    __slots__ = ("_last", "_stages", "_wanted")

    def __init__(self, *, wanted: bool) -> None:
        self._wanted = wanted
        self._last = time.perf_counter() if wanted else 0.0
        self._stages: list[tuple[str, float]] = []

    def stage(self, name: str) -> None:
        """The stage of that name ends here."""
        if not self._wanted:
            return
        now = time.perf_counter()
        self._stages.append((name, (now - self._last) * 1000))
        self._last = now

    def header(self) -> Header:
        """Source: https://www.w3.org/TR/server-timing/"""
        return "Server-Timing", ", ".join(f"{name};dur={spent:.1f}" for name, spent in self._stages)


_UNTIMED = Timing(wanted=False)  # for all requests, where nobody wants to know


class Pipeline:
    """Answers requests. One for each set of settings; the schema is asked for anew by each request."""

    def __init__(
        self, *, settings: Settings, pool: Pool, schema: Callable[[], Schema], authenticator: Authenticator
    ) -> None:
        self._settings = settings
        self._config = settings.query
        self._pool = pool
        self._schema = schema
        self._authenticator = authenticator
        self._plans = PlanCache()
        self._minimal_errors = settings.client_error_verbosity == "minimal"

    async def respond(self, request: HttpRequest, dialect: Dialect) -> Response:
        """The answer to a request; errors are answers too."""
        origins = self._settings.server_cors_allowed_origins
        answer = cors.preflight(request, origins)
        if answer is None:
            answer = await self._respond(request, dialect)
            if answer.status == _UNAVAILABLE and not _has(answer, "retry-after"):
                answer.headers.insert(0, _RETRY_AFTER)
            if "origin" in request.headers.first:
                told = cors.headers(request, origins)
                answer.headers += [header for header in told if not _has(answer, header[0].lower())]
        trace = self._settings.server_trace_header
        if trace is not None:
            answer.headers.insert(0, (trace, request.header(trace.lower()) or ""))
        return answer

    async def _respond(self, request: HttpRequest, dialect: Dialect) -> Response:
        timing = Timing(wanted=True) if self._settings.server_timing_enabled else _UNTIMED
        authenticated = False
        try:
            identity = self._authenticator.authenticate(request.header("authorization"), time.time())
            authenticated = identity.role != self._config.anon_role
            timing.stage("jwt")
            answer = await self._answer(request, dialect, identity, timing)
            if self._settings.server_timing_enabled:
                timing.stage("response")
                answer.headers.append(timing.header())
            return answer
        except ApiError as error:
            return self._refuse(error, authenticated=authenticated)
        except Exception:
            # A fault of ours is told to the log in full, and to the client not at all.
            where = f"{request.method} {request.mount}{request.path}"
            observe(Trouble(f"internal error while answering {where}\n{traceback.format_exc()}"))
            return self._refuse(_fault(), authenticated=authenticated)

    def _refuse(self, error: ApiError, *, authenticated: bool) -> Response:
        return refuse(error, authenticated=authenticated, minimal=self._minimal_errors)

    async def _answer(
        self, request: HttpRequest, dialect: Dialect, identity: Identity, timing: Timing
    ) -> Response:
        schema = self._schema()
        if len(request.body) < LARGE_BODY and len(request.query) < LONG_QUERY:
            looked = outline(request, dialect, self._config)
            timing.stage("parse")
            prepared = self._plans.get(looked, schema, self._config, identity.role)
        else:
            looked, prepared = await asyncio.get_running_loop().run_in_executor(
                _READERS, self._apart, request, dialect, identity.role, schema
            )
            timing.stage("parse")
        timing.stage("plan")
        if prepared.plan.action is Action.INSPECT:
            answer = await self._inspect(request, prepared, identity, schema)
            timing.stage("transaction")
            return answer
        if prepared.statement is None:
            timing.stage("transaction")
            answer = response.respond_info(prepared.plan)
            answer.headers.append(response.VARY)
            return answer
        context = Context(request, looked.top_range, prepared.fixed, self._minimal_errors)
        lsn = None
        if prepared.streams(looked):
            answer = await self._stream(context, looked, prepared, identity)
        else:
            outcome, lsn = await self._run(request, looked, prepared, identity)
            answer = response.respond(prepared.plan, outcome, context)
        timing.stage("transaction")
        answer.headers += self._told(prepared, lsn)
        return answer

    def _apart(
        self, request: HttpRequest, dialect: Dialect, role: str, schema: Schema
    ) -> tuple[Outline, Prepared]:
        """A large request read and planned in a thread of its own, where its plan is not kept."""
        looked = outline(request, dialect, self._config)
        return looked, prepare(looked, schema, self._config, role)

    async def _stream(
        self, context: Context, looked: Outline, prepared: Prepared, identity: Identity
    ) -> Response:
        """Rows as they come; those that can be gathered first are answered as a whole."""
        stream = await self._pool.stream(prepared.row_batch(looked, context.request, identity))
        if stream.complete:
            return response.respond(prepared.plan, outcomes.decode_rows(stream.first), context)
        return response.respond_stream(prepared.plan, context, body(stream))

    def _told(self, prepared: Prepared, lsn: str | None) -> list[Header]:
        headers: list[Header] = []
        if lsn is not None:
            headers.append((LSN_HEADER, lsn))
        names = prepared.plan.legacy_names
        if names and self._config.legacy_target_names:
            headers.append(response.legacy_warning(names))
        return headers

    async def _run(
        self, request: HttpRequest, looked: Outline, prepared: Prepared, identity: Identity
    ) -> tuple[Outcome, str | None]:
        """The outcome of the request's transaction. Raises ApiError, also for results that must not stand."""
        plan = prepared.plan
        batch = prepared.batch(looked, request, identity)
        decoded: list[Outcome] = []

        def stands(results: Sequence[Rows]) -> bool:
            decoded.append(self._decoded(prepared, results))
            objection = outcomes.objection(plan, decoded[0])
            if objection is not None:
                raise objection
            return True

        if prepared.inspects and prepared.writes and not prepared.rollback:
            result = await self._pool.run(replace(batch, verdict=stands))
        else:
            result = await self._pool.run(batch)
            if prepared.inspects:
                stands(result.results)
            else:
                decoded.append(self._decoded(prepared, result.results))
        return decoded[0], result.lsn

    def _decoded(self, prepared: Prepared, results: Sequence[Rows]) -> Outcome:
        rows = results[prepared.main]
        if prepared.plan.media.plan is not None:
            return Outcome(body=b"".join((row[0] or b"") + b"\n" for row in rows.rows))
        outcome = outcomes.decode(rows, prepared.plan)
        if prepared.count is None:
            return outcome
        guess = outcomes.planned_total(results[prepared.main + 1])
        return outcomes.with_guess(outcome, prepared.plan, guess, self._config)

    async def _inspect(
        self, request: HttpRequest, prepared: Prepared, identity: Identity, schema: Schema
    ) -> Response:
        """The root: an OpenAPI document of what the role may use."""
        plan = prepared.plan
        queries = openapi.queries(plan.request.schema, self._config)
        before = [prepared.settings.bind(request, identity), *prepared.before]
        batch = Batch([*before, *queries], scope=identity.role, begin=prepared.begin, tidy=prepared.tidies)
        asked = (await self._pool.run(batch)).results[len(before) :]
        body = openapi.document(schema, plan.request.schema, asked, self._config, request.mount or "/")
        headers: list[Header] = [("Content-Type", plan.media.content_type)]
        if plan.request.negotiated:
            headers.append(("Content-Profile", plan.request.schema))
        if plan.request.headers_only:
            return Response(200, [*headers, response.VARY])
        return Response(200, [("Content-Length", str(len(body))), *headers, response.VARY], body)

    async def describe(self, authorization: str | None) -> Response:
        """``GET /``: the tables and columns that the caller may read."""
        try:
            identity = self._authenticator.authenticate(authorization, time.time())
            schema = self._schema()
            exposed = self._config.schemas[0]
            who = set_config([("role", identity.role), ("request.jwt.claims", identity.claims_json)])
            result = await self._pool.run(Batch([who, readable_columns(exposed)], scope=identity.role))
        except ApiError as error:
            return self._refuse(error, authenticated=False)
        body = description(schema, exposed, result.results[1])
        return Response(200, [("Content-Length", str(len(body))), ("Content-Type", "application/json")], body)


async def body(stream: Stream) -> AsyncIterator[bytes]:
    """The chunks of a stream as JSON; whoever stops reading gives the connection back."""
    async with stream:
        async for piece in outcomes.stream_rows(_chunks(stream)):
            yield piece


async def _chunks(stream: Stream) -> AsyncIterator[Sequence[Row]]:
    for start in range(0, len(stream.first), CHUNK):
        yield stream.first[start : start + CHUNK]
        await asyncio.sleep(0)  # as between the chunks of a stream: a turn for everybody else
    async for rows in stream:
        yield rows


def _has(answer: Response, header: str) -> bool:
    return any(name.lower() == header for name, _ in answer.headers)


def _fault() -> InternalError:
    return InternalError(500, "PGRSTX00", "Internal server error")
