"""POST to a table: bodies, defaults, what is returned, and what is refused."""

from __future__ import annotations

import pytest

from tests.conformance.serving import error

FULL = "return=representation"
JSON = "application/json; charset=utf-8"
FORM = "application/x-www-form-urlencoded"
BELL = {"sku": "horn", "name": "Horn", "price": 12.5, "stock": 3, "weight": 90}
BAD_JSON = error("PGRST102", "Empty or invalid json")
UNLIKE = error("PGRST102", "All object keys must match")


def test_without_a_preference_nothing_is_returned(api):
    answer = api("POST /parts", BELL)
    assert (answer.status, answer.body) == (201, b"")
    assert answer.headers["content-length"] == "0"
    assert answer.headers["content-range"] == "*/*"
    assert not {"content-type", "location", "preference-applied"} & answer.headers.keys()


def test_minimal_says_so(api):
    answer = api("POST /parts?select=sku", BELL, prefer="return=minimal")
    assert (answer.status, answer.body) == (201, b"")
    assert answer.headers["preference-applied"] == "return=minimal"


def test_headers_only_tells_the_location(api):
    answer = api("POST /parts", BELL, prefer="return=headers-only")
    assert (answer.status, answer.headers["location"]) == (201, "/parts?sku=eq.horn")
    assert answer.headers["preference-applied"] == "return=headers-only"
    assert "content-type" not in answer.headers


def test_a_location_names_every_key_column_encoded(api):
    answer = api(
        "POST /measures", {"day": "2024-02-03", "place": "a b&c", "value": 1}, prefer="return=headers-only"
    )
    assert answer.headers["location"] == "/measures?day=eq.2024-02-03&place=eq.a%20b%26c"


@pytest.mark.parametrize("rows", [[], [{"line": "x"}]])
def test_no_location_without_exactly_one_row_with_a_key(api, rows):
    assert "location" not in api("POST /entries", rows, prefer="return=headers-only").headers


def test_representation_returns_the_rows(api):
    answer = api("POST /parts", BELL, prefer=FULL + ",count=exact")
    assert (answer.status, answer.json) == (201, [BELL])
    assert answer.headers["content-type"] == JSON
    assert answer.headers["content-range"] == "*/1"
    assert answer.headers["preference-applied"] == "return=representation, count=exact"
    assert "location" not in answer.headers


@pytest.mark.parametrize(
    ("target", "body", "rows"),
    [
        ("/parts?select=sku,name", BELL, [{"sku": "horn", "name": "Horn"}]),
        ("/parts?select=key:sku,price::text", BELL, [{"key": "horn", "price": "12.50"}]),
        ("/parts?select=sku,price", [{"sku": "a", "name": "A"}], [{"sku": "a", "price": 1.00}]),
        ("/orders?select=note,shout", {"customer_id": 1, "note": "x"}, [{"note": "x", "shout": "X"}]),
        (
            "/orders?select=note,customers(name)",
            {"customer_id": 3, "note": "x"},
            [{"note": "x", "customers": {"name": "Cy"}}],
        ),
        ("/orders?select=...customers(name)", {"customer_id": 3}, [{"name": "Cy"}]),
        ("/customers?select=name,orders(id)", {"name": "Di"}, [{"name": "Di", "orders": []}]),
        (
            "/entries?order=level.desc",
            [{"line": "p", "level": 1}, {"line": "q", "level": 2}],
            [{"line": "q", "level": 2}, {"line": "p", "level": 1}],
        ),
    ],
)
def test_what_is_returned_is_selected_and_embedded(api, target, body, rows):
    answer = api("POST " + target, body, prefer=FULL)
    assert (answer.status, answer.json) == (201, rows)


@pytest.mark.parametrize(
    ("body", "rows"),
    [
        ({}, [{"line": None, "level": None}]),
        ([{}], [{"line": None, "level": None}]),
        ([{}, {}], [{"line": None, "level": None}] * 2),
        ([], []),
        ('\t \n{"line": "x"}\r ', [{"line": "x", "level": None}]),
        ('[{"line": "x"}, {"line": "y"}]', [{"line": "x", "level": None}, {"line": "y", "level": None}]),
        ('{"line": null, "level": 4}', [{"line": None, "level": 4}]),
        ('{"line": "圍棋 ￥ \\u00e9"}', [{"line": "圍棋 ￥ é", "level": None}]),
        ('{"line": "a", "line": "b"}', [{"line": "b", "level": None}]),
        ("5", []),
        ("null", []),
        ('"text"', []),
    ],
)
def test_bodies_of_every_shape(api, body, rows):
    answer = api("POST /entries", body, prefer=FULL)
    assert (answer.status, answer.json) == (201, rows)


def test_a_json_document_is_kept_as_it_is(api):
    notes = {"deep": [1, {"x": None}], "text": '\\ " é'}
    answer = api("POST /customers?select=notes", {"name": "Di", "notes": notes}, prefer=FULL)
    assert answer.json == [{"notes": notes}]


def test_types_with_a_length_take_values_of_that_length(api):
    row = {"id": 1, "code": "abc", "flags": "1010", "tags": ["x", "y"], "span": "[1,5)"}
    assert api("POST /shapes", row, prefer=FULL).json == [row]


@pytest.mark.parametrize(
    "body",
    [
        "",
        "}{",
        '{"line": ',
        '{"line": "a"}}',
        "{'line': 1}",
        '{"line": "\\ud800"}',
        b'{"line": "\xff"}',
        '{"line": NaN}',
        "[1, 2",
        "[" * 50_000,
    ],
)
def test_bad_json_is_told(api, body):
    answer = api("POST /entries", body, prefer=FULL)
    assert (answer.status, answer.json) == (400, BAD_JSON)
    assert answer.headers["proxy-status"] == "PostgREST; error=PGRST102"


@pytest.mark.parametrize("body", [[{"line": "a"}, {"level": 1}], [{"line": "a"}, 5], [1, 2], [[]]])
def test_rows_must_have_the_same_keys(api, body):
    answer = api("POST /entries", body)
    assert (answer.status, answer.json) == (400, UNLIKE)


# ---------------------------------------------------------------- columns, missing=default


def test_columns_ignore_other_keys(api):
    body = [{"sku": "a", "name": "A", "junk": 1}, {"sku": "b", "name": "B", "more": {}}]
    answer = api("POST /parts?columns=sku,name&select=sku,name", body, prefer=FULL)
    assert answer.json == [{"sku": "a", "name": "A"}, {"sku": "b", "name": "B"}]


def test_a_column_left_out_is_null(api):
    answer = api("POST /customers?columns=name,city&select=name,city", [{"name": "Di"}], prefer=FULL)
    assert answer.json == [{"name": "Di", "city": None}]


def test_missing_default_takes_the_default_of_the_column(api):
    body = [{"name": "Di"}, {"name": "Ed", "city": None}, {"name": "Flo", "city": "Rome"}]
    answer = api("POST /customers?columns=name,city&select=name,city", body, prefer=FULL + ",missing=default")
    assert [row["city"] for row in answer.json] == ["Oslo", None, "Rome"]
    assert answer.headers["preference-applied"] == "missing=default, return=representation"


@pytest.mark.parametrize(
    ("target", "body", "row"),
    [
        ("/parts?columns=sku,name,weight&select=weight", {"sku": "a", "name": "A"}, {"weight": 250}),
        ("/labels?columns=id,label&select=label", {"label": "x"}, {"label": "x"}),
        ("/customers?columns=id,name&select=name", {"name": "Di"}, {"name": "Di"}),
        ("/shelf?columns=sku,name,stock", {"sku": "a", "name": "A"}, {"sku": "a", "name": "A", "stock": 7}),
    ],
)
def test_defaults_of_domains_sequences_identities_and_views(api, target, body, row):
    answer = api("POST " + target, body, prefer=FULL + ",missing=default")
    assert (answer.status, answer.json) == (201, [row])


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        ({"customer_id": 1, "shout": "X"}, "428C9", 'cannot insert a non-DEFAULT value into column "shout"'),
        ({"customer_id": 1, "id": 7}, "428C9", 'cannot insert a non-DEFAULT value into column "id"'),
    ],
)
def test_generated_columns_cannot_be_written(api, body, code, message):
    answer = api("POST /orders", body)
    assert (answer.status, answer.json["code"], answer.json["message"]) == (400, code, message)


def test_columns_that_do_not_exist(api):
    for target, body in (("/parts?columns=sku,wings", {"sku": "a"}), ("/parts", {"sku": "a", "wings": 1})):
        answer = api("POST " + target, body)
        message = "Could not find the 'wings' column of 'parts' in the schema cache"
        assert (answer.status, answer.json) == (400, error("PGRST204", message))


def test_blank_columns(api):
    answer = api("POST /parts?columns=", {"sku": "a"})
    assert (answer.status, answer.json["code"]) == (400, "PGRST100")
    assert answer.json["message"] == '"failed to parse columns parameter ()" (line 1, column 1)'


# ---------------------------------------------------------------- CSV and forms


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("line,level\nx,1\ny,2", "line,level\nx,1\ny,2"),
        ("line,level\r\nx,NULL\r\n\r\n", "line,level\nx,"),
        ('line,level\n"a, ""b""\nc",3\n', 'line,level\n"a, ""b""\nc",3'),
        ("level,line\n1,x,extra\n", "line,level\nx,1"),
        ("line,level\n", "\n"),
    ],
)
def test_csv_in_and_out(api, body, text):
    answer = api("POST /entries", body, prefer=FULL, content_type="text/csv", accept="text/csv")
    assert (answer.status, answer.text) == (201, text)
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"


def test_csv_fields_may_be_long(api):
    body = "line\n" + "x" * 300_000
    answer = api("POST /entries?select=line", body, prefer=FULL, content_type="text/csv")
    assert len(answer.json[0]["line"]) == 300_000


def test_csv_lines_must_have_the_same_number_of_fields(api):
    answer = api("POST /entries", "line,level\nx,1\ny", content_type="text/csv")
    assert (answer.status, answer.json) == (
        400,
        error("PGRST102", "All lines must have same number of fields"),
    )


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("", 'parse error (not enough input) at ""'),
        ("line,level", 'parse error (not enough input) at ""'),
        ('line,level\nx"y,1\n', r'parse error (Failed reading: satisfy) at "\"y,1\n"'),
    ],
)
def test_bad_csv(api, body, message):
    answer = api("POST /entries", body, content_type="text/csv")
    assert (answer.status, answer.json) == (400, error("PGRST102", message))


def test_csv_that_is_no_utf8(api):
    answer = api("POST /entries", b"\xff\xfe", content_type="text/csv")
    assert (answer.status, answer.json["code"]) == (400, "PGRST102")


def test_a_form_is_one_row(api):
    answer = api("POST /entries", "line=a+b%26%C3%A9&level=7&level=8", prefer=FULL, content_type=FORM)
    assert (answer.status, answer.json) == (201, [{"line": "a b&é", "level": 8}])


@pytest.mark.parametrize(
    "content_type", ["text/plain", "text/xml", "application/octet-stream", "application/foo", "nonsense", ""]
)
def test_other_content_types_are_refused(api, content_type):
    answer = api("POST /entries", "x", content_type=content_type)
    assert (answer.status, answer.json) == (
        400,
        error("PGRST102", f"Content-Type not acceptable: {content_type}"),
    )


# ---------------------------------------------------------------- what the database refuses


@pytest.mark.parametrize(
    ("target", "body", "status", "code"),
    [
        ("/parts", {"sku": "bell", "name": "B"}, 409, "23505"),
        ("/parts", {"name": "B"}, 400, "23502"),
        ("/parts", {"sku": "a", "name": "A", "stock": -1}, 400, "23514"),
        ("/parts", {"sku": "a", "name": "A", "stock": "many"}, 400, "22P02"),
        ("/parts", {"sku": "a", "name": "A", "price": 1e9}, 400, "22003"),
        ("/orders", {"customer_id": 99}, 409, "23503"),
        ("/measures", {"day": "1999-01-01", "place": "x"}, 400, "23514"),
        ("/shapes", {"id": 1, "code": "toolong"}, 400, "22001"),
        ("/shapes", {"id": 1, "flags": "1"}, 400, "22026"),
        ("/entries", {"line": "\0"}, 400, "22P05"),
        ("/vault", {"id": 2}, 401, "42501"),
        ("/wings", {"id": 2}, 404, "PGRST205"),
    ],
)
def test_refusals(api, target, body, status, code):
    answer = api("POST " + target, body)
    assert (answer.status, answer.json["code"]) == (status, code)
    assert answer.headers["content-type"] == JSON


def test_a_refusal_in_full(api):
    answer = api("POST /parts", {"sku": "bell", "name": "B"})
    assert answer.json == error(
        "23505",
        'duplicate key value violates unique constraint "parts_pkey"',
        details="Key (sku)=(bell) already exists.",
    )


def test_one_bad_row_keeps_all_out(api):
    body = [{"sku": "a", "name": "A"}, {"sku": "bell", "name": "B"}]
    assert api("POST /parts", body, prefer="tx=commit").status == 409
    assert api("GET /parts?sku=eq.a").json == []


def test_privileges(api):
    assert api("POST /inbox", {"message": "hi"}).status == 201
    answer = api("POST /inbox", {"message": "hi"}, prefer=FULL)
    assert (answer.status, answer.headers["www-authenticate"]) == (401, "Bearer")
    answer = api("POST /vault", {"id": 2}, role="hasty")
    assert (answer.status, answer.json) == (403, error("42501", "permission denied for table vault"))
    assert "www-authenticate" not in answer.headers
    assert api("POST /vault", {"id": 2}, role="auth").status == 201


# ---------------------------------------------------------------- views, triggers, partitions


def test_an_updatable_view_takes_rows(api):
    answer = api("POST /shelf", {"sku": "a", "name": "A", "stock": 3}, prefer="return=headers-only")
    assert (answer.status, answer.headers["location"]) == (201, "/shelf?sku=eq.a")


def test_an_instead_of_trigger_takes_rows(api):
    answer = api("POST /cities?select=city", {"city": "Paris"}, prefer=FULL)
    assert (answer.status, answer.json) == (201, [{"city": "Paris"}])


def test_a_partitioned_table_takes_rows(api):
    row = {"day": "2024-07-01", "place": "shed", "value": 3}
    answer = api("POST /measures", row, prefer=FULL)
    assert (answer.status, answer.json) == (201, [row])


def test_a_trigger_may_set_headers_and_status(api):
    answer = api("POST /noticed", {"id": 1, "name": "x"}, prefer="return=headers-only")
    assert (answer.status, answer.headers["location"], answer.headers["x-noticed"]) == (
        202,
        "/elsewhere",
        "yes",
    )
