"""The OpenAPI 2.0 document at the root: what the caller may use, as PostgREST v16 describes it.

What lives here: the queries that ask for the caller's privileges, and the document. What does not: how one
column or parameter is described (``openapi_types``), the page that shows it all (``docspage``).

Names, texts and notes are PostgREST's, since tools read them. Ours are ``info.version``, a ``basePath``
where the API is mounted, and references that are escaped so that odd names do not make them invalid.

Source: https://docs.postgrest.org/en/v16/references/api/openapi.html
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple
from urllib.parse import urlsplit

from ..schema import Column, Relation, Routine, Schema
from .config import QueryConfig
from .openapi_types import Json, column_property, query_parameter, summary_and_description, typed
from .statement import Query, Rows

_TABLES = b"""
select c.relname
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where n.nspname = $1
    and c.relkind in ('r', 'v', 'm', 'f', 'p')
    and (
        pg_catalog.pg_has_role(c.relowner, 'usage')
        or pg_catalog.has_table_privilege(
            c.oid, 'select, insert, update, delete, truncate, references, trigger'
        )
        or pg_catalog.has_any_column_privilege(c.oid, 'select, insert, update, references')
    )
"""

# Types are named as the caller's search path has them.
_FUNCTIONS = b"""
select p.oid, pg_catalog.to_json(array(
    select pg_catalog.format_type(input.type, null)
    from pg_catalog.unnest(p.proargtypes::oid[]) with ordinality input (type, ordinality)
    order by input.ordinality
))
from pg_catalog.pg_proc p
join pg_catalog.pg_namespace n on n.oid = p.pronamespace
where n.nspname = $1 and p.prokind = 'f' and pg_catalog.has_function_privilege(p.oid, 'execute')
"""

_COMMENT = b"""
select pg_catalog.obj_description(n.oid, 'pg_namespace')
from pg_catalog.pg_namespace n where n.nspname = $1
"""

_OBJECT = "application/vnd.pgrst.object+json"
_JSON_TYPES = ["application/json", f"{_OBJECT};nulls=stripped", _OBJECT]
_CONTENT_TYPES = [*_JSON_TYPES, "text/csv"]
_DOCUMENTATION = "https://postgrest.org/en/v16/references/api.html"
_ANY_ADDRESS = ("*", "*4", "!4", "*6", "!6")
_SHARED_QUERY = ("select", "order", "offset", "limit")
_RETURN = ["return=representation", "return=minimal", "return=none"]
_RESOLUTION = ["resolution=ignore-duplicates", "resolution=merge-duplicates"]


class _Function(NamedTuple):
    """A function that can be called, with the names of its parameters' types."""

    routine: Routine
    types: Sequence[str]


def queries(exposed: str, config: QueryConfig) -> Sequence[Query]:
    """What to ask under the caller's role, in the transaction of the request.

    Rows: the names of tables, functions as (oid, JSON list of type names), the comment of the schema; the
    comment alone where privileges are ignored.
    """
    texts = (_TABLES, _FUNCTIONS, _COMMENT) if _follows(config) else (_COMMENT,)
    return [Query(text, [exposed.encode()]) for text in texts]


def document(
    schema: Schema, exposed: str, results: Sequence[Rows], config: QueryConfig, base_path: str = "/"
) -> bytes:
    """The document as JSON, from the results of :func:`queries`; ``base_path`` is where it is mounted."""
    comment = next((row[0] for row in results[-1].rows), None)
    relations = _relations(schema, exposed, results if _follows(config) else None)
    functions = _functions(schema, exposed, results if _follows(config) else None)
    described: Json = {
        "swagger": "2.0",
        "info": _info(comment.decode() if comment else None, config),
        "externalDocs": {"description": "PostgREST Documentation", "url": _DOCUMENTATION},
        **_address(config, base_path),
        "consumes": _CONTENT_TYPES,
        "produces": _CONTENT_TYPES,
        "paths": _paths(relations, functions),
        "parameters": _parameters(relations),
        "definitions": {relation.name: _definition(relation, schema) for relation in relations},
        **_security(config),
    }
    return json.dumps(described, ensure_ascii=False, separators=(",", ":")).encode()


def _follows(config: QueryConfig) -> bool:
    return config.openapi_mode != "ignore-privileges"


def _relations(schema: Schema, exposed: str, results: Sequence[Rows] | None) -> Sequence[Relation]:
    known = [relation for relation in schema.relations.values() if relation.schema == exposed]
    if results is None:
        return known
    allowed = {(row[0] or b"").decode() for row in results[0].rows}
    return [relation for relation in known if relation.name in allowed]


def _functions(schema: Schema, exposed: str, results: Sequence[Rows] | None) -> Sequence[_Function]:
    known = [
        routine
        for name, overloads in schema.routines.items()
        if name.schema == exposed
        for routine in overloads
    ]
    if results is None:
        return [_Function(routine, [each.nominal_type for each in routine.parameters]) for routine in known]
    allowed = {int(row[0] or 0): json.loads(row[1] or b"[]") for row in results[1].rows}
    return [_Function(routine, allowed[routine.oid]) for routine in known if routine.oid in allowed]


def _info(comment: str | None, config: QueryConfig) -> Json:
    title, description = "PostgREST API", "This is a dynamic API generated by PostgREST"
    if comment is not None:
        title, _, rest = comment.partition("\n")
        description = rest.lstrip("\n")
    return {"title": title, "description": description, "version": config.version}


def _address(config: QueryConfig, base_path: str) -> Json:
    """Where the API is reached: as the proxy in front of us has it, or as the server listens."""
    if config.openapi_server_proxy_uri is None:
        host = "0.0.0.0" if config.server_host in _ANY_ADDRESS else config.server_host  # noqa: S104 - told, not bound
        return {"host": f"{host}:{config.server_port}", "basePath": base_path, "schemes": ["http"]}
    uri = urlsplit(config.openapi_server_proxy_uri)
    address = uri.netloc.rpartition("@")[2]
    if uri.port is None:
        address = f"{address.removesuffix(':')}:{80 if uri.scheme == 'http' else 443}"
    return {"host": address, "basePath": uri.path or "/", "schemes": [uri.scheme]}


def _security(config: QueryConfig) -> Json:
    if not config.openapi_security_active:
        return {}
    how = 'Add the token prepending "Bearer " (without quotes) to it'
    token = {"type": "apiKey", "name": "Authorization", "in": "header", "description": how}
    return {"securityDefinitions": {"JWT": token}, "security": [{"JWT": []}]}


# ---------------------------------------------------------------- definitions


def _definition(relation: Relation, schema: Schema) -> Json:
    ways = schema.relationships.get(relation.qualified, ())
    columns = relation.columns.values()
    properties = {column.name: column_property(relation, column, ways) for column in columns}
    required = [column.name for column in columns if not column.nullable]
    return _object(relation.description, properties, required)


def _arguments(function: _Function) -> Json:
    """The schema of a call's body."""
    pairs = list(zip(function.routine.parameters, function.types, strict=True))
    properties = {parameter.name: typed(name) for parameter, name in pairs}
    required = [parameter.name for parameter, _ in pairs if parameter.required]
    return _object(function.routine.description, properties, required)


def _object(description: str | None, properties: Mapping[str, Json], required: Sequence[str]) -> Json:
    found: Json = {"type": "object"}
    if description is not None:
        found["description"] = description
    if properties:
        found["properties"] = properties
    if required:
        found["required"] = required
    return found


# ---------------------------------------------------------------- parameters


def _parameters(relations: Iterable[Relation]) -> Json:
    """The shared parameters: those of every table, and each table's body and filters."""
    found = _common_parameters()
    for relation in relations:
        body: Json = {"name": relation.name, "description": relation.name, "required": False, "in": "body"}
        found[f"body.{relation.name}"] = body | {"schema": _reference("definitions", relation.name)}
        for column in relation.columns.values():
            found[f"rowFilter.{relation.name}.{column.name}"] = _row_filter(column)
    return found


def _common_parameters() -> Json:
    paging = "Limiting and Pagination"
    return {
        "preferParams": _prefer([]),
        "preferReturn": _prefer(_RETURN),
        "preferCount": _prefer(["count=none"]),
        "preferPost": _prefer(_RETURN + _RESOLUTION),
        "select": _parameter("select", "query", "Filtering Columns"),
        "on_conflict": _parameter("on_conflict", "query", "On Conflict"),
        "order": _parameter("order", "query", "Ordering"),
        "range": _parameter("Range", "header", paging),
        "rangeUnit": _parameter("Range-Unit", "header", paging) | {"default": "items"},
        "offset": _parameter("offset", "query", paging),
        "limit": _parameter("limit", "query", paging),
    }


def _prefer(values: Sequence[str]) -> Json:
    found = _parameter("Prefer", "header", "Preference")
    return found | {"enum": values} if values else found


def _row_filter(column: Column) -> Json:
    return _parameter(column.name, "query", column.description)


def _parameter(name: str, place: str, description: str | None) -> Json:
    found: Json = {"name": name, "in": place, "required": False, "type": "string"}
    return found if description is None else found | {"description": description}


def _reference(section: str, name: str) -> Json:
    """A reference into the document; ``~``, ``/`` and ``%`` are escaped (RFC 6901, 3 and 6)."""
    escaped = name.replace("%", "%25").replace("~", "~0").replace("/", "~1")
    return {"$ref": f"#/{section}/{escaped}"}


# ---------------------------------------------------------------- paths


def _paths(relations: Iterable[Relation], functions: Iterable[_Function]) -> Json:
    found: Json = {"/": {"get": _root()}}
    found |= {f"/{_segment(relation.name)}": _relation_path(relation) for relation in relations}
    # Of overloads the last is described, that with the most parameters.
    found |= {f"/rpc/{_segment(each.routine.name)}": _function_path(each) for each in functions}
    return found


def _segment(name: str) -> str:
    """A name in a path; only what would mean something else there is encoded."""
    for character in "%/?#{}":
        name = name.replace(character, f"%{ord(character):02X}")
    return name


def _root() -> Json:
    return {
        "tags": ["Introspection"],
        "summary": "OpenAPI description (this document)",
        "produces": ["application/openapi+json", "application/json"],
        "responses": {"200": {"description": "OK"}},
    }


def _relation_path(relation: Relation) -> Json:
    name = relation.name
    filters = [f"rowFilter.{name}.{column}" for column in relation.columns]
    # No column of these names can be filtered by: the names are taken.
    own = [f"rowFilter.{name}.{column}" for column in relation.columns if column not in _SHARED_QUERY]
    paging = ["select", "order", "range", "rangeUnit", "offset", "limit", "preferCount"]
    found: Json = {"get": _operation(relation, [*own, *paging], _rows_answer(relation))}
    if relation.insertable or relation.updatable or relation.deletable:
        found["post"] = _operation(relation, [f"body.{name}", "select", "preferPost"], _answer(201))
        found["patch"] = _operation(relation, [*filters, f"body.{name}", "preferReturn"], _answer(204))
        found["delete"] = _operation(relation, [*filters, "preferReturn"], _answer(204))
    return found


def _operation(relation: Relation, parameters: Sequence[str], responses: Json) -> Json:
    references = [_reference("parameters", name) for name in parameters]
    about = summary_and_description(relation.description)
    return {"tags": [relation.name], **about, "parameters": references, "responses": responses}


def _answer(status: int) -> Json:
    return {str(status): {"description": {200: "OK", 201: "Created", 204: "No Content"}[status]}}


def _rows_answer(relation: Relation) -> Json:
    rows = {"type": "array", "items": _reference("definitions", relation.name)}
    return {"200": {"description": "OK", "schema": rows}, "206": {"description": "Partial Content"}}


def _function_path(function: _Function) -> Json:
    routine = function.routine
    about: Json = {
        "tags": [f"(rpc) {routine.name}"],
        **summary_and_description(routine.description),
        "produces": _JSON_TYPES,
        "responses": _answer(200),
    }
    body = {"name": "args", "in": "body", "required": True, "schema": _arguments(function)}
    post = about | {"parameters": [body, _reference("parameters", "preferParams")]}
    if routine.volatility == "v":
        return {"post": post}
    pairs = zip(routine.parameters, function.types, strict=True)
    arguments = [query_parameter(parameter, name) for parameter, name in pairs]
    return {"get": about | {"parameters": arguments} if arguments else about, "post": post}
