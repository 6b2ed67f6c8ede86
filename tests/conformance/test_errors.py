"""Errors: what does not parse, is not there, or is not allowed, worded as PostgREST words it."""

from __future__ import annotations

import json

import pytest

from .serving import Api, MakeApi

OPERATOR = "expecting operator (eq, gt, ...)"
IS = "isVal: (null, not_null, true, false, unknown)"
FIELD = "field name (* or [a..z0..9_$])"
IN_SELECT = 'letter, digit, "-", "->>", "->", "::", ".", ")"'
PARSE_ERRORS = [
    # filters
    ("id=5", "filter (5)", 1, 'unexpected "5" expecting "not" or operator (eq, gt, ...)'),
    ("id=", "filter ()", 1, 'unexpected end of input expecting "not" or operator (eq, gt, ...)'),
    ("id=eq", "filter (eq)", 3, f"unexpected end of input {OPERATOR}"),
    ("id=eqq.1", "filter (eqq.1)", 3, f'unexpected "q" {OPERATOR}'),
    ("id=nope.1", "filter (nope.1)", 1, 'unexpected "p" expecting "not" or operator (eq, gt, ...)'),
    ("id=notanop.1", "filter (notanop.1)", 4, 'unexpected "a" expecting delimiter (.)'),
    ("id=is.nil", "filter (is.nil)", 5, f'unexpected "i" expecting {IS}'),
    ("id=is.ok", "filter (is.ok)", 4, f'unexpected "o" expecting {IS}'),
    ("id=in.1,2", "filter (in.1,2)", 4, 'unexpected "1" expecting "("'),
    ("id=in.(1,2", "filter (in.(1,2)", 8, 'unexpected end of input expecting "," or ")"'),
    ("id=eq(some).{1}", "filter (eq(some).{1})", 4, f'unexpected "s" {OPERATOR}'),
    # logic trees
    ("or=()", "logic tree (())", 4,
        f'unexpected ")" expecting {FIELD}, negation operator (not) or logic operator (and, or)'),
    ("or=)(", "logic tree ()()", 3, 'unexpected ")" expecting "("'),
    ("or=(id.in.1,2,id.eq.3)", "logic tree ((id.in.1,2,id.eq.3))", 10, 'unexpected "1" expecting "("'),
    ("and=(ord(id.eq.1),id.eq.2)", "logic tree ((ord(id.eq.1),id.eq.2))", 7, 'unexpected "d" expecting "("'),
    ("or=(id.eq.1,not.xor(id.eq.2))", "logic tree ((id.eq.1,not.xor(id.eq.2)))", 16,
        'unexpected "x" expecting logic operator (and, or)'),
    ("or=(id.eq.1", "logic tree ((id.eq.1)", 11, 'unexpected end of input expecting "," or ")"'),
    # select
    ("select=id,", "select parameter (id,)", 4,
        f'unexpected end of input expecting "...", {FIELD}, "*" or "count()"'),
    ("select=id,,title", "select parameter (id,,title)", 4,
        f'unexpected "," expecting "...", {FIELD}, "*" or "count()"'),
    ("select=id,awards(name", "select parameter (id,awards(name)", 15,
        f'unexpected end of input expecting {IN_SELECT} or ","'),
    ("select=id:", "select parameter (id:)", 4, f"unexpected end of input expecting {FIELD}"),
    ("select=id::", "select parameter (id::)", 5, "unexpected end of input expecting letter or digit"),
    ("select=id::int[]", "select parameter (id::int[])", 8,
        """unexpected '[' expecting letter, digit, ".", "::", ")", "," or end of input"""),
    ("select=awards!inner", "select parameter (awards!inner)", 7,
        f"unexpected '!' expecting {IN_SELECT}, \",\" or end of input"),
    ("select=id.total()", "select parameter (id.total())", 4,
        'unexpected "t" expecting "sum", "avg", "count", "max" or "min"'),
    # order
    ("order=id.ac", "order (id.ac)", 4,
        'unexpected "c" expecting "asc", "desc", "nullsfirst" or "nullslast"'),
    ("order=id.descc", "order (id.descc)", 8,
        """unexpected 'c' expecting delimiter (.), "," or end of input"""),
    ("order=id.smth", "order (id.smth)", 4,
        'unexpected "s" expecting "asc", "desc", "nullsfirst" or "nullslast"'),
    ("order=id.asc.nlsfst", "order (id.asc.nlsfst)", 8,
        'unexpected "l" expecting "nullsfirst" or "nullslast"'),
    ("order=id.asc.nullslasttt", "order (id.asc.nullslasttt)", 17,
        """unexpected 't' expecting "," or end of input"""),
    ("order=", "order ()", 1, f"unexpected end of input expecting {FIELD}"),
    ("order=id,,title", "order (id,,title)", 4, f'unexpected "," expecting {FIELD}'),
    # names of parameters
    (".id=eq.1", "tree path (.id)", 1, f'unexpected "." expecting {FIELD}'),
    ("details->>=eq.1", "tree path (details->>)", 11,
        'unexpected end of input expecting "-", digit or any non reserved character different from: .,>()'),
    ("columns=,", "columns parameter (,)", 1, f'unexpected "," expecting {FIELD}'),
    ("on_conflict=,", "on_conflict parameter (,)", 1, f'unexpected "," expecting {FIELD}'),
]  # fmt: skip


@pytest.mark.parametrize(
    ("query", "what", "column", "details"), PARSE_ERRORS, ids=[case[0] for case in PARSE_ERRORS]
)
def test_a_text_that_does_not_parse_is_told_where_and_why(
    api: Api, query: str, what: str, column: int, details: str
):
    answer = api.get(f"/films?{query}")
    assert (answer.status, answer.json) == (
        400,
        {
            "code": "PGRST100",
            "details": details,
            "hint": None,
            "message": f'"failed to parse {what}" (line 1, column {column})',
        },
    )
    assert answer.headers["proxy-status"] == "PostgREST; error=PGRST100"


def test_errors_of_the_query_come_in_postgrests_order(api: Api):
    assert "parse order" in api.get("/films?select=id,&id=5&order=id.x&or=()").json["message"]
    assert "parse logic tree" in api.get("/films?select=id,&id=5&or=()").json["message"]
    assert "parse select" in api.get("/films?select=id,&id=5").json["message"]
    assert "parse filter" in api.get("/films?id=5&limit=-1").json["message"]
    assert api.get("/nothere?limit=-1").json["code"] == "PGRST103"


def test_a_column_list_without_value_is_none(api: Api):
    assert api.get("/films?select&select=id&id=eq.1").json == api.get("/films?id=eq.1").json
    assert api.rows("/films?select=id&select&select=title&id=eq.1") == [{"id": 1}]


def test_an_empty_accept_accepts_nothing(api: Api):
    answer = api.get("/films", accept="")
    assert (answer.status, answer.json["message"]) == (406, "None of these media types are available: ")


def test_a_schema_is_looked_for_before_a_method(api: Api):
    assert api("LOCK /films", accept_profile="nope").json["code"] == "PGRST106"
    assert api("LOCK /films/1", accept_profile="nope").json["code"] == "PGRST125"


def test_a_text_that_does_not_parse_is_told_as_it_was_sent(api: Api):
    for query, what in [('select=id,"', 'select parameter (id,")'), ("id=ключ1", "filter (ключ1)")]:
        message = api.get(f"/films?{query}").json["message"]
        assert message.startswith(f'"failed to parse {what}" (line 1')


NO_TABLE = "Could not find the table 'api.{}' in the schema cache"
BAD_PATH = "Invalid path specified in request URL"
NOT_THERE = [
    ("GET", "/film", 404, "PGRST205", NO_TABLE.format("film"), "Perhaps you meant the table 'api.films'"),
    ("GET", "/zzz", 404, "PGRST205", NO_TABLE.format("zzz"), None),
    ("HEAD", "/zzz", 404, "PGRST205", "", None),
    ("OPTIONS", "/zzz", 404, "PGRST205", NO_TABLE.format("zzz"), None),
    ("GET", "/screenings_old", 404, "PGRST205", NO_TABLE.format("screenings_old"), None),
    ("GET", "/films/1", 404, "PGRST125", BAD_PATH, None),
    ("GET", "/films/", 404, "PGRST125", BAD_PATH, None),
    ("GET", "//films", 404, "PGRST125", BAD_PATH, None),
    ("GET", "/rpc/ping/", 404, "PGRST125", BAD_PATH, None),
    ("GET", "/rpc/a/b", 404, "PGRST125", BAD_PATH, None),
    ("GET", "/first/second/third?select=*", 404, "PGRST125", BAD_PATH, None),
    ("PUT", "/rpc/add", 405, "PGRST101", "Cannot use the PUT method on RPC", None),
    ("PATCH", "/rpc/add", 405, "PGRST101", "Cannot use the PATCH method on RPC", None),
    ("DELETE", "/rpc/add", 405, "PGRST101", "Cannot use the DELETE method on RPC", None),
    ("LOCK", "/films", 405, "PGRST117", "Unsupported HTTP method: LOCK", None),
    ("FETCH", "/films", 405, "PGRST117", "Unsupported HTTP method: FETCH", None),  # registered nowhere
    ("get", "/films", 405, "PGRST117", "Unsupported HTTP method: get", None),
    ("POST", "/", 405, "PGRST117", "Unsupported HTTP method: POST", None),
]


@pytest.mark.parametrize(("method", "target", "status", "code", "message", "hint"), NOT_THERE)
def test_what_is_not_there(
    api: Api, method: str, target: str, status: int, code: str, message: str, hint: str | None
):
    answer = api(f"{method} {target}")
    assert answer.status == status
    assert answer.headers["proxy-status"] == f"PostgREST; error={code}"
    if method == "HEAD":
        assert answer.body == b""
    else:
        assert answer.json == {"code": code, "details": None, "hint": hint, "message": message}


class TestAllowed:
    """Who may not is 401 while nobody knows who asks, and 403 once it is known."""

    DENIED = "permission denied for table secrets"

    def test_anonymous(self, api: Api):
        answer = api.get("/secrets")
        assert (answer.status, answer.json["code"], answer.json["message"]) == (401, "42501", self.DENIED)
        assert answer.headers["www-authenticate"] == "Bearer"

    def test_known(self, api: Api):
        answer = api.get("/secrets", role="auth")
        assert (answer.status, answer.json["code"], answer.json["message"]) == (403, "42501", self.DENIED)
        assert "www-authenticate" not in answer.headers

    def test_a_grant_decides(self, api: Api):
        assert api.get("/nothing").status == 401
        assert api.get("/nothing", role="auth").json == []

    def test_a_role_that_does_not_exist(self, api: Api):
        answer = api.get("/films", role="ghost")
        assert (answer.status, answer.json["code"], answer.json["message"]) == (
            401,
            "22023",
            'role "ghost" does not exist',
        )

    @pytest.mark.parametrize(
        ("header", "code", "message"),
        [
            ("Bearer", "PGRST301", "Empty JWT is sent in Authorization header"),
            ("Bearer a", "PGRST301", "Expected 3 parts in JWT; got 1"),
            ("bEARER\ta.b", "PGRST301", "Expected 3 parts in JWT; got 2"),
            ("Bearer a.b", "PGRST301", "Expected 3 parts in JWT; got 2"),
            ("Bearer a.b.c", "PGRST301", "JWT cryptographic operation failed"),
        ],
    )
    def test_bad_tokens(self, api: Api, header: str, code: str, message: str):
        answer = api.get("/films", authorization=header)
        assert (answer.status, answer.json["code"], answer.json["message"]) == (401, code, message)
        assert answer.headers["www-authenticate"] == (
            f'Bearer error="invalid_token", error_description="{message}"'
        )

    def test_other_schemes_are_anonymous(self, api: Api):
        assert api.get("/films?id=eq.1&select=id", authorization="Basic eDp5").json == [{"id": 1}]


SQLSTATES = [
    ("08003", 503), ("09000", 500), ("0L000", 403), ("0P000", 403), ("22012", 400), ("23502", 400),
    ("23503", 409), ("23505", 409), ("23514", 400), ("25006", 405), ("25P02", 500), ("28000", 403),
    ("2D000", 500), ("38000", 500), ("39000", 500), ("3B000", 500), ("40001", 500), ("40P01", 500),
    ("42501", 401), ("42601", 400), ("42883", 404), ("42P01", 404), ("42P17", 500), ("53000", 503),
    ("53400", 500), ("54000", 500), ("55000", 500), ("57014", 500), ("58000", 500), ("F0000", 500),
    ("HV000", 500), ("P0001", 400), ("P0000", 500), ("XX000", 500), ("21000", 500), ("PT402", 402),
    ("PT418", 418), ("PT600", 600), ("PT999", 999), ("PTABC", 500), ("ZZ999", 400),
]  # fmt: skip


@pytest.mark.parametrize(("sqlstate", "status"), SQLSTATES)
def test_each_sqlstate_has_its_status(api: Api, sqlstate: str, status: int):
    answer = api("POST /rpc/fail", body={"code": sqlstate, "message": "as told"})
    assert (answer.status, answer.json) == (
        status,
        {"code": sqlstate, "details": None, "hint": None, "message": "as told"},
    )
    assert answer.headers.get("retry-after") == ("0" if status == 503 else None)


@pytest.fixture
def terse(serve: MakeApi) -> Api:
    """A server that tells clients little of errors."""
    return serve(client_error_verbosity="minimal")


@pytest.mark.parametrize(
    ("target", "code"),
    [("/films?id=5", "PGRST100"), ("/film", "PGRST205"), ("/secrets", "42501"), ("/films?id=eq.x", "22P02")],
)
def test_minimal_verbosity_tells_code_and_message_alone(terse: Api, target: str, code: str):
    answer = terse.get(target)
    assert set(answer.json) == {"code", "message"}
    assert answer.json["code"] == code
    assert answer.headers["content-length"] == str(len(answer.body))


def test_minimal_verbosity_holds_past_the_end_too(terse: Api):
    answer = terse.get("/films?offset=10", prefer="count=exact")
    assert (answer.status, json.loads(answer.body)) == (
        416,
        {"code": "PGRST103", "message": "Requested range not satisfiable"},
    )
