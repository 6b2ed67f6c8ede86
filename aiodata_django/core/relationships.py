"""Which relations can be embedded in which: relationships derived from foreign keys, also through views.

What lives here: the rules from constraints and view columns to directed relationships and to views' keys.
What does not: reading the catalogue (``catalog``), how view columns are traced (``viewdeps``), and the
choice among several relationships that a request may mean (``query``).

The rules are PostgREST's (https://docs.postgrest.org/en/v16/references/api/resource_embedding.html): a
foreign key relates every relation that shows its columns with every relation that shows the columns it
refers to; it is one-to-one when its columns are a key; two many-to-one relationships of one relation,
whose columns all belong to its primary key, make a many-to-many one. Ends and junctions that are not
served are left out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations, product

from .names import QualifiedName
from .schema import AnyRelationship, Cardinality, ComputedRelationship, Junction, Relationship
from .viewdeps import Dependencies, Origin

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Constraint:
    """A primary key (``p``), unique (``u``) or foreign key (``f``) constraint, in oids and column numbers."""

    name: str
    kind: str
    relation: int
    columns: tuple[int, ...]
    foreign: int = 0
    foreign_columns: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Served:
    """A relation that may stand at the end of a relationship. ``columns`` are names by number."""

    name: QualifiedName
    columns: Mapping[int, str]
    primary_key: tuple[str, ...] = ()
    is_view: bool = False


@dataclass(frozen=True, slots=True)
class _End:
    """A served relation and the columns that stand for one side of a foreign key."""

    relation: Served
    columns: tuple[str, ...]


def view_primary_key(
    shown: Mapping[Origin, tuple[int, ...]], primary_keys: Iterable[Constraint]
) -> tuple[int, ...]:
    """The columns (by number) a view has of the primary keys it shows in full, each key column once."""
    return tuple(
        shown[Origin(key.relation, column)][0]
        for key in primary_keys
        if all(Origin(key.relation, column) in shown for column in key.columns)
        for column in key.columns
    )


def derive_relationships(
    constraints: Sequence[Constraint],
    served: Mapping[int, Served],
    dependencies: Dependencies,
    computed: Iterable[ComputedRelationship] = (),
) -> dict[QualifiedName, tuple[AnyRelationship, ...]]:
    """All relationships among ``served`` (by oid), by the relation they start from, in a stable order.

    A computed relationship hides the derived ones from its table to the relation it is named like.
    """
    forward = list(_forward(constraints, served, dependencies))
    found: list[AnyRelationship] = [*forward, *map(_inverse, forward)]
    found += _many_to_many(forward, {relation.name: relation for relation in served.values()})
    computed = tuple(computed)
    hidden = {(relationship.table, relationship.function) for relationship in computed}
    found = [
        relationship for relationship in found if (relationship.table, relationship.foreign) not in hidden
    ]
    by_table = _by_table([*found, *computed])
    for name in _joined_out_of_sight(constraints, served, dependencies):
        by_table.setdefault(name, ())
    return by_table


def _joined_out_of_sight(
    constraints: Sequence[Constraint], served: Mapping[int, Served], dependencies: Dependencies
) -> Iterator[QualifiedName]:
    """Relations that a junction which is not served relates to one of their schema.

    They stay known as related, if to nothing that can be named: the hint of an error is not about them.
    """
    keys = {key.relation: frozenset(key.columns) for key in constraints if key.kind == "p"}
    ways = defaultdict[int, list[Constraint]](list)
    for key in constraints:
        if key.kind == "f" and key.relation not in served and keys.get(key.relation, set()) >= {*key.columns}:
            ways[key.relation].append(key)
    views = _views_of(served, dependencies)
    for near, far in (pair for them in ways.values() for pair in permutations(them, 2)):
        here = _ends(near.foreign, near.foreign_columns, served, views, dependencies)
        there = _ends(far.foreign, far.foreign_columns, served, views, dependencies)
        schemas = {end.relation.name.schema for end in there}
        yield from (end.relation.name for end in here if end.relation.name.schema in schemas)


def _forward(
    constraints: Sequence[Constraint], served: Mapping[int, Served], dependencies: Dependencies
) -> Iterator[Relationship]:
    """From each relation that shows a foreign key to each that shows what it refers to."""
    keys = defaultdict[int, set[frozenset[int]]](set)
    for key in constraints:
        if key.kind in "pu":
            keys[key.relation].add(frozenset(key.columns))
    views = _views_of(served, dependencies)
    for key in constraints:
        if key.kind != "f":
            continue
        is_one = frozenset(key.columns) in keys[key.relation]
        cardinality = Cardinality.ONE_TO_ONE if is_one else Cardinality.MANY_TO_ONE
        tables = _ends(key.relation, key.columns, served, views, dependencies)
        foreigns = _ends(key.foreign, key.foreign_columns, served, views, dependencies)
        for table, foreign in product(tables, foreigns):
            yield _relationship(key.name, cardinality, table, foreign)


def _views_of(served: Mapping[int, Served], dependencies: Dependencies) -> Mapping[int, Sequence[int]]:
    """The served views that show something of a relation, by its oid."""
    views = defaultdict[int, list[int]](list)
    for view, shown in dependencies.items():
        if view in served:
            for relation in {origin.relation for origin in shown}:
                views[relation].append(view)
    return views


def _ends(
    relation: int,
    columns: tuple[int, ...],
    served: Mapping[int, Served],
    views: Mapping[int, Sequence[int]],
    dependencies: Dependencies,
) -> list[_End]:
    """The relation itself and each view of it that shows all the columns, once for each way it shows them."""
    ends = []
    if relation in served:
        ends.append(_end(served[relation], columns))
    for view in views.get(relation, ()):
        shown = dependencies[view]
        ways = [shown.get(Origin(relation, column), ()) for column in columns]
        ends += [_end(served[view], way) for way in product(*ways)]
    return ends


def _end(relation: Served, columns: Iterable[int]) -> _End:
    return _End(relation, tuple(relation.columns[column] for column in columns))


def _relationship(constraint: str, cardinality: Cardinality, table: _End, foreign: _End) -> Relationship:
    return Relationship(
        table.relation.name,
        foreign.relation.name,
        cardinality,
        constraint,
        tuple(zip(table.columns, foreign.columns, strict=True)),
        table_is_view=table.relation.is_view,
        foreign_is_view=foreign.relation.is_view,
    )


def _inverse(forward: Relationship) -> Relationship:
    is_one = forward.cardinality is Cardinality.ONE_TO_ONE
    return Relationship(
        forward.foreign,
        forward.table,
        Cardinality.ONE_TO_ONE if is_one else Cardinality.ONE_TO_MANY,
        forward.constraint,
        _swap(forward.columns),
        is_parent=is_one,
        table_is_view=forward.foreign_is_view,
        foreign_is_view=forward.table_is_view,
    )


def _swap(pairs: Pairs) -> Pairs:
    return tuple((right, left) for left, right in pairs)


def _many_to_many(
    forward: Sequence[Relationship], served: Mapping[QualifiedName, Served]
) -> Iterator[Relationship]:
    ways = defaultdict[QualifiedName, list[Relationship]](list)
    for relationship in forward:
        # what is a key by itself cannot repeat, so a one-to-one side joins nothing
        if relationship.cardinality is Cardinality.MANY_TO_ONE and _within_key(relationship, served):
            ways[relationship.table].append(relationship)
    for first, second in (pair for them in ways.values() for pair in product(them, them)):
        if first.constraint != second.constraint:
            yield _through(first, second)


def _within_key(relationship: Relationship, served: Mapping[QualifiedName, Served]) -> bool:
    primary_key = served[relationship.table].primary_key
    return all(column in primary_key for column, _ in relationship.columns)


def _through(first: Relationship, second: Relationship) -> Relationship:
    junction = Junction(
        first.table, first.constraint, second.constraint, _swap(first.columns), _swap(second.columns)
    )
    return Relationship(
        first.foreign,
        second.foreign,
        Cardinality.MANY_TO_MANY,
        constraint=first.table.name,
        junction=junction,
        table_is_view=first.foreign_is_view,
        foreign_is_view=second.foreign_is_view,
    )


def _by_table(found: Iterable[AnyRelationship]) -> dict[QualifiedName, tuple[AnyRelationship, ...]]:
    by_table = defaultdict[QualifiedName, list[AnyRelationship]](list)
    for relationship in found:
        by_table[relationship.table].append(relationship)
    return {table: tuple(sorted(by_table[table], key=_order)) for table in sorted(by_table)}


_CARDINALITIES = (
    Cardinality.ONE_TO_MANY,
    Cardinality.MANY_TO_ONE,
    Cardinality.ONE_TO_ONE,
    Cardinality.MANY_TO_MANY,
)


def _order(relationship: AnyRelationship) -> tuple[object, ...]:
    """PostgREST's order, which the candidates of an ambiguous embed are listed in."""
    if isinstance(relationship, ComputedRelationship):
        return (1, relationship.function, relationship.foreign)
    junction = relationship.junction
    return (
        0,
        relationship.foreign,
        relationship.is_self,
        _CARDINALITIES.index(relationship.cardinality),
        (
            junction.table,
            junction.constraint,
            junction.foreign_constraint,
            junction.columns,
            junction.foreign_columns,
        )
        if junction
        else (relationship.constraint, relationship.columns, relationship.is_parent),
        relationship.foreign_is_view,
    )
