"""Observations reach everybody who subscribed, as loud as they are."""

from __future__ import annotations

import logging

import pytest

from aiodata_django.observe import Notice, RequestAnswered, SchemaLoaded, Trouble, handlers, observe, wants


@pytest.fixture
def subscribed():
    told = []
    handlers.append(told.append)
    yield told
    handlers.remove(told.append)


@pytest.mark.parametrize(
    ("observation", "level", "text"),
    [
        (RequestAnswered("GET", "/query/pets", 200, 0.0012), logging.INFO, "GET /query/pets 200 1.2 ms"),
        (RequestAnswered("GET", "/x", 404, 0.0), logging.WARNING, "GET /x 404 0.0 ms"),
        (RequestAnswered("GET", "/x", 503, 0.0), logging.ERROR, "GET /x 503 0.0 ms"),
        (SchemaLoaded(3, 1, 0.25), logging.INFO, "schema loaded: 3 relations, 1 functions, 0.25 s"),
        (Trouble("no"), logging.ERROR, "no"),
        (Notice("so"), logging.WARNING, "so"),
    ],
)
def test_an_observation_is_told_and_logged(observation, level, text, subscribed, caplog):
    with caplog.at_level(logging.DEBUG, "aiodata_django"):
        observe(observation)
    assert subscribed == [observation]
    assert caplog.record_tuples == [("aiodata_django", level, text)]


def test_a_handler_that_fails_stops_nobody(subscribed, caplog):
    def fails(observation):
        raise RuntimeError

    handlers.insert(0, fails)
    try:
        observe(Notice("so"))
    finally:
        handlers.remove(fails)
    assert subscribed == [Notice("so")]
    assert "a handler of observations failed" in caplog.text


def test_nobody_is_told_of_what_nobody_listens_to(caplog):
    with caplog.at_level(logging.ERROR, "aiodata_django"):
        assert wants(500)
        assert not wants(404)
        assert not wants(200)
        handlers.append(lambda observation: None)
        try:
            assert wants(200)
        finally:
            handlers.pop()
