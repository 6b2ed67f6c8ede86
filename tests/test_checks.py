"""System checks of settings and database: what is wrong, and what to run."""

from __future__ import annotations

import psycopg
import pytest
from django.test import override_settings

from aiodata_django.checks import check_database, check_deployment, check_settings
from tests.conftest import as_user_of


def ids(messages):
    return [message.id for message in messages if not message.id.startswith("aiodata.W10")]


def test_settings_that_cannot_be_used_are_errors_one_by_one():
    with override_settings(AIODATA={"DB_POOL": 0, "JWT_SECRET": "short"}):
        found = check_settings()
    assert ids(found) == ["aiodata.E010", "aiodata.E010"]
    assert "AIODATA" in found[0].hint


def test_deprecated_settings_are_warned_of():
    with override_settings(AIODATA={"JWT_ROLE_CLAIM_KEY": ".role", "DB_ANON_ROLE": "anon"}):
        assert "aiodata.W011" in ids(check_settings())


def test_a_server_that_would_refuse_everybody_is_warned_of():
    with override_settings(AIODATA={}):
        assert "aiodata.W012" in ids(check_settings())
    with override_settings(AIODATA={"DB_ANON_ROLE": "anon"}):
        assert "aiodata.W012" not in ids(check_settings())


def test_a_short_secret_is_good_enough_at_home_only():
    with override_settings(AIODATA={"JWT_SECRET": "superdupersecret"}):
        assert ids(check_deployment()) == ["aiodata.W120"]
    with override_settings(AIODATA={"JWT_SECRET": "reallyreallyreallyreallyverysafe"}):
        assert ids(check_deployment()) == []
    with override_settings(AIODATA={"JWT_SECRET": "http://issuer/jwks"}):
        assert ids(check_deployment()) == ["aiodata.W121"]


def test_no_database_is_asked_unless_it_may_be():
    with override_settings(AIODATA={"DB_URI": "postgresql://nobody@127.0.0.1:1/none"}):
        assert check_database(databases=None) == []
        assert ids(check_database(databases=["default"])) == ["aiodata.E130"]


@pytest.fixture
def served(make_database):
    """A database of settings that are as they should be."""
    uri = make_database("create publication aiodata")
    return lambda **settings: override_settings(
        AIODATA={"DB_URI": as_user_of(uri, "authenticator"), "DB_ANON_ROLE": "anon", **settings}
    )


def test_a_database_as_it_should_be_is_not_complained_of(served):
    with served():
        assert ids(check_database(databases=["default"])) == []


def test_a_role_that_cannot_be_become_is_an_error(served):
    with served(DB_ANON_ROLE="nobody at all"):
        [message] = check_database(databases=["default"])
    assert message.id == "aiodata.E131"
    assert 'GRANT "nobody at all" TO "authenticator"' in message.hint


def test_a_publication_that_cannot_be_made_is_warned_of(served, make_database):
    with served(FEED_PUBLICATION="another"):
        [message] = check_database(databases=["default"])
    assert message.id == "aiodata.W136"
    assert "aiodata_feed create" in message.hint


def test_a_publication_of_somebody_else_that_leaves_something_out_is_warned_of(served, make_database):
    uri = make_database(
        "create schema api; create table api.t (id int primary key);"
        "create publication aiodata for table api.t with (publish = 'insert')"
    )
    settings = {"DB_URI": as_user_of(uri, "authenticator"), "DB_ANON_ROLE": "anon", "DB_SCHEMAS": "api"}
    with override_settings(AIODATA=settings):
        [message] = check_database(databases=["default"])
    assert message.id == "aiodata.W137"
    assert "alter publication" in message.hint
    with override_settings(AIODATA=settings | {"DB_URI": uri}):  # who may mend it does
        assert ids(check_database(databases=["default"])) == ["aiodata.W132"]


def test_a_superuser_who_serves_is_warned_of(make_database):
    with override_settings(AIODATA={"DB_URI": make_database(), "DB_ANON_ROLE": "anon"}):
        assert "aiodata.W132" in ids(check_database(databases=["default"]))


def test_a_login_role_that_may_not_replicate_is_warned_of_unless_no_events_are_wanted(
    make_database, postgres
):
    uri = make_database("create publication aiodata")
    role = uri.rsplit("/", 1)[1] + "_poor"
    with psycopg.connect(uri, autocommit=True) as admin:
        admin.execute(f"create role {role} login password '{role}'; grant anon to {role}".encode())
    try:
        settings = {"DB_URI": as_user_of(uri, role), "DB_ANON_ROLE": "anon"}
        with override_settings(AIODATA=settings):
            [message] = check_database(databases=["default"])
        assert (message.id, message.hint) == (
            "aiodata.W134",
            f'Run as superuser: ALTER ROLE "{role}" REPLICATION',
        )
        with override_settings(AIODATA=settings | {"FEED_ENABLED": False}):
            assert check_database(databases=["default"]) == []
    finally:
        with psycopg.connect(uri, autocommit=True) as admin:
            admin.execute(f"drop owned by {role}; drop role {role}".encode())
