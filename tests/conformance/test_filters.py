"""Filters: every operator, alone, negated, with quantifiers, in trees, on paths and on embeds."""

from __future__ import annotations

import pytest

from .serving import Api

FILMS = [
    # comparisons
    ("year=eq.1985", [2, 4]),
    ("year=neq.1985", [1, 3, 5]),
    ("year=gt.1985", [5]),
    ("year=gte.1985", [2, 4, 5]),
    ("year=lt.1962", [3]),
    ("year=lte.1962", [1, 3]),
    ("year=not.eq.1985", [1, 3, 5]),
    ("year=not.gt.1962", [1, 3]),
    ("year=gte.1960&year=lt.1990", [1, 2, 4]),
    ("rating=eq.7.80", [1]),
    ("released=lt.1985-12-04T18:30:01Z", [1, 2, 3]),
    # patterns
    ("title=like.R*", [4]),
    ("title=like.*a*", [2, 4, 5]),
    ("title=like.%25an%25", [4, 5]),
    ("title=like.r*", []),
    ("title=ilike.r*", [4]),
    ("title=not.ilike.*i*", [1, 2, 4]),
    ("title=match.^(R|I)", [3, 4]),
    ("title=imatch.^(r|i)", [3, 4]),
    ("title=not.match.[aeiou]", []),
    ("title=match..*7$", [1]),
    # is
    ("year=is.null", [6]),
    ("year=not.is.null", [1, 2, 3, 4, 5]),
    ("year=is.not_null", [1, 2, 3, 4, 5]),
    ("seen=is.true", [1, 3, 5]),
    ("seen=is.false", [2]),
    ("seen=is.unknown", [4, 6]),
    ("seen=not.is.true", [2, 4, 6]),
    ("seen=is.NULL", [4, 6]),
    ("seen=is.FaLsE", [2]),
    ("seen=is.Not_Null", [1, 2, 3, 5]),
    # isdistinct
    ("year=isdistinct.1985", [1, 3, 5, 6]),
    ("year=not.isdistinct.1985", [2, 4]),
    # in
    ("id=in.(1,3,5)", [1, 3, 5]),
    ("id=not.in.(1,3,5)", [2, 4, 6]),
    ("id=in.(1)", [1]),
    ("id=in.()", []),
    ("id=in.(   )", []),
    ("id=not.in.()", [1, 2, 3, 4, 5, 6]),
    ('id=in.("1","3")', [1, 3]),
    ("title=in.(Ran,Ikiru)", [3, 4]),
    # quantifiers
    ("id=eq(any).{1,2}", [1, 2]),
    ("id=gt(all).{2,4}", [5, 6]),
    ("id=gte(all).{2,4}", [4, 5, 6]),
    ("id=lt(any).{2,4}", [1, 2, 3]),
    ("id=lte(all).{2,4}", [1, 2]),
    ("title=like(any).{R*,I*}", [3, 4]),
    ("title=ilike(all).{*a*,*n*}", [2, 4, 5]),
    ("title=match(any).{^R,^V}", [2, 4]),
    ("title=imatch(all).{^v,d$}", [2]),
    ("title=not.like(any).{R*,I*}", [1, 2, 5, 6]),
    # arrays
    ("tags=cs.{time}", [1, 3]),
    ("tags=cd.{time,paris,road}", [1, 2, 4, 6]),
    ("tags=ov.{sea,road}", [2, 5]),
    ("tags=eq.{sea,music}", [5]),
    ("tags=neq.{}", [1, 2, 3, 5]),
    ("tags=not.cs.{time}", [2, 4, 5, 6]),
    # ranges
    ("shown=cs.[1986,1987)", [2, 4]),
    ("shown=ov.[1950,1963)", [1, 3]),
    ("shown=sl.[1986,1990)", [1, 3]),
    ("shown=sr.[1950,1985)", [2, 4, 5]),
    ("shown=nxr.[1960,1970)", [1, 3]),
    ("shown=nxl.[1985,1986)", [2, 4, 5]),
    ("shown=adj.[1970,1985)", [1, 2, 4]),
    ("shown=cd.[1950,1992)", [1, 2, 3]),
    # paths into json
    ("details->>length=eq.90", [1]),
    ("details->length=gt.120", [3, 4, 5]),
    ("details->crew->>camera=eq.Nakai", [3]),
    ("details->crew->>camera=not.is.null", [1, 3]),
    ("details->langs->>0=eq.fr", [2]),
    ("details->langs->>-1=in.(en,ja)", [2, 4]),
    ('details=cs.{"length":121}', [5]),
    ("details->crew=is.null", [2, 4, 5, 6]),
    # computed fields
    ("full_title=like.*(1985)", [2, 4]),
    # quoted names
    ('"title"=eq.Ran', [4]),
]


@pytest.mark.parametrize(("query", "ids"), FILMS, ids=[query for query, _ in FILMS])
def test_a_filter_takes_the_rows_it_names(api: Api, query: str, ids: list[int]):
    assert [row["id"] for row in api.rows(f"/films?select=id&order=id&{query}")] == ids


TREES = [
    ("or=(year.eq.1952,year.eq.1962)", [1, 3]),
    ("not.or=(year.eq.1952,year.eq.1985)", [1, 5]),
    ("and=(year.gte.1960,year.lt.1990)", [1, 2, 4]),
    ("not.and=(year.gte.1960,year.lt.1990)", [3, 5]),
    ("or=(and(year.eq.1985,seen.is.false),id.eq.1)", [1, 2]),
    ("or=(not.and(id.gt.1,id.lt.6),id.eq.3)", [1, 3, 6]),
    ("and=(or(id.eq.1,id.eq.2),or(id.eq.2,id.eq.3))", [2]),
    ("or=(id.eq.1)", [1]),
    ("or=(id.in.(1,2),id.in.(5))", [1, 2, 5]),
    ("or=(title.like.R*,title.ilike.*KIRU)", [3, 4]),
    ("or=(seen.is.null,year.is.null)", [4, 6]),
    ("or=(tags.cs.{time,paris},tags.ov.{sea})", [1, 5]),
    ("or=(id.eq(any).{1,2},title.like(all).{R*,*n})", [1, 2, 4]),
    ("and=(year.not.eq.1985,id.not.in.(1,6))", [3, 5]),
    ("and=(year.isdistinct.1985,id.gt.1)", [3, 5, 6]),
    ('or=(title.eq."Cléo from 5 to 7",title.eq."The Piano")', [1, 5]),
    ('or=(title.in.("Ran","The Piano"),id.eq.1)', [1, 4, 5]),
    ("or=(details->>length.eq.90,details->crew->>camera.eq.Nakai)", [1, 3]),
    ("or=( id.eq.1 , and ( id.gt.1 , id.lt.3 ) )", [1, 2]),
    ("or=(id.eq.1,id.eq.2)&year=eq.1985", [2]),
    ("or=(id.eq.1,id.eq.2)&and=(id.eq.2)", [2]),
    ("and=(id.eq.1)&and=(id.eq.2)", []),
    ("or=(id.eq.1,id.eq.2))", [1, 2]),  # what follows the tree is not looked at
]


@pytest.mark.parametrize(("query", "ids"), TREES, ids=[query for query, _ in TREES])
def test_conditions_combine(api: Api, query: str, ids: list[int]):
    assert [row["id"] for row in api.rows(f"/films?select=id&order=id&{query}")] == ids


ALL_NAMES = ["", "a.dot", "back\\slash", "per%cent", "plain", 'with "quotes"', "with (parens)", "with, comma"]
NAMES = [
    ('in.("with, comma")', ["with, comma"]),
    ('in.("with, comma",plain)', ["plain", "with, comma"]),
    ('in.("with (parens)")', ["with (parens)"]),
    (r'in.("with \"quotes\"")', ['with "quotes"']),
    (r'in.("back\\slash")', ["back\\slash"]),
    (r"in.(back\slash)", ["back\\slash"]),
    (r'in.("p\lain")', ["plain"]),
    ('in.(with "quotes")', ['with "quotes"']),
    ('in.("")', []),  # as PostgREST: one empty element is no element
    ("in.(,plain)", ["", "plain"]),
    ("in.( plain)", ["plain"]),
    ("eq.", [""]),
    ("eq.with, comma", ["with, comma"]),
    ('eq."plain"', []),  # quotes belong to the value here
    ("eq.a.dot", ["a.dot"]),
    ("eq.per%25cent", ["per%cent"]),
    ("eq.with+(parens)", ["with (parens)"]),
    ("like.*%25*", ALL_NAMES),
    ("neq.x", ALL_NAMES),
]


@pytest.mark.parametrize(("condition", "names"), NAMES, ids=[condition for condition, _ in NAMES])
def test_quotes_and_escapes_in_values(api: Api, condition: str, names: list[str]):
    found = sorted(row["name"] for row in api.rows(f"/names?name={condition}"))
    assert found == sorted(names)


TEXT = [
    ("search=fts.cat", [1]),
    ("search=fts.fat%26cat", [1]),
    ("search=fts.cat%7Cswing", [1, 2]),
    ("search=fts.!cat", [2, 3]),
    ("search=plfts.The Fat Cats", [1]),
    ("search=phfts.fat cats", [1]),
    ("search=phfts.cats fat", []),
    ("search=wfts.cat or swings", [1, 2]),
    ("search=wfts.fat -dog", [1]),
    ("search=not.fts.cat", [2, 3]),
    ("search=fts(english).impossible", [2]),
    ("body=fts(french).amusant", [3]),  # a text is made a tsvector, in that language
    ("body=plfts(french).musique amusante", [3]),
    ("body=not.fts(english).cat", [2, 3]),
    ("doc=fts(english).rat", [2]),
    ("doc=wfts(english).impossible", [1, 3]),
    ("doc->>text=fts(english).rats", [2]),
    ("or=(search.fts.cat,body.fts(french).amusant)", [1, 3]),
    ("and=(search.not.wfts(english).cat,id.gt.1)", [2, 3]),
]


@pytest.mark.parametrize(("query", "ids"), TEXT, ids=[query for query, _ in TEXT])
def test_full_text_search(api: Api, query: str, ids: list[int]):
    assert [row["id"] for row in api.rows(f"/reviews?select=id&order=id&{query}")] == ids


COMPOSITE = [
    ("price->>currency=eq.EUR", [1]),
    ("price->value=gt.100", [2]),
    ("paid->0->>currency=eq.EUR", [1]),
    ("paid->1->>value=eq.4.5", [1]),
    ("paid->0=is.null", [2]),
]


@pytest.mark.parametrize(("query", "ids"), COMPOSITE, ids=[query for query, _ in COMPOSITE])
def test_paths_into_composites_and_arrays(api: Api, query: str, ids: list[int]):
    assert [row["id"] for row in api.rows(f"/tickets?select=id&{query}")] == ids


EMBEDDED = [
    (
        "/directors?select=id,films(id)&films.year=eq.1985&order=id",
        [
            {"id": 1, "films": [{"id": 2}]},
            {"id": 2, "films": [{"id": 4}]},
            {"id": 3, "films": []},
            {"id": 4, "films": []},
        ],
    ),
    (
        "/directors?select=id,films(id)&films.or=(year.eq.1962,title.eq.Ran)&id=lt.3&order=id",
        [{"id": 1, "films": [{"id": 1}]}, {"id": 2, "films": [{"id": 4}]}],
    ),
    (
        "/directors?select=id,films(id)&films.not.or=(year.eq.1962,title.eq.Ran)&id=lt.3&order=id",
        [{"id": 1, "films": [{"id": 2}]}, {"id": 2, "films": [{"id": 3}]}],
    ),
    (
        "/directors?select=id,films(id,awards(name))&films.awards.prize=gt.150&id=eq.3",
        [{"id": 3, "films": [{"id": 5, "awards": [{"name": "Oscar"}]}]}],
    ),
    (
        "/directors?select=id,early:films(id),late:films(id)&early.year=lt.1980&late.year=gt.1980&id=eq.2",
        [{"id": 2, "early": [{"id": 3}], "late": [{"id": 4}]}],
    ),
    ("/films?select=id,directors(name)&directors.id=eq.9&id=eq.1", [{"id": 1, "directors": None}]),
    (
        "/films?select=id,actors(id)&actors.name=like.H*&id=eq.5",
        [{"id": 5, "actors": [{"id": 3}]}],
    ),
]


@pytest.mark.parametrize(("target", "rows"), EMBEDDED, ids=[target for target, _ in EMBEDDED])
def test_filters_on_embeds_leave_the_rows_above(api: Api, target: str, rows: list[object]):
    assert api.rows(target) == rows


BAD_VALUES = [
    ("id=eq.x", 400, "22P02", 'invalid input syntax for type integer: "x"'),
    ("id=in.(1,x)", 400, "22P02", 'invalid input syntax for type integer: "x"'),
    ("id=in.( ,2)", 400, "22P02", 'invalid input syntax for type integer: ""'),
    ("nocolumn=eq.1", 400, "42703", "column films.nocolumn does not exist"),
    ("outside=is.true", 400, "42703", "column films.outside does not exist"),
    ("id=like.1*", 404, "42883", "operator does not exist: integer ~~ unknown"),
    ("id=fts.x", 404, "42883", "function to_tsvector(integer) does not exist"),
    ("title=match.(", 400, "2201B", "invalid regular expression: parentheses () not balanced"),
    ("tags=cs.1", 400, "22P02", 'malformed array literal: "1"'),
]


@pytest.mark.parametrize(("query", "status", "code", "message"), BAD_VALUES, ids=[c[0] for c in BAD_VALUES])
def test_what_postgresql_refuses_is_told_with_its_code(
    api: Api, query: str, status: int, code: str, message: str
):
    answer = api.get(f"/films?{query}")
    assert (answer.status, answer.json["code"], answer.json["message"]) == (status, code, message)
    assert answer.headers["proxy-status"] == f"PostgREST; error={code}"
