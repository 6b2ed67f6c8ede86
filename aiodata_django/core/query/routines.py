"""Which routine a call means, and how its arguments are passed.

What lives here: overload resolution by names of arguments, and its errors. What does not: running it.

Source: https://docs.postgrest.org/en/v16/references/api/functions.html
"""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import RequestError, SchemaError
from ..names import QualifiedName
from ..schema import Parameter, Routine, Schema
from . import media
from .hints import MINIMUM_FOR_PARAMETERS, nearest
from .plan import Call, ReadNode
from .request import Action, ApiRequest
from .returning import filter_columns, needed_columns
from .statement import Slot

_SINGLE = {
    media.JSON: ("json", "jsonb"),
    media.TEXT: ("text",),
    media.XML: ("xml",),
    media.OCTETS: ("bytea",),
}
_RAW_BODIES = (media.TEXT, media.XML, media.OCTETS)


def find_routine(request: ApiRequest, schema: Schema) -> Routine:
    """The routine a call means.

    Raises SchemaError PGRST202 (404) when none fits, PGRST203 (300) when several do.
    """
    name = QualifiedName(request.schema, request.target)
    overloads = schema.routines.get(name, ())
    given = frozenset(_argument_names(request))
    named = [routine for routine in overloads if _fits(routine, given, request)]
    single = [r for r in overloads if r not in named and _takes_body(r, request)]
    found = named or single
    if len(found) == 1:
        return found[0]
    if found:
        raise _ambiguous(found)
    raise _missing(request, sorted(given), schema, overloads)


def _argument_names(request: ApiRequest) -> Sequence[str]:
    if request.action is Action.CALL:
        return request.payload.columns if request.payload else ()
    return [name for name, _ in request.arguments]


def _fits(routine: Routine, given: frozenset[str], request: ApiRequest) -> bool:
    if not routine.parameters:
        raw = request.action is Action.CALL and request.content_type in _RAW_BODIES
        return not given and not raw
    required = {p.name for p in routine.parameters if p.required}
    optional = {p.name for p in routine.parameters if not p.required}
    return given - optional == required


def _takes_body(routine: Routine, request: ApiRequest) -> bool:
    """A function of one unnamed parameter is given the whole body."""
    if request.action is not Action.CALL or len(routine.parameters) != 1:
        return False
    parameter = routine.parameters[0]
    return not parameter.name and parameter.type in _SINGLE.get(request.content_type, ())


def _ambiguous(found: Sequence[Routine]) -> SchemaError:
    signatures = ", ".join(
        f"{r.qualified}({', '.join(f'{p.name} => {p.nominal_type}' for p in r.parameters)})" for r in found
    )
    return SchemaError(
        300,
        "PGRST203",
        f"Could not choose the best candidate function between: {signatures}",
        hint="Try renaming the parameters or the function itself in the database"
        " so function overloading can be resolved",
    )


def _missing(
    request: ApiRequest, given: Sequence[str], schema: Schema, overloads: Sequence[Routine]
) -> SchemaError:
    function = f"{request.schema}.{request.target}"
    posted = request.action is Action.CALL
    names = ", ".join(given)
    without = " without parameters"
    listed = f" with parameter{'s' if len(given) > 1 else ''} {names}" if given else without
    kinds = {
        media.TEXT: " with a single unnamed text parameter",
        media.XML: " with a single unnamed xml parameter",
        media.OCTETS: " with a single unnamed bytea parameter",
        media.JSON: f"{listed} or with a single unnamed json/jsonb parameter",
    }
    searched = kinds.get(request.content_type, listed) if posted else listed
    only_single = posted and request.content_type in _RAW_BODIES
    shown = "" if only_single else (f"({names})" if given else without)
    return SchemaError(
        404,
        "PGRST202",
        f"Could not find the function {function}{shown} in the schema cache",
        details=f"Searched for the function {function}{searched},"
        " but no matches were found in the schema cache.",
        hint=None if only_single else _near(request, given, schema, overloads),
    )


def _near(
    request: ApiRequest, given: Sequence[str], schema: Schema, overloads: Sequence[Routine]
) -> str | None:
    prefix = f"Perhaps you meant to call the function {request.schema}."
    if not overloads:
        names = [name.name for name in schema.routines if name.schema == request.schema]
        near = nearest(request.target, names)
        return prefix + near if near else None
    signatures = [_signature([p.name for p in routine.parameters]) for routine in overloads]
    near = nearest(_signature(given), signatures, MINIMUM_FOR_PARAMETERS)
    return f"{prefix}{request.target}{near}" if near else None


def _signature(names: Sequence[str]) -> str:
    return f"({', '.join(sorted(names))})"


def refuse_limit_of_single(request: ApiRequest, routine: Routine) -> None:
    """Raises RequestError PGRST128 where max-affected cannot hold: rows that are no set are not counted."""
    preferences = request.preferences
    if preferences.strict and preferences.max_affected is not None and not routine.returns.is_set:
        raise RequestError(
            400,
            "PGRST128",
            "Function must return SETOF or TABLE when max-affected preference is used with handling=strict",
        )


def plan_call(request: ApiRequest, routine: Routine, tree: ReadNode) -> Call:
    """How the routine is called."""
    given = frozenset(_argument_names(request))
    single = len(routine.parameters) == 1 and not routine.parameters[0].name
    by_name = request.action is Action.CALL_READ or request.content_type == media.FORM
    return Call(
        routine=routine,
        parameters=tuple(p for p in routine.parameters if single or p.name in given),
        arguments=_collected(routine.parameters, request.arguments) if by_name else None,
        body=request.payload_slot,
        is_object=request.payload is not None and request.payload.is_object,
        single=single,
        returning=needed_columns(tree, ()),
        filter_columns=filter_columns(tree),
    )


def _collected(
    parameters: Sequence[Parameter], arguments: Sequence[tuple[str, Slot]]
) -> dict[str, tuple[Slot, ...]]:
    """The slots of each parameter: all of a variadic one, the last of any other."""
    variadic = {parameter.name for parameter in parameters if parameter.variadic}
    collected: dict[str, tuple[Slot, ...]] = {}
    for name, slot in arguments:
        collected[name] = (*collected.get(name, ()), slot) if name in variadic else (slot,)
    return collected
