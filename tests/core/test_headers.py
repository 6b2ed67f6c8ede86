"""The headers of a request: text from bytes, the first of a name, and the settings that functions read."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiodata_django.core.query import headers
from aiodata_django.core.query.headers import LARGEST, LATELY, Headers, read_headers

NAMES = st.sampled_from([b"host", b"cookie", b"x-one", b"x-two", b"prefer"])
SENT = st.lists(st.tuples(NAMES, st.binary(max_size=12)), max_size=8)


@pytest.fixture(autouse=True)
def nothing_known() -> Iterator[None]:
    headers._known.clear()
    yield
    headers._known.clear()


@given(sent=SENT)
def test_what_is_remembered_is_what_would_be_read_anew(sent):
    known = read_headers(list(sent))
    again = read_headers(list(sent))
    headers._known.clear()
    anew = read_headers(sent)
    assert again == known == anew
    assert (again.first, again.settings) == (anew.first, anew.settings)


@given(sent=SENT)
def test_the_first_of_a_name_is_asked_for_and_the_last_is_told_to_functions(sent):
    read = read_headers(sent)
    assert len(read) == len(sent)
    told, _ = read.settings
    for name, value in read:
        assert read.first[name] == next(v for n, v in read if n == name)
        if name != "cookie":
            assert json.loads(told)[name] == [v for n, v in read if n == name][-1]
        assert "cookie" not in json.loads(told)
        assert value.encode() in [v for _, v in sent] or value.encode("latin-1") in [v for _, v in sent]


def test_values_are_utf8_and_else_latin_1():
    read = read_headers([(b"x-one", "ü".encode()), (b"x-two", "ü".encode("latin-1"))])
    assert list(read) == [("x-one", "ü"), ("x-two", "ü")]


def test_cookies_are_told_by_name_and_apart_from_headers():
    read = read_headers([(b"cookie", b" a=1; b = x=y;;=c"), (b"host", b"here")])
    assert read.settings == (b'{"host":"here"}', b'{"a":"1","b ":" x=y"}')
    assert Headers().settings == (b"{}", b"{}")


def test_few_and_small_sets_of_headers_are_remembered():
    for number in range(3 * LATELY):
        read_headers([(b"x-request", b"%d" % number)])
        assert len(headers._known) <= LATELY
    before = dict(headers._known)
    read_headers([(b"x-large", b"x" * LARGEST)])
    assert headers._known == before


def test_pairs_may_be_lists_as_asgi_allows():
    assert read_headers([[b"host", b"here"]]) == read_headers([(b"host", b"here")]) == (("host", "here"),)
