"""The admin of the built models, over its own URLs: what a person can see, change and not change."""

from __future__ import annotations

import datetime as dt
import re
from html import unescape
from html.parser import HTMLParser
from typing import Any

import pytest
from django.contrib.admin import site
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.core.paginator import Paginator
from django.db import connections, transaction
from django.test import Client, override_settings
from django.urls import reverse
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from aiodata_django import registry
from aiodata_django.admin.paginator import EstimatedPaginator

pytestmark = [pytest.mark.django_db(databases=["default", "aiodata"]), pytest.mark.usefixtures("schema")]

HARD = ["a/b?c#d %25 & é", 'it\'s "q", [1]', "", "_2C", ",", "~41", "%2F", "..", "x\ny", "[1]", "add"]


def model(name, schema="api"):
    return registry.model(schema, name)


def url(table, page, *key, schema="api"):
    name = model(table, schema)._meta.model_name
    return reverse(f"admin:aiodata_{name}_{page}", args=key)


def sql(text, *parameters):
    with connections["aiodata"].cursor() as cursor:
        cursor.execute(text, parameters)
        return cursor.fetchall() if cursor.description else []


def form_data(response) -> dict[str, Any]:
    """What a browser would send back of a form nobody touched."""
    form = response.context["adminform"].form
    sent: dict[str, Any] = {}
    for bound in form:
        for subname, value in _inputs(str(bound)):
            sent[subname] = value
    return sent


def _inputs(html):
    class Inputs(HTMLParser):
        def __init__(self):
            super().__init__()
            self.found, self.area, self.select = [], None, None

        def handle_starttag(self, tag, attrs):
            attrs = dict(attrs)
            if tag == "input" and (attrs.get("type") != "checkbox" or "checked" in attrs):
                self.found.append(
                    (attrs["name"], attrs.get("value", "on" if attrs["type"] == "checkbox" else ""))
                )
            elif tag == "textarea":
                self.area = [attrs["name"], ""]
            elif tag == "select":
                self.select = attrs["name"]
            elif tag == "option" and "selected" in attrs:
                self.found.append((self.select, attrs.get("value", "")))

        def handle_data(self, text):
            if self.area:
                self.area[1] += text

        def handle_endtag(self, tag):
            if tag == "textarea":
                name, text = self.area
                # Browsers drop the first line end and send CRLF for the others.
                self.found.append(
                    (name, re.sub("\r?\n", "\r\n", text.removeprefix("\r\n").removeprefix("\n")))
                )
                self.area = None

    parser = Inputs()
    parser.feed(html)
    return parser.found


def pet(**values):
    return model("pets").objects.create(**{"type": "Dog", "breed": "Poodle", "name": "Rex", **values})


def test_the_index_lists_every_table(client):
    page = client.get(reverse("admin:index"))
    for built in registry.models().values():
        assert reverse(f"admin:aiodata_{built._meta.model_name}_changelist") in page.text


@pytest.mark.parametrize("page", ["changelist", "add"])
def test_every_table_has_its_pages(client, page):
    for built in registry.models().values():
        response = client.get(reverse(f"admin:aiodata_{built._meta.model_name}_{page}"))
        writable = page == "changelist" or site._registry[built].has_add_permission(response.wsgi_request)
        assert response.status_code == (200 if writable else 403), built


def test_the_list_shows_searches_and_filters(client):
    pet(), pet(name="Luna", groomed=True), pet(type="Fish", breed="Koi", name="Aqui")
    page = client.get(url("pets", "changelist"))
    assert page.context["cl"].result_count == 3
    assert client.get(url("pets", "changelist"), {"q": "lun"}).context["cl"].result_count == 1
    assert client.get(url("pets", "changelist"), {"groomed__exact": "1"}).context["cl"].result_count == 1
    assert client.get(url("pets", "changelist"), {"o": "-3"}).context["cl"].result_list[0].name == "Rex"


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


def test_a_new_row_is_added(client):
    data = form_data(client.get(url("pets", "add"))) | {"type": "Dog", "breed": "Poodle", "name": "Rex"}
    assert client.post(url("pets", "add"), data | {"color": "7"}).status_code == 302
    assert sql("select * from api.pets") == [("Dog", "Poodle", "Rex", 7, False)]
    entry = LogEntry.objects.get()
    assert entry.object_id == "Dog,Poodle,Rex"
    assert entry.get_edited_object() == model("pets").objects.get()
    assert client.get(entry.get_admin_url()).status_code == 200


def test_a_row_is_not_added_twice(client):
    pet(color=1)
    page = client.post(url("pets", "add"), {"type": "Dog", "breed": "Poodle", "name": "Rex", "color": "2"})
    assert page.status_code == 200
    assert "already exists" in page.text
    assert sql("select color from api.pets") == [(1,)]


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


def test_selected_rows_are_deleted(client):
    first, second = pet(), pet(name="a,b/_2C")
    pet(name="stays")
    data = {"action": "delete_selected", "_selected_action": [str(first.pk), str(second.pk)]}
    assert client.post(url("pets", "changelist"), data).status_code == 200
    assert client.post(url("pets", "changelist"), data | {"post": "yes"}).status_code == 302
    assert sql("select name from api.pets") == [("stays",)]


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


def test_an_untouched_form_changes_nothing(client):
    """Saving forms of values that are hard to show, without having touched them."""
    from .test_fields import ARRAYS, SCALARS

    for table, cases in (("scalars", SCALARS), ("arrays", ARRAYS)):
        for column, text, _ in cases:
            sql(f"insert into api.{table} ({column}) values (%s)", text)
    sql("insert into api.scalars (c_numeric, c_float8) values ('NaN', 'NaN')")
    sql("insert into api.defaults (label) values ('  x ')")
    for table in ("scalars", "arrays", "defaults"):
        before = sql(f"select t::text, ctid::text from api.{table} t order by id")
        for row in model(table).objects.all():
            page = client.get(url(table, "change", row.pk))
            answer = client.post(page.request["PATH_INFO"], form_data(page))
            assert answer.status_code == 302, (row.__dict__, answer.context["errors"])
        assert sql(f"select t::text, ctid::text from api.{table} t order by id") == before


TYPED = [
    ("c_int4", "5", "5"),
    ("c_text", " a\r\nb ", " a\nb "),
    ("c_date", "infinity", "infinity"),
    ("c_numeric", "NaN", "NaN"),
    ("c_float8", "-inf", "-Infinity"),
    ("c_json", '{"a": 1}', '{"a": 1}'),
    ("c_interval", "1 mon", "1 mon"),
    ("c_inet", "10.0.0.1/8", "10.0.0.1/8"),
    ("c_mood", "sad", "sad"),
    ("c_int4range", "[1,5]", "[1,6)"),
    ("c_tstzrange", "[2024-01-01 00:00+00,)", '["2024-01-01 00:00:00+00",)'),
    ("c_point", "(1,2)", "(1,2)"),
]


@pytest.mark.parametrize(("column", "typed", "stored"), TYPED)
def test_values_can_be_typed(client, column, typed, stored):
    row = model("scalars").objects.create()
    page = client.get(url("scalars", "change", row.pk))
    answer = client.post(page.request["PATH_INFO"], form_data(page) | {column: typed})
    assert answer.status_code == 302, answer.context["errors"]
    assert sql(f"select {column}::text from api.scalars") == [(stored,)]


def test_a_moment_can_be_typed(client):
    row = model("scalars").objects.create()
    page = client.get(url("scalars", "change", row.pk))
    data = {"c_timestamptz_0": "2024-05-06", "c_timestamptz_1": "07:08:09.5", "c_timestamp_0": "-infinity"}
    assert client.post(page.request["PATH_INFO"], form_data(page) | data).status_code == 302
    row.refresh_from_db()
    assert row.c_timestamptz == dt.datetime(2024, 5, 6, 7, 8, 9, 500000, tzinfo=dt.UTC)
    assert row.c_timestamp == "-infinity"


def test_an_array_is_typed_as_json(client):
    row = model("arrays").objects.create()
    page = client.get(url("arrays", "change", row.pk))
    data = {"a_int": "[[1, null], [3, 4]]", "a_text": '["a,b", null]'}
    assert client.post(page.request["PATH_INFO"], form_data(page) | data).status_code == 302
    assert sql("select a_int::text, a_text::text from api.arrays") == [("{{1,NULL},{3,4}}", '{"a,b",NULL}')]


@pytest.mark.parametrize(
    ("column", "typed", "complaint"),
    [
        ("c_int4", "x", "Enter a whole number"),
        ("c_date", "soon", "Enter a valid date"),
        ("c_int4range", "5", "Enter a range"),
        ("c_inet", "x", "invalid input syntax for type inet"),
        ("c_posint", "-1", "violates check constraint"),
        ("c_numeric_ps", "1e30", "digits"),
    ],
)
def test_a_wrong_value_is_an_error_in_the_form(client, column, typed, complaint):
    row = model("scalars").objects.create(c_name="before")
    page = client.get(url("scalars", "change", row.pk))
    answer = client.post(page.request["PATH_INFO"], form_data(page) | {column: typed, "c_name": "after"})
    assert answer.status_code == 200
    assert complaint in answer.text
    assert "after" in answer.text
    assert sql("select c_name from api.scalars") == [("before",)]


def test_a_new_row_takes_postgresqls_defaults(client):
    page = client.get(url("defaults", "add"))
    data = form_data(page)
    assert data["label"] == "new"
    assert "n" not in data
    assert "doubled" not in data
    assert client.post(page.request["PATH_INFO"], data).status_code == 302
    assert sql(
        "select flag, label, until::text, span::text, doubled = n * 2, id is null from api.defaults"
    ) == [(False, "new", "infinity", "1 mon 2 days", True, False)]


def test_a_referenced_row_is_not_deleted(client):
    owner = model("owners").objects.create(name="Ann")
    model("visits").objects.create(owner=owner)
    page = client.get(url("owners", "delete", owner.pk))
    assert "protected" in page.text.lower()
    client.post(url("owners", "delete", owner.pk), {"post": "yes"})
    assert model("owners").objects.exists()


def test_what_a_trigger_refuses_is_said(client):
    pet()
    sql(
        """create function api.no() returns trigger language plpgsql as
        $$ begin raise 'no pet leaves' using detail = 'House rule'; end $$;
        create trigger no before delete or update on api.pets for each row execute function api.no()"""
    )
    answer = client.post(url("pets", "delete", "Dog,Poodle,Rex"), {"post": "yes"}, follow=True)
    assert "No pet leaves. House rule." in answer.text
    page = client.get(url("pets", "change", "Dog,Poodle,Rex"))
    answer = client.post(page.request["PATH_INFO"], form_data(page) | {"color": "9"})
    assert answer.status_code == 200
    assert "no pet leaves" in answer.text.lower()
    selected = {"action": "delete_selected", "_selected_action": ["Dog,Poodle,Rex"], "post": "yes"}
    assert "No pet leaves" in client.post(url("pets", "changelist"), selected, follow=True).text
    assert model("pets").objects.count() == 1
    assert not LogEntry.objects.exists()


@pytest.mark.parametrize("table", ["keyless", "dogs", "counts", "summary"])
def test_views_and_tables_without_key_are_read_only(client, table):
    sql("insert into api.keyless values (1, 'seen'), (1, 'seen')")
    pet(name="seen")
    sql("refresh materialized view api.summary")
    page = client.get(url(table, "changelist"))
    assert page.context["cl"].result_count >= 1
    assert client.get(url(table, "add")).status_code == 403
    row = model(table).objects.first()
    assert client.post(url(table, "change", str(row.pk)), {"b": "changed"}).status_code in (302, 403)
    assert client.post(url(table, "delete", str(row.pk)), {"post": "yes"}).status_code in (302, 403)
    assert model("keyless").objects.filter(b="seen").count() == 2


def test_a_row_without_key_can_be_looked_at(client):
    sql("insert into api.keyless values (1, 'seen')")
    row = model("keyless").objects.get()
    page = client.get(url("keyless", "change", row.pk))
    assert page.status_code == 200
    assert "seen" in page.text


def test_foreign_keys_are_completed_and_linked(client):
    owner = model("owners").objects.create(name="Ann")
    model("visits").objects.create(owner=owner)
    page = client.get(url("visits", "changelist"))
    assert url("owners", "change", owner.pk) in page.text
    assert "admin-autocomplete" in client.get(url("visits", "add")).text
    found = client.get(
        reverse("admin:autocomplete"),
        {"app_label": "aiodata", "model_name": "visits", "field_name": "owner", "term": "an"},
    )
    assert found.json()["results"] == [{"id": str(owner.pk), "text": "Ann"}]


def test_django_permissions_decide_who_sees_what(schema):
    user = User.objects.create(username="viewer", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_pets"))
    viewer = Client()
    viewer.force_login(user)
    pet(name="seen")
    assert viewer.get(url("pets", "changelist")).status_code == 200
    assert "seen" in viewer.get(url("pets", "change", "Dog,Poodle,seen")).text
    assert viewer.get(url("pets", "add")).status_code == 403
    assert viewer.post(url("pets", "change", "Dog,Poodle,seen"), {"color": "1"}).status_code == 403
    assert viewer.get(url("owners", "changelist")).status_code == 403


def test_an_estimate_stands_in_for_a_count_of_a_large_table():
    sql("insert into api.keyless select n, 'x' from generate_series(1, 10) n")
    sql("update pg_class set reltuples = 250000 where oid = 'api.keyless'::regclass")
    rows = model("keyless").objects.order_by("pk")
    assert EstimatedPaginator(rows, 100).count == 250_000
    assert EstimatedPaginator(rows.filter(a__gt=5), 100).count == 5
    assert Paginator(rows, 100).count == 10


def role_of(user):
    return {"reader": "anon", "writer": "auth"}.get(user.username)


@pytest.fixture
def roles(settings):
    sql(
        """grant usage on schema api to anon, auth;
        grant select on api.pets to anon; grant all on api.pets to auth;
        alter table api.pets enable row level security;
        create policy all_of_them on api.pets to auth using (true);
        create policy not_cats on api.pets for select to anon using (type <> 'Cat')"""
    )
    with override_settings(AIODATA={**settings.AIODATA, "user_role": f"{__name__}.role_of"}):
        yield


def login(name):
    client = Client()
    client.force_login(User.objects.create(username=name, is_staff=True, is_superuser=True))
    return client


def test_pages_run_under_the_role_of_the_person(roles):
    pet(), pet(type="Cat")
    reader, writer = login("reader"), login("writer")
    assert reader.get(url("pets", "changelist")).context["cl"].result_count == 1
    assert writer.get(url("pets", "changelist")).context["cl"].result_count == 2
    assert reader.get(url("pets", "change", "Cat,Poodle,Rex")).status_code == 302
    assert reader.get(url("pets", "add")).status_code == 403
    assert reader.post(url("pets", "change", "Dog,Poodle,Rex"), {"color": "1"}).status_code == 403
    assert reader.get(url("owners", "changelist")).status_code == 403
    page = writer.get(url("pets", "change", "Cat,Poodle,Rex"))
    assert writer.post(page.request["PATH_INFO"], form_data(page) | {"color": "3"}).status_code == 302
    assert sql("select color from api.pets where type = 'Cat'") == [(3,)]


def test_nobody_without_a_role_gets_in(roles):
    assert login("stranger").get(url("pets", "changelist")).status_code == 403


def test_a_role_does_not_outlive_its_page(roles):
    login("reader").get(url("pets", "changelist"))
    assert sql("select current_user = session_user") == [(True,)]
