"""Order, limits, ranges, counts: which rows of many, and what the answer says of the rest."""

from __future__ import annotations

import pytest

from .serving import Api, MakeApi

ORDERS = [
    ("/films", "id.desc", [6, 5, 4, 3, 2, 1]),
    ("/films", "id.asc", [1, 2, 3, 4, 5, 6]),
    ("/films", "id", [1, 2, 3, 4, 5, 6]),
    ("/films", "year,id", [3, 1, 2, 4, 5, 6]),
    ("/films", "year.desc,id", [6, 5, 2, 4, 1, 3]),
    ("/films", "year.desc.nullslast,id.desc", [5, 4, 2, 1, 3, 6]),
    ("/films", "year.asc.nullsfirst,id", [6, 3, 1, 2, 4, 5]),
    ("/films", "year.nullsfirst,id", [6, 3, 1, 2, 4, 5]),
    ("/films", "year.nullslast,id", [3, 1, 2, 4, 5, 6]),
    ("/films", "details->length.nullslast,id", [1, 2, 5, 3, 4, 6]),
    ("/films", "details->>length.desc.nullslast,id", [1, 4, 3, 5, 2, 6]),
    ("/films", "full_title.desc.nullslast", [2, 5, 4, 3, 1, 6]),
    ("/films", "tags->0.nullslast,id", [1, 2, 5, 3, 4, 6]),
    ("/films", '"year".desc.nullslast, id', [5, 2, 4, 1, 3, 6]),
    ("/tickets", "price->value.desc", [2, 1]),
]


@pytest.mark.parametrize(("path", "order", "ids"), ORDERS, ids=[order for _, order, _ in ORDERS])
def test_order(api: Api, path: str, order: str, ids: list[int]):
    assert [row["id"] for row in api.rows(f"{path}?select=id&order={order}")] == ids


RELATED = [
    ("directors(name)", [1, 2, 3, 4, 5, 6]),
    ("directors(name).desc", [6, 5, 3, 4, 1, 2]),
    ("directors(name).desc.nullslast", [5, 3, 4, 1, 2, 6]),
    ("directors(name).nullsfirst", [6, 1, 2, 3, 4, 5]),
]


@pytest.mark.parametrize(("order", "ids"), RELATED, ids=[order for order, _ in RELATED])
def test_order_by_columns_of_an_embed(api: Api, order: str, ids: list[int]):
    found = api.rows(f"/films?select=id,directors(name)&order={order},id")
    assert [row["id"] for row in found] == ids


def test_order_by_columns_of_an_embed_below(api: Api):
    found = api.rows(
        "/actors?select=id,films(id,directors(name))&id=eq.2&films.order=directors(name).desc,id.desc"
    )
    assert [film["id"] for film in found[0]["films"]] == [4, 3]


PAGES = [
    # query, headers, status, Content-Range, ids
    ("", {}, 200, "0-5/*", [1, 2, 3, 4, 5, 6]),
    ("&limit=2", {}, 200, "0-1/*", [1, 2]),
    ("&limit=2&offset=3", {}, 200, "3-4/*", [4, 5]),
    ("&offset=4", {}, 200, "4-5/*", [5, 6]),
    ("&offset=0", {}, 200, "0-5/*", [1, 2, 3, 4, 5, 6]),
    ("&offset=-3", {}, 200, "0-5/*", [1, 2, 3, 4, 5, 6]),
    ("&limit=0", {}, 200, "*/*", []),
    ("&limit=100", {}, 200, "0-5/*", [1, 2, 3, 4, 5, 6]),
    ("&offset=100", {}, 200, "*/*", []),
    ("&limit=many", {}, 200, "0-5/*", [1, 2, 3, 4, 5, 6]),
    ("&limit=many&offset=0", {}, 200, "*/*", []),
    ("&limit=2&offset=many", {}, 200, "0-1/*", [1, 2]),
    ("&id=eq.0", {}, 200, "*/*", []),
    ("", {"range": "0-1"}, 200, "0-1/*", [1, 2]),
    ("", {"range_unit": "items", "range": "2-3"}, 200, "2-3/*", [3, 4]),
    ("", {"range": "4-"}, 200, "4-5/*", [5, 6]),
    ("", {"range": "4-99"}, 200, "4-5/*", [5, 6]),
    ("&limit=3", {"range": "0-1"}, 200, "0-1/*", [1, 2]),
    ("&limit=1&offset=1", {"range": "0-3"}, 200, "1-1/*", [2]),
    ("", {"range": "items=0-1"}, 200, "0-5/*", [1, 2, 3, 4, 5, 6]),
    ("", {"prefer": "count=exact"}, 200, "0-5/6", [1, 2, 3, 4, 5, 6]),
    ("&limit=2", {"prefer": "count=exact"}, 206, "0-1/6", [1, 2]),
    ("&offset=4", {"prefer": "count=exact"}, 206, "4-5/6", [5, 6]),
    ("&limit=0", {"prefer": "count=exact"}, 206, "*/6", []),
    ("&id=gt.4", {"prefer": "count=exact"}, 200, "0-1/2", [5, 6]),
    ("&id=eq.0", {"prefer": "count=exact"}, 200, "*/0", []),
    ("", {"range": "1-2", "prefer": "count=exact"}, 206, "1-2/6", [2, 3]),
    ("", {"range": "0-5", "prefer": "count=exact"}, 200, "0-5/6", [1, 2, 3, 4, 5, 6]),
    ("", {"prefer": "count=planned"}, 200, "0-5/6", [1, 2, 3, 4, 5, 6]),
    ("&limit=2", {"prefer": "count=planned"}, 206, "0-1/6", [1, 2]),
    ("", {"prefer": "count=estimated"}, 200, "0-5/6", [1, 2, 3, 4, 5, 6]),
    ("", {"prefer": "count=none"}, 200, "0-5/*", [1, 2, 3, 4, 5, 6]),
]


@pytest.mark.parametrize(("query", "headers", "status", "shown", "ids"), PAGES)
def test_pages(api: Api, query: str, headers: dict[str, str], status: int, shown: str, ids: list[int]):
    answer = api.get(f"/films?select=id&order=id{query}", **headers)
    assert (answer.status, answer.headers["content-range"]) == (status, shown)
    assert [row["id"] for row in answer.json] == ids


@pytest.mark.parametrize("query", ["", "&limit=2", "&offset=5"])
def test_head_says_what_get_would_and_sends_no_body(api: Api, query: str):
    target = f"/films?select=id&order=id{query}"
    got, headed = (api(f"{method} {target}", prefer="count=exact") for method in ("GET", "HEAD"))
    assert headed.body == b""
    assert headed.status == got.status
    kept = ("content-range", "content-type", "content-location", "preference-applied", "vary")
    assert {name: headed.headers.get(name) for name in kept} == {name: got.headers.get(name) for name in kept}


@pytest.mark.parametrize(
    ("target", "headers", "details"),
    [
        ("/films?limit=-1", {}, "Limit should be greater than or equal to zero."),
        ("/films?limit=0&offset=1", {}, "Limit should be greater than or equal to zero."),
        ("/films?limit=many&offset=1", {}, "Limit should be greater than or equal to zero."),
        (
            "/films",
            {"range": "1-0"},
            "The lower boundary must be lower than or equal to the upper boundary in the Range header.",
        ),
    ],
)
def test_ranges_that_cannot_be(api: Api, target: str, headers: dict[str, str], details: str):
    answer = api.get(target, **headers)
    assert (answer.status, answer.json) == (
        416,
        {"code": "PGRST103", "details": details, "hint": None, "message": "Requested range not satisfiable"},
    )


@pytest.mark.parametrize(
    ("target", "headers", "total"),
    [
        ("/films?offset=6", {}, None),  # nobody knows the end without a count
        ("/films?offset=7", {"prefer": "count=exact"}, 6),
        ("/films", {"prefer": "count=exact", "range": "10-12"}, 6),
        ("/films?id=eq.0&offset=1", {"prefer": "count=exact"}, 0),
        ("/rpc/films_between?low=1&high=9999&offset=9", {"prefer": "count=exact"}, 5),
    ],
)
def test_past_the_end_is_416_once_the_end_is_known(
    api: Api, target: str, headers: dict[str, str], total: int | None
):
    answer = api.get(target, **headers)
    if total is None:
        assert (answer.status, answer.json) == (200, [])
        return
    assert answer.status == 416
    assert answer.headers["content-range"] == f"*/{total}"
    assert answer.json["details"].endswith(f"was requested, but there are only {total} rows.")


def test_exact_counts_follow_inner_joins_and_conditions_on_embeds(api: Api):
    for query in ("awards!inner(id)", "awards(id)&awards=not.is.null"):
        answer = api.get(f"/films?select=id,{query}&limit=1", prefer="count=exact")
        assert (answer.status, answer.headers["content-range"]) == (206, "0-0/3")


@pytest.fixture
def short(serve: MakeApi) -> Api:
    """A server with ``db-max-rows``: nobody gets more, at any level."""
    return serve(db_max_rows="2")


@pytest.mark.parametrize(
    ("target", "shown", "ids"),
    [
        ("/films?select=id&order=id", "0-1/*", [1, 2]),
        ("/films?select=id&order=id&limit=5", "0-1/*", [1, 2]),
        ("/films?select=id&order=id&limit=1", "0-0/*", [1]),
        ("/films?select=id&order=id&offset=3", "3-4/*", [4, 5]),
        ("/rpc/films_between?low=1900&high=2000&select=id", "0-1/*", [1, 2]),
    ],
)
def test_max_rows_limits_the_rows(short: Api, target: str, shown: str, ids: list[int]):
    answer = short.get(target)
    assert (answer.status, answer.headers["content-range"]) == (200, shown)
    assert [row["id"] for row in answer.json] == ids


def test_max_rows_limits_embeds(short: Api):
    found = short.rows("/actors?select=id,roles(part)&id=lt.3&order=id")
    assert all(len(row["roles"]) <= 2 for row in found)


@pytest.mark.parametrize(("count", "total"), [("exact", "6"), ("planned", "6"), ("estimated", "6")])
def test_counts_go_beyond_max_rows(short: Api, count: str, total: str):
    answer = short.get("/films?select=id&order=id", prefer=f"count={count}")
    assert (answer.status, answer.headers["content-range"]) == (206, f"0-1/{total}")


def test_max_rows_does_not_limit_what_was_written(short: Api):
    answer = short(
        "PATCH /films?id=lt.5&select=id",
        {"seen": True},
        role="auth",
        prefer="return=representation, tx=rollback",
    )
    assert [row["id"] for row in answer.json] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("query", "shown"),
    [("?n=lte.10000", "0-9999/*"), ("?limit=501", "0-500/*"), ("?offset=99000", "99000-99999/*")],
)
def test_as_many_rows_as_can_be_gathered_are_told_of(api: Api, query: str, shown: str):
    answer = api.get(f"/numbers{query}")
    assert (answer.status, answer.headers["content-range"]) == (200, shown)
    assert int(answer.headers["content-length"]) == len(answer.body)
    first, last = (int(end) for end in shown.removesuffix("/*").split("-"))
    assert [row["n"] for row in answer.json] == list(range(first + 1, last + 2))


def test_rows_beyond_are_sent_as_they_come(api: Api):
    answer = api.get("/numbers")
    assert (answer.status, answer.headers["content-range"]) == (200, "*/*")
    assert "content-length" not in answer.headers
    assert [row["n"] for row in answer.json] == list(range(1, 100001))
