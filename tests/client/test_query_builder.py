"""The query builder: what each call sends, what is quoted, and that queries never change."""

from datetime import date
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiodata_django.client import Column, Error, Query
from aiodata_django.client.conditions import list_of, quoted
from aiodata_django.client.query import Rows, call, result
from aiodata_django.client.transport import Answer

pets = Query(("pets",))
kind, color, owner = Column("type"), Column("color"), Column("owner", "name")


def parameters(query):
    return parse_qsl(urlsplit(query.target("/query")).query, keep_blank_values=True)


@pytest.mark.parametrize(
    ("condition", "parameter"),
    [
        (kind == "Dog", ("type", "eq.Dog")),
        (kind == "a,b (c)", ("type", "eq.a,b (c)")),
        (kind == "", ("type", "eq.")),
        (kind == None, ("type", "is.null")),  # noqa: E711
        (kind != None, ("type", "is.not_null")),  # noqa: E711
        (color >= 18, ("color", "gte.18")),
        (~(color < 18), ("color", "not.lt.18")),
        (owner == "Eve", ("owner.name", "eq.Eve")),
        (Column("my column") == 1, ('"my column"', "eq.1")),
        (Column("doc")["a"].text("b c") == "x", ('doc->a->>"b c"', "eq.x")),
        (Column("born") > date(2024, 2, 29), ("born", "gt.2024-02-29")),
        (kind.in_(["Dog", "a,b", ""]), ("type", 'in.(Dog,"a,b","")')),
        (kind.is_(True), ("type", "is.true")),
        (Column("tags").cs(["a", "b,c"]), ("tags", 'cs.{"a","b,c"}')),
        (Column("doc").cs({"a": 1}), ("doc", 'cs.{"a":1}')),
        (Column("span") << "[1,5)", ("span", "sl.[1,5)")),
        (Column("text") @ "cat", ("text", "fts.cat")),
        (Column("text").fts("cat", "english", kind="wfts"), ("text", "wfts(english).cat")),
        (kind.distinct_from("Dog"), ("type", "isdistinct.Dog")),
        ((kind == "Dog") & (color > 1) & (color < 9), ("and", "(type.eq.Dog,color.gt.1,color.lt.9)")),
        (
            (kind == "Dog") | ((color > 1) & ~(kind == "a,b")),
            ("or", '(type.eq.Dog,and(color.gt.1,type.not.eq."a,b"))'),
        ),
        (~((kind == "Dog") | kind.is_(None)), ("not.or", "(type.eq.Dog,type.is.null)")),
        (kind.in_(["a b"]) | (Column("span") << "[1,5)"), ("or", '(type.in.("a b"),span.sl."[1,5)")')),
        (kind.like('50%"') | (kind == ""), ("or", '(type.like."50%\\"",type.eq."")')),
    ],
)
def test_conditions_are_written_as_postgrest_reads_them(condition, parameter):
    assert condition.parameter() == parameter
    assert parameters(pets.where(condition)) == [parameter]


def test_conditions_do_not_pretend_to_be_booleans():
    with pytest.raises(TypeError, match="&"):
        bool((kind == "a") and (kind == "b"))


def test_a_wrong_is_is_refused():
    with pytest.raises(ValueError, match="not_null"):
        pets.is_("type", "nothing")


def test_queries_never_change():
    dogs = pets.eq("type", "Dog")
    small, large = dogs.lt("color", 5), dogs.not_.lt("color", 5)
    assert parameters(dogs) == [("type", "eq.Dog")]
    assert parameters(small) == [("type", "eq.Dog"), ("color", "lt.5")]
    assert parameters(large.eq("name", "x"))[1:] == [("color", "not.lt.5"), ("name", "eq.x")]


def test_a_read_in_full():
    query = (
        pets.select("name", "owner:people(name)", Column("my column"), count="exact")
        .order("name", desc=True, nullsfirst=False)
        .order(Column("color"))
        .limit(20, offset=40)
        .schema("other")
    )
    assert query.method == "GET"
    assert parameters(query) == [
        ("select", 'name,owner:people(name),"my column"'),
        ("order", "name.desc.nullslast,color"),
        ("limit", "20"),
        ("offset", "40"),
    ]
    assert query.request_headers() == {
        "Accept": "application/json",
        "Prefer": "count=exact",
        "Accept-Profile": "other",
        "Content-Profile": "other",
    }


def test_writes():
    insert = pets.insert([{"type": "Dog"}], columns=["type", "my column"])
    assert (insert.method, insert.body) == ("POST", b'[{"type":"Dog"}]')
    assert parameters(insert) == [("columns", 'type,"my column"')]
    upsert = pets.upsert({"type": "Dog"}, on_conflict=["type"]).prefer("return=minimal")
    assert upsert.request_headers()["Prefer"] == "resolution=merge-duplicates, return=minimal"
    assert parameters(upsert) == [("on_conflict", "type")]
    assert pets.eq("type", "Dog").update({"color": 1}).body == b'{"color":1}'
    assert pets.eq("type", "Dog").delete().method == "DELETE"


def test_calls():
    post = call("add", {"a": 1, "b": [2]}, get=False, run=None)
    assert (post.method, post.target("/query"), post.body) == ("POST", "/query/rpc/add", b'{"a":1,"b":[2]}')
    get = call("add", {"a": 1, "b": [2]}, get=True, run=None)
    assert (get.method, parameters(get)) == ("GET", [("a", "1"), ("b", '{"2"}')])


def test_a_query_of_no_client_cannot_run():
    with pytest.raises(RuntimeError, match="from_"):
        pets.execute()


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_value_survives_the_url(text):
    assert parameters(pets.eq("name", text)) == [("name", f"eq.{text}")]


@given(st.lists(st.text(), min_size=1, max_size=4))
def test_a_list_can_be_taken_apart_again(values):
    text = list_of(values)
    elements, rest = [], text[1:-1]
    while True:
        if rest.startswith('"'):
            end = 1
            while rest[end] != '"':
                end += 2 if rest[end] == "\\" else 1
            element, rest = rest[: end + 1], rest[end + 1 :]
            elements.append(element[1:-1].replace('\\"', '"').replace("\\\\", "\\"))
            assert quoted(elements[-1]) == element
        else:
            element, comma, after = rest.partition(",")
            elements.append(element)
            rest = comma + after
        if not rest:
            break
        assert rest[0] == ","
        rest = rest[1:]
    assert elements == values


@pytest.mark.parametrize(
    ("body", "value"),
    [(b'{"a":1.5}', 1.5), (b"3", 3), (b'"x"', "x"), (b"null", None), (b"[1,2]", (1, 2)), (b"", ())],
)
def test_answers_become_rows_entries_and_values(body, value):
    answer = result(Answer(200, {}, body))
    assert (answer.a if body.startswith(b"{") else answer) == value


def test_rows_know_their_total():
    rows = result(Answer(206, {"content-range": "0-1/7"}, b'[{"a":1},{"a":2}]'))
    assert isinstance(rows, Rows)
    assert (rows.total, rows[1].a, len(rows)) == (7, 2, 2)
    assert result(Answer(200, {"content-range": "0-0/*"}, b'[{"a":1}]')).total is None


def test_an_error_tells_all_the_server_said():
    from aiodata_django.client.error import error_of

    body = b'{"code":"42501","details":null,"hint":"ask","message":"permission denied for table pets"}'
    error = error_of(403, body)
    assert isinstance(error, Error)
    assert (error.status, error.code, error.hint, error.details) == (403, "42501", "ask", None)
    assert str(error) == "42501: permission denied for table pets (ask)"
    assert error.info.message == "permission denied for table pets"
    assert error_of(500, b"<html>oops").details == "<html>oops"
