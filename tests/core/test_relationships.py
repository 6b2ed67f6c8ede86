"""From foreign keys to relationships, among tables and views."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from aiodata_django.core.names import QualifiedName
from aiodata_django.core.relationships import Constraint, Served, derive_relationships, view_primary_key
from aiodata_django.core.schema import Cardinality, ComputedRelationship, Junction, Relationship
from aiodata_django.core.viewdeps import Origin

O2M, M2O, O2O, M2M = (
    Cardinality.ONE_TO_MANY,
    Cardinality.MANY_TO_ONE,
    Cardinality.ONE_TO_ONE,
    Cardinality.MANY_TO_MANY,
)


def name(text):
    return QualifiedName("api", text)


def served(text, columns, primary_key="", *, is_view=False):
    numbered = dict(enumerate(columns.split(), 1))
    return Served(name(text), numbered, tuple(primary_key.split()), is_view)


def foreign_key(text, relation, columns, foreign, foreign_columns):
    return Constraint(text, "f", relation, columns, foreign, foreign_columns)


def key(relation, columns, kind="p"):
    return Constraint("key", kind, relation, columns)


def summary(relationships, table):
    return [(r.cardinality, r.foreign.name, r.columns) for r in relationships.get(name(table), ())]


PROJECTS = served("projects", "id client", "id")
CLIENTS = served("clients", "id name", "id")
CLIENT_KEY = foreign_key("client_fkey", 1, (2,), 2, (1,))


def test_a_foreign_key_is_seen_from_both_sides():
    found = derive_relationships([CLIENT_KEY], {1: PROJECTS, 2: CLIENTS}, {})
    assert found == {
        name("projects"): (
            Relationship(name("projects"), name("clients"), M2O, "client_fkey", (("client", "id"),)),
        ),
        name("clients"): (
            Relationship(name("clients"), name("projects"), O2M, "client_fkey", (("id", "client"),)),
        ),
    }


def test_columns_that_are_a_key_make_it_one_to_one_and_the_referenced_side_the_parent():
    for unique in (key(1, (2,), "u"), key(1, (2,))):
        found = derive_relationships([CLIENT_KEY, unique], {1: PROJECTS, 2: CLIENTS}, {})
        (child,), (parent,) = found[name("projects")], found[name("clients")]
        assert (child.cardinality, child.is_parent) == (O2O, False)
        assert (parent.cardinality, parent.is_parent) == (O2O, True)


def test_a_composite_key_counts_in_any_order_of_its_columns_but_not_in_part():
    tables = {1: served("info", "id code x"), 2: served("students", "id code")}
    both = foreign_key("f", 1, (2, 1), 2, (2, 1))
    assert derive_relationships([both, key(1, (1, 2))], tables, {})[name("info")][0].cardinality is O2O
    assert derive_relationships([both, key(1, (1, 2, 3))], tables, {})[name("info")][0].cardinality is M2O
    assert derive_relationships([both, key(1, (1,))], tables, {})[name("info")][0].cardinality is M2O


def test_composite_columns_are_paired_by_position():
    tables = {1: served("info", "id code"), 2: served("students", "id code")}
    found = derive_relationships([foreign_key("f", 1, (2, 1), 2, (2, 1))], tables, {})
    assert summary(found, "info") == [(M2O, "students", (("code", "code"), ("id", "id")))]


def test_a_self_reference_goes_both_ways():
    tables = {1: served("tree", "id parent", "id")}
    found = derive_relationships([foreign_key("f", 1, (2,), 1, (1,))], tables, {})
    assert summary(found, "tree") == [(O2M, "tree", (("id", "parent"),)), (M2O, "tree", (("parent", "id"),))]
    assert all(relationship.is_self for relationship in found[name("tree")])


JUNCTION = (foreign_key("to_user", 3, (1,), 1, (1,)), foreign_key("to_task", 3, (2,), 2, (1,)))
ENDS = {1: served("users", "id", "id"), 2: served("tasks", "id", "id")}


def many_to_many(found):
    return [r for them in found.values() for r in them if r.cardinality is M2M]


def test_a_table_whose_key_holds_two_references_joins_many_to_many():
    tables = {**ENDS, 3: served("users_tasks", "user task at", "task user")}
    to_tasks, to_users = sorted(
        many_to_many(derive_relationships(JUNCTION, tables, {})), key=lambda r: r.foreign
    )
    assert to_tasks == Relationship(
        name("users"),
        name("tasks"),
        M2M,
        "users_tasks",
        junction=Junction(name("users_tasks"), "to_user", "to_task", (("id", "user"),), (("id", "task"),)),
    )
    assert (to_users.table, to_users.foreign) == (name("tasks"), name("users"))


def test_references_outside_the_key_join_nothing():
    tables = {**ENDS, 3: served("users_tasks", "user task id", "id user")}
    assert many_to_many(derive_relationships(JUNCTION, tables, {})) == []


def test_a_relation_joined_with_itself_is_reached_in_both_directions():
    tables = {1: ENDS[1], 3: served("follows", "who whom", "who whom")}
    follows = (foreign_key("who", 3, (1,), 1, (1,)), foreign_key("whom", 3, (2,), 1, (1,)))
    junctions = [r.junction for r in many_to_many(derive_relationships(follows, tables, {}))]
    assert [(j.constraint, j.foreign_constraint) for j in junctions] == [("who", "whom"), ("whom", "who")]


def test_what_is_not_served_is_no_end_and_no_junction():
    assert derive_relationships([CLIENT_KEY], {1: PROJECTS}, {}) == {}
    assert many_to_many(derive_relationships(JUNCTION, ENDS, {})) == []


def test_views_take_part_like_the_tables_whose_columns_they_show():
    view = served("v", "pid cid", "pid", is_view=True)
    shown = {5: {Origin(1, 1): (1,), Origin(1, 2): (2,)}}
    found = derive_relationships([CLIENT_KEY], {1: PROJECTS, 2: CLIENTS, 5: view}, shown)
    assert summary(found, "v") == [(M2O, "clients", (("cid", "id"),))]
    assert found[name("v")][0].table_is_view
    assert summary(found, "clients") == [(O2M, "projects", (("id", "client"),)), (O2M, "v", (("id", "cid"),))]
    assert [r.foreign_is_view for r in found[name("clients")]] == [False, True]


def test_views_of_tables_that_are_not_served_are_related_to_one_another():
    views = {5: served("p", "pid cid", is_view=True), 6: served("c", "cid", is_view=True)}
    shown = {5: {Origin(1, 1): (1,), Origin(1, 2): (2,)}, 6: {Origin(2, 1): (1,)}}
    found = derive_relationships([CLIENT_KEY], views, shown)
    assert summary(found, "p") == [(M2O, "c", (("cid", "cid"),))]


def test_a_view_that_lacks_a_column_of_the_key_is_not_related():
    tables = {2: served("students", "id code"), 5: served("v", "code", is_view=True)}
    found = derive_relationships([foreign_key("f", 1, (1, 2), 2, (1, 2))], tables, {5: {Origin(1, 2): (1,)}})
    assert found == {}


def test_a_view_that_shows_a_column_twice_is_related_twice():
    views = {2: CLIENTS, 5: served("v", "a b", is_view=True)}
    found = derive_relationships([CLIENT_KEY], views, {5: {Origin(1, 2): (1, 2)}})
    assert summary(found, "v") == [(M2O, "clients", (("a", "id"),)), (M2O, "clients", (("b", "id"),))]


def test_a_view_of_a_junction_is_one_when_it_has_the_key():
    view = served("ut", "u t", "u t", is_view=True)
    shown = {7: {Origin(3, 1): (1,), Origin(3, 2): (2,)}}
    joined = many_to_many(derive_relationships(JUNCTION, {**ENDS, 7: view}, shown))
    assert [(r.foreign.name, r.junction.table.name) for r in joined] == [("users", "ut"), ("tasks", "ut")]


def test_a_computed_relationship_hides_those_to_the_relation_it_is_named_like():
    computed = ComputedRelationship(name("clients"), name("projects"), name("clients"), to_one=True)
    other = ComputedRelationship(name("boss"), name("projects"), name("clients"), to_one=True)
    found = derive_relationships([CLIENT_KEY], {1: PROJECTS, 2: CLIENTS}, {}, [computed, other])
    assert found[name("projects")] == (other, computed)
    assert summary(found, "clients") == [(O2M, "projects", (("id", "client"),))]


def test_a_view_has_the_keys_it_shows_in_full():
    shown = {Origin(1, 1): (4, 5), Origin(1, 2): (2,), Origin(2, 1): (3,)}
    assert view_primary_key(shown, [key(1, (2, 1)), key(2, (1, 2))]) == (2, 4)
    assert view_primary_key(shown, [key(1, (1,)), key(2, (1,))]) == (4, 3)
    assert view_primary_key({}, [key(1, (1,))]) == ()


def primary_key_or_itself(constraint):
    """What a catalogue has once: a table's primary key, and each other constraint."""
    return constraint.relation if constraint.kind == "p" else constraint


numbers = st.integers(1, 4)
constraints = st.lists(
    st.builds(
        foreign_key, st.text("abc", min_size=1), numbers, st.tuples(numbers), numbers, st.tuples(numbers)
    )
    | st.builds(key, numbers, st.lists(numbers, min_size=1, unique=True).map(tuple), st.sampled_from("pu")),
    unique_by=primary_key_or_itself,
)
TABLES = {number: served(f"t{number}", "a b c d", "a b") for number in (1, 2, 3)}
shown = st.dictionaries(
    st.builds(Origin, numbers, numbers), st.lists(numbers, min_size=1, unique=True).map(tuple)
)


@given(constraints, shown, st.randoms())
def test_every_way_has_a_way_back_and_the_order_of_constraints_does_not_matter(them, columns, random):
    relations = {**TABLES, 9: served("v", "w x y z", "w", is_view=True)}
    found = derive_relationships(them, relations, {9: columns})
    ways = [r for each in found.values() for r in each]
    assert {(r.foreign, r.table, r.constraint) for r in ways} == {
        (r.table, r.foreign, r.constraint) for r in ways
    }
    assert all(r.table == table for table, each in found.items() for r in each)
    shuffled = random.sample(them, len(them))
    assert derive_relationships(shuffled, relations, {9: columns}) == found
