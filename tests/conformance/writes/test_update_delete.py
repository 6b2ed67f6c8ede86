"""PATCH and DELETE: filters, what is returned, counts, limits, and what stands before tables."""

from __future__ import annotations

import pytest

from tests.conformance.serving import error

FULL = "return=representation"
SINGLE = "application/vnd.pgrst.object+json"


def too_many(rows):
    message = "Query result exceeds max-affected preference constraint"
    return error("PGRST124", message, details=f"The query affects {rows} rows")


def not_single(rows):
    message = "Cannot coerce the result to a single JSON object"
    return error("PGRST116", message, details=f"The result contains {rows} rows")


# ---------------------------------------------------------------- PATCH


def test_a_patch_answers_nothing_but_a_range(api):
    answer = api("PATCH /parts?sku=eq.bell", {"stock": 7})
    assert (answer.status, answer.body) == (204, b"")
    assert answer.headers["content-range"] == "0-0/*"
    assert not {"content-type", "content-length", "preference-applied"} & answer.headers.keys()


@pytest.mark.parametrize("value", ["minimal", "headers-only"])
def test_a_patch_tells_the_preference_it_follows(api, value):
    answer = api("PATCH /parts?sku=eq.bell", {"stock": 7}, prefer=f"return={value}")
    assert (answer.status, answer.headers["preference-applied"]) == (204, f"return={value}")


def test_a_patch_with_count(api):
    answer = api("PATCH /parts?stock=gt.3", {"stock": 7}, prefer="count=exact")
    assert (answer.status, answer.headers["content-range"]) == (204, "0-1/2")
    assert answer.headers["preference-applied"] == "count=exact"


def test_no_row_matches(api):
    assert api("PATCH /parts?sku=eq.none", {"stock": 7}).headers["content-range"] == "*/*"
    answer = api("PATCH /parts?sku=eq.none", {"stock": 7}, prefer=FULL)
    assert (answer.status, answer.json) == (200, [])
    answer = api("PATCH /parts?sku=eq.none", {"stock": 7}, prefer="count=exact")
    assert (answer.status, answer.headers["content-range"]) == (204, "*/0")


@pytest.mark.parametrize(
    ("target", "body", "rows"),
    [
        ("/parts?sku=eq.bell&select=sku,stock", {"stock": 7}, [{"sku": "bell", "stock": 7}]),
        ("/parts?stock=lt.5&select=sku&order=sku.desc", {"stock": 7}, [{"sku": "chain"}, {"sku": "bell"}]),
        (
            "/parts?or=(sku.eq.bell,stock.eq.9)&select=sku&order=sku",
            {"stock": 7},
            [{"sku": "bell"}, {"sku": "tube"}],
        ),
        (
            "/parts?and=(stock.gt.1,not.or(sku.eq.bell,sku.eq.tube))&select=sku",
            {"stock": 7},
            [{"sku": "chain"}],
        ),
        ("/parts?sku=in.(bell,tube)&stock=lt.5&select=sku", {"stock": 7}, [{"sku": "bell"}]),
        (
            "/parts?sku=eq.bell&columns=stock&select=sku,stock,name",
            {"stock": 7, "name": "no", "junk": 1},
            [{"sku": "bell", "stock": 7, "name": "Bell"}],
        ),
        ("/parts?sku=eq.bell&select=stock", [{"stock": 7}, {"stock": 8}], [{"stock": 7}]),
        ("/customers?id=eq.1&select=city", {"city": None}, [{"city": None}]),
        ("/customers?city=is.null&select=name", {"city": "Rome"}, [{"name": "Bo"}]),
        (
            "/customers?id=eq.1&select=name,orders(note)&orders.order=id",
            {"name": "Eve"},
            [{"name": "Eve", "orders": [{"note": "soon"}, {"note": None}]}],
        ),
        (
            "/orders?id=eq.1&select=shout,customers(name),parts(sku)&parts.order=sku",
            {"note": "x"},
            [{"shout": "X", "customers": {"name": "Ada"}, "parts": [{"sku": "bell"}, {"sku": "chain"}]}],
        ),
        ("/entries?level=eq.1&select=line&order=line", {"level": 5}, [{"line": "a"}, {"line": "b"}]),
        ("/shelf?sku=eq.bell", {"stock": 7}, [{"sku": "bell", "name": "Bell", "stock": 7}]),
        ("/cities?city=eq.London&select=city", {"city": "Paris"}, [{"city": "Paris"}]),
        (
            "/measures?place=eq.yard&select=day,value&order=day",
            {"value": 0},
            [{"day": "2023-05-01", "value": 0}, {"day": "2024-05-01", "value": 0}],
        ),
        ("/measures?value=eq.1&select=day", {"day": "2024-01-01"}, [{"day": "2024-01-01"}]),
    ],
)
def test_what_a_patch_changes_and_returns(api, target, body, rows):
    answer = api("PATCH " + target, body, prefer=FULL)
    assert (answer.status, answer.json) == (200, rows)
    assert answer.headers["preference-applied"] == FULL


@pytest.mark.parametrize("request_", ["PATCH /parts?stock=gt.3", "DELETE /entries?level=eq.1", "POST /parts"])
def test_rows_are_ordered_by_what_is_selected_alone(api, request_):
    table = request_.partition("/")[2].partition("?")[0]
    column, key = ("price", "sku") if table == "parts" else ("level", "line")
    joint = "&" if "?" in request_ else "?"
    body = {"stock": 7} if "PATCH" in request_ else {"sku": "x", "name": "X"}
    answer = api(f"{request_}{joint}select={key}&order={column}", body, prefer=FULL)
    message = f"column {table}.{column} does not exist"
    assert (answer.status, answer.json) == (400, error("42703", message))


def test_limits_mean_nothing_to_a_patch_and_a_delete(api):
    patched = api("PATCH /parts?order=sku&limit=1&offset=1", {"stock": 7}, prefer=FULL)
    assert len(patched.json) == 3
    assert len(api("DELETE /entries?order=line&limit=1", prefer=FULL).json) == 3


def test_missing_default_in_a_patch(api):
    answer = api(
        "PATCH /customers?id=eq.1&columns=city,notes&select=name,city", {}, prefer=FULL + ",missing=default"
    )
    assert answer.json == [{"name": "Ada", "city": "Oslo"}]
    assert answer.headers["preference-applied"] == "missing=default, return=representation"


@pytest.mark.parametrize("body", [{}, [], [{}]])
@pytest.mark.parametrize(
    "target", ["/parts", "/parts?select=sku", "/parts?sku=eq.bell&select=sku,orders(id)"]
)
def test_nothing_to_set_changes_nothing(api, target, body):
    assert api("PATCH " + target, body).headers["content-range"] == "*/*"
    answer = api("PATCH " + target, body, prefer=FULL)
    assert (answer.status, answer.json, answer.headers["content-range"]) == (200, [], "*/*")


def test_limits_do_not_limit_writes(api):
    answer = api("PATCH /parts?order=sku&limit=1", {"stock": 7}, prefer="count=exact")
    assert answer.headers["content-range"] == "0-2/3"
    answer = api("DELETE /entries?order=line&limit=1", prefer="count=exact")
    assert answer.headers["content-range"] == "*/3"


def test_a_patch_without_a_filter_changes_all(api):
    assert api("PATCH /parts", {"stock": 7}, prefer="count=exact").headers["content-range"] == "0-2/3"


def test_a_patch_is_kept_only_when_committed(api):
    assert api("PATCH /labels?id=eq.1", {"weight": 9}, prefer="tx=rollback").status == 204
    assert api("GET /labels?id=eq.1&select=weight").json == [{"weight": 1}]
    answer = api("PATCH /labels?id=eq.1", {"weight": 9}, prefer="tx=commit")
    assert answer.headers["preference-applied"] == "tx=commit"
    assert api("GET /labels?id=eq.1&select=weight").json == [{"weight": 9}]
    api("PATCH /labels?id=eq.1", {"weight": 1}, prefer="tx=commit")


@pytest.mark.parametrize(
    ("target", "body", "status", "code"),
    [
        ("/wings", {"x": 1}, 404, "PGRST205"),
        ("/parts?sku=eq.bell", {"wings": 1}, 400, "PGRST204"),
        ("/parts?wings=eq.bell", {"stock": 1}, 400, "42703"),
        ("/parts?sku=eq.bell", {"stock": -1}, 400, "23514"),
        ("/parts?sku=eq.bell", {"sku": "tube"}, 409, "23505"),
        ("/parts?stock=eq.many", {"stock": 1}, 400, "22P02"),
        ("/parts?sku=eq.bell", "", 400, "PGRST102"),
        ("/parts?sku=bell", {"stock": 1}, 400, "PGRST100"),
        ("/orders?id=eq.1", {"shout": "X"}, 400, "428C9"),
        ("/vault?id=eq.1", {"secret": "x"}, 401, "42501"),
        ("/archived", "x", 400, "PGRST102"),
    ],
)
def test_patches_refused(api, target, body, status, code):
    answer = api("PATCH " + target, body)
    assert (answer.status, answer.json["code"]) == (status, code)


def test_a_column_may_be_written_that_may_not_be_read(api):
    assert api("PATCH /accounts?id=eq.1", {"password": "z"}).status == 204
    assert api("PATCH /accounts?id=eq.1", {"password": "z"}, prefer=FULL).status == 401
    answer = api("PATCH /accounts?id=eq.1&select=email", {"password": "z"}, prefer=FULL)
    assert answer.json == [{"email": "ada@example.org"}]


# ---------------------------------------------------------------- DELETE


def test_a_delete_answers_nothing_but_a_range(api):
    answer = api("DELETE /entries?line=eq.a")
    assert (answer.status, answer.body, answer.headers["content-range"]) == (204, b"", "*/*")
    assert not {"content-type", "content-length", "preference-applied"} & answer.headers.keys()


@pytest.mark.parametrize(
    ("target", "rows"),
    [
        ("/entries?level=eq.1&select=line&order=line", [{"line": "a"}, {"line": "b"}]),
        ("/entries?line=eq.none", []),
        ("/order_lines?order_id=eq.1&sku=eq.bell", [{"order_id": 1, "sku": "bell", "quantity": 2}]),
        (
            "/order_lines?sku=eq.tube&select=quantity::text,orders(customers(name))",
            [{"quantity": "4", "orders": {"customers": {"name": "Cy"}}}],
        ),
        ("/entries?not.and=(level.eq.1,line.eq.a)&select=line&order=line", [{"line": "b"}, {"line": "c"}]),
        ("/measures?day=lt.2024-01-01&select=value", [{"value": 1}]),
        ("/cities?city=is.null&select=customers", [{"customers": 1}]),
        ("/accounts?id=eq.2&select=id", [{"id": 2}]),
    ],
)
def test_what_a_delete_removes_and_returns(api, target, rows):
    answer = api("DELETE " + target, prefer=FULL)
    assert (answer.status, answer.json, answer.headers["content-range"]) == (200, rows, "*/*")


def test_a_delete_counts(api):
    answer = api("DELETE /entries?level=eq.1", prefer="count=exact," + FULL)
    assert answer.headers["content-range"] == "*/2"
    assert answer.headers["preference-applied"] == "return=representation, count=exact"


def test_a_delete_without_a_filter_removes_all(api):
    assert api("DELETE /entries", prefer="count=exact").headers["content-range"] == "*/3"


def test_a_delete_has_no_body_to_read(api):
    assert api("DELETE /entries?level=eq.2", "}{", prefer="count=exact").headers["content-range"] == "*/1"


def test_a_rule_instead_of_a_delete(api):
    answer = api("DELETE /archived?id=eq.1", prefer=FULL)
    assert (answer.status, answer.json) == (200, [{"id": 1, "what": "kept"}])


def test_deletes_refused(api):
    answer = api("DELETE /customers?id=eq.1")
    assert (answer.status, answer.json["code"]) == (409, "23503")
    assert api("DELETE /vault").status == 401
    assert api("DELETE /vault", role="hasty").status == 403
    assert api("DELETE /wings").json["code"] == "PGRST205"


# ---------------------------------------------------------------- max-affected


@pytest.mark.parametrize(("method", "body"), [("PATCH", {"level": 9}), ("DELETE", None)])
def test_max_affected(api, method, body):
    target = f"{method} /entries?level=eq.1"
    answer = api(target, body, prefer="tx=commit,handling=strict,max-affected=1")
    assert (answer.status, answer.json) == (400, too_many(2))
    assert len(api("GET /entries?level=eq.1").json) == 2
    answer = api(target, body, prefer="handling=strict,max-affected=2")
    assert (answer.status, answer.headers["preference-applied"]) == (204, "handling=strict, max-affected=2")
    answer = api(target, body, prefer="handling=lenient,max-affected=1")
    assert (answer.status, answer.headers["preference-applied"]) == (204, "handling=lenient")
    assert api(target, body, prefer="max-affected=0").status == 204


@pytest.mark.parametrize(
    ("method", "body"), [("GET", None), ("POST", {"line": "x"}), ("PATCH", {"level": 1}), ("DELETE", None)]
)
def test_unknown_preferences_are_refused_when_handling_is_strict(api, method, body):
    answer = api(f"{method} /entries", body, prefer="handling=strict, good=bad, other")
    details = "Invalid preferences: good=bad, other"
    assert answer.status == 400
    assert answer.json == error("PGRST122", "Invalid preferences given with handling=strict", details=details)
    assert api(f"{method} /entries", body, prefer="handling=lenient, good=bad").status < 300


# ---------------------------------------------------------------- one object


@pytest.mark.parametrize("accept", [SINGLE, "application/vnd.pgrst.object"])
@pytest.mark.parametrize(
    ("request_", "body", "status", "expected"),
    [
        ("PATCH /entries?line=eq.a", {"level": 9}, 200, {"line": "a", "level": 9}),
        ("POST /entries", [{"line": "x", "level": 1}], 201, {"line": "x", "level": 1}),
        ("DELETE /entries?line=eq.c", None, 200, {"line": "c", "level": 2}),
        ("PUT /only_key?id=eq.7", {"id": 7}, 201, {"id": 7}),
    ],
)
def test_one_object_of_one_row(api, request_, body, status, expected, accept):
    answer = api(request_, body, prefer=FULL, accept=accept)
    assert (answer.status, answer.json) == (status, expected)
    assert answer.headers["content-type"] == SINGLE + "; charset=utf-8"


@pytest.mark.parametrize("returned", ["return=minimal", FULL])
@pytest.mark.parametrize(
    ("request_", "body", "rows"),
    [
        ("PATCH /entries?level=eq.1", {"level": 9}, 2),
        ("PATCH /entries?level=eq.7", {"level": 9}, 0),
        ("POST /entries", [{"line": "x"}, {"line": "y"}], 2),
        ("POST /entries", [], 0),
        ("DELETE /entries?level=eq.1", None, 2),
        ("DELETE /entries?level=eq.7", None, 0),
    ],
)
def test_another_number_of_rows_is_refused_and_undone(api, request_, body, rows, returned):
    answer = api(request_, body, prefer=returned + ",tx=commit", accept=SINGLE)
    assert (answer.status, answer.json) == (406, not_single(rows))
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    assert api("GET /entries?select=line,level&order=line").json == [
        {"line": "a", "level": 1},
        {"line": "b", "level": 1},
        {"line": "c", "level": 2},
    ]


def test_nulls_stripped_from_what_is_returned(api):
    accept = "application/vnd.pgrst.array+json;nulls=stripped"
    answer = api(
        "PATCH /customers?id=eq.2&select=name,city,notes", {"notes": None}, prefer=FULL, accept=accept
    )
    assert (answer.json, answer.headers["content-type"]) == ([{"name": "Bo"}], accept + "; charset=utf-8")
    accept = SINGLE + ";nulls=stripped"
    answer = api("POST /entries", {"line": "x"}, prefer=FULL, accept=accept)
    assert (answer.json, answer.headers["content-type"]) == ({"line": "x"}, accept + "; charset=utf-8")
