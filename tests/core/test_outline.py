"""Shapes and values: requests that differ in values alone share a plan, and the plan serves each rightly."""

from __future__ import annotations

import itertools
from dataclasses import replace
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiodata_django.core.errors import ApiError
from aiodata_django.core.identity import Identity
from aiodata_django.core.query.prepared import PlanCache, prepare
from aiodata_django.core.query.request import Dialect, HttpRequest

from . import films
from . import query_texts as texts

ANON = Identity("anon", {}, "{}")
values = st.text(st.characters(codec="utf-8"), max_size=8)
numbers = st.integers(0, 99)

# Shapes, with places for values.
SHAPES = [
    ("GET", "/films?id=eq.{}", None),
    ("GET", "/films?select=id,title&title=like.{}&year=not.gt.{}", None),
    ("GET", "/films?id=in.({})", None),
    ("GET", "/films?title=fts(english).{}&limit={n}&offset={n}", None),
    ("GET", "/films?or=(id.eq.{q},title.in.({q},{q}),seen.is.true)&order=id.desc", None),
    ("GET", "/directors?select=id,films(id)&films.title=neq.{}&films.limit={n}", None),
    ("GET", "/rpc/films_between?low={}&high={}&year=gt.{}", None),
    ("PATCH", "/films?id=eq.{}", '{{"title": "{j}"}}'),
    ("DELETE", "/films?title=ilike(any).{}", None),
    ("POST", "/actors", '[{{"id": {n}, "name": "{j}"}}]'),
    ("POST", "/rpc/films_between", '{{"low": {n}, "high": {n}}}'),
]


class Filler:
    """Fills places: ``{}`` with any value, ``{q}`` one in quotes, ``{n}`` a number, ``{j}`` text in JSON."""

    def __init__(self, draw: st.DrawFn) -> None:
        self._draw = draw

    def fill(self, text: str) -> str:
        out, rest = "", text
        while "{" in rest:
            before, _, rest = rest.partition("{")
            if rest.startswith("{"):
                out, rest = out + before + "{", rest[1:]
                continue
            kind, _, rest = rest.partition("}")
            out += before.replace("}}", "}") + self._value(kind)
        return out + rest.replace("}}", "}")

    def _value(self, kind: str) -> str:
        if kind == "n":
            return str(self._draw(numbers))
        if kind == "j":
            return self._draw(st.text("abc é", max_size=5))
        text = self._draw(values)
        return quote(texts.quoted(text) if kind == "q" else text, safe="")


@st.composite
def twins(draw: st.DrawFn) -> tuple[HttpRequest, HttpRequest]:
    """Two requests of one shape."""
    method, target, body = draw(st.sampled_from(SHAPES))
    filler = Filler(draw)
    one, two = (
        films.request(method, filler.fill(target), None if body is None else filler.fill(body)) for _ in "ab"
    )
    return one, two


def sent(prepared, request: HttpRequest) -> list[tuple[bytes, list[bytes | None]]]:
    batch = prepared.batch(films.looked_at(request), request, ANON)
    return [(query.sql, list(query.params)) for query in batch.queries]


@given(twins())
def test_values_do_not_change_the_key(pair):
    try:
        keys = [films.looked_at(request).key for request in pair]
    except ApiError:  # two values made one list of "in", or none at all
        return
    if None not in keys:
        assert keys[0] == keys[1]


@given(twins())
def test_a_cached_plan_answers_like_a_fresh_one(pair):
    cache = PlanCache()
    for request in pair:
        looked = films.looked_at(request)
        try:
            cached = cache.get(looked, films.SCHEMA, films.CONFIG, "anon")
        except ApiError as error:
            with pytest.raises(ApiError, match=error.code):
                prepare(films.looked_at(request), films.SCHEMA, films.CONFIG, "anon")
            return
        fresh = prepare(films.looked_at(request), films.SCHEMA, films.CONFIG, "anon")
        assert sent(cached, request) == sent(fresh, request)
    assert len(cache) <= 1


DIFFERENT = [
    ("GET", "/films", {}),
    ("HEAD", "/films", {}),
    ("GET", "/films?id=eq.1", {}),
    ("GET", "/films?id=gt.1", {}),
    ("GET", "/films?id=not.eq.1", {}),
    ("GET", "/films?year=eq.1", {}),
    ("GET", "/films?id=in.(1,2)", {}),
    ("GET", "/films?id=eq.1&id=eq.2", {}),
    ("GET", "/films?id=is.null", {}),
    ("GET", "/films?id=is.not_null", {}),
    ("GET", "/films?id=eq(any).{1}", {}),
    ("GET", "/films?title=fts.a", {}),
    ("GET", "/films?title=fts(english).a", {}),
    ("GET", "/films?or=(id.eq.1,id.eq.2)", {}),
    ("GET", "/films?and=(id.eq.1,id.eq.2)", {}),
    ("GET", "/films?select=id", {}),
    ("GET", "/films?select=title", {}),
    ("GET", "/films?order=id", {}),
    ("GET", "/films?order=id.desc", {}),
    ("GET", "/films?limit=1", {}),
    ("GET", "/films?limit=1&offset=1", {}),
    ("GET", "/films?offset=1", {}),
    ("GET", "/films", {"range": "0-1"}),
    ("GET", "/films", {"prefer": "count=exact"}),
    ("GET", "/films", {"prefer": "tx=rollback"}),
    ("GET", "/films", {"accept": "text/csv"}),
    ("GET", "/films", {"accept_profile": "api"}),
    ("GET", "/actors", {}),
    ("GET", "/rpc/films_between?low=1&high=2", {}),
    ("GET", "/rpc/films_between?low=1&high=2&id=eq.1", {}),
    ("DELETE", "/films", {}),
]


def test_different_shapes_have_different_keys():
    keys = [films.looked_at(films.request(*shape[:2], **shape[2])).key for shape in DIFFERENT]
    assert None not in keys
    pairs = itertools.combinations(zip(DIFFERENT, keys, strict=True), 2)
    assert [(one, two) for (one, a), (two, b) in pairs if a == b] == []


def test_key_segments_are_values_and_their_number_is_shape():
    def key(path: str) -> object:
        return films.looked_at(films.request("GET", path), Dialect.QUERY).key

    assert key("/roles/1/2") == key("/roles/3/4")
    assert key("/roles/1") != key("/roles/1/2")


def test_a_request_that_cannot_be_read_is_not_kept():
    cache = PlanCache()
    looked = films.looked_at(films.request("GET", "/films?or=("))
    assert looked.key is None
    with pytest.raises(ApiError, match="PGRST100"):
        cache.get(looked, films.SCHEMA, films.CONFIG, "anon")
    assert len(cache) == 0


def test_the_cache_forgets_the_least_recently_used_and_another_schema():
    cache = PlanCache(size=2)

    def get(target: str, schema=films.SCHEMA, role: str = "anon"):
        return cache.get(films.looked_at(films.request("GET", target)), schema, films.CONFIG, role)

    films_plan, actors_plan = get("/films"), get("/actors")
    assert get("/films?") is films_plan
    get("/awards")
    assert get("/films") is films_plan
    assert get("/actors") is not actors_plan
    assert get("/films", role="auth") is not films_plan
    copy = replace(films.SCHEMA)
    get("/films", schema=copy)
    assert len(cache) == 1
