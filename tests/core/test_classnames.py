import keyword

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aiodata_django.core.classnames import class_name, class_names, field_name, field_names
from aiodata_django.core.names import QualifiedName

NAMES = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), min_size=1, max_size=20)
AWKWARD = ["from", "class", "pk", "__x", "x__y", "x_", "1st", "naïve ☃", "a.b", "☃", "²", "_", "́"]


@pytest.mark.parametrize(
    ("table", "name"),
    [
        ("pets", "Pets"),
        ("order_items", "OrderItems"),
        ("A B", "AB"),
        ("1st", "Table1st"),
        ("☃", "Table"),
        ("none", "NoneTable"),
        ("größe", "Größe"),
    ],
)
def test_a_class_is_named_after_its_table(table, name):
    assert class_name(table) == name


@pytest.mark.parametrize(
    ("column", "name"),
    [
        ("breed", "breed"),
        ("userId", "userId"),
        ("from", "from_field"),
        ("pk", "pk_field"),
        ("1st", "field_1st"),
        ("__x", "field_x"),
        ("x__y", "x_y"),
        ("x_", "x_field"),
        ("naïve ☃", "naïve_field"),
        ("a.b", "a_b"),
    ],
)
def test_a_field_is_named_after_its_column(column, name):
    assert field_name(column) == name


def test_classes_that_differ_in_case_only_get_a_suffix():
    tables = [QualifiedName("api", name) for name in ("A B", "a b", "a.b", "ab2")]
    assert list(class_names(tables).values()) == ["AB", "AB2", "AB3", "Ab22"]


def test_the_same_name_in_two_schemas_goes_to_the_first():
    first, second = QualifiedName("api", "pets"), QualifiedName("other", "pets")
    assert class_names([first, second]) == {first: "Pets", second: "Pets2"}


def test_a_foreign_key_drops_its_suffix():
    assert field_names(["id", "owner_id"], foreign={"owner_id"}) == {"id": "id", "owner_id": "owner"}


def test_a_foreign_key_yields_to_a_plain_column():
    assert field_names(["owner_id", "owner"], foreign={"owner_id"}) == {
        "owner_id": "owner_2",
        "owner": "owner",
    }


def test_the_attribute_of_a_foreign_key_takes_no_columns_name():
    assert field_names(["owner", "owner_id"], foreign={"owner"}) == {
        "owner": "owner_2",
        "owner_id": "owner_id",
    }


def test_an_exact_name_is_not_taken_by_a_mangled_one():
    assert field_names(["a.b", "a_b"]) == {"a.b": "a_b_2", "a_b": "a_b"}


def test_reserved_names_are_left_alone():
    assert field_names(["save", "x"], reserved={"save"}) == {"save": "save_2", "x": "x"}


@given(st.lists(NAMES, unique=True, max_size=8), st.data())
@example(AWKWARD, None)
def test_fields_are_distinct_names_django_accepts(columns, data):
    foreign = set(data.draw(st.lists(st.sampled_from(columns)))) if data and columns else set()
    names = field_names(columns, foreign=foreign, reserved={"save", "delete"})
    assert list(names) == columns
    attributes = [name + "_id" for column, name in names.items() if column in foreign]
    assert len({*names.values(), *attributes, "save", "delete"}) == len(names) + len(attributes) + 2
    for name in names.values():
        assert name.isidentifier()
        assert not keyword.iskeyword(name)
        assert "__" not in name
        assert not name.endswith("_")
        assert name != "pk"


@given(st.lists(NAMES, unique=True, max_size=8))
@example(AWKWARD)
def test_classes_are_distinct_names_django_accepts(tables):
    names = class_names(QualifiedName("api", table) for table in tables)
    assert len({name.lower() for name in names.values()}) == len(tables)
    for name in names.values():
        assert name.isidentifier()
        assert not keyword.iskeyword(name)
        assert "_" not in name
