"""Odd tables, each through all of Django: read, found by its key, saved untouched, made anew, deleted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from django.contrib.admin.utils import quote
from django.core.management import call_command
from django.db import connections, transaction
from django.urls import reverse

from aiodata_django import registry
from tests.django.pages import form_data

pytestmark = [pytest.mark.django_db(databases=["default", "aiodata"]), pytest.mark.usefixtures("schema")]
SQL = (Path(__file__).parent / "odd.sql").read_text()
READ_ONLY = {"seen", "joined", "only_view"}
# Django keys rows by what it can hash and write into a URL.
NO_DJANGO_KEY = {"k_array", "k_texts", "k_range", "k_bytea", "k_jsonb", "k_pair"}
REFERENCED = {"homes", "refs", "tree", "lefts", "rights", "parent"}
# Labels that are the empty text are taken for no choice in a form; generated keys cannot be asked back.
NO_FORM, NO_COPY = {"k_enum", "k_mixed"}, {"k_generated", "k_identity"}


@pytest.fixture(scope="module")
def uri(make_module_database: Callable[..., str]) -> str:
    return make_module_database(SQL)


def rows_of(model) -> list[str]:
    name = model.__relation__.qualified.sql.replace("%", "%%")
    with connections["aiodata"].cursor() as cursor:
        cursor.execute(f"select t::text from {name} t order by 1", ())
        return [row for (row,) in cursor.fetchall()]


def url(model, page, *key):
    return reverse(f"admin:aiodata_{model._meta.model_name}_{page}", args=key)


def each(test, *, without: set[str]) -> None:
    """Try every table that can be written, and tell of all that went wrong."""
    wrong = []
    for model in registry.models().values():
        name = model.__relation__.name
        if name in READ_ONLY | without:
            continue
        try:
            with transaction.atomic("aiodata"):
                test(model)
                transaction.set_rollback(True, "aiodata")
        except Exception as error:
            wrong.append(f"{name}: {type(error).__name__}: {str(error)[:300]}")
    assert not wrong, "\n".join(wrong)


def test_checks_are_content():
    call_command("check", tags=["models", "admin"], fail_level="WARNING")


def test_rows_are_found_by_their_keys_and_saved_as_they_are():
    def test(model):
        before = rows_of(model)
        found = list(model.objects.all())
        assert len(found) == len(before) > 0
        for row in found:
            again = model.objects.get(pk=row.pk)
            assert str(again.pk) == str(row.pk)
            again.save()
        assert rows_of(model) == before

    each(test, without=NO_DJANGO_KEY)


def test_rows_are_opened_and_saved_untouched_in_the_admin(client):
    def test(model):
        before = rows_of(model)
        assert client.get(url(model, "changelist"), {"q": "a'b\"%", "o": "-1"}).status_code == 200
        for row in model.objects.all():
            change = url(model, "change", quote(row.pk))
            page = client.get(change)
            assert page.status_code == 200
            saved = client.post(change, form_data(page))
            assert saved.status_code == 302, saved.context["adminform"].form.errors
            assert rows_of(model) == before
            assert client.get(url(model, "delete", quote(row.pk))).status_code == 200

    each(test, without=NO_DJANGO_KEY | NO_FORM)


def test_names_values_and_comments_are_text_and_no_markup(client):
    model = registry.model("api", "<script>alert(1)</script>")
    pages = [
        url(model, "changelist"),
        url(model, "change", "1"),
        url(model, "delete", "1"),
        reverse("admin:index"),
    ]
    for page in pages:
        text = client.get(page).text
        assert "alert(1)" in text
        assert "<script>alert" not in text
        assert "<img src=x" not in text


def test_rows_are_deleted_and_made_anew():
    def test(model):
        before = rows_of(model)
        rows = list(model.objects.all())
        fields = [f.attname for f in model._meta.concrete_fields if not f.generated and f.name != "pk"]
        values = [{name: getattr(row, name) for name in fields} for row in rows]
        for row in rows:
            row.delete()
        assert rows_of(model) == []
        for each_row in values:
            model.objects.create(**each_row)
        assert rows_of(model) == before

    each(test, without=NO_DJANGO_KEY | REFERENCED | NO_COPY)


def test_a_row_added_in_the_admin_takes_the_defaults(client):
    model = registry.model("api", "wide_default")
    page = client.get(url(model, "add"))
    assert client.post(url(model, "add"), form_data(page) | {"id": "2"}).status_code == 302
    one, two = model.objects.order_by("id").values_list("v", "n", "d", "j", "arr", "m")
    assert one == two


def test_arrays_are_compared_whole_however_deep():
    model = registry.model("api", "k_array")
    assert [row.id for row in model.objects.filter(id=[[1, 2], [3, 4]])] == [[[1, 2], [3, 4]]]
    assert [row.id for row in model.objects.filter(id=[1, 2])] == [[1, 2]]
    assert [row.id for row in model.objects.filter(id=[])] == [[]]
    assert not model.objects.filter(id=[[2, 1], [3, 4]])
    refs = registry.model("api", "refs")
    assert refs.objects.filter(moods=["100%", 'a"b', ""], hues=["red", "blue"]).count() == 1
    assert refs.objects.exclude(moods=["100%"]).count() == 1
