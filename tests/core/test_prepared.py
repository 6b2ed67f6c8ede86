"""Requests made ready: one plan for every request of a shape, and never for another role or schema."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiodata_django.core.errors import ApiError
from aiodata_django.core.names import QualifiedName
from aiodata_django.core.query.outline import outline
from aiodata_django.core.query.prepared import PlanCache
from aiodata_django.core.query.request import Dialect

from .workshop import CONFIG, IDENTITY, SCHEMA, argument, http, prepared, queries, routine


def planned(cache, request, *, role="anon", schema=SCHEMA, dialect=Dialect.REST):
    return cache.get(outline(request, dialect, CONFIG), schema, CONFIG, role)


# ---------------------------------------------------------------- shapes


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (http("GET /parts?sku=eq.a"), http("GET /parts?sku=eq.b")),
        (http("GET /parts?sku=in.(a)"), http("GET /parts?sku=in.(a,b,c)")),
        (http("GET /parts?limit=1"), http("GET /parts?limit=7")),
        (http("GET /parts?or=(sku.eq.a,stock.gt.1)"), http("GET /parts?or=(sku.eq.b,stock.gt.2)")),
        (http("POST /parts", '{"sku": "a"}'), http("POST /parts", '{"sku": "b"}')),
        (http("GET /rpc/add?a=1"), http("GET /rpc/add?a=2")),
        (http("GET /parts", accept="text/csv", x_any="1"), http("GET /parts", accept="text/csv", x_any="2")),
    ],
)
def test_values_make_no_other_plan(one, other):
    cache = PlanCache()
    assert planned(cache, one) is planned(cache, other)
    assert len(cache) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (http("GET /parts?sku=eq.a"), http("GET /parts?sku=neq.a")),
        (http("GET /parts?sku=eq.a"), http("GET /parts?name=eq.a")),
        (http("GET /parts?sku=eq.a"), http("GET /parts?sku=not.eq.a")),
        (http("GET /parts?sku=is.null"), http("GET /parts?sku=is.not_null")),
        (http("GET /parts?sku=fts(english).a"), http("GET /parts?sku=fts(french).a")),
        (http("GET /parts?select=sku"), http("GET /parts?select=name")),
        (http("GET /parts?limit=1"), http("GET /parts")),
        (http("GET /parts?limit=1"), http("GET /parts?offset=1")),
        (http("GET /parts?order=sku"), http("GET /parts?order=sku.desc")),
        (http("GET /parts"), http("HEAD /parts")),
        (http("GET /parts"), http("GET /parts", accept="text/csv")),
        (http("GET /parts"), http("GET /parts", prefer="count=exact")),
        (http("GET /parts", prefer="timezone=UTC"), http("GET /parts", prefer="timezone=CET")),
        (http("POST /parts", '{"sku": "a"}'), http("POST /parts", '[{"sku": "a"}]')),
        (http("POST /parts", '{"sku": "a"}'), http("POST /parts", '{"name": "a"}')),
        (http("POST /parts", '{"sku": "a"}'), http("PATCH /parts", '{"sku": "a"}')),
        (http("POST /rpc/take", "{}"), http("POST /rpc/take", "[{}]")),
        (http("GET /rpc/many?words=a"), http("GET /rpc/many?words=a&words=b")),
    ],
)
def test_shapes_have_plans_of_their_own(one, other):
    cache = PlanCache()
    assert planned(cache, one) is not planned(cache, other)


@given(st.text(max_size=8), st.sampled_from(["eq.", "like.", "gt.", "cs.", "match.", "isdistinct."]))
def test_a_plan_of_one_value_binds_any_other(value, operator):
    cache = PlanCache()
    first = planned(cache, http(f"GET /parts?name={operator}x"))
    request = http(
        f"GET /parts?name={operator}" + "".join(f"%{byte:02x}" for byte in value.encode(errors="replace"))
    )
    looked = outline(request, Dialect.REST, CONFIG)
    second = cache.get(looked, SCHEMA, CONFIG, "anon")
    assert second is first
    bound = second.statement.bind(looked.values).params
    assert bound[0].decode() == (
        value.encode(errors="replace").decode().replace("*", "%")
        if operator == "like."
        else value.encode(errors="replace").decode()
    )


def test_keys_in_the_path_are_counted_and_not_looked_at():
    cache = PlanCache()
    one = planned(cache, http("GET /lines/1"), dialect=Dialect.QUERY)
    assert planned(cache, http("GET /lines/2"), dialect=Dialect.QUERY) is one
    assert planned(cache, http("GET /lines/1/a"), dialect=Dialect.QUERY) is not one
    assert planned(cache, http("GET /lines"), dialect=Dialect.REST) is not one


# ---------------------------------------------------------------- roles, schemas, bounds


def test_every_role_has_plans_of_its_own():
    cache = PlanCache()
    assert planned(cache, http("GET /parts")) is not planned(cache, http("GET /parts"), role="auth")
    assert len(cache) == 2


def test_another_schema_forgets_all():
    cache = PlanCache()
    old = planned(cache, http("GET /parts"))
    again = replace(SCHEMA)
    assert planned(cache, http("GET /parts"), schema=again) is not old
    assert len(cache) == 1


def test_the_least_recently_used_goes_first():
    cache = PlanCache(2)
    first, second = http("GET /parts"), http("GET /lines")
    kept = planned(cache, first)
    gone = planned(cache, second)
    assert planned(cache, first) is kept
    planned(cache, http("GET /entries"))
    assert len(cache) == 2
    assert planned(cache, first) is kept
    assert planned(cache, second) is not gone


def test_what_cannot_be_served_is_not_kept():
    cache = PlanCache()
    for _ in range(2):
        with pytest.raises(ApiError):
            planned(cache, http("GET /wings"))
    assert len(cache) == 0


# ---------------------------------------------------------------- transactions


def setting(batch, name):
    names = [part.split("'")[1] for part in batch.queries[0].sql.decode().split("set_config(")[1:]]
    return batch.queries[0].params[names.index(name)].decode() if name in names else None


@pytest.mark.parametrize(
    ("request_", "read_only", "tells_lsn"),
    [
        (http("GET /parts"), "on", False),
        (http("POST /parts", "{}"), None, True),
        (http("DELETE /parts"), None, True),
        (http("GET /rpc/add?a=1"), "on", False),
        (http("POST /rpc/add", '{"a": 1}'), "on", False),
        (http("POST /rpc/write"), None, True),
        (http("GET /rpc/write"), "on", False),
        (http("DELETE /parts", prefer="tx=rollback"), None, False),
    ],
)
def test_what_may_write_and_what_tells_where_the_log_stands(request_, read_only, tells_lsn):
    batch = queries(request_)
    assert setting(batch, "transaction_read_only") == read_only
    assert batch.report_lsn == tells_lsn


def test_settings_say_who_asks_and_what():
    request = http("GET /parts?sku=eq.a", cookie="a=1; b=2", x_any="é", prefer="timezone=UTC")
    batch = queries(request)
    assert setting(batch, "role") == "anon"
    assert setting(batch, "request.jwt.claims") == '{"role":"anon"}'
    assert setting(batch, "request.method") == "GET"
    assert setting(batch, "request.path") == "/parts"
    assert setting(batch, "request.cookies") == '{"a":"1","b":"2"}'
    assert setting(batch, "request.headers") == '{"x-any":"é","prefer":"timezone=UTC"}'
    assert setting(batch, "timezone") == "UTC"
    assert setting(batch, "search_path") == '"api", "public"'
    assert batch.scope == "anon"


@pytest.mark.parametrize(
    ("of_role", "of_function", "begin"),
    [
        (None, None, None),
        ("read committed", None, None),
        ("serializable", None, b"begin isolation level serializable read only"),
        (None, "repeatable read", b"begin isolation level repeatable read read only"),
        ("serializable", "repeatable read", b"begin isolation level repeatable read read only"),
        ("nonsense", None, None),
    ],
)
def test_the_isolation_level_is_that_of_the_function_or_of_the_role(of_role, of_function, begin):
    name = "default_transaction_isolation"
    own = ((name, of_function),) if of_function else ()
    schema = replace(
        SCHEMA, routines={QualifiedName("api", "f"): (routine("f", volatility="s", settings=own),)}
    )
    config = replace(CONFIG, roles={"anon": {name: of_role}} if of_role else {})
    assert prepared(http("GET /rpc/f"), config=config, schema=schema).begin == begin


def test_only_settings_named_are_hoisted():
    own = (("statement_timeout", "1s"), ("work_mem", "1MB"))
    schema = replace(
        SCHEMA, routines={QualifiedName("api", "f"): (routine("f", argument("a"), settings=own),)}
    )
    config = replace(CONFIG, hoisted_settings=("statement_timeout",))
    looked = outline(http("GET /rpc/f?a=1"), Dialect.REST, config)
    ready = prepared(http("GET /rpc/f?a=1"), config=config, schema=schema)

    batch = ready.batch(looked, http("GET /rpc/f?a=1"), IDENTITY)
    assert (setting(batch, "statement_timeout"), setting(batch, "work_mem")) == ("1s", None)


def test_the_function_before_every_request_runs_between_settings_and_statement():
    config = replace(CONFIG, pre_request=QualifiedName("api", "before"))
    batch = queries(http("GET /parts"), config=config)
    assert [query.sql for query in batch.queries][1] == b'select "api"."before"()'
    assert len(batch.queries) == 3


# ---------------------------------------------------------------- what is kept


def test_plans_are_kept_by_the_length_of_their_sql_too():
    one = planned(PlanCache(), http("GET /parts?select=sku"))
    cache = PlanCache(remembered=one.size * 3)
    for number in range(10):
        planned(cache, http(f"GET /parts?select=sku&sku=eq.a{'&sku=neq.b' * number}"))
    assert 0 < len(cache) < 3
    kept = planned(cache, http("GET /parts?select=sku"))
    assert planned(cache, http("GET /parts?select=sku")) is kept


def test_a_long_statement_is_not_kept_prepared():
    def main(request):
        return queries(request).queries[-1]

    assert main(http("GET /parts?select=sku")).prepare
    assert not main(http("GET /parts?or=(" + ",".join(["sku.eq.a"] * 1000) + ")")).prepare
