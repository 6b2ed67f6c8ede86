"""Settings: their sources, which wins, what is refused and how."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from django.conf import settings
from django.test import override_settings
from hypothesis import given
from hypothesis import strategies as st
from psycopg.conninfo import conninfo_to_dict

from aiodata_django import conf
from aiodata_django.conf import ConfigurationError, Settings, Sources, sources
from aiodata_django.conftypes import READERS, SettingError

QUICKSTART = """
db-uri       = "postgres://authenticator:secret@localhost:5432/postgres"  # who may become the roles
db-schema    = "api"
db-anon-role = "anon"
jwt-secret   = "superdupersecret" # change this!
"""


def conf_file(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "postgrest.conf"
    file.write_text(text)
    return file


def test_the_quickstarts_file_is_read_as_meant(tmp_path):
    settings = Sources(file=conf_file(tmp_path, QUICKSTART)).settings()
    assert settings.db_uri == "postgres://authenticator:secret@localhost:5432/postgres"
    assert settings.db_schemas == ("api",)
    assert settings.db_anon_role == "anon"
    assert settings.secret is not None
    assert settings.secret.key == b"superdupersecret"
    assert settings.warnings == ()


def test_the_command_line_wins_over_the_database_over_variables_over_the_file_over_the_dict(tmp_path):
    file = conf_file(tmp_path, 'db-pool = 2\ndb-max-rows = 2\ndb-anon-role = "file"\njwt-aud = "file"')
    found = Sources(
        mapping={
            "DB_POOL": 1,
            "DB_MAX_ROWS": 1,
            "DB_ANON_ROLE": "dict",
            "JWT_AUD": "dict",
            "DB_TX_END": "rollback",
        },
        file=file,
        environ={"PGRST_DB_MAX_ROWS": "3", "PGRST_DB_ANON_ROLE": "env", "PGRST_JWT_AUD": "env"},
        arguments={"jwt_aud": "argument", "db_pool": None},
    ).settings(database={"db_anon_role": "database", "jwt_aud": "database"})
    assert (found.db_tx_end, found.db_pool, found.db_max_rows) == ("rollback", 2, 3)
    assert (found.db_anon_role, found.jwt_aud) == ("database", "argument")


def test_the_variables_of_the_aiodata_proxy_count():
    environ = {
        "AIODT_DB_URI": "postgres://x/y",
        "AIODT_PORT": "4001",
        "AIODT_SCHEMA": "a, b",
        "AIODT_SECRET": "superdupersecret",
        "AIODT_QUERY": "/q/",
        "AIODT_STATE": "/s",
        "AIODT_HOST": "0.0.0.0",
        "AIODT_PR_URI": "http://localhost:3000",
    }
    found = Sources(environ=environ).settings()
    assert (found.db_uri, found.server_port, found.db_schemas) == ("postgres://x/y", 4001, ("a", "b"))
    assert (found.query_path, found.state_path, found.server_host) == ("/q", "/s", "0.0.0.0")


@pytest.mark.parametrize("key", ["db-max-rows", "DB_MAX_ROWS", "db_max_rows", "max-rows", "MAX_ROWS"])
def test_names_with_dashes_underscores_capitals_and_old_names_are_one(key):
    assert sources({key: 7}, environ={}).settings().db_max_rows == 7


def test_the_new_name_wins_over_the_old_one():
    assert sources({"db-schemas": "new", "db-schema": "old"}, environ={}).settings().db_schemas == ("new",)
    assert sources({"db-schema": "old", "db-schemas": "new"}, environ={}).settings().db_schemas == ("new",)


def test_app_settings_come_from_dict_file_and_variables(tmp_path):
    file = conf_file(tmp_path, 'app.settings.a = "file"\napp.settings.b = "$(B)"')
    environ = {"B": "b", "PGRST_APP_SETTINGS_c": "c"}
    found = Sources(mapping={"APP_SETTINGS": {"a": "dict", "d": 4}}, file=file, environ=environ).settings()
    assert found.app_settings == {
        "app.settings.a": "file",
        "app.settings.b": "b",
        "app.settings.c": "c",
        "app.settings.d": "4",
    }


def test_an_empty_text_is_an_unset_one_except_for_the_search_path():
    found = sources(
        {"db-anon-role": "", "db-extra-search-path": "", "db-max-rows": ""}, environ={}
    ).settings()
    assert (found.db_anon_role, found.db_extra_search_path, found.db_max_rows) == (None, (), None)


def test_only_what_may_be_set_in_the_database_is_taken_from_there():
    found = Sources().settings(
        database={"db_uri": "postgres://evil/", "db_schemas": "a,b", "server_port": "1"}
    )
    assert (found.db_uri, found.db_schemas, found.server_port) == ("postgresql://", ("a", "b"), 4000)


def test_an_unknown_key_of_the_dict_is_refused_with_its_neighbour():
    with pytest.raises(ConfigurationError, match="unknown setting 'DB_SCHEMSA'; did you mean db-schemas"):
        sources({"DB_SCHEMSA": "api"}, environ={}).settings()


def test_an_unknown_key_of_a_file_is_a_warning_and_postgrests_own_are_silent(tmp_path):
    file = conf_file(tmp_path, 'admin-server-port = 3001\nlog-query = true\nfuture-setting = "x"')
    assert [w.split(": ", 1)[1] for w in Sources(file=file).settings().warnings] == [
        "unknown setting 'future-setting' is ignored"
    ]


def test_every_problem_is_told_at_once():
    with pytest.raises(ConfigurationError) as caught:
        sources({"db-pool": "many", "db-tx-end": "never", "jwt-secret": "short"}, environ={}).settings()
    assert len(caught.value.problems) == 3


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({"db-schemas": "api,pg_catalog"}, "does not allow schema: 'pg_catalog'"),
        ({"db-schemas": " , "}, "at least one schema"),
        ({"db-anon-role": "none"}, "'none' is no role"),
        ({"jwt-secret": "fifteen bytes.."}, "has 15 bytes, and 16 are the least"),
        ({"jwt-secret": "@/nowhere/at/all"}, "cannot read the file '/nowhere/at/all'"),
        ({"jwt-secret": "not base 64!", "jwt-secret-is-base64": True}, "is not base64"),
        ({"jwt-secret": "-----BEGIN PUBLIC KEY-----\nMIIB"}, "give it as a JWK"),
        ({"jwt-role-claim-key": "role"}, "failed to parse role-claim-key value (role)"),
        ({"query-path": "query"}, "must be a path such as /query"),
        ({"query-path": "/"}, "not the root"),
        ({"rest-path": "/query"}, "must differ"),
        ({"openapi-server-proxy-uri": "example.com"}, "Malformed proxy uri"),
        ({"jwt-aud": ":5"}, "jwt-aud should be a string or a valid URI"),
        ({"jwt-aud": "https://example.com/%zz"}, "jwt-aud should be a string or a valid URI"),
        ({"jwt-aud": "https://one two.com"}, "jwt-aud should be a string or a valid URI"),
        ({"db-pool": 0}, "at least 1"),
        ({"db-pool-acquisition-timeout": "soon"}, "number of seconds"),
    ],
)
def test_what_cannot_be_is_refused_with_what_can(mapping, message):
    with pytest.raises(ConfigurationError) as caught:
        sources(mapping, environ={}).settings()
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "audience", ["api", "ours & theirs", "https://example.com:8443/a%20b?c=[1]#d", "urn:ietf:params:x"]
)
def test_an_audience_is_a_text_or_an_uri(audience):
    assert sources({"jwt-aud": audience}, environ={}).settings().jwt_aud == audience


def test_a_file_that_is_not_there_or_not_readable_is_named(tmp_path):
    with pytest.raises(ConfigurationError, match=r"nothing\.conf: cannot be read: No such file"):
        Sources(file=tmp_path / "nothing.conf").settings()
    with pytest.raises(ConfigurationError, match=r"postgrest\.conf: line 1: put the value in double quotes"):
        Sources(file=conf_file(tmp_path, "db-uri = postgres://x")).settings()


def test_secret_and_address_may_stand_in_files_of_their_own(tmp_path):
    (tmp_path / "secret").write_text("superdupersecret\n")
    (tmp_path / "uri").write_text(" postgres://x/y\n")
    mapping = {"jwt-secret": f"@{tmp_path}/secret", "db-uri": f"@{tmp_path}/uri"}
    found = sources(mapping, environ={}).settings()
    assert (found.jwt_secret, found.db_uri) == ("superdupersecret", "postgres://x/y")


@given(st.binary(min_size=16))
def test_a_base64_secret_in_any_alphabet_is_its_bytes(key):
    for encoded in (
        base64.b64encode(key),
        base64.urlsafe_b64encode(key),
        base64.urlsafe_b64encode(key).rstrip(b"="),
    ):
        settings = Settings(jwt_secret=encoded.decode(), jwt_secret_is_base64=True)
        assert settings.secret is not None
        assert settings.secret.key == key or settings.secret.jwks is not None


def test_a_secret_may_be_a_jwk_a_set_or_an_address():
    jwk = {"kty": "oct", "k": "c3VwZXJkdXBlcnNlY3JldA"}
    assert Settings(jwt_secret=json.dumps(jwk)).secret.jwks == (jwk,)
    assert Settings(jwt_secret=json.dumps({"keys": [jwk, jwk]})).secret.jwks == (jwk, jwk)
    assert Settings(jwt_secret="https://issuer/jwks.json").secret.url == "https://issuer/jwks.json"


def test_the_old_role_path_is_read_with_a_warning():
    found = sources({"jwt-role-claim-key": '.roles[?(@ ^== "web_")]'}, environ={}).settings()
    assert found.role_claim.find({"roles": ["x", "web_user"]}) == "web_user"
    assert "old syntax" in found.warnings[0]
    found = sources({"jwt-role-claim-key": "$.roles[?search(@, '^web_')]"}, environ={}).settings()
    assert found.role_claim.find({"roles": ["x", "web_user"]}) == "web_user"
    assert found.warnings == ()


def test_a_secret_does_not_show_in_a_repr():
    assert "superdupersecret" not in repr(Settings(jwt_secret="superdupersecret"))
    assert "superdupersecret" not in repr(Settings(jwt_secret="superdupersecret").secret)


def test_django_settings_are_read_once_and_again_when_overridden():
    with override_settings(AIODATA={"DB_SCHEMA": "one"}):
        assert conf.current() is conf.current()
        assert conf.current().db_schemas == ("one",)
    with override_settings(AIODATA={"DB_SCHEMA": "two"}):
        assert conf.current().db_schemas == ("two",)


@pytest.mark.filterwarnings("ignore:Overriding setting DATABASES")
def test_without_an_address_the_django_alias_gives_it():
    alias = {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": "d b",
        "HOST": "h",
        "PORT": 5433,
        "PASSWORD": "it's",
    }
    with override_settings(AIODATA={"DATABASE": "api"}, DATABASES={"default": {}, "api": alias}):
        assert conf.current().db_uri == r"dbname='d b' password=it\'s host=h port=5433"
    with override_settings(AIODATA={"DB_URI": "postgres://mine/"}, DATABASES={"default": alias}):
        assert conf.current().db_uri == "postgres://mine/"


@pytest.mark.filterwarnings("ignore:Overriding setting DATABASES")
def test_an_alias_says_how_to_reach_the_server_and_not_what_its_sessions_are():
    way = {"connect_timeout": 5, "sslmode": "require", "channel_binding": "require", "passfile": "/p"}
    session = {"options": "-c role=auth", "application_name": "shop", "isolation_level": 1, "pool": True}
    alias = {"ENGINE": "django.db.backends.postgresql", "NAME": "x", "OPTIONS": {**way, **session}}
    with override_settings(AIODATA={}, DATABASES={"default": alias}):
        told = conninfo_to_dict(conf.current().db_uri)
    assert told == {"dbname": "x", **{key: str(value) for key, value in way.items()}}


@pytest.mark.filterwarnings("ignore:Overriding setting DATABASES")
def test_an_alias_that_is_given_a_test_database_is_noticed():
    alias = {"ENGINE": "django.db.backends.postgresql", "NAME": "real"}
    with override_settings(AIODATA={"DATABASE": "api"}, DATABASES={"default": {}, "api": alias}):
        assert conf.current().db_uri == "dbname=real"
        settings.DATABASES["api"]["NAME"] = "test_real"  # as Django's test runner does
        assert conf.current().db_uri == "dbname=test_real"


@pytest.mark.parametrize(
    "uri",
    [
        "postgres//authenticator:hunter2@localhost/x",
        "postgresql://authenticator:%hunter2@localhost/x",
        "postgresql://authenticator:hunter2@[::1/x",
        "host=localhost password='hunter2",
        "host=localhost password=hunter2 hunter2=1",
    ],
)
def test_an_address_that_cannot_be_read_is_not_quoted(uri):
    with pytest.raises(ConfigurationError, match="AIODATA: DB_URI: is no connection string") as caught:
        sources({"DB_URI": uri}, environ={}).settings()
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in repr(sources({"DB_URI": "postgres://u:hunter2@h/x"}, environ={}).settings())


def test_every_setting_has_a_reader():
    assert set(READERS) == conf.NAMES


@pytest.mark.parametrize("value", [2.5, float("inf"), float("nan"), "2.0", True, ""])
def test_what_is_no_whole_number_is_refused(value):
    with pytest.raises(SettingError, match="must be a whole number"):
        READERS["db_pool"](value)
    assert READERS["db_pool"](2.0) == 2


@given(
    st.sampled_from(sorted(READERS)),
    st.text() | st.integers() | st.floats() | st.none() | st.lists(st.text()),
)
def test_a_reader_reads_or_refuses_any_value(name, value):
    try:
        READERS[name](value)
    except SettingError as error:
        message = str(error)
    else:
        return
    assert message
