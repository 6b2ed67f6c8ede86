"""From the catalogue, as the sections of ``db/catalog.sql`` answer it, to a :class:`Schema`.

What lives here: the reading of each section into the records of ``schema``. What does not: the queries and
who runs them (``db.catalog``), the rules for relationships (``relationships``).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from .names import QualifiedName, quote_literal
from .relationships import Constraint, Served, derive_relationships, view_primary_key
from .schema import (
    AnyRelationship,
    Column,
    ComputedRelationship,
    ForeignKey,
    Kind,
    MediaHandler,
    Parameter,
    Relation,
    ReturnType,
    Routine,
    Schema,
)
from .viewdeps import resolve_views

Record = Mapping[str, Any]
Catalogue = Mapping[str, Sequence[Any]]

_SINGLE_UNNAMED = frozenset(("bytea", "json", "jsonb", "text", "xml"))
_INSERT, _UPDATE, _DELETE = 8, 4, 16  # bits of pg_relation_is_updatable
# What a type modifier counts besides the length it limits.
_LENGTH_HEADERS = {"character varying": 4, "character": 4, "bit": 0, "bit varying": 0}
_INPUT_MODES = "ibv"
_OUTPUT_MODES = frozenset("tbo")


def build_schema(catalogue: Catalogue, exposed: Sequence[str]) -> Schema:
    """The schema of a catalogue: its sections by name, each a list of records (``version``: one number).

    ``exposed`` are the schemas served, in the order configured. Partitions are not relations of their own.
    """
    reading = _Relations(catalogue, frozenset(exposed))
    return Schema(
        exposed=tuple(exposed),
        relations={relation.qualified: relation for relation in reading.served.values()},
        relationships=reading.relationships(catalogue["computed"]),
        routines=_routines(catalogue["routines"]),
        representations={
            (cast["source"], cast["target"]): QualifiedName(cast["schema"], cast["name"])
            for cast in catalogue["representations"]
        },
        media_handlers=tuple(_media_handlers(catalogue["media"], reading.names)),
        descriptions=_descriptions(catalogue["schemas"], exposed),
        version=catalogue["version"][0],
    )


def _descriptions(schemas: Sequence[Record], exposed: Sequence[str]) -> dict[str, str | None]:
    found = {schema["name"]: schema["description"] for schema in schemas}
    return {name: found[name] for name in exposed if name in found}


class _Relations:
    """The sections about relations, joined by oid.

    ``names`` knows every relation, ``served`` are those of exposed schemas, in the order of schema and name.
    """

    def __init__(self, catalogue: Catalogue, exposed: frozenset[str]) -> None:
        rows = catalogue["relations"]
        self.names = {row["oid"]: QualifiedName(row["schema"], row["name"]) for row in rows}
        self._columns = _grouped(catalogue["columns"])
        self._keys = _grouped(catalogue["constraints"])
        self._constraints = [_constraint(row) for row in catalogue["constraints"]]
        self._primary_keys = {key.relation: key for key in self._constraints if key.kind == "p"}
        self._views = resolve_views({row["relation"]: row["action"] for row in catalogue["views"]})
        self._types = _Types(catalogue["domains"], catalogue["enums"])
        self.served = {
            row["oid"]: self._relation(row)
            for row in rows
            if row["schema"] in exposed and not row["is_partition"]
        }

    def _relation(self, row: Record) -> Relation:
        oid, kind = row["oid"], Kind(row["kind"])
        keys = self._keys.get(oid, ())
        refs = self._refs(keys)
        return Relation(
            schema=row["schema"],
            name=row["name"],
            kind=kind,
            columns={
                column["name"]: self._types.column(column, refs.get(column["name"]))
                for column in self._columns.get(oid, ())
            },
            primary_key=self._view_key(oid) if kind.is_view else _primary_key(keys),
            foreign_keys=tuple(self._foreign_key(key) for key in keys if key["kind"] == "f"),
            unique_keys=tuple(tuple(key["names"]) for key in keys if key["kind"] == "u"),
            description=row["description"],
            insertable=bool(row["events"] & _INSERT),
            updatable=bool(row["events"] & _UPDATE),
            deletable=bool(row["events"] & _DELETE),
            oid=oid,
            replica_identity=row["replica_identity"],
            row_security=row["row_security"],
            key_deferrable=any(key["deferrable"] for key in keys if key["kind"] == "p"),
        )

    def _refs(self, keys: Iterable[Record]) -> dict[str, tuple[str, str]]:
        """What each column refers to; the last foreign key wins, composite ones pair by position."""
        return {
            column: (self.names[key["foreign"]].name, foreign_column)
            for key in keys
            if key["kind"] == "f"
            for column, foreign_column in zip(key["names"], key["foreign_names"], strict=True)
        }

    def _view_key(self, view: int) -> tuple[str, ...]:
        shown = self._views.get(view, {})
        tables = {origin.relation for origin in shown if origin.relation in self.names}
        keys = [self._primary_keys[table] for table in tables if table in self._primary_keys]
        keys.sort(key=lambda key: self.names[key.relation])
        names = self._column_names(view)
        return tuple(names[position] for position in view_primary_key(shown, keys))

    def _column_names(self, relation: int) -> dict[int, str]:
        return {column["position"]: column["name"] for column in self._columns.get(relation, ())}

    def _foreign_key(self, key: Record) -> ForeignKey:
        return ForeignKey(
            name=key["name"],
            columns=tuple(key["names"]),
            foreign=self.names[key["foreign"]],
            foreign_columns=tuple(key["foreign_names"]),
            on_delete=key["on_delete"],
            on_update=key["on_update"],
        )

    def relationships(self, computed: Sequence[Record]) -> dict[QualifiedName, tuple[AnyRelationship, ...]]:
        """The relationships among the relations served; ``computed`` are the functions that make some."""
        served = {
            oid: Served(
                relation.qualified, self._column_names(oid), relation.primary_key, relation.kind.is_view
            )
            for oid, relation in self.served.items()
        }
        functions = (
            self._computed(row) for row in computed if row["relation"] in served and row["foreign"] in served
        )
        return derive_relationships(self._constraints, served, self._views, functions)

    def _computed(self, row: Record) -> ComputedRelationship:
        return ComputedRelationship(
            function=QualifiedName(row["schema"], row["name"]),
            table=self.names[row["relation"]],
            foreign=self.names[row["foreign"]],
            to_one=row["to_one"],
        )


def _grouped(rows: Iterable[Record]) -> Mapping[int, Sequence[Record]]:
    """The rows of columns or constraints by the oid of their relation."""
    groups = defaultdict[int, list[Record]](list)
    for row in rows:
        groups[row["relation"]].append(row)
    return groups


def _constraint(row: Record) -> Constraint:
    return Constraint(
        name=row["name"],
        kind=row["kind"],
        relation=row["relation"],
        columns=tuple(row["columns"]),
        foreign=row["foreign"],
        foreign_columns=tuple(row["foreign_columns"] or ()),
    )


def _primary_key(keys: Iterable[Record]) -> tuple[str, ...]:
    return next((tuple(key["names"]) for key in keys if key["kind"] == "p"), ())


class _Types:
    """Domains and enums by oid, and the columns that are of them."""

    def __init__(self, domains: Iterable[Record], enums: Iterable[Record]) -> None:
        self._domains: Mapping[int, Record] = {row["oid"]: row for row in domains}
        self._enums: Mapping[int, Sequence[str]] = {
            oid: row["labels"] for row in enums for oid in (row["type"], row["array"])
        }

    def column(self, row: Record, refs: tuple[str, str] | None) -> Column:
        """The column of a catalogue row."""
        domains = tuple(self._chain(row["type_oid"]))
        base_oid = domains[-1]["base"] if domains else row["type_oid"]
        base_type = domains[-1]["base_type"] if domains else row["type"]
        return Column(
            name=row["name"],
            type=row["type"],
            nominal_type=row["nominal_type"],
            typname=row["typname"],
            position=row["position"],
            base_type=base_type,
            type_schema=row["type_schema"],
            type_kind=row["type_kind"],
            category=row["category"],
            dims=row["dims"],
            nullable=not (row["not_null"] or any(domain["not_null"] for domain in domains)),
            default=_default(row, domains),
            max_length=_max_length(base_type, (row["modifier"], *(domain["modifier"] for domain in domains))),
            enum=tuple(self._enums.get(base_oid, ())),
            description=row["description"],
            identity=row["identity"],
            generated=row["generated"],
            refs=refs,
        )

    def _chain(self, oid: int) -> Iterator[Record]:
        """The domain of that oid and those it stands on; none for other types."""
        while domain := self._domains.get(oid):
            yield domain
            oid = domain["base"]


def _default(row: Record, domains: Sequence[Record]) -> str | None:
    """The column's own default, else the sequence of its identity, else its domain's."""
    if row["default"] is not None or row["generated"]:
        return None if row["generated"] else str(row["default"])
    if row["identity"]:
        return f"nextval({quote_literal(row['sequence'])})" if row["identity"] == "d" else None
    return next((domain["default"] for domain in domains if domain["default"] is not None), None)


def _max_length(base_type: str, modifiers: Iterable[int]) -> int | None:
    """How many characters or bits fit, from the first type modifier that is set."""
    header = _LENGTH_HEADERS.get(base_type)
    modifier = next((modifier for modifier in modifiers if modifier >= 0), None)
    return None if header is None or modifier is None else modifier - header


def _routines(rows: Iterable[Record]) -> dict[QualifiedName, tuple[Routine, ...]]:
    """Those that can be called, overloads by their number of parameters as PostgREST has them."""
    overloads = defaultdict[QualifiedName, list[Routine]](list)
    for row in rows:
        if _is_callable(row):
            overloads[QualifiedName(row["schema"], row["name"])].append(_routine(row))
    return {name: tuple(sorted(them, key=_overload_order)) for name, them in overloads.items()}


def _overload_order(routine: Routine) -> tuple[object, ...]:
    described = (routine.description is not None, routine.description or "")
    parameters = [(each.name, each.nominal_type, each.required) for each in routine.parameters]
    return (len(routine.parameters), described, parameters)


def _is_callable(row: Record) -> bool:
    """Whether all inputs have names, or the one that has none can be the request's body."""
    if row["names"] is not None:
        return True
    return row["inputs"] == 0 or (row["inputs"] == 1 and row["types"][0][0] in _SINGLE_UNNAMED)


def _routine(row: Record) -> Routine:
    settings = (setting.partition("=") for setting in row["settings"] or ())
    return Routine(
        schema=row["schema"],
        name=row["name"],
        parameters=tuple(_parameters(row)),
        returns=_return_type(row),
        volatility=row["volatility"],
        variadic=row["variadic"],
        description=row["description"],
        settings=tuple((name, value) for name, _, value in settings),
        oid=row["oid"],
    )


def _parameters(row: Record) -> Iterator[Parameter]:
    types = row["types"] or ()
    modes = row["modes"] or "i" * len(types)
    names = row["names"] or [""] * len(types)
    inputs = [
        (names[index] if index < len(names) else "", *types[index], modes[index])
        for index in range(len(types))
        if modes[index] in _INPUT_MODES
    ]
    first_optional = row["inputs"] - row["defaults"]
    for index, (name, nominal_type, plain_type, mode) in enumerate(inputs):
        yield Parameter(name, plain_type, nominal_type, index < first_optional, mode == "v")


def _return_type(row: Record) -> ReturnType:
    return ReturnType(
        type=QualifiedName(row["type_schema"], row["type_name"]),
        is_set=row["is_set"],
        is_composite=row["is_row"] or not _OUTPUT_MODES.isdisjoint(row["modes"] or ()),
        is_domain=row["is_domain"],
        is_void=row["type_schema"] == "pg_catalog" and row["type_name"] == "void",
    )


def _media_handlers(rows: Iterable[Record], relations: Mapping[int, QualifiedName]) -> Iterator[MediaHandler]:
    for row in rows:
        of = row["relation"]
        # an aggregate of a system catalogue's rows is nothing that can be asked for
        if of is None or of in relations:
            yield _media_handler(row, None if of is None else relations[of])


def _media_handler(row: Record, target: QualifiedName | None) -> MediaHandler:
    function = QualifiedName(row["schema"], row["name"])
    is_aggregate = row["kind"] == "a"
    return MediaHandler(
        media_type=row["media_type"],
        function=function if is_aggregate else None,
        target=target,
        routine=None if is_aggregate else function,
        type=QualifiedName(row["domain_schema"], row["domain_name"]),
        is_bytes=row["is_bytes"],
        is_jsonb=row["is_jsonb"],
    )
