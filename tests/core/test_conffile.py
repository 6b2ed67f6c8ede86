"""Reading the text of a postgrest.conf."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiodata_django.core.conffile import ConfFileError, parse_conf


def test_comment_after_a_value_is_not_part_of_it():
    text = 'jwt-secret = "superdupersecret" # change this!\ndb-pool=5# small\n'
    assert parse_conf(text, {}) == {"jwt-secret": "superdupersecret", "db-pool": 5}


def test_percent_hash_and_escaped_quotes_inside_a_string_stay():
    assert parse_conf(r'a = "50% # \"x\""', {}) == {"a": '50% # "x"'}


def test_keys_may_have_dots_and_dashes_and_switches_have_four_spellings():
    text = 'app.settings.jwt_secret = "s"\nx = on\ny = OFF # no\nz = true\nw = False\n'
    assert parse_conf(text, {}) == {
        "app.settings.jwt_secret": "s",
        "x": True,
        "y": False,
        "z": True,
        "w": False,
    }


def test_variables_are_taken_from_earlier_keys_and_from_the_environment():
    text = 'host = "db"\ndb-uri = "postgres://$(USER)@$(host)/x"\n'
    assert parse_conf(text, {"USER": "anna"})["db-uri"] == "postgres://anna@db/x"


def test_two_dollars_are_one_and_a_single_one_stays():
    assert parse_conf('a = "$$.role"\nb = "$.role"\nc = "$$(X)"', {}) == {
        "a": "$.role",
        "b": "$.role",
        "c": "$(X)",
    }


def test_the_last_of_two_values_counts():
    assert parse_conf("a = 1\na = 2\n", {}) == {"a": 2}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("\nnonsense\n", "line 2: expected"),
        ("a = bare words", "line 1: put the value in double quotes"),
        ('a = "open', "line 1: put the value in double quotes"),
        ('a = "$(NOT_THERE)"', "export NOT_THERE"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_line(text, message):
    with pytest.raises(ConfFileError, match=message.replace("(", r"\(")):
        parse_conf(text, {})


@given(
    st.dictionaries(
        st.from_regex(r"[a-z][a-z0-9_-]{0,9}", fullmatch=True), st.text() | st.integers() | st.booleans()
    )
)
def test_what_is_written_is_read_back(settings):
    lines = []
    for key, value in settings.items():
        text = (
            json.dumps(value).replace("\x7f", "\\u007f").replace("$", "$$")
            if isinstance(value, str)
            else json.dumps(value)
        )
        lines.append(f"{key} = {text}  # {key}")
    surrogates = any(
        isinstance(value, str) and any(ord(c) > 0xFFFF for c in value) for value in settings.values()
    )
    if not surrogates:  # JSON writes those as pairs of escapes, which TOML does not have
        assert parse_conf("\n".join(lines), {}) == settings


@given(st.text())
def test_any_text_is_read_or_refused(text):
    try:
        parse_conf(text, {})
    except ConfFileError as error:
        message = str(error)
    else:
        return
    assert message.startswith("line ")
