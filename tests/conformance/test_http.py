"""What HTTP carries beside the rows: OPTIONS, CORS, canonical locations, preferences, timing and tracing."""

from __future__ import annotations

import re

import pytest

from .serving import Api, MakeApi

ALL = "OPTIONS,GET,HEAD,POST,PUT,PATCH,DELETE"


@pytest.mark.parametrize(
    ("target", "allow"),
    [
        ("/films", ALL),
        ("/recent_films", ALL),  # a view has the key of its table
        ("/decades", "OPTIONS,GET,HEAD"),
        ("/screenings", ALL),
        ("/rpc/all_films", "OPTIONS,GET,HEAD,POST"),
        ("/rpc/ping", "OPTIONS,POST"),
        ("/", "OPTIONS,GET,HEAD"),
    ],
)
def test_options_tell_what_can_be_done(api: Api, target: str, allow: str):
    answer = api(f"OPTIONS {target}")
    assert (answer.status, answer.headers["allow"], answer.body) == (200, allow, b"")
    assert answer.headers["access-control-allow-origin"] == "*"


class TestCors:
    """Answers to browsers on other origins."""

    ORIGIN = "http://page.example"

    def test_preflight(self, api: Api):
        answer = api(
            "OPTIONS /films",
            origin=self.ORIGIN,
            access_control_request_method="POST",
            access_control_request_headers="Foo,Bar",
        )
        assert (answer.status, answer.body) == (200, b"")
        assert answer.headers["access-control-allow-origin"] == "*"
        assert (
            answer.headers["access-control-allow-methods"] == "GET, POST, PATCH, PUT, DELETE, OPTIONS, HEAD"
        )
        assert answer.headers["access-control-allow-headers"] == (
            "Authorization, Foo, Bar, Accept, Accept-Language, Content-Language"
        )
        assert answer.headers["access-control-max-age"] == "86400"

    def test_preflight_names_headers_once_and_only_when_asked(self, api: Api):
        asked = {"origin": self.ORIGIN, "access_control_request_method": "GET"}
        assert "access-control-allow-headers" not in api("OPTIONS /films", **asked).headers
        answer = api("OPTIONS /films", access_control_request_headers="accept, X-A", **asked)
        assert answer.headers["access-control-allow-headers"] == (
            "Authorization, accept, X-A, Accept-Language, Content-Language"
        )

    @pytest.mark.parametrize("asked", [{}, {"access_control_request_method": "BREW"}])
    def test_other_options_are_answered_as_without_an_origin(self, api: Api, asked: dict[str, str]):
        answer = api("OPTIONS /films", origin=self.ORIGIN, **asked)
        assert (answer.status, answer.headers["access-control-allow-origin"]) == (200, "*")
        assert answer.headers["allow"] == api("OPTIONS /films").headers["allow"]
        assert "access-control-expose-headers" not in answer.headers

    def test_answers_let_pages_read_our_headers(self, api: Api):
        answer = api.get("/films?id=eq.1", origin=self.ORIGIN)
        assert answer.headers["access-control-allow-origin"] == "*"
        assert answer.headers["access-control-expose-headers"] == (
            "Content-Encoding, Content-Location, Content-Range, Content-Type, Date, Location, Server,"
            " Transfer-Encoding, Range-Unit"
        )

    def test_errors_can_be_read_too(self, api: Api):
        assert api.get("/zzz", origin=self.ORIGIN).headers["access-control-allow-origin"] == "*"

    def test_without_an_origin_nothing_is_said(self, api: Api):
        assert not [name for name in api.get("/films?id=eq.1").headers if name.startswith("access-control")]

    def test_only_listed_origins(self, serve: MakeApi):
        api = serve(server_cors_allowed_origins="http://page.example, http://other.example")
        listed = api.get("/films?id=eq.1", origin=self.ORIGIN)
        assert listed.headers["access-control-allow-origin"] == self.ORIGIN
        assert listed.headers["access-control-allow-credentials"] == "true"
        unlisted = api.get("/films?id=eq.1", origin="http://evil.example")
        assert "access-control-allow-origin" not in unlisted.headers


@pytest.mark.parametrize(
    ("target", "location"),
    [
        ("/films", "/films"),
        ("/films?select=id&id=eq.1", "/films?id=eq.1&select=id"),
        ("/films?order=id&limit=1", "/films?limit=1&order=id"),
        ("/films?select=id,title", "/films?select=id%2Ctitle"),
        ("/films?id=gt.1&id=lt.3", "/films?id=gt.1,lt.3"),
        ("/films?select", "/films?select="),
        ("/films?title=eq.a+b", "/films?title=eq.a%20b"),
        ("/films?", "/films"),
        ("/films?select=id&&id=eq.1&", "/films?=&id=eq.1&select=id"),
        ("/films?&select=id", "/films?=&select=id"),
    ],
)
def test_content_location_is_canonical(api: Api, target: str, location: str):
    assert api.get(target).headers["content-location"] == location


def test_names_may_be_of_any_script(api: Api):
    answer = api.get("/кадры?select=имя&имя=eq.первый")
    assert answer.json == [{"имя": "первый"}]
    raw = answer.headers["content-location"].encode("latin-1")  # as http.client reads headers
    assert raw.decode().startswith("/кадры?select=")


def test_caches_are_told_what_answers_depend_on(api: Api):
    assert api.get("/films").headers["vary"] == "Accept, Prefer, Range"
    assert api("OPTIONS /films").headers["vary"] == "Accept, Prefer, Range"


@pytest.mark.parametrize(
    ("prefer", "applied"),
    [
        ("count=exact", "count=exact"),
        ("count=planned", "count=planned"),
        ("count=estimated", "count=estimated"),
        ("count=none", None),
        ("handling=strict", "handling=strict"),
        ("handling=lenient, anything", "handling=lenient"),
        ("handling=strict, count=exact", "count=exact, handling=strict"),
        ("count=exact, count=planned", "count=exact"),
        ("return=minimal", None),
        ("timezone=Asia/Tokyo", "timezone=Asia/Tokyo"),
        ("tx=rollback", "tx=rollback"),
        ("tx=commit", "tx=commit"),
    ],
)
def test_preferences_applied(api: Api, prefer: str, applied: str | None):
    assert api.get("/films?limit=1", prefer=prefer).headers.get("preference-applied") == applied


def test_strict_handling_refuses_what_it_does_not_know(api: Api):
    answer = api.get("/films", prefer="handling=strict, foo, bar=x, count=exact")
    assert (answer.status, answer.json) == (
        400,
        {
            "code": "PGRST122",
            "details": "Invalid preferences: foo, bar=x",
            "hint": None,
            "message": "Invalid preferences given with handling=strict",
        },
    )


@pytest.mark.parametrize(
    ("timezone", "shown"),
    [
        ("Asia/Tokyo", "1962-04-12T05:00:00+09:00"),
        ("America/New_York", "1962-04-11T15:00:00-05:00"),
        ("America/Argentina/Buenos_Aires", "1962-04-11T17:00:00-03:00"),
    ],
)
def test_times_are_told_in_the_timezone_preferred(api: Api, timezone: str, shown: str):
    answer = api.get("/films?select=released&id=eq.1", prefer=f"timezone={timezone}")
    assert answer.json == [{"released": shown}]


@pytest.mark.parametrize(
    ("method", "target"), [("GET", "/films?limit=1"), ("GET", "/"), ("HEAD", "/films"), ("OPTIONS", "/films")]
)
def test_server_timing_when_enabled(serve: MakeApi, method: str, target: str):
    told = serve(server_timing_enabled="true")(method, target).headers["server-timing"]
    stages = ("jwt", "parse", "plan", "transaction", "response")
    assert re.fullmatch(", ".join(rf"{stage};dur=\d+\.\d+" for stage in stages), told)


def test_no_server_timing_by_default(api: Api):
    assert "server-timing" not in api.get("/films?limit=1").headers


@pytest.mark.parametrize("target", ["/films?limit=1", "/zzz"])
def test_the_trace_header_comes_back(serve: MakeApi, target: str):
    api = serve(server_trace_header="X-Request-Id")
    assert api.get(target, x_request_id="abc-1").headers["x-request-id"] == "abc-1"
    assert api.get(target).headers["x-request-id"] == ""
    sent = "é 漢".encode().decode("latin-1")  # as http.client shows the same bytes
    assert api.get(target, x_request_id=sent).headers["x-request-id"] == sent


ONE_OBJECT = "application/vnd.pgrst.object+json"


@pytest.mark.parametrize(
    ("accept", "content_type", "body"),
    [
        ("*/*", "application/json; charset=utf-8", b'[{"id":6,"year":null}]'),
        ("application/json", "application/json; charset=utf-8", b'[{"id":6,"year":null}]'),
        (ONE_OBJECT, f"{ONE_OBJECT}; charset=utf-8", b'{"id":6,"year":null}'),
        ("application/vnd.pgrst.object", f"{ONE_OBJECT}; charset=utf-8", b'{"id":6,"year":null}'),
        (f"{ONE_OBJECT};nulls=stripped", f"{ONE_OBJECT};nulls=stripped; charset=utf-8", b'{"id":6}'),
        (
            "application/vnd.pgrst.array+json;nulls=stripped",
            "application/vnd.pgrst.array+json;nulls=stripped; charset=utf-8",
            b'[{"id":6}]',
        ),
        ("text/csv", "text/csv; charset=utf-8", b"id,year\n6,"),
        ("text/csv, */*", "text/csv; charset=utf-8", b"id,year\n6,"),
        ("text/nothing, text/csv", "text/csv; charset=utf-8", b"id,year\n6,"),
        (
            "text/csv;q=0.1, application/json;q=0.9",
            "application/json; charset=utf-8",
            b'[{"id":6,"year":null}]',
        ),
    ],
)
def test_accept(api: Api, accept: str, content_type: str, body: bytes):
    answer = api.get("/films?select=id,year&id=eq.6", accept=accept)
    assert (answer.status, answer.headers["content-type"], answer.body) == (200, content_type, body)


@pytest.mark.parametrize("accept", ["text/nothing", "application/octet-stream", "image/png, text/nothing"])
def test_a_type_nobody_makes(api: Api, accept: str):
    answer = api.get("/films?select=id&id=eq.6", accept=accept)
    assert (answer.status, answer.json["code"]) == (406, "PGRST107")
    assert answer.json["message"] == f"None of these media types are available: {accept}"


@pytest.mark.parametrize(("query", "count"), [("", 6), ("id=eq.0", 0), ("id=lt.3", 2)])
def test_one_object_needs_one_row(api: Api, query: str, count: int):
    answer = api.get(f"/films?{query}", accept=ONE_OBJECT)
    assert (answer.status, answer.json) == (
        406,
        {
            "code": "PGRST116",
            "details": f"The result contains {count} rows",
            "hint": None,
            "message": "Cannot coerce the result to a single JSON object",
        },
    )
