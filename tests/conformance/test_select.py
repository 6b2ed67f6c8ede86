"""What is selected: columns, aliases, casts, paths, aggregates, computed fields, representations."""

from __future__ import annotations

from typing import Any

import pytest

from .serving import Api

SELECTS: list[tuple[str, Any]] = [
    ("/films?select=id&id=eq.1", [{"id": 1}]),
    ("/films?select=id,title&id=eq.4", [{"id": 4, "title": "Ran"}]),
    ("/films?select=number:id,name:title&id=eq.4", [{"number": 4, "name": "Ran"}]),
    ("/films?select=id::text&id=eq.4", [{"id": "4"}]),
    ("/films?select=n:id::text&id=eq.4", [{"n": "4"}]),
    ("/films?select=rating::int&id=eq.3", [{"rating": 8}]),
    ("/films?select= id , title &id=eq.4", [{"id": 4, "title": "Ran"}]),
    ('/films?select="id","name":title&id=eq.4', [{"id": 4, "name": "Ran"}]),
    ("/films?select=title::character varying&id=eq.4", [{"title": "Ran"}]),
    ("/actors?select=*&id=eq.1", [{"id": 1, "name": "Corinne Marchand"}]),
    ("/actors?select=&id=eq.1", [{"id": 1, "name": "Corinne Marchand"}]),
    ("/actors?id=eq.1", [{"id": 1, "name": "Corinne Marchand"}]),
    ("/actors?select=*,again:name&id=eq.1",
        [{"id": 1, "name": "Corinne Marchand", "again": "Corinne Marchand"}]),
    # paths
    ("/films?select=details->length&id=eq.1", [{"length": 90}]),
    ("/films?select=details->>length&id=eq.1", [{"length": "90"}]),
    ("/films?select=details->crew->>camera&id=eq.1", [{"camera": "Rabier"}]),
    ("/films?select=details->crew->>nothing&id=eq.1", [{"nothing": None}]),
    ("/films?select=details->langs->0&id=eq.2", [{"langs": "fr"}]),
    ("/films?select=details->langs->>-1&id=eq.2", [{"langs": "en"}]),
    ("/films?select=by:details->crew->>camera&id=eq.1", [{"by": "Rabier"}]),
    ("/films?select=details->>length::int&id=eq.1", [{"length": 90}]),
    ("/films?select=tags->0&id=eq.1", [{"tags": "paris"}]),
    ("/films?select=tags->>1&id=eq.1", [{"tags": "time"}]),
    ("/tickets?select=price->currency,price->>value&id=eq.1", [{"currency": "EUR", "value": "9.5"}]),
    ("/tickets?select=paid->0->>value&id=eq.1", [{"value": "5"}]),
    ("/tickets?select=price&id=eq.1", [{"price": {"currency": "EUR", "value": 9.5}}]),
    # names that need quotes
    (
        '/odd table?select="a,b","x.y","::c","(p)"',
        [{"a,b": 1, "x.y": "dotted", "::c": "cast", "(p)": "parens"}],
    ),
    ("/odd table?select=ключ,a-b,d$llar", [{"ключ": "значение", "a-b": "dash", "d$llar": "dollar"}]),
    ('/odd table?select=a-b&"x.y"=eq.dotted', [{"a-b": "dash"}]),
    ("/odd table?select=a-b&ключ=eq.значение", [{"a-b": "dash"}]),
    # computed fields
    ("/films?select=id,full_title&id=eq.4", [{"id": 4, "full_title": "Ran (1985)"}]),
    ("/films?select=called:full_title&id=eq.4", [{"called": "Ran (1985)"}]),
    ("/rpc/films_between?low=1985&high=1985&select=full_title&id=eq.4", [{"full_title": "Ran (1985)"}]),
    # aggregates
    ("/films?select=count()", [{"count": 6}]),
    ("/films?select=n:count()", [{"n": 6}]),
    ("/films?select=count()::text", [{"count": "6"}]),
    ("/films?select=year.count()", [{"count": 5}]),
    ("/awards?select=prize.sum(),prize.min(),prize.max()", [{"sum": 650, "min": 50, "max": 300}]),
    ("/awards?select=prize.avg()", [{"avg": 162.5}]),
    ("/awards?select=total:prize.sum()::text", [{"total": "650"}]),
    ("/films?select=details->>length::int.sum()", [{"sum": 621}]),
    ("/films?select=s:details->>length::int.sum()::text", [{"s": "621"}]),
    (
        "/films?select=year,count()&year=not.is.null&order=year",
        [
            {"year": 1952, "count": 1},
            {"year": 1962, "count": 1},
            {"year": 1985, "count": 2},
            {"year": 1993, "count": 1},
        ],
    ),
    (
        "/films?select=when:year,count()&year=eq.1985",
        [{"when": 1985, "count": 2}],
    ),
    ("/rpc/films_between?low=1950&high=1990&select=id.max()", [{"max": 4}]),
    (
        "/films?select=director_id,count(),directors(name)&director_id=eq.1",
        [{"director_id": 1, "count": 2, "directors": {"name": "Agnès Varda"}}],
    ),
    (
        "/directors?select=name,films(count(),rating.max())&order=id&id=in.(1,4)",
        [
            {"name": "Agnès Varda", "films": [{"max": 7.8, "count": 2}]},
            {"name": "Nobody Yet", "films": [{"max": None, "count": 0}]},
        ],
    ),
    ("/films?select=count", [{"count": 6}]),  # the old spelling, by way of a function of the row
    # domain representations
    (
        "/posters?select=id,paint&order=id",
        [{"id": 1, "paint": "#0000FF"}, {"id": 2, "paint": "#FF0000"}, {"id": 3, "paint": None}],
    ),
    ("/posters?id=eq.1", [{"id": 1, "film_id": 1, "paint": "#0000FF"}]),
    ("/posters?select=id,ink:paint&id=eq.1", [{"id": 1, "ink": "#0000FF"}]),
    ("/posters?select=paint::text&id=eq.1", [{"paint": '"#0000FF"'}]),
    ("/posters?select=id&paint=eq.0000FF", [{"id": 1}]),
    ("/posters?select=id&paint=in.(0000FF,FF0000)&order=id", [{"id": 1}, {"id": 2}]),
    ("/films?select=id,posters(paint)&id=eq.3", [{"id": 3, "posters": [{"paint": "#FF0000"}]}]),
    ("/films?select=id,posters(*)&id=eq.3",
        [{"id": 3, "posters": [{"id": 2, "film_id": 3, "paint": "#FF0000"}]}]),
    # relations of every kind
    ("/recent_films?select=id&order=id", [{"id": 2}, {"id": 4}, {"id": 5}]),
    ("/decades?decade=eq.1980", [{"decade": 1980, "films": 2}]),
    ("/screenings?select=id,year&order=id",
        [{"id": 1, "year": 1962}, {"id": 2, "year": 1985}, {"id": 3, "year": 2001}]),
]  # fmt: skip


@pytest.mark.parametrize(("target", "rows"), SELECTS, ids=[target for target, _ in SELECTS])
def test_select(api: Api, target: str, rows: Any):
    assert api.rows(target) == rows


def test_columns_come_in_the_order_they_are_asked_for(api: Api):
    assert api.get("/films?select=title,id&id=eq.4").text == '[{"title":"Ran","id":4}]'


def test_rows_are_what_json_agg_makes_of_them(api: Api):
    answer = api.get("/films?select=id&id=lt.3&order=id")
    assert answer.text == '[{"id":1}, \n {"id":2}]'
    assert answer.headers["content-length"] == str(len(answer.body))


def test_a_name_may_be_selected_twice(api: Api):
    assert api.get("/films?select=id,id::text&id=eq.4").text == '[{"id":4,"id":"4"}]'


def test_aggregates_are_refused_unless_enabled(serve):
    answer = serve(db_aggregates_enabled="false").get("/films?select=count()")
    assert (answer.status, answer.json["code"]) == (400, "PGRST123")
    assert answer.json["message"] == "Use of aggregate functions is not allowed"


def test_aggregates_below_are_refused_too_unless_enabled(serve):
    answer = serve(db_aggregates_enabled="false").get("/directors?select=name,films(count())")
    assert (answer.status, answer.json["code"]) == (400, "PGRST123")


UNKNOWN = [
    ("/films?select=nothing", "42703", "column films.nothing does not exist"),
    ("/films?select=id::nosuch", "42704", 'type "nosuch" does not exist'),
    ("/posters?select=id,nothing", "42703", "column posters.nothing does not exist"),
]


@pytest.mark.parametrize(("target", "code", "message"), UNKNOWN)
def test_what_is_not_there_cannot_be_selected(api: Api, target: str, code: str, message: str):
    answer = api.get(target)
    assert (answer.status, answer.json["code"], answer.json["message"]) == (400, code, message)
