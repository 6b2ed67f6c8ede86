"""Embedding: every kind of relationship, hints, joins, spreads, empty embeds, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from .serving import Api

EMBEDS: list[tuple[str, Any]] = [
    # many to one
    ("/films?select=id,directors(name)&id=eq.3", [{"id": 3, "directors": {"name": "Akira Kurosawa"}}]),
    ("/films?select=id,directors(name)&id=eq.6", [{"id": 6, "directors": None}]),
    ("/films?select=id,by:directors(name)&id=eq.3", [{"id": 3, "by": {"name": "Akira Kurosawa"}}]),
    # by foreign key, by column, with hints
    ("/films?select=id,directed_by(name)&id=eq.3", [{"id": 3, "directed_by": {"name": "Akira Kurosawa"}}]),
    ("/films?select=id,director_id(name)&id=eq.3", [{"id": 3, "director_id": {"name": "Akira Kurosawa"}}]),
    ("/films?select=id,director_id,d:director_id(name)&id=eq.3",
        [{"id": 3, "director_id": 2, "d": {"name": "Akira Kurosawa"}}]),
    ("/films?select=id,directors!directed_by(name)&id=eq.3",
        [{"id": 3, "directors": {"name": "Akira Kurosawa"}}]),
    ("/films?select=id,directors!director_id(name)&id=eq.3",
        [{"id": 3, "directors": {"name": "Akira Kurosawa"}}]),
    ("/films?select=id,directors!director_id!inner(name)&id=eq.3",
        [{"id": 3, "directors": {"name": "Akira Kurosawa"}}]),
    ("/films?select=id,directors!inner!director_id(name)&id=eq.3",
        [{"id": 3, "directors": {"name": "Akira Kurosawa"}}]),
    # one to many
    ("/directors?select=id,films(id)&id=eq.1", [{"id": 1, "films": [{"id": 1}, {"id": 2}]}]),
    ("/directors?select=id,films(id)&id=eq.4", [{"id": 4, "films": []}]),
    ("/directors?select=id,films!director_id(id)&id=eq.1", [{"id": 1, "films": [{"id": 1}, {"id": 2}]}]),
    ("/directors?select=id,films!directed_by(id)&id=eq.1", [{"id": 1, "films": [{"id": 1}, {"id": 2}]}]),
    # one to one, both ways
    ("/films?select=id,scripts(pages)&id=in.(1,2)&order=id",
        [{"id": 1, "scripts": {"pages": 90}}, {"id": 2, "scripts": None}]),
    ("/scripts?select=pages,films(title)&film_id=eq.5", [{"pages": 120, "films": {"title": "The Piano"}}]),
    # many to many
    ("/films?select=id,actors(name)&id=eq.5",
        [{"id": 5, "actors": [{"name": "Holly Hunter"}, {"name": "Anna Paquin"}]}]),
    ("/actors?select=id,films(title)&id=eq.2", [{"id": 2, "films": [{"title": "Ikiru"}, {"title": "Ran"}]}]),
    ("/films?select=id,actors!roles(name)&id=eq.1", [{"id": 1, "actors": [{"name": "Corinne Marchand"}]}]),
    ("/films?select=id,roles(part,actors(name))&id=eq.1",
        [{"id": 1, "roles": [{"part": "Cléo", "actors": {"name": "Corinne Marchand"}}]}]),
    # nested
    ("/directors?select=id,films(id,awards(name))&id=eq.2&films.order=id",
        [{"id": 2, "films": [{"id": 3, "awards": [{"name": "Silver Bear"}]}, {"id": 4, "awards": []}]}]),
    ("/awards?select=id,films(title,directors(name))&id=eq.1",
        [{"id": 1, "films": {"title": "The Piano", "directors": {"name": "Jane Campion"}}}]),
    # twice the same, two keys to one table
    ("/letters?select=id,from:actors!sender(name),to:actors!recipient(name)&id=eq.1",
        [{"id": 1, "from": {"name": "Holly Hunter"}, "to": {"name": "Anna Paquin"}}]),
    ("/letters?select=id,from:actors!letters_sender(name)&id=eq.1",
        [{"id": 1, "from": {"name": "Holly Hunter"}}]),
    ("/letters?select=id,sender(name),recipient(name)&id=eq.1",
        [{"id": 1, "sender": {"name": "Holly Hunter"}, "recipient": {"name": "Anna Paquin"}}]),
    ("/actors?select=id,letters!sender(body)&id=eq.3", [{"id": 3, "letters": [{"body": "Play!"}]}]),
    # to itself
    ("/staff?select=id,boss(name)&id=eq.4", [{"id": 4, "boss": {"name": "Bo"}}]),
    ("/staff?select=id,staff(id)&id=eq.1", [{"id": 1, "staff": [{"id": 2}, {"id": 3}]}]),
    ("/staff?select=id,staff!boss(id)&id=eq.1", [{"id": 1, "staff": [{"id": 2}, {"id": 3}]}]),
    ("/staff?select=id,boss(id,boss(id))&id=eq.4", [{"id": 4, "boss": {"id": 2, "boss": {"id": 1}}}]),
    # views and partitions
    ("/recent_films?select=id,directors(name)&id=eq.5", [{"id": 5, "directors": {"name": "Jane Campion"}}]),
    ("/directors?select=id,recent_films(id)&id=eq.1", [{"id": 1, "recent_films": [{"id": 2}]}]),
    ("/film_makers?select=maker,films(id)&maker_id=eq.3", [{"maker": "Jane Campion", "films": [{"id": 5}]}]),
    ("/films?select=id,film_makers(maker)&id=eq.5", [{"id": 5, "film_makers": {"maker": "Jane Campion"}}]),
    ("/recent_films?select=id,film_makers(maker)&id=eq.5",
        [{"id": 5, "film_makers": {"maker": "Jane Campion"}}]),
    ("/recent_films?select=id,awards(name)&id=eq.2", [{"id": 2, "awards": [{"name": "Golden Lion"}]}]),
    ("/screenings?select=id,films(title)&id=eq.3", [{"id": 3, "films": {"title": "The Piano"}}]),
    ("/films?select=id,screenings(year)&id=eq.5", [{"id": 5, "screenings": [{"year": 2001}]}]),
    # computed
    ("/directors?select=id,debut(title)&id=eq.2", [{"id": 2, "debut": {"title": "Ikiru"}}]),
    ("/directors?select=id,debut(title)&id=eq.4", [{"id": 4, "debut": None}]),
    ("/directors?select=id,best_films(id)&id=in.(2,3)&order=id",
        [{"id": 2, "best_films": [{"id": 3}, {"id": 4}]}, {"id": 3, "best_films": []}]),
    ("/directors?select=id,first:debut(title,awards(name))&id=eq.2",
        [{"id": 2, "first": {"title": "Ikiru", "awards": [{"name": "Silver Bear"}]}}]),
    # results of functions
    ("/rpc/films_between?low=1990&high=2000&select=id,directors(name)",
        [{"id": 5, "directors": {"name": "Jane Campion"}}]),
    ("/rpc/one_film?id=1&select=title,scripts(pages)",
        {"title": "Cléo from 5 to 7", "scripts": {"pages": 90}}),
    # joins
    ("/directors?select=id,films!inner(id)&films.year=eq.1985&order=id",
        [{"id": 1, "films": [{"id": 2}]}, {"id": 2, "films": [{"id": 4}]}]),
    ("/films?select=id,directors!inner(name)&directors.name=like.A*&order=id",
        [{"id": n, "directors": {"name": name}} for n, name in
         ((1, "Agnès Varda"), (2, "Agnès Varda"), (3, "Akira Kurosawa"), (4, "Akira Kurosawa"))]),
    ("/films?select=id,actors!inner(id)&actors.id=eq.2&order=id",
        [{"id": 3, "actors": [{"id": 2}]}, {"id": 4, "actors": [{"id": 2}]}]),
    ("/directors?select=id,films!inner(id,awards!inner(id))&films.awards.prize=gt.250",
        [{"id": 3, "films": [{"id": 5, "awards": [{"id": 2}]}]}]),
    ("/films?select=id,directors!left(name)&directors.id=eq.9&id=eq.1", [{"id": 1, "directors": None}]),
    # empty embeds, and conditions on embeds
    ("/films?select=id,directors()&id=eq.1", [{"id": 1}]),
    ("/films?select=id,awards!inner()&order=id", [{"id": 2}, {"id": 3}, {"id": 5}]),
    ("/films?select=id,awards()&awards=is.null&order=id", [{"id": 1}, {"id": 4}, {"id": 6}]),
    ("/films?select=id,awards()&awards=not.is.null&order=id", [{"id": 2}, {"id": 3}, {"id": 5}]),
    ("/films?select=id,directors()&directors=is.null", [{"id": 6}]),
    ("/films?select=id,d:directors()&d=is.null", [{"id": 6}]),
    ("/films?select=id,actors()&actors.name=like.T*&actors=not.is.null&order=id", [{"id": 3}, {"id": 4}]),
    ("/films?select=id,awards(),scripts()&or=(awards.not.is.null,scripts.not.is.null)&order=id",
        [{"id": 1}, {"id": 2}, {"id": 3}, {"id": 5}]),
    ("/directors?select=id,films(id,awards())&films.awards=not.is.null&films=not.is.null&order=id",
        [{"id": 1, "films": [{"id": 2}]}, {"id": 2, "films": [{"id": 3}]}, {"id": 3, "films": [{"id": 5}]}]),
    ("/directors?select=id,films(awards())&id=eq.1", [{"id": 1}]),
    # order and limit below
    ("/directors?select=id,films(id)&films.order=year.desc&id=eq.2",
        [{"id": 2, "films": [{"id": 4}, {"id": 3}]}]),
    ("/directors?select=id,films(id)&films.order=year.desc&films.limit=1&id=eq.2",
        [{"id": 2, "films": [{"id": 4}]}]),
    ("/directors?select=id,films(id)&films.order=year&films.offset=1&id=eq.2",
        [{"id": 2, "films": [{"id": 4}]}]),
    ("/directors?select=id,f:films(id)&f.order=year.desc&f.limit=1&id=eq.2", [{"id": 2, "f": [{"id": 4}]}]),
    ("/directors?select=id,films(id,awards(id))&films.awards.order=prize.desc&id=eq.3",
        [{"id": 3, "films": [{"id": 5, "awards": [{"id": 2}, {"id": 1}]}]}]),
]  # fmt: skip


@pytest.mark.parametrize(("target", "rows"), EMBEDS, ids=[target for target, _ in EMBEDS])
def test_embed(api: Api, target: str, rows: Any):
    assert api.rows(target) == rows


SPREADS: list[tuple[str, Any]] = [
    ("/films?select=id,...directors(name)&id=eq.1", [{"id": 1, "name": "Agnès Varda"}]),
    ("/films?select=id,...directors(by:name)&id=eq.6", [{"id": 6, "by": None}]),
    ("/films?select=id,...scripts(pages)&id=eq.1", [{"id": 1, "pages": 90}]),
    ("/awards?select=id,...films(title,...directors(by:name))&id=eq.1",
        [{"id": 1, "title": "The Piano", "by": "Jane Campion"}]),
    ("/awards?select=id,film:films(title,...directors(by:name))&id=eq.1",
        [{"id": 1, "film": {"title": "The Piano", "by": "Jane Campion"}}]),
    ("/films?select=id,...directors!inner(name)&directors.id=eq.3", [{"id": 5, "name": "Jane Campion"}]),
    ("/directors?select=id,...debut(title)&id=eq.2", [{"id": 2, "title": "Ikiru"}]),
    ("/films?select=id,cast:roles(part,...actors(name))&id=eq.1",
        [{"id": 1, "cast": [{"part": "Cléo", "name": "Corinne Marchand"}]}]),
    # to many: arrays
    ("/directors?select=id,...films(title)&id=eq.2&films.order=id", [{"id": 2, "title": ["Ikiru", "Ran"]}]),
    ("/directors?select=id,...films(t:title,year)&id=eq.2&films.order=year.desc",
        [{"id": 2, "t": ["Ran", "Ikiru"], "year": [1985, 1952]}]),
    ("/directors?select=id,...films(title)&id=eq.4", [{"id": 4, "title": []}]),
    ("/films?select=id,...actors(name)&id=eq.5&actors.order=name",
        [{"id": 5, "name": ["Anna Paquin", "Holly Hunter"]}]),
    ("/directors?select=id,...films(film:id,...awards(award:name))&id=eq.3&films.awards.order=prize",
        [{"id": 3, "film": [5], "award": [["Palme d'Or", "Oscar"]]}]),
    ("/directors?select=id,...films(title,...directors(again:name))&id=eq.2&films.order=id",
        [{"id": 2, "title": ["Ikiru", "Ran"], "again": ["Akira Kurosawa", "Akira Kurosawa"]}]),
    ("/directors?select=id,...films(title,scripts(pages))&id=eq.3",
        [{"id": 3, "title": ["The Piano"], "scripts": [{"pages": 120}]}]),
    ("/directors?select=id,...films!inner(title)&films.id=eq.5", [{"id": 3, "title": ["The Piano"]}]),
    ("/directors?select=name,...films(*)&id=eq.3&films.id=eq.5", [{
        "name": "Jane Campion", "id": [5], "title": ["The Piano"], "year": [1993], "rating": [7.5],
        "seen": [True], "director_id": [3], "tags": [["sea", "music"]], "details": [{"length": 121}],
        "shown": ["[1993,2001)"],
        "released": ["1993-05-19T00:00:00+00:00"]}]),
    # aggregates through to-one spreads
    ("/awards?select=prize.sum(),...films(title)&order=films(title)&id=in.(1,2,3)",
        [{"sum": 400, "title": "The Piano"}, {"sum": 200, "title": "Vagabond"}]),
    ("/films?select=...directors(name),year.max()&director_id=eq.2",
        [{"name": "Akira Kurosawa", "max": 1985}]),
    ("/awards?select=...films(...directors(by:name),n:count())&film_id=eq.5",
        [{"by": "Jane Campion", "n": 2}]),
]  # fmt: skip


@pytest.mark.parametrize(("target", "rows"), SPREADS, ids=[target for target, _ in SPREADS])
def test_spread(api: Api, target: str, rows: Any):
    assert api.rows(target) == rows


def test_aggregates_are_not_spread_from_many(api: Api):
    answer = api.get("/directors?select=name,...films(count())")
    assert (answer.status, answer.json) == (
        400,
        {
            "code": "PGRST127",
            "details": "Aggregates are not implemented for one-to-many or many-to-many spreads.",
            "hint": None,
            "message": "Feature not implemented",
        },
    )


def test_an_ambiguous_embed_is_answered_with_the_choices(api: Api):
    answer = api.get("/letters?select=id,actors(name)")
    assert answer.status == 300
    assert answer.json == {
        "code": "PGRST201",
        "details": [
            {
                "cardinality": "many-to-one",
                "embedding": "letters with actors",
                "relationship": f"letters_{column} using letters({column}) and actors(id)",
            }
            for column in ("recipient", "sender")
        ],
        "hint": "Try changing 'actors' to one of the following: 'actors!letters_recipient', "
        "'actors!letters_sender'. Find the desired relationship in the 'details' key.",
        "message": "Could not embed because more than one relationship was found for 'letters' and 'actors'",
    }
    assert answer.headers["proxy-status"] == "PostgREST; error=PGRST201"


REFUSED = [
    (
        "/films?select=id,actrs(name)",
        "PGRST200",
        "Could not find a relationship between 'films' and 'actrs' in the schema cache",
        "Searched for a foreign key relationship between 'films' and 'actrs' in the schema 'api', but no"
        " matches were found.",
        "Perhaps you meant 'actors' instead of 'actrs'.",
    ),
    (
        "/films?select=id,zzz(id)",
        "PGRST200",
        "Could not find a relationship between 'films' and 'zzz' in the schema cache",
        "Searched for a foreign key relationship between 'films' and 'zzz' in the schema 'api', but no"
        " matches were found.",
        None,
    ),
    (
        "/films?select=id,directors!nope(name)",
        "PGRST200",
        "Could not find a relationship between 'films' and 'directors' in the schema cache",
        "Searched for a foreign key relationship between 'films' and 'directors' using the hint 'nope' in the"
        " schema 'api', but no matches were found.",
        None,
    ),
    (  # what only a junction that nobody sees relates is related, so its name is not what is wrong
        "/actors_met?select=id,actors_missed(id)",
        "PGRST200",
        "Could not find a relationship between 'actors_met' and 'actors_missed' in the schema cache",
        "Searched for a foreign key relationship between 'actors_met' and 'actors_missed' in the schema"
        " 'api', but no matches were found.",
        None,
    ),
    (
        "/films?select=id&awards.name=eq.x",
        "PGRST108",
        "'awards' is not an embedded resource in this request",
        None,
        "Verify that 'awards' is included in the 'select' query parameter.",
    ),
    (
        "/films?select=id&awards.order=name",
        "PGRST108",
        "'awards' is not an embedded resource in this request",
        None,
        "Verify that 'awards' is included in the 'select' query parameter.",
    ),
    (
        "/films?select=id&awards.limit=1",
        "PGRST108",
        "'awards' is not an embedded resource in this request",
        None,
        "Verify that 'awards' is included in the 'select' query parameter.",
    ),
    (
        "/films?select=id,directors(id)&directors.films.id=eq.1",
        "PGRST108",
        "'films' is not an embedded resource in this request",
        None,
        "Verify that 'films' is included in the 'select' query parameter.",
    ),
    (
        "/films?select=id&order=directors(name)",
        "PGRST108",
        "'directors' is not an embedded resource in this request",
        None,
        "Verify that 'directors' is included in the 'select' query parameter.",
    ),
    (
        "/directors?select=id,films(id)&order=films(id)",
        "PGRST118",
        "A related order on 'films' is not possible",
        "'directors' and 'films' do not form a many-to-one or one-to-one relationship",
        None,
    ),
    (
        "/directors?select=id,f:films(id)&order=f(id)",
        "PGRST118",
        "A related order on 'f' is not possible",
        "'directors' and 'f' do not form a many-to-one or one-to-one relationship",
        None,
    ),
]


@pytest.mark.parametrize(
    ("target", "code", "message", "details", "hint"), REFUSED, ids=[case[0] for case in REFUSED]
)
def test_what_is_no_embed_is_refused(
    api: Api, target: str, code: str, message: str, details: str | None, hint: str | None
):
    answer = api.get(target)
    assert answer.status == 400
    assert answer.json == {"code": code, "details": details, "hint": hint, "message": message}


def test_a_function_may_be_called_as_a_constraint_is(api: Api):
    answer = api.get("/posters?select=id,posters_film_id_fkey(title)")
    embed, way = "posters with films", "posters_film_id_fkey using posters(film_id) and films(id)"
    assert (answer.status, answer.json["code"]) == (300, "PGRST201")
    assert answer.json["details"] == [
        {"cardinality": "many-to-one", "embedding": embed, "relationship": way},
        {},
    ]
    assert "one of the following: 'films!posters_film_id_fkey', . Find" in answer.json["hint"]


RENAMED = "/directors?select=id,movies:films(id)&id=eq.2&films.order=id.desc"


def test_an_aliased_embed_may_be_called_by_its_relation_with_a_warning(api: Api):
    answer = api.get(RENAMED)
    assert answer.json == [{"id": 2, "movies": [{"id": 4}, {"id": 3}]}]
    assert answer.headers["warning"] == (
        '299 PostgRESTv16.2 "Embedded resource was referenced by relation name even though it has an'
        " alias. This is deprecated and will stop working in a future release. Update `films` to `movies` in"
        ' query string filters, orders or limits."'
    )


def test_an_embed_called_by_its_alias_needs_no_warning(api: Api):
    assert "warning" not in api.get(RENAMED.replace("films.order", "movies.order")).headers


def test_without_legacy_target_names_the_alias_is_the_only_name(serve):
    answer = serve(url_use_legacy_target_names="false").get(RENAMED)
    assert (answer.status, answer.json) == (
        400,
        {
            "code": "PGRST108",
            "details": "Target names are not allowed in filters if they have an alias",
            "hint": "Change 'films' to 'movies' in filters, orders or limits.",
            "message": "'films' is not an embedded resource in this request",
        },
    )
