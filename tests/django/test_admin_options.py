"""What is chosen for a table's admin, and how a project chooses otherwise."""

import pytest
from django.contrib.admin import site
from hypothesis import given
from hypothesis import strategies as st

from aiodata_django import registry
from aiodata_django.admin.columns import literal_default
from aiodata_django.admin.register import _chosen, table_admin
from aiodata_django.admin.table_admin import TableAdmin
from aiodata_django.core.names import quote_literal
from aiodata_django.core.schema import Column


def column(default):
    return Column("c", "text", "text", "text", 1, default=default)


@pytest.mark.parametrize(
    ("default", "literal"),
    [
        ("'new'::text", "new"),
        ("'it''s'::character varying", "it's"),
        ("'{}'::jsonb", "{}"),
        ("42", "42"),
        ("1.50", "1.50"),
        ("'-1'::integer", "-1"),
        ("(-1)", "-1"),
        ("true", True),
        ("false", False),
        ("now()", None),
        ("('a'::text || 'b'::text)", None),
        ("'a'::text || 'b'::text", None),
        ("nextval('s'::regclass)", None),
        ("NULL::text", None),
        (None, None),
    ],
)
def test_only_a_plain_literal_is_a_forms_initial_value(default, literal):
    assert literal_default(column(default)) == literal


@given(st.text(st.characters(exclude_characters="\x00\\", exclude_categories=["Cs"])))
def test_any_text_literal_is_read(text):
    assert literal_default(column(f"{quote_literal(text)}::text")) == text


@pytest.fixture
def pets_admin(schema):
    @table_admin("Pets")
    class PetsAdmin(TableAdmin):
        list_display = ("name", "color")
        search_fields = ("breed",)

    yield PetsAdmin
    del _chosen["pets"]
    registry.swap(registry.EMPTY)
    registry.swap(schema)


@pytest.mark.django_db(databases=["default", "aiodata"])
def test_a_projects_own_admin_class_wins_and_survives_a_reload(pets_admin, schema, client):
    for _ in range(2):
        admin = site.get_model_admin(registry.model("api", "pets"))
        assert type(admin) is pets_admin
        assert admin.list_display == ("name", "color")
        assert admin.search_fields == ("breed",)
        assert admin.list_filter == ["groomed"]
        registry.swap(registry.EMPTY)
        registry.swap(schema)


@pytest.mark.django_db(databases=["default", "aiodata"])
def test_what_is_listed_filtered_and_searched_is_chosen_by_type(schema):
    admin = site.get_model_admin(registry.model("api", "scalars"))
    assert "c_mood" in admin.list_filter
    assert "c_text" in admin.search_fields
    assert "c_int4" not in admin.search_fields
    assert not {"c_json", "c_point", "c_jsonpath"} & set(admin.sortable_by)
    assert site.get_model_admin(registry.model("api", "visits")).autocomplete_fields
    assert site.get_model_admin(registry.model("api", "keyless")).list_display == ["a", "b"]
