"""INSERT, UPDATE, DELETE and calls of routines in SQL.

What lives here: unpacking a JSON body into typed columns, upserts, arguments. What does not: what is returned
of it (``statements``). The body is one parameter, whatever its size; PostgreSQL takes it apart.

Source: https://docs.postgrest.org/en/v16/references/api/tables_views.html
"""

from __future__ import annotations

from collections.abc import Sequence

from ..names import QualifiedName, quote_literal
from ..schema import Parameter
from . import expressions as e
from .fragment import EMPTY, Sql, concat, ident, join, param, qualified
from .plan import Call, ColumnRef, Delete, Insert, Mutation, Update
from .statement import Slot, Slots, Value
from .values import array_literal

_BODY = QualifiedName("", "pgrst_body")
_CALL = QualifiedName("", "pgrst_call")
INSERTED = "nullif(current_setting('pgrst.inserted', true), '')"


def mutate(mutation: Mutation) -> Sql:
    """The statement of a write, with RETURNING."""
    if isinstance(mutation, Insert):
        return _insert(mutation)
    return _update(mutation) if isinstance(mutation, Update) else _delete(mutation)


# ---------------------------------------------------------------- bodies


def unpack(
    body: Slot,
    columns: Sequence[ColumnRef],
    *,
    is_object: bool,
    defaults: bool = False,
    named: bool = True,
    one: bool = False,
) -> Sql:
    """``FROM`` a JSON body: its rows as ``pgrst_body``, columns cast to their types.

    ``defaults`` fills what a row leaves out; ``named`` selects the columns; ``one`` takes the first row only.
    """
    head = concat("SELECT ", join(", ", (e.column(_BODY, c.name) for c in columns)), " ") if named else EMPTY
    kind = "jsonb" if defaults else "json"
    parts: list[Sql | str] = [head, "FROM (SELECT ", param(body), f"::{kind} AS json_data) pgrst_payload, "]
    source = "pgrst_payload.json_data"
    if defaults:
        parts.append(_with_defaults(columns, is_object))
        source = "pgrst_json_defs.val"
    rows = _rows(columns, source, kind, is_object=is_object, one=one)
    parts += ["LATERAL (SELECT ", join(", ", map(_parsed, columns)), " FROM ", rows, ") pgrst_body "]
    return concat(*parts)


def _with_defaults(columns: Sequence[ColumnRef], is_object: bool) -> str:
    pairs = ", ".join(f"{quote_literal(c.name)}, {c.default}" for c in columns if c.default is not None)
    built = f"jsonb_build_object({pairs})"
    if is_object:
        return f"LATERAL (SELECT {built} || pgrst_payload.json_data AS val) pgrst_json_defs, "
    return (
        f"LATERAL (SELECT jsonb_agg({built} || elem) AS val"
        " FROM jsonb_array_elements(pgrst_payload.json_data) elem) pgrst_json_defs, "
    )


def _rows(columns: Sequence[ColumnRef], source: str, kind: str, *, is_object: bool, one: bool) -> Sql:
    if not columns:
        # Without keys there is nothing to unpack, but there are as many rows as the body has.
        return Sql("(VALUES (1)) _ " if is_object else f"{kind}_array_elements({source}) _ ")
    function = f"{kind}_to_record" if is_object else f"{kind}_to_recordset"
    types = join(", ", (concat(ident(c.name), f" {c.type}") for c in columns))
    return concat(f"{function}({source}) AS _(", types, ") ", "LIMIT 1" if one else "")


def _parsed(ref: ColumnRef) -> Sql:
    name = ident(ref.name)
    return concat(e.call(ref.transform, name), " AS ", name) if ref.transform else name


# ---------------------------------------------------------------- writes


def _counted(inserted: bool) -> str:
    """A condition that is always true and counts: rows tried up, rows that were updates down."""
    sign, truth = ("+", "<> '0'") if inserted else ("-", "<> '-1'")
    return f"set_config('pgrst.inserted', (coalesce({INSERTED}::int, 0) {sign} 1)::text, true) {truth}"


def _insert(insert: Insert) -> Sql:
    names = join(", ", (ident(c.name) for c in insert.columns))
    put = bool(insert.conditions)
    conditions = [Sql(_counted(inserted=True))] if put or insert.merge_duplicates else []
    conditions += [e.condition(_BODY, c) for c in insert.conditions]
    return concat(
        "INSERT INTO ",
        qualified(insert.target),
        concat("(", names, ") ") if insert.columns else " ",
        unpack(insert.body, insert.columns, is_object=insert.is_object, defaults=insert.apply_defaults),
        concat("WHERE ", join(" AND ", conditions)) if conditions else "",
        _on_conflict(insert),
        " ",
        returning(insert.target, insert.returning),
    )


def _on_conflict(insert: Insert) -> Sql:
    if insert.conflict is None or not insert.conflict[1]:
        return EMPTY
    resolution, columns = insert.conflict
    on = concat(" ON CONFLICT(", join(", ", map(ident, columns)), ") ")
    if resolution == "ignore-duplicates" or not insert.columns:
        return concat(on, "DO NOTHING")
    changes = join(", ", (concat(ident(c.name), " = EXCLUDED.", ident(c.name)) for c in insert.columns))
    return concat(on, "DO UPDATE SET ", changes, f" WHERE {_counted(inserted=False)}")


def _update(update: Update) -> Sql:
    if not update.columns:
        # SET without columns is no SQL; an empty result of the same columns says that nothing was changed.
        bare = QualifiedName("", update.target.name)
        names = join(", ", [e.column(bare, name) for name in update.returning] or [Sql("NULL")])
        return concat("SELECT ", names, " FROM ", qualified(update.target), " WHERE false")
    changes = join(", ", (concat(ident(c.name), " = ", e.column(_BODY, c.name)) for c in update.columns))
    return concat(
        "UPDATE ",
        qualified(update.target),
        " SET ",
        changes,
        " ",
        unpack(
            update.body,
            update.columns,
            is_object=update.is_object,
            defaults=update.apply_defaults,
            named=False,
        ),
        e.where(update.target, update.where),
        " ",
        returning(update.target, update.returning),
    )


def _delete(delete: Delete) -> Sql:
    return concat(
        "DELETE FROM ",
        qualified(delete.target),
        " ",
        e.where(delete.target, delete.where),
        " ",
        returning(delete.target, delete.returning),
    )


def returning(target: QualifiedName, names: Sequence[str]) -> Sql:
    """RETURNING those columns; without any a constant, so that rows can still be counted."""
    if not names:
        return Sql("RETURNING 1")
    return concat("RETURNING ", join(", ", (e.column(target, name) for name in names)))


# ---------------------------------------------------------------- calls


def call(plan: Call) -> Sql:
    """The rows, or the value as ``pgrst_scalar``, that a routine returns."""
    scalar = plan.routine.returns.is_scalar
    return concat("SELECT ", "pgrst_call.pgrst_scalar" if scalar else _returned(plan), " ", _from_call(plan))


def _returned(plan: Call) -> Sql:
    if not plan.returning:
        return Sql("*")
    if plan.returning == ("*",):
        return e.column(_CALL, "*")
    names = sorted({*plan.returning, *plan.filter_columns})
    return join(", ", (e.column(_CALL, name) for name in names))


def _from_call(plan: Call) -> Sql:
    if plan.single:
        return concat("FROM ", _invoke(plan, _single_argument(plan)))
    if not plan.parameters:
        return concat("FROM ", _invoke(plan, EMPTY))
    if plan.arguments is not None:
        arguments = (_argument(p, plan.arguments.get(p.name, ())) for p in plan.parameters)
        return concat("FROM ", _invoke(plan, join(", ", arguments)))
    assert plan.body is not None
    columns = [ColumnRef(p.name, type=p.type) for p in plan.parameters]
    body = unpack(plan.body, columns, is_object=plan.is_object, named=False, one=True)
    passed = (concat(_variadic(p), ident(p.name), " := ", e.column(_BODY, p.name)) for p in plan.parameters)
    return concat(body, ", LATERAL ", _invoke(plan, join(", ", passed)))


def _invoke(plan: Call, arguments: Sql) -> Sql:
    invoked = concat(qualified(plan.routine.qualified), "(", arguments, ")")
    if plan.routine.returns.is_scalar:
        return concat("(SELECT ", invoked, " pgrst_scalar) pgrst_call")
    return concat(invoked, " pgrst_call")


def _variadic(parameter: Parameter) -> str:
    return "VARIADIC " if parameter.variadic else ""


def _single_argument(plan: Call) -> Sql:
    parameter = plan.parameters[0]
    assert plan.body is not None
    slot = Slot(plan.body.index, _hex) if parameter.type == "bytea" else plan.body
    return concat(param(slot), f"::{parameter.type}")


def _hex(value: Value) -> Value:
    return b"\\x" + value.hex().encode() if isinstance(value, bytes) else value


def _argument(parameter: Parameter, slots: Sequence[Slot]) -> Sql:
    head = concat(_variadic(parameter), ident(parameter.name), " := ")
    if parameter.variadic:
        elements = Slots(tuple(slot.index for slot in slots), _array)
        return concat(head, param(elements), f"::{parameter.type}")
    value = param(slots[0]) if slots else Sql("NULL")
    return concat(head, value, f"::{parameter.type}")


def _array(values: Sequence[Value]) -> Value:
    texts = [value for value in values if isinstance(value, str)]
    # One empty text is an element here; array_literal's rule is that of in.().
    return '{""}' if texts == [""] else array_literal(texts)
