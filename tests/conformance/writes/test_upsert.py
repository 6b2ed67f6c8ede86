"""Upserts by POST and PUT: what is merged, what is ignored, and the status that tells which."""

from __future__ import annotations

import pytest

from tests.conformance.serving import error

FULL = "return=representation"
MERGE = "resolution=merge-duplicates"
IGNORE = "resolution=ignore-duplicates"
BELL = {"sku": "bell", "name": "Bell 2"}
HORN = {"sku": "horn", "name": "Horn"}
KEY_ONLY = error("PGRST105", "Filters must include all and only primary key columns with 'eq' operators")


@pytest.mark.parametrize(
    ("target", "body", "status", "rows"),
    [
        ("/parts?select=sku,name", [BELL, HORN], 201, [BELL, HORN]),
        ("/parts?select=sku,name,stock", [BELL], 200, [BELL | {"stock": 4}]),
        ("/parts?select=sku,name&order=sku.desc", [BELL, HORN], 201, [HORN, BELL]),
        ("/parts", [], 200, []),
        (
            "/order_lines",
            {"order_id": 1, "sku": "bell", "quantity": 9},
            200,
            [{"order_id": 1, "sku": "bell", "quantity": 9}],
        ),
        (
            "/order_lines?select=quantity,parts(name)",
            {"order_id": 2, "sku": "tube", "quantity": 1},
            201,
            [{"quantity": 1, "parts": {"name": "Tube"}}],
        ),
        (
            "/labels?on_conflict=label&select=label,weight",
            [{"label": "red", "weight": 7}, {"label": "new", "weight": 8}],
            201,
            [{"label": "red", "weight": 7}, {"label": "new", "weight": 8}],
        ),
        ("/only_key", [{"id": 1}, {"id": 3}], 201, [{"id": 1}, {"id": 3}]),
        ("/only_key", [{"id": 1}], 200, [{"id": 1}]),
        (
            "/measures?on_conflict=day,place",
            {"day": "2024-05-01", "place": "yard", "value": 9},
            200,
            [{"day": "2024-05-01", "place": "yard", "value": 9}],
        ),
        (
            "/labels?on_conflict=id&columns=id,label&select=label,weight",
            [{"id": 1, "label": "crimson"}],
            200,
            [{"label": "crimson", "weight": 1}],
        ),
    ],
)
def test_merged(api, target, body, status, rows):
    answer = api("POST " + target, body, prefer=f"{MERGE},{FULL}")
    assert (answer.status, answer.json) == (status, rows)
    assert answer.headers["preference-applied"] == f"{MERGE}, {FULL}"


@pytest.mark.parametrize(
    ("target", "body", "rows"),
    [
        ("/parts?select=sku,name", [BELL, HORN], [HORN]),
        ("/parts?select=sku,name", [BELL], []),
        ("/labels?on_conflict=label&select=label", [{"label": "red"}, {"label": "new"}], [{"label": "new"}]),
        ("/only_key", [{"id": 1}, {"id": 3}], [{"id": 3}]),
    ],
)
def test_ignored(api, target, body, rows):
    answer = api("POST " + target, body, prefer=f"{IGNORE},{FULL}")
    assert (answer.status, answer.json) == (201, rows)
    assert answer.headers["preference-applied"] == f"{IGNORE}, {FULL}"


def test_defaults_fill_what_a_merged_row_lacks(api):
    body = [{"id": 1, "name": "Ada 2"}, {"name": "Di"}]
    answer = api(
        "POST /customers?columns=id,name&select=name,city", body, prefer=f"{MERGE},missing=default,{FULL}"
    )
    assert answer.json == [{"name": "Ada 2", "city": "London"}, {"name": "Di", "city": "Oslo"}]
    assert answer.headers["preference-applied"] == f"{MERGE}, missing=default, {FULL}"


def test_without_a_key_there_is_nothing_to_resolve(api):
    answer = api("POST /entries", {"line": "a"}, prefer=f"{MERGE},{FULL}")
    assert (answer.status, answer.headers["preference-applied"]) == (201, FULL)


def test_a_merge_tells_the_location_of_its_row(api):
    answer = api("POST /parts", BELL, prefer=f"{MERGE},return=headers-only")
    assert (answer.status, answer.headers["location"]) == (200, "/parts?sku=eq.bell")


@pytest.mark.parametrize(
    ("target", "status", "code"),
    [
        ("/parts?on_conflict=name", 400, "42P10"),
        ("/parts?on_conflict=wings", 400, "42703"),
        ("/parts?on_conflict=", 400, "PGRST100"),
    ],
)
def test_columns_that_cannot_conflict(api, target, status, code):
    answer = api("POST " + target, BELL, prefer=MERGE)
    assert (answer.status, answer.json["code"]) == (status, code)


def test_one_row_twice_cannot_be_merged(api):
    answer = api("POST /parts", [BELL, BELL], prefer=MERGE)
    assert (answer.status, answer.json["code"]) == (500, "21000")


# ---------------------------------------------------------------- PUT


@pytest.mark.parametrize(
    ("target", "body", "status", "rows"),
    [
        ("/parts?sku=eq.horn&select=sku,name", HORN, 201, [HORN]),
        ("/parts?sku=eq.bell&select=sku,name,stock", BELL, 200, [BELL | {"stock": 4}]),
        ("/parts?sku=eq.bell&select=sku", [BELL, HORN], 200, [{"sku": "bell"}]),
        (
            "/order_lines?order_id=eq.1&sku=eq.bell",
            {"order_id": 1, "sku": "bell", "quantity": 9},
            200,
            [{"order_id": 1, "sku": "bell", "quantity": 9}],
        ),
        (
            "/measures?day=eq.2024-09-09&place=eq.x",
            {"day": "2024-09-09", "place": "x", "value": 1},
            201,
            [{"day": "2024-09-09", "place": "x", "value": 1}],
        ),
        ("/only_key?id=eq.1", {"id": 1}, 200, [{"id": 1}]),
        ("/only_key?id=eq.9", {"id": 9}, 201, [{"id": 9}]),
        (
            "/customers?id=eq.1&select=name,orders(id)&orders.order=id.desc",
            {"id": 1, "name": "Ada 2"},
            200,
            [{"name": "Ada 2", "orders": [{"id": 2}, {"id": 1}]}],
        ),
    ],
)
def test_put(api, target, body, status, rows):
    answer = api("PUT " + target, body, prefer=FULL)
    assert (answer.status, answer.json) == (status, rows)
    assert "content-range" not in answer.headers


@pytest.mark.parametrize("prefer", [None, "return=minimal", "return=headers-only"])
def test_put_answers_nothing(api, prefer):
    answer = api("PUT /only_key?id=eq.9", {"id": 9}, prefer=prefer)
    assert (answer.status, answer.body, answer.headers.get("preference-applied")) == (204, b"", prefer)


def test_put_ignores_the_range_header(api):
    assert api("PUT /only_key?id=eq.1", {"id": 1}, prefer=FULL, range="1-1").json == [{"id": 1}]


@pytest.mark.parametrize("limit", ["limit=1", "offset=1", "limit=1&offset=1"])
def test_put_takes_no_limit(api, limit):
    answer = api(f"PUT /only_key?id=eq.1&{limit}", {"id": 1})
    message = "limit/offset querystring parameters are not allowed for PUT"
    assert (answer.status, answer.json) == (400, error("PGRST114", message))


@pytest.mark.parametrize(
    "target",
    [
        "/parts",
        "/parts?name=eq.Bell",
        "/parts?sku=eq.bell&name=eq.Bell",
        "/parts?sku=in.(bell)",
        "/parts?sku=not.eq.bell",
        "/parts?sku=eq(any).{bell}",
        "/parts?and=(sku.eq.bell)",
        "/order_lines?order_id=eq.1",
        "/entries?line=eq.a&level=eq.1",
    ],
)
def test_put_names_the_whole_key_and_nothing_else(api, target):
    answer = api("PUT " + target, {"sku": "bell"} if "parts" in target else {})
    assert (answer.status, answer.json) == (405, KEY_ONLY)


@pytest.mark.parametrize("body", [{"sku": "horn", "name": "H"}, [{"sku": "horn", "name": "H"}, BELL]])
def test_the_key_in_the_body_must_be_the_one_in_the_address(api, body):
    answer = api("PUT /parts?sku=eq.chime", body, prefer="tx=commit")
    message = "Payload values do not match URL in primary key column(s)"
    assert (answer.status, answer.json) == (400, error("PGRST115", message))
    assert api("GET /parts?sku=in.(horn,chime)").json == []


# ---------------------------------------------------------------- how a transaction ends


@pytest.mark.parametrize(
    ("ending", "prefer", "kept", "told"),
    [
        ("commit", None, True, None),
        ("commit", "tx=rollback", True, None),
        ("rollback", None, False, None),
        ("rollback", "tx=commit", False, None),
        ("commit-allow-override", None, True, None),
        ("commit-allow-override", "tx=rollback", False, "tx=rollback"),
        ("rollback-allow-override", None, False, None),
        ("rollback-allow-override", "tx=commit", True, "tx=commit"),
    ],
)
def test_how_transactions_end(serve, api, ending, prefer, kept, told):
    server = serve(db_tx_end=ending)
    answer = server("POST /only_key", {"id": 77}, prefer=prefer)
    assert (answer.status, answer.headers.get("preference-applied")) == (201, told)
    assert server("GET /only_key?id=eq.77").json == ([{"id": 77}] if kept else [])
    api("DELETE /only_key?id=eq.77", prefer="tx=commit")


def test_reads_tell_the_end_they_were_asked_for(api):
    assert api("GET /only_key", prefer="tx=rollback").headers["preference-applied"] == "tx=rollback"


@pytest.mark.parametrize("prefer", [None, "tx=commit", "tx=rollback"])
def test_deferred_constraints_are_told_however_the_transaction_ends(api, prefer):
    answer = api("PATCH /slow_lane?id=eq.1", {"place": 2}, prefer=prefer)
    assert (answer.status, answer.json["code"]) == (409, "23505")
    assert "preference-applied" not in answer.headers
