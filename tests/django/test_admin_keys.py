"""Keys in the admin's URLs: any key opens its own row, and may be changed."""

from __future__ import annotations

import datetime as dt
import re
from html import unescape

import pytest
from django.db import transaction
from django.urls import reverse
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from .pages import form_data, model, pet, sql, url

pytestmark = [pytest.mark.django_db(databases=["default", "aiodata"]), pytest.mark.usefixtures("schema")]

HARD = ["a/b?c#d %25 & é", 'it\'s "q", [1]', "", "_2C", ",", "~41", "%2F", "..", "x\ny", "[1]", "add"]


@pytest.mark.parametrize("hard", HARD)
@pytest.mark.parametrize("position", [0, 1, 2])
def test_a_row_with_a_hard_key_is_opened_changed_and_deleted(client, hard, position):
    key = ["Dog", "Poodle", "Rex"]
    key[position] = hard
    row = pet(type=key[0], breed=key[1], name=key[2], color=1)
    listed = client.get(url("pets", "changelist")).text
    change = unescape(re.search(r'href="([^"]*/aiodata/pets/[^"]*/change/[^"]*)"', listed)[1])

    page = client.get(change)
    assert page.status_code == 200
    data = form_data(page) | {"color": "2"}
    assert client.post(change, data).status_code == 302
    assert model("pets").objects.get().color == 2

    delete = url("pets", "delete", row.pk)
    assert client.get(delete).status_code == 200
    assert client.post(delete, {"post": "yes"}).status_code == 302
    assert not model("pets").objects.exists()


@given(
    st.lists(
        st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"])), min_size=3, max_size=3
    )
)
@example(["_2C", "~2C", "%2C"])
@hypothesis_settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_key_opens_its_own_row(client, key):
    with transaction.atomic("aiodata"):
        row = pet(type=key[0], breed=key[1], name=key[2])
        page = client.get(url("pets", "change", row.pk))
        assert page.context["original"] == row
        transaction.set_rollback(True, "aiodata")


@pytest.mark.parametrize("word", [*HARD, "_", "_5F", "__"])
def test_a_row_whose_key_is_one_hard_text_is_opened_changed_and_deleted(client, word):
    model("words").objects.create(word=word, note="before")
    listed = client.get(url("words", "changelist")).text
    change = unescape(re.search(r'href="([^"]*/aiodata/words/[^"]*/change/[^"]*)"', listed)[1])
    page = client.get(change)
    delete = unescape(re.search(r'href="([^"]*/delete/)[^"]*" class="deletelink"', page.text)[1])
    answer = client.post(change, form_data(page) | {"note": "after", "_continue": "1"}, follow=True)
    assert answer.context["original"].note == "after"
    assert client.post(delete, {"post": "yes"}).status_code == 302
    assert not model("words").objects.exists()


def test_a_row_may_get_the_empty_text_for_a_key(client):
    data = form_data(client.get(url("words", "add"))) | {"note": "x", "_continue": "1"}
    page = client.post(url("words", "add"), data, follow=True)
    assert page.context["original"].word == ""
    answer = client.post(
        page.request["PATH_INFO"], form_data(page) | {"word": "_", "_continue": "1"}, follow=True
    )
    assert answer.context["original"].word == "_"
    assert sql("select * from api.words") == [("_", "x")]


def test_a_moment_is_a_key_to_the_microsecond(client):
    moment = dt.datetime(2024, 1, 2, 3, 4, 5, 6, tzinfo=dt.UTC)
    row = model("moments").objects.create(at=moment)
    page = client.get(url("moments", "change", row.pk))
    assert client.post(page.request["PATH_INFO"], form_data(page) | {"note": "x"}).status_code == 302
    assert sql("select at, note from api.moments") == [(moment, "x")]


def test_a_change_of_the_key_is_one_update(client):
    pet(color=5)
    sql("create table api.log (op text, was text, is_ text)")
    sql(
        """create function api.note() returns trigger language plpgsql as $$ begin
        insert into api.log values (tg_op, old.name, new.name); return new; end $$;
        create trigger note after insert or update or delete on api.pets
        for each row execute function api.note()"""
    )
    page = client.get(url("pets", "change", "Dog,Poodle,Rex"))
    answer = client.post(page.request["PATH_INFO"], form_data(page) | {"name": "Max", "color": "6"})
    assert answer.status_code == 302
    assert sql("select name, color from api.pets") == [("Max", 6)]
    assert sql("select * from api.log") == [("UPDATE", "Rex", "Max")]


def test_a_key_is_not_changed_into_another_rows(client):
    pet(), pet(name="Luna")
    page = client.get(url("pets", "change", "Dog,Poodle,Rex"))
    answer = client.post(page.request["PATH_INFO"], form_data(page) | {"name": "Luna"})
    assert answer.status_code == 200
    assert "already exists" in answer.text
    assert sql("select name from api.pets order by 1") == [("Luna",), ("Rex",)]


@pytest.mark.parametrize("key", ["x", "a,b", "a,b,~Z", "Dog,Poodle,Nobody"])
def test_an_unknown_key_leads_back_to_the_index(client, key):
    answer = client.get(url("pets", "change", key))
    assert answer.status_code == 302
    assert answer.url == reverse("admin:index")


def test_history_is_kept_by_key(client):
    pet(name="a/b")
    page = client.get(url("pets", "change", "Dog,Poodle,a~2Fb"))
    client.post(page.request["PATH_INFO"], form_data(page) | {"color": "9"})
    assert "Changed" in client.get(url("pets", "history", "Dog,Poodle,a~2Fb")).text
