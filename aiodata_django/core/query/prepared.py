"""A request ready to run: its plan, its statements, and how to fill them for one caller.

What lives here: everything that is the same for all requests of one shape under one role, made once; and
:class:`PlanCache`, which keeps it. What does not: running it (``pipeline``).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field

from ..identity import Identity
from ..schema import Schema
from . import statements
from .config import QueryConfig
from .interpret import interpret
from .outcomes import inspects_results
from .outline import Outline
from .plan import Plan
from .planner import plan
from .request import Action, HttpRequest
from .response import Fixed, fixed_headers
from .statement import Batch, Query, Statement

LARGEST_PAGE = 500
"""Rows that PostgreSQL may gather into one value; more are sent as they come."""

CHUNK = 500
"""Rows that are read before some are sent, once sending has begun."""

GATHERED = 5 << 18
"""Bytes of memory that rows may take before the first are sent: what ends below is answered whole.

Only when all rows are there can the headers tell how many they are, and PostgREST always tells. Ten thousand
small rows, or 1 MiB of larger ones, are read within the 15 ms that a client shall wait for the first byte at
most, and many readers can hold as much at a time.
"""

REMEMBERED = 4 << 20
"""Bytes of SQL whose plans are kept. A plan takes some twenty times what its SQL does."""

_ISOLATION = "default_transaction_isolation"


@dataclass(slots=True)
class Prepared:
    """A plan with its statements.

    ``main`` is where the main statement stands in the batch; ``size`` is the length of all SQL, in bytes.
    """

    plan: Plan
    settings: statements.Settings
    statement: Statement | None = None
    rows: Statement | None = None
    count: Statement | None = None
    before: tuple[Query, ...] = ()
    begin: bytes | None = None
    rollback: bool = False
    inspects: bool = False
    writes: bool = False
    tidies: bool = False
    main: int = field(init=False)
    size: int = field(init=False)
    fixed: Fixed = field(init=False)

    def __post_init__(self) -> None:
        self.main = 1 + len(self.before)
        self.size = sum(len(one.sql) for one in (self.statement, self.rows, self.count) if one is not None)
        self.fixed = fixed_headers(self.plan)

    def streams(self, outline: Outline) -> bool:
        """Whether the rows are to be sent as they come: as many as there are, or more than a page."""
        if self.rows is None:
            return False
        limit = outline.page_limit
        return limit is None or limit > LARGEST_PAGE

    def row_batch(self, outline: Outline, request: HttpRequest, identity: Identity) -> Batch:
        """The transaction of a read whose rows are sent as they come."""
        assert self.rows is not None
        queries = [self.settings.bind(request, identity), *self.before, self.rows.bind(outline.values)]
        return Batch(
            queries,
            scope=identity.role,
            begin=self.begin,
            rollback=self.rollback,
            chunk=CHUNK,
            gather=GATHERED,
            tidy=self.tidies,
        )

    def batch(self, outline: Outline, request: HttpRequest, identity: Identity) -> Batch:
        """The transaction of one request."""
        queries = [self.settings.bind(request, identity), *self.before]
        if self.statement is not None:
            queries.append(self.statement.bind(outline.values))
        if self.count is not None:
            queries.append(self.count.bind(outline.values))
        return Batch(
            queries,
            scope=identity.role,
            begin=self.begin,
            rollback=self.rollback,
            report_lsn=self.writes and not self.rollback,
            tidy=self.tidies,
        )


def prepare(outline: Outline, schema: Schema, config: QueryConfig, role: str) -> Prepared:
    """Plans and renders. Raises ApiError for what cannot be served."""
    planned = plan(interpret(outline), schema, config)
    role_settings = dict(config.roles.get(role, {}))
    isolation = role_settings.pop(_ISOLATION, None)
    own = _hoisted(planned, config)
    isolation = _own_isolation(planned) or isolation
    has_rows = planned.tree is not None and planned.action is not Action.ROUTINE_INFO
    count = planned.request.preferences.count
    guesses = planned.action is Action.READ and planned.media.plan is None
    return Prepared(
        plan=planned,
        settings=statements.Settings.of(planned, config, role_settings, own),
        statement=statements.render(planned, config) if has_rows else None,
        rows=statements.render_rows(planned) if _may_stream(planned) else None,
        count=statements.render_planned_count(planned)
        if guesses and count in ("planned", "estimated")
        else None,
        before=(statements.pre_request(config.pre_request),) if config.pre_request else (),
        begin=_begin(isolation, read_only=planned.read_only),
        rollback=_rolls_back(planned, config),
        inspects=inspects_results(planned),
        writes=not planned.read_only and planned.media.plan is None,
        tidies=_runs_functions(planned, config),
    )


def _runs_functions(planned: Plan, config: QueryConfig) -> bool:
    """Whether functions are run for their effects: called, by triggers, before the request, for its answer.

    Those in views, policies and computed columns are for their values, and cost nobody anything here.
    """
    action = planned.action
    handled = planned.aggregation.kind == "custom"
    return action.calls or action.mutates or handled or config.pre_request is not None


def _may_stream(planned: Plan) -> bool:
    """Plain arrays of rows that nobody wants counted."""
    return (
        planned.action is Action.READ
        and planned.aggregation.kind == "json"
        and planned.media.plan is None
        and planned.request.preferences.count is None
    )


def _hoisted(planned: Plan, config: QueryConfig) -> Mapping[str, str]:
    """The settings of the function called that must hold from the start of the transaction."""
    if planned.call is None:
        return {}
    kept = (pair for pair in planned.call.routine.settings if pair[0] in config.hoisted_settings)
    return {name: value for name, value in kept if name != _ISOLATION}


def _own_isolation(planned: Plan) -> str | None:
    return None if planned.call is None else dict(planned.call.routine.settings).get(_ISOLATION)


def _begin(isolation: str | None, *, read_only: bool) -> bytes | None:
    """An explicit BEGIN where the isolation level asks for one: it must be known before any statement."""
    if isolation is None or isolation.lower() == "read committed":
        return None
    if isolation.lower() not in ("repeatable read", "serializable"):
        return None
    mode = " read only" if read_only else ""
    return f"begin isolation level {isolation.lower()}{mode}".encode()


def _rolls_back(planned: Plan, config: QueryConfig) -> bool:
    wanted = planned.request.preferences.transaction
    return wanted == "rollback" or (config.tx_rollback_all and wanted != "commit")


class PlanCache:
    """Plans by shape and role, the least recently used given up first; empty again for another schema.

    Bounded in number and in ``size``, the bytes of their SQL: shapes are whatever anybody asks for.
    """

    def __init__(self, size: int = 1000, remembered: int = REMEMBERED) -> None:
        self._size = size
        self._remembered = remembered
        self._held = 0
        self._schema: Schema | None = None
        self._plans: OrderedDict[object, Prepared] = OrderedDict()

    def __len__(self) -> int:
        return len(self._plans)

    def get(self, outline: Outline, schema: Schema, config: QueryConfig, role: str) -> Prepared:
        """The plan for a request of this shape under this role, made if need be. Raises ApiError."""
        if schema is not self._schema:
            self._plans.clear()
            self._held = 0
            self._schema = schema
        if outline.key is None:
            return prepare(outline, schema, config, role)
        key = (role, outline.key)
        known = self._plans.get(key)
        if known is not None:
            self._plans.move_to_end(key)
            return known
        made = self._plans[key] = prepare(outline, schema, config, role)
        self._held += made.size
        while len(self._plans) > self._size or self._held > self._remembered:
            self._held -= self._plans.popitem(last=False)[1].size
        return made
