"""Which media type a request is answered with, and what makes the rows into it.

Source: https://docs.postgrest.org/en/v16/references/api/media_type_handlers.html
"""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import RequestError
from ..names import QualifiedName
from ..schema import MediaHandler, Schema
from . import media
from .config import QueryConfig
from .media import MediaType, parse_media_type
from .plan import Aggregation, ReadNode
from .request import ApiRequest

NOTHING = Aggregation("none")
_BUILT_IN = {
    media.ANY: (Aggregation("json"), media.JSON),
    media.JSON: (Aggregation("json"), media.JSON),
    media.CSV: (Aggregation("csv"), media.CSV),
    media.GEOJSON: (Aggregation("geojson"), media.GEOJSON),
}
Choice = tuple[Aggregation, MediaType]


def negotiate(
    request: ApiRequest, schema: Schema, config: QueryConfig, target: QualifiedName, tree: ReadNode
) -> Choice:
    """The first accepted media type that can be produced for ``target``.

    Custom handlers of the target count only where the whole row is selected. Raises RequestError PGRST107
    (406) when no accepted type can be produced.
    """
    for accepted in request.accept:
        choice = _produce(accepted, schema, config, target, _selects_whole_row(tree))
        if choice is not None:
            return _without_body(request, choice)
    names = ", ".join(accepted.mime for accepted in request.accept)
    raise RequestError(406, "PGRST107", f"None of these media types are available: {names}")


def negotiate_inspection(accept: Sequence[MediaType]) -> MediaType:
    """The media type of the root: OpenAPI, also for those who want JSON or anything."""
    if any(accepted in (media.OPENAPI, media.JSON, media.ANY) for accepted in accept):
        return media.OPENAPI
    names = ", ".join(accepted.mime for accepted in accept)
    raise RequestError(406, "PGRST107", f"None of these media types are available: {names}")


def _selects_whole_row(tree: ReadNode) -> bool:
    return not tree.children and len(tree.select) == 1 and tree.select[0].column.name == "*"


def _without_body(request: ApiRequest, choice: Choice) -> Choice:
    if request.action.mutates:
        return choice if request.representation else (NOTHING, choice[1])
    return (NOTHING, choice[1]) if request.headers_only else choice


def _produce(
    accepted: MediaType, schema: Schema, config: QueryConfig, target: QualifiedName, whole_row: bool
) -> Choice | None:
    if accepted.plan is not None:
        if not config.plan_enabled:
            return None
        of = MediaType(accepted.name, accepted.is_other, accepted.nulls_stripped)
        choice = _produce(of, schema, config, target, whole_row)
        return None if choice is None else (choice[0]._replace(explained=True), accepted)
    if accepted.is_object:
        return Aggregation("object", accepted.nulls_stripped), accepted
    if accepted == media.ARRAY_STRIPPED:
        return Aggregation("array", nulls_stripped=True), accepted
    return _handled(accepted, schema, target, whole_row) or _BUILT_IN.get(accepted)


def _handled(accepted: MediaType, schema: Schema, target: QualifiedName, whole_row: bool) -> Choice | None:
    own = [h for h in schema.media_handlers if whole_row and target in (h.target, h.routine)]
    general = [h for h in schema.media_handlers if h.target is None and h.routine is None]
    for handlers, wanted in ((own, "*/*"), (own, accepted.name), (general, accepted.name)):
        # A type that is not known is compared as it was sent; handlers' types are in lower case.
        handler = next((h for h in handlers if h.media_type == wanted), None)
        if handler is not None:
            return Aggregation("custom", handler=handler), _resolved(handler)
    return None


def _resolved(handler: MediaHandler) -> MediaType:
    return media.OCTETS if handler.media_type == "*/*" else parse_media_type(_declared(handler))


def _declared(handler: MediaHandler) -> str:
    return handler.type.name if handler.type is not None else handler.media_type
