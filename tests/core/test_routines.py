"""Which routine a call means, told by the names of its arguments alone."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiodata_django.core.errors import ApiError, SchemaError
from aiodata_django.core.names import QualifiedName

from .workshop import SCHEMA, argument, http, prepared, routine

NAMES = ("a", "b", "c")


def with_routines(*routines):
    return replace(SCHEMA, routines={QualifiedName("api", "f"): tuple(routines)})


def called(request, *routines, body=b"", **headers):
    return prepared(http(request, body, **headers), schema=with_routines(*routines)).plan.call


@given(
    st.sets(st.sampled_from(NAMES)),
    st.lists(st.tuples(st.sets(st.sampled_from(NAMES)), st.sets(st.sampled_from(NAMES))), max_size=3),
)
def test_a_routine_fits_when_all_it_needs_is_given_and_nothing_else(given_names, shapes):
    overloads = [
        routine("f", *(argument(name, required=name in needed) for name in sorted(needed | optional)))
        for needed, optional in shapes
    ]
    fitting = [
        overload
        for overload, (needed, optional) in zip(overloads, shapes, strict=True)
        if needed <= given_names <= needed | optional
    ]
    query = "&".join(f"{name}=1" for name in sorted(given_names))
    if len(fitting) == 1:
        assert called(f"GET /rpc/f?{query}", *overloads).routine == fitting[0]
        return
    with pytest.raises(SchemaError) as caught:
        called(f"GET /rpc/f?{query}", *overloads)
    assert caught.value.code == ("PGRST203" if fitting else "PGRST202")


def test_get_and_post_mean_the_same_routine():
    overloads = [routine("f", *map(argument, names)) for n in range(4) for names in combinations(NAMES, n)]
    for overload in overloads:
        names = [parameter.name for parameter in overload.parameters]
        query = "&".join(f"{name}=1" for name in names)
        body = "{" + ", ".join(f'"{name}": 1' for name in names) + "}"
        assert called(f"GET /rpc/f?{query}", *overloads).routine == overload
        assert called("POST /rpc/f", *overloads, body=body).routine == overload
        form = called("POST /rpc/f", *overloads, body=query, content_type="application/x-www-form-urlencoded")
        assert form.routine == overload


@pytest.mark.parametrize(
    ("content_type", "type_", "found"),
    [
        ("application/json", "json", True),
        ("application/json", "jsonb", True),
        ("application/json", "text", False),
        ("text/plain", "text", True),
        ("text/plain", "json", False),
        ("text/xml", "xml", True),
        ("application/octet-stream", "bytea", True),
        ("application/octet-stream", "text", False),
        ("application/x-www-form-urlencoded", "text", False),
    ],
)
def test_one_unnamed_parameter_takes_bodies_of_its_type(content_type, type_, found):
    taking = routine("f", argument("", type_))
    if found:
        call = called("POST /rpc/f", taking, body="{}", content_type=content_type)
        assert (call.routine, call.single) == (taking, True)
    else:
        with pytest.raises(SchemaError, match="Could not find the function"):
            called("POST /rpc/f", taking, body="{}", content_type=content_type)


def test_named_parameters_come_before_the_unnamed_one():
    named, taking = routine("f", argument("a")), routine("f", argument("", "json"))
    assert called("POST /rpc/f", taking, named, body='{"a": 1}').routine == named
    assert called("POST /rpc/f", taking, named, body='{"b": 1}').routine == taking


def test_a_routine_without_parameters_takes_no_raw_body():
    none, taking = routine("f"), routine("f", argument("", "text"))
    assert called("POST /rpc/f", none, taking, body="x", content_type="text/plain").routine == taking
    assert called("POST /rpc/f", none, taking).routine == none
    assert called("GET /rpc/f", none, taking, content_type="text/plain").routine == none


def test_of_an_argument_the_last_counts_and_of_a_variadic_one_all():
    call = called(
        "GET /rpc/f?a=1&a=2&b=3&b=4", routine("f", argument("a"), argument("b", "int[]", variadic=True))
    )
    assert [len(call.arguments[name]) for name in ("a", "b")] == [1, 2]


def test_filters_are_no_arguments():
    call = called("GET /rpc/f?a=1&a=gt.0&b=not.is.null", routine("f", argument("a")))
    assert set(call.arguments) == {"a"}


@pytest.mark.parametrize(
    ("request_", "shown", "searched", "hint"),
    [
        (
            "GET /rpc/f?a=1&x=2",
            "(a, x)",
            " with parameters a, x",
            "Perhaps you meant to call the function api.f(a, b)",
        ),
        ("GET /rpc/g", " without parameters", " without parameters", None),
        ("GET /rpc/fin?x=1", "(x)", " with parameter x", "Perhaps you meant to call the function api.find"),
    ],
)
def test_a_routine_that_is_not_there(request_, shown, searched, hint):
    routines = {
        QualifiedName("api", "f"): (routine("f", argument("a"), argument("b")),),
        QualifiedName("api", "find"): (routine("find"),),
        QualifiedName("other", "g"): (routine("g"),),
    }
    name = request_.split("/rpc/")[1].split("?")[0]
    with pytest.raises(ApiError) as caught:
        prepared(http(request_), schema=replace(SCHEMA, routines=routines))
    error = caught.value
    assert (error.status, error.code, error.hint) == (404, "PGRST202", hint)
    assert error.message == f"Could not find the function api.{name}{shown} in the schema cache"
    assert error.details == (
        f"Searched for the function api.{name}{searched}, but no matches were found in the schema cache."
    )


def test_volatility_decides_what_a_transaction_may_do():
    for volatility, by_post in (("i", True), ("s", True), ("v", False)):
        target = routine("f", volatility=volatility)
        schema = with_routines(target)
        assert prepared(http("GET /rpc/f"), schema=schema).plan.read_only
        assert prepared(http("POST /rpc/f"), schema=schema).plan.read_only == by_post
