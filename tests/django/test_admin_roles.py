"""Who sees what in the admin: Django's permissions, and the PostgreSQL role of the person."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client, override_settings

from .pages import form_data, pet, sql, url

pytestmark = [pytest.mark.django_db(databases=["default", "aiodata"]), pytest.mark.usefixtures("schema")]


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


def role_of(user):
    return {"reader": "anon", "writer": "auth", "none": "none"}.get(user.username)


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


@pytest.mark.parametrize("name", ["stranger", "none"])
def test_nobody_without_a_role_of_their_own_gets_in(roles, name):
    assert login(name).get(url("pets", "changelist")).status_code == 403


def test_a_role_does_not_outlive_its_page(roles):
    login("reader").get(url("pets", "changelist"))
    assert sql("select current_user = session_user") == [(True,)]
