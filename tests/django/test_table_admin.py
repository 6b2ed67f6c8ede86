"""The admin of the built models, over its own URLs: what a person can see, change and not change."""

from __future__ import annotations

import pytest
from django.contrib.admin import site
from django.contrib.admin.models import LogEntry
from django.core.paginator import Paginator
from django.urls import reverse

from aiodata_django import registry
from aiodata_django.admin.paginator import EstimatedPaginator

from .pages import form_data, model, pet, sql, url

pytestmark = [pytest.mark.django_db(databases=["default", "aiodata"]), pytest.mark.usefixtures("schema")]


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


def test_selected_rows_are_deleted(client):
    first, second = pet(), pet(name="a,b/_2C")
    pet(name="stays")
    data = {"action": "delete_selected", "_selected_action": [str(first.pk), str(second.pk)]}
    assert client.post(url("pets", "changelist"), data).status_code == 200
    assert client.post(url("pets", "changelist"), data | {"post": "yes"}).status_code == 302
    assert sql("select name from api.pets") == [("stays",)]


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


def test_an_estimate_stands_in_for_a_count_of_a_large_table():
    sql("insert into api.keyless select n, 'x' from generate_series(1, 10) n")
    sql("update pg_class set reltuples = 250000 where oid = 'api.keyless'::regclass")
    rows = model("keyless").objects.order_by("pk")
    assert EstimatedPaginator(rows, 100).count == 250_000
    assert EstimatedPaginator(rows.filter(a__gt=5), 100).count == 5
    assert Paginator(rows, 100).count == 10
