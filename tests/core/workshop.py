"""A small schema in memory, and requests planned against it without a database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aiodata_django.core.identity import Identity
from aiodata_django.core.names import QualifiedName
from aiodata_django.core.query.config import QueryConfig
from aiodata_django.core.query.headers import Headers
from aiodata_django.core.query.outline import outline
from aiodata_django.core.query.prepared import Prepared, prepare
from aiodata_django.core.query.request import Dialect, HttpRequest
from aiodata_django.core.schema import (
    Cardinality,
    Column,
    Kind,
    Parameter,
    Relation,
    Relationship,
    ReturnType,
    Routine,
    Schema,
)

CONFIG = QueryConfig(schemas=("api",), anon_role="anon", tx_allow_override=True, plan_enabled=True)
IDENTITY = Identity("anon", {"role": "anon"})


def column(name: str, type_: str, position: int, **more: Any) -> Column:
    return Column(name, type_, type_, type_, position, **more)


def relation(name: str, columns: Sequence[Column], key: Sequence[str] = (), **more: Any) -> Relation:
    return Relation(
        "api",
        name,
        Kind.TABLE,
        {c.name: c for c in columns},
        primary_key=tuple(key),
        insertable=True,
        updatable=True,
        deletable=True,
        **more,
    )


def routine(name: str, *parameters: Parameter, returns: ReturnType | None = None, **more: Any) -> Routine:
    integer = ReturnType(QualifiedName("pg_catalog", "int4"))
    return Routine("api", name, parameters, returns or integer, **more)


def argument(name: str, type_: str = "integer", required: bool = True, variadic: bool = False) -> Parameter:
    return Parameter(name, type_, type_, required, variadic)


PARTS = relation(
    "parts",
    [
        column("sku", "text", 1),
        column("name", "text", 2, default="'none'::text"),
        column("stock", "integer", 3, default="0"),
    ],
    ["sku"],
)
LINES = relation(
    "lines",
    [column("order_id", "integer", 1), column("sku", "text", 2), column("n", "integer", 3)],
    ["sku", "order_id"],
)
ENTRIES = relation("entries", [column("line", "text", 1), column("level", "integer", 2)])
TO_LINES = Relationship(
    PARTS.qualified, LINES.qualified, Cardinality.ONE_TO_MANY, "lines_sku", (("sku", "sku"),)
)
TO_PART = Relationship(
    LINES.qualified, PARTS.qualified, Cardinality.MANY_TO_ONE, "lines_sku", (("sku", "sku"),)
)
SET_OF_PARTS = ReturnType(PARTS.qualified, is_set=True, is_composite=True)
ROUTINES = [
    routine("add", argument("a"), argument("b", required=False), volatility="i"),
    routine("find", argument("minimum"), returns=SET_OF_PARTS, volatility="s"),
    routine("many", argument("words", "text[]", required=False, variadic=True), variadic=True),
    routine("take", argument("", "json")),
    routine("take_text", argument("", "text")),
    routine("take_bytes", argument("", "bytea")),
    routine("write", volatility="v", returns=ReturnType(QualifiedName("pg_catalog", "void"), is_void=True)),
]
SCHEMA = Schema(
    exposed=("api",),
    relations={each.qualified: each for each in (PARTS, LINES, ENTRIES)},
    relationships={PARTS.qualified: (TO_LINES,), LINES.qualified: (TO_PART,)},
    routines={each.qualified: (each,) for each in ROUTINES},
    version=180000,
)


def http(request: str, body: bytes | str = b"", **headers: str) -> HttpRequest:
    """``http("POST /parts?select=sku", '{}', prefer="return=minimal")``."""
    method, _, target = request.partition(" ")
    path, _, query = target.partition("?")
    sent = [(name.replace("_", "-"), value) for name, value in headers.items()]
    return HttpRequest(method, path, query, Headers(sent), body.encode() if isinstance(body, str) else body)


def prepared(
    request: HttpRequest,
    dialect: Dialect = Dialect.REST,
    config: QueryConfig = CONFIG,
    schema: Schema = SCHEMA,
) -> Prepared:
    """The request planned and rendered. Raises ApiError."""
    return prepare(outline(request, dialect, config), schema, config, "anon")


def queries(request: HttpRequest, dialect: Dialect = Dialect.REST, config: QueryConfig = CONFIG) -> Any:
    """The batch of a request."""
    looked = outline(request, dialect, config)
    return prepare(looked, SCHEMA, config, "anon").batch(looked, request, IDENTITY)
