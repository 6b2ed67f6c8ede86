"""The old path language for the role claim."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiodata_django.core.claimpath import parse_claim_path, walk_claim_path

ROLES = {"postgrest": {"roles": ["other", "author"]}, "https://www.example.com/role": {"key": "author"}}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (".postgrest.roles[1]", "author"),
        ('."https://www.example.com/role".key', "author"),
        ('.postgrest.roles[?(@ == "author")]', "author"),
        ('.postgrest.roles[?(@ != "other")]', "author"),
        ('.postgrest.roles[?(@ ^== "aut")]', "author"),
        ('.postgrest.roles[?(@ ==^ "hor")]', "author"),
        ('.postgrest.roles[?(@*=="utho")]', "author"),
        (".postgrest.roles[7]", None),
        (".postgrest.roles.x", None),
        (".nothing", None),
        ('.postgrest[?(@ == "x")]', None),
    ],
)
def test_a_path_leads_to_the_value_or_to_nothing(path, value):
    assert walk_claim_path(parse_claim_path(path), ROLES) == ([] if value is None else [value])


def test_a_null_is_a_value():
    assert walk_claim_path(parse_claim_path(".a[0]"), {"a": [None]}) == [None]


@pytest.mark.parametrize(
    "path", ["", "role", "$.role", ".", ".a-b", ".a[", '.a[?(@ == "x")].b', ".role##", ".a[?(@ =)]"]
)
def test_what_is_no_path_is_refused(path):
    with pytest.raises(ValueError, match="path"):
        parse_claim_path(path)


@given(st.lists(st.from_regex(r"[a-zA-Z0-9_$@]+", fullmatch=True) | st.integers(0, 99), min_size=1))
def test_a_written_path_is_read_back(steps):
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)
    assert parse_claim_path(text) == tuple(steps)


@given(
    st.text(alphabet='.[]?()@=!^*"ab1 '),
    st.recursive(st.text() | st.none(), lambda v: st.lists(v) | st.dictionaries(st.text(), v)),
)
def test_any_text_is_a_path_or_refused_and_walks_any_claims(text, claims):
    try:
        steps = parse_claim_path(text)
    except ValueError:
        return
    walk_claim_path(steps, claims)
