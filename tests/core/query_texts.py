"""PostgREST's language the other way round: random trees, and the texts that mean them.

What lives here: hypothesis strategies whose examples are (tree, text) pairs, the text written in one of the
ways the grammar allows. What does not: the tests that parse them back.
"""

from __future__ import annotations

import string

from hypothesis import strategies as st

from aiodata_django.core.query.grammar import IS_KEYWORDS
from aiodata_django.core.query.syntax import (
    Field,
    Filter,
    JsonStep,
    Logic,
    Operation,
    OrderTerm,
    SelectField,
    SelectRelation,
)

WORD = string.ascii_letters + string.digits + "_$"


def quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


plain_names = st.text(WORD, min_size=1, max_size=8).flatmap(
    lambda first: st.sampled_from(("", " b", "-b", " 1-x")).map(lambda rest: first + rest)
)
_any_names = st.text(max_size=8).filter(lambda name: name not in ("*", "count", "not"))


@st.composite
def names(draw: st.DrawFn) -> tuple[str, str]:
    """A name and its text; every name can be quoted."""
    if draw(st.booleans()):
        name = draw(plain_names.filter(lambda name: name not in ("count", "not", "and", "or")))
        return name, name
    name = draw(_any_names)
    return name, quoted(name)


@st.composite
def steps(draw: st.DrawFn, *, indexes: bool) -> tuple[JsonStep, str]:
    as_text = draw(st.booleans())
    arrow = "->>" if as_text else "->"
    if indexes and draw(st.booleans()):
        index = draw(st.integers(-99, 99))
        operand = str(index) if index < 0 else f"+{index}"
        return JsonStep(operand, is_index=True, as_text=as_text), arrow + str(index)
    key = draw(st.text(max_size=6))
    return JsonStep(key, as_text=as_text), arrow + quoted(key)


@st.composite
def fields(draw: st.DrawFn, *, indexes: bool = True) -> tuple[Field, str]:
    """A column with a path. An index is one only where more of the text follows, or its end."""
    name, text = draw(names())
    path = draw(st.lists(steps(indexes=indexes), max_size=2))
    return Field(name, tuple(step for step, _ in path)), text + "".join(written for _, written in path)


casts = st.text(string.ascii_letters + string.digits, min_size=1, max_size=8)
aggregates = st.sampled_from(("SUM", "AVG", "COUNT", "MAX", "MIN"))


@st.composite
def select_fields(draw: st.DrawFn, *, nested: bool = False) -> tuple[SelectField, str]:
    field, text = draw(fields(indexes=not nested))
    alias, alias_text = draw(st.none() | names()) or (None, "")
    cast = draw(st.none() | casts)
    aggregate = draw(st.none() | aggregates)
    aggregate_cast = draw(st.none() | casts) if aggregate else None
    written = (f"{alias_text}:" if alias is not None else "") + text + (f"::{cast}" if cast else "")
    if aggregate:
        written += f".{aggregate.lower()}()" + (f"::{aggregate_cast}" if aggregate_cast else "")
    return SelectField(field, alias, cast, aggregate, aggregate_cast), written


@st.composite
def counts(draw: st.DrawFn) -> tuple[SelectField, str]:
    alias, alias_text = draw(st.none() | names()) or (None, "")
    cast = draw(st.none() | casts)
    tree = SelectField(Field("*"), alias, aggregate="COUNT", aggregate_cast=cast)
    return tree, (f"{alias_text}:" if alias is not None else "") + "count()" + (f"::{cast}" if cast else "")


stars = st.just((SelectField(Field("*")), "*"))
spaces = st.sampled_from(("", " ", "\t "))


@st.composite
def select_relations(draw: st.DrawFn, children: st.SearchStrategy) -> tuple[SelectRelation, str]:
    relation, text = draw(names())
    spread = draw(st.booleans())
    alias, alias_text = (None, "") if spread else draw(st.none() | names()) or (None, "")
    hint = draw(st.none() | _any_names)
    join = draw(st.none() | st.sampled_from(("inner", "left")))
    params = [f"!{quoted(hint)}"] if hint is not None else []
    params += [f"!{join}"] if join else []
    items = draw(st.lists(children, max_size=3))
    inside = ",".join(draw(spaces) + written for _, written in items)
    head = "..." if spread else f"{alias_text}:" if alias is not None else ""
    tree = SelectRelation(relation, tuple(item for item, _ in items), alias, hint, join, spread)
    return tree, f"{head}{text}{''.join(draw(st.permutations(params)))}({inside})"


nested_items = st.recursive(
    select_fields(nested=True) | counts() | stars, lambda children: select_relations(children), max_leaves=6
)
select_items = select_fields() | counts() | stars | select_relations(nested_items)

QUANTIFIABLE = ("eq", "gte", "gt", "lte", "lt", "like", "ilike", "match", "imatch")
SIMPLE = ("neq", "cs", "cd", "ov", "sl", "sr", "nxr", "nxl", "adj", "isdistinct")
FULL_TEXT = ("fts", "plfts", "phfts", "wfts")
elements = st.text(max_size=6)


def element_text(element: str) -> str:
    return element if element.isalnum() else quoted(element)


@st.composite
def lists(draw: st.DrawFn) -> tuple[Operation, str]:
    chosen = draw(st.lists(elements, min_size=1, max_size=4))
    return Operation("in", elements=tuple(chosen)), f"in.({','.join(map(element_text, chosen))})"


@st.composite
def operations(draw: st.DrawFn, values: st.SearchStrategy) -> tuple[Operation, str]:
    """``values`` makes (value, text) pairs."""
    kind = draw(st.sampled_from(("quantifiable", "simple", "full text", "is", "in")))
    if kind == "in":
        return draw(lists())
    if kind == "is":
        keyword = draw(st.sampled_from(IS_KEYWORDS))
        written = draw(st.sampled_from((keyword, keyword.upper(), keyword.title())))
        return Operation("is", keyword), f"is.{written}"
    value, text = draw(values)
    if kind == "simple":
        name = draw(st.sampled_from(SIMPLE))
        return Operation(name, value), f"{name}.{text}"
    if kind == "full text":
        name, language = draw(st.sampled_from(FULL_TEXT)), draw(st.none() | casts)
        return Operation(
            name, value, language=language
        ), f"{name}{f'({language})' if language else ''}.{text}"
    name, quantifier = draw(st.sampled_from(QUANTIFIABLE)), draw(st.sampled_from((None, "any", "all")))
    return Operation(name, value, quantifier), f"{name}{f'({quantifier})' if quantifier else ''}.{text}"


whole_values = st.text(max_size=8).map(lambda text: (text, text))
inner_values = st.text(max_size=8).map(lambda text: (text, element_text(text)))


@st.composite
def filters(draw: st.DrawFn) -> tuple[tuple[bool, Operation], str]:
    """A filter's value: whether negated, and the operation."""
    operation, text = draw(operations(whole_values))
    negated = draw(st.booleans())
    return (negated, operation), ("not." if negated else "") + text


@st.composite
def inner_filters(draw: st.DrawFn) -> tuple[Filter, str]:
    field, field_text = draw(fields())
    operation, text = draw(operations(inner_values))
    negated = draw(st.booleans())
    return Filter(field, operation, negated), f"{field_text}.{'not.' if negated else ''}{text}"


@st.composite
def logic(draw: st.DrawFn, children: st.SearchStrategy) -> tuple[Logic, str]:
    operator, negated = draw(st.sampled_from(("and", "or"))), draw(st.booleans())
    below = draw(st.lists(children, min_size=1, max_size=3))
    inside = ",".join(draw(spaces) + text for _, text in below)
    tree = Logic(operator, tuple(child for child, _ in below), negated)
    return tree, f"{'not.' if negated else ''}{operator}{draw(spaces)}({inside})"


logic_trees = st.recursive(inner_filters(), logic, max_leaves=6)
logic_roots = logic(logic_trees)


@st.composite
def order_terms(draw: st.DrawFn) -> tuple[OrderTerm, str]:
    relation, relation_text = draw(st.none() | names()) or (None, "")
    field, text = draw(fields(indexes=relation is None))
    descending = draw(st.sampled_from((None, True, False)))
    nulls_first = draw(st.sampled_from((None, True, False)))
    written = text if relation is None else f"{relation_text}({text})"
    written += {None: "", True: ".desc", False: ".asc"}[descending]
    written += {None: "", True: ".nullsfirst", False: ".nullslast"}[nulls_first]
    return OrderTerm(field, descending, nulls_first, relation), written
