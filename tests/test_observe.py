"""Observations reach everybody who subscribed, as loud as they are."""

from __future__ import annotations

import logging

import pytest

from aiodata_django.observe import (
    Notice,
    RequestAnswered,
    SchemaLoaded,
    Trouble,
    Volume,
    handlers,
    observe,
    wants,
)


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
def test_an_observation_is_told_and_logged(observation, level, text, subscribed, caplog, monkeypatch):
    monkeypatch.setattr(Volume, "least", logging.DEBUG)
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


def test_requests_are_logged_from_the_configured_level_on(caplog, monkeypatch):
    answers = [RequestAnswered("GET", "/x", status, 0.0) for status in (200, 404, 500)]
    for level, logged in (
        (logging.ERROR, [500]),
        (logging.WARNING, [404, 500]),
        (logging.INFO, [200, 404, 500]),
    ):
        monkeypatch.setattr(Volume, "least", level)
        assert [answer.status for answer in answers if wants(answer.status)] == logged
        caplog.clear()
        with caplog.at_level(logging.DEBUG, "aiodata_django"):
            for answer in answers:
                observe(answer)
        assert caplog.messages == [answer.text for answer in answers if answer.status in logged]


def test_all_requests_are_told_where_somebody_subscribed(subscribed):
    assert wants(200)
