"""The statements of a request: settings first, then the one statement that reads or writes.

What lives here: rows into a body, counts, the settings PostgreSQL functions can read. What does not: the
SELECTs and writes inside (``reads``, ``writes``).

The main statement answers one row: total, page total, location (of writes only), body, headers, status,
inserted.
Sources: https://docs.postgrest.org/en/v16/references/transactions.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..identity import Identity
from ..names import QualifiedName, quote_ident, quote_literal
from ..schema import MediaHandler, Routine
from . import expressions as e
from . import reads, writes
from .config import QueryConfig
from .fragment import EMPTY, Sql, concat, ident, qualified
from .plan import SOURCE, Aggregation, Insert, Plan
from .request import HttpRequest
from .statement import Query, Statement

_ROWS = "_postgrest_t"
_HEADERS = "nullif(current_setting('response.headers', true), '')"
_STATUS = "nullif(current_setting('response.status', true), '')"


# ---------------------------------------------------------------- the main statement


def render(plan: Plan, config: QueryConfig) -> Statement:
    """The main statement of a plan that has one."""
    if plan.call is not None:
        sql = _called(plan)
    elif plan.mutation is not None:
        sql = _written(plan)
    else:
        sql = _read(plan, config)
    return _explained(plan, sql).statement()


def render_rows(plan: Plan) -> Statement:
    """The statement that answers one row of JSON for each row read: they can be passed on as they come.

    The last row holds ``response.headers`` and ``response.status``: a function that the rows were read
    through may have set them, so they are asked for when it has run. It stays the last because parallel
    workers can have no part in it: pg_backend_pid() may be asked by the leader only. OFFSET 0 keeps the rows
    apart, so that they can still be read in parallel.
    """
    assert plan.tree is not None
    return concat(
        f"(SELECT row_to_json({_ROWS})::text FROM (", reads.select(plan.tree), f") {_ROWS} OFFSET 0)"
        f" UNION ALL SELECT json_build_array({_HEADERS}, {_STATUS})::text WHERE pg_backend_pid() IS NOT NULL",
    ).statement()  # fmt: skip


def render_planned_count(plan: Plan) -> Statement:
    """``EXPLAIN`` of the count, for ``count=planned`` and ``count=estimated``."""
    assert plan.tree is not None
    return concat("EXPLAIN (FORMAT JSON) ", reads.count(plan.tree)).statement()


def _explained(plan: Plan, sql: Sql) -> Sql:
    options = plan.media.plan
    if options is None:
        return sql
    words = [f"FORMAT {options.format.upper()}", *(option.upper() for option in options.options)]
    return concat(f"EXPLAIN ({', '.join(words)}) ", sql)


def _read(plan: Plan, config: QueryConfig) -> Sql:
    assert plan.tree is not None
    counting, total = _total(plan, config, "pg_catalog.count(_postgrest_t)")
    return concat(
        f"WITH {SOURCE} AS ( ", reads.select(plan.tree), " ) ", counting,
        "SELECT ", total, " AS total_result_set, pg_catalog.count(_postgrest_t) AS page_total,"
        " ", body(plan.aggregation, None), f" AS body, {_HEADERS} AS response_headers,"
        f" {_STATUS} AS response_status, NULL AS response_inserted",
        f" FROM ( SELECT * FROM {SOURCE} ) {_ROWS}",
    )  # fmt: skip


def _total(plan: Plan, config: QueryConfig, page_total: str) -> tuple[Sql, Sql]:
    """The CTE that counts, and the expression of the total."""
    counts = plan.request.preferences.count
    if counts not in ("exact", "estimated"):
        return EMPTY, Sql("null::bigint")
    assert plan.tree is not None
    if plan.tree.range is None and config.max_rows is None:
        return EMPTY, Sql(page_total)
    rows = reads.count(plan.tree)
    if counts == "estimated" and config.max_rows is not None and plan.call is None:
        # One more than may be answered: whether there are more is all that has to be known exactly.
        rows = concat(rows, f" LIMIT {config.max_rows + 1}")
    counting = concat(", pgrst_source_count AS (", rows, ") ")
    return counting, Sql("(SELECT pg_catalog.count(*) FROM pgrst_source_count)")


def _written(plan: Plan) -> Sql:
    assert plan.tree is not None
    assert plan.mutation is not None
    upserts = isinstance(plan.mutation, Insert) and plan.mutation.merge_duplicates
    inserted = f"{writes.INSERTED}::int" if upserts else "NULL"
    rows = Sql(f"SELECT * FROM {SOURCE}") if plan.aggregation.kind == "none" else reads.select(plan.tree)
    return concat(
        f"WITH {SOURCE} AS (", writes.mutate(plan.mutation), ") "
        "SELECT NULL AS total_result_set, pg_catalog.count(_postgrest_t) AS page_total, ",
        _location(plan), " AS header, ", body(plan.aggregation, None),
        f" AS body, {_HEADERS} AS response_headers, {_STATUS} AS response_status,"
        f" {inserted} AS response_inserted FROM (", rows, f") {_ROWS}",
    )  # fmt: skip


def _location(plan: Plan) -> str:
    """The key of the one row inserted, as an array of filters, where the answer shall tell it."""
    mutation = plan.mutation
    wanted = plan.request.preferences.representation == "headers-only"
    if not isinstance(mutation, Insert) or not wanted or not mutation.primary_key:
        return "NULL"
    keys = ", ".join(quote_literal(name) for name in mutation.primary_key)
    return (
        "CASE WHEN pg_catalog.count(_postgrest_t) = 1 THEN ("
        f"WITH data AS (SELECT row_to_json(_) AS row FROM {SOURCE} AS _ LIMIT 1)"
        " SELECT json_agg(json_build_array(pair.key, coalesce('eq.' || pair.value, 'is.null')))"
        f" FROM data CROSS JOIN json_each_text(data.row) AS pair WHERE pair.key IN ({keys})) END"
    )


def _called(plan: Plan) -> Sql:
    assert plan.tree is not None
    assert plan.call is not None
    routine = plan.call.routine
    page_total = "1" if not routine.returns.is_set else "pg_catalog.count(_postgrest_t)"
    counting, total = _total(plan, QueryConfig(schemas=(), max_rows=plan.tree.max_rows), page_total)
    return concat(
        f"WITH {SOURCE} AS (", writes.call(plan.call), ") ", counting,
        "SELECT ", total, f" AS total_result_set, {page_total} AS page_total, ",
        body(plan.aggregation, routine), f" AS body, {_HEADERS} AS response_headers,"
        f" {_STATUS} AS response_status, NULL AS response_inserted FROM (",
        reads.select(plan.tree), f") {_ROWS}",
    )  # fmt: skip


# ---------------------------------------------------------------- rows into a body


def body(aggregation: Aggregation, routine: Routine | None) -> Sql:
    """The expression that makes all rows one text."""
    kind = aggregation.kind
    if kind == "none":
        return Sql("''::text")
    if kind == "csv":
        return Sql(_csv())
    if kind == "geojson":
        return Sql(
            "json_build_object('type', 'FeatureCollection', 'features',"
            f" coalesce(json_agg(ST_AsGeoJSON({_ROWS})::json), '[]'))"
        )
    if kind == "custom":
        return _custom(aggregation, routine)
    return Sql(_json(aggregation, routine))


def _json(aggregation: Aggregation, routine: Routine | None) -> str:
    scalar = routine is not None and routine.returns.is_scalar
    rows = f"json_agg({_ROWS}.pgrst_scalar)" if scalar else f"json_agg({_ROWS})"
    single = routine is not None and not routine.returns.is_set
    if aggregation.kind == "object" or single:
        # A set of scalars asked for as an object is the object that holds the scalar.
        if aggregation.kind == "object" and not single and scalar:
            rows = f"json_agg({_ROWS})"
        return f"coalesce({_stripped(aggregation, rows + '->0')}, 'null')"
    return f"coalesce({_stripped(aggregation, rows)}, '[]')"


def _stripped(aggregation: Aggregation, expression: str) -> str:
    return f"json_strip_nulls({expression})" if aggregation.nulls_stripped else expression


def _csv() -> str:
    header = (
        "(SELECT coalesce(string_agg(a.k, ','), '') FROM (SELECT json_object_keys(r)::text AS k"
        f" FROM (SELECT row_to_json(hh) AS r FROM {SOURCE} AS hh LIMIT 1) s) a)"
    )
    row = f"substring({_ROWS}::text, 2, length({_ROWS}::text) - 2)"
    return f"{header} || '\n' || coalesce(string_agg({row}, '\n'), '')"


def _custom(aggregation: Aggregation, routine: Routine | None) -> Sql:
    handler = aggregation.handler
    assert handler is not None
    made = _handled(handler, routine)
    if aggregation.explained:
        return made
    if handler.is_jsonb:
        # PostgREST reads values in binary, and a binary jsonb begins with the version of its format, 1.
        return concat("chr(1) || (", made, ")::text")
    # Bytes in a form that does not depend on the setting bytea_output.
    return concat("encode((", made, ")::bytea, 'hex')") if handler.is_bytes else made


def _handled(handler: MediaHandler, routine: Routine | None) -> Sql:
    function = handler.function or handler.type
    assert function is not None
    rows = ident(_ROWS)
    if routine is not None and routine.returns.is_scalar:
        return e.call(function, concat(rows, ".pgrst_scalar"))
    if handler.target is None:
        return e.call(function, rows)
    return e.call(function, concat(rows, "::", qualified(handler.target)))


# ---------------------------------------------------------------- settings


class Settings:
    """The first statement of a transaction: who asks, what was asked, and how. One for all of a shape."""

    __slots__ = ("_after", "_before", "_sql")

    def __init__(self, before: Sequence[tuple[str, str]], after: Sequence[tuple[str, str]]) -> None:
        self._before = [value.encode() for _, value in before]
        self._after = [value.encode() for _, value in after]
        names = [name for name, _ in before] + list(_REQUEST) + [name for name, _ in after]
        calls = (f"set_config({quote_literal(name)}, ${n}, true)" for n, name in enumerate(names, 1))
        self._sql = f"select {', '.join(calls)}".encode()

    @classmethod
    def of(
        cls,
        plan: Plan,
        config: QueryConfig,
        role_settings: Mapping[str, str],
        routine_settings: Mapping[str, str],
    ) -> Settings:
        """Those of a plan. The role comes after its own settings, which it may lack the right to set."""
        path = ", ".join(quote_ident(name) for name in (plan.request.schema, *config.extra_search_path))
        after: list[tuple[str, str]] = []
        if plan.request.preferences.timezone is not None:
            after.append(("timezone", plan.request.preferences.timezone))
        after += [*routine_settings.items(), *config.app_settings.items()]
        if plan.read_only:
            after.append(("transaction_read_only", "on"))
        return cls([("search_path", path), *role_settings.items()], after)

    def bind(self, request: HttpRequest, identity: Identity) -> Query:
        """The statement for one request."""
        own = (*identity.settings, request.method.encode(), request.path.encode(), *request.headers.settings)
        return Query(self._sql, [*self._before, *own, *self._after], wanted=False)


_REQUEST = (
    "role",
    "request.jwt.claims",
    "request.method",
    "request.path",
    "request.headers",
    "request.cookies",
)


def pre_request(function: QualifiedName) -> Query:
    """The call of ``db-pre-request``."""
    return Query(f"select {function.sql}()".encode(), wanted=False)


def set_config(pairs: Sequence[tuple[str, str]]) -> Query:
    """``SET LOCAL`` for all pairs in one statement."""
    calls = (f"set_config({quote_literal(name)}, ${n}, true)" for n, (name, _) in enumerate(pairs, 1))
    return Query(f"select {', '.join(calls)}".encode(), [value.encode() for _, value in pairs])
