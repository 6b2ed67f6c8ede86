"""PostgREST's grammar: the texts of ``select``, filters, logic trees, ``order`` and column lists.

What lives here: the parsers. What does not: the records they make (``syntax``), which parameter is parsed as
what (``interpret``), and whether the names in it exist (``planner``).

Every parser raises :class:`RequestError` PGRST100 worded as PostgREST words it.
Source: https://docs.postgrest.org/en/v16/references/api/url_grammar.html
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from operator import itemgetter
from typing import Any

from ..errors import RequestError, too_complex
from . import parsec as p
from .syntax import (
    EmbedPath,
    Field,
    Filter,
    JsonStep,
    Logic,
    Operation,
    OrderTerm,
    SelectField,
    SelectItem,
    SelectRelation,
)

MOST_COLUMNS = 1664  # no row of PostgreSQL has more
LONGEST_KEPT = 2048  # characters; nothing keeps anybody from sending ever new texts

# ---------------------------------------------------------------- words

_spaces = p.run_of(lambda c: c in " \t", p.one_of(" \t"))


def _lexeme(parser: p.Parser) -> p.Parser:
    return p.fmap(lambda triple: triple[1], p.seq(_spaces, parser, _spaces))


def _join(characters: list[str]) -> str:
    return "".join(characters)


_first, _second = itemgetter(0), itemgetter(1)
_delimiter = p.label(p.char("."), "delimiter (.)")
_identifier_char = p.choice(p.letter, p.digit, p.one_of("_ $"))
_identifier = p.fmap(str.strip, p.run_of1(lambda c: c.isalpha() or c in "0123456789_ $", _identifier_char))
_escaped = p.choice(p.text1_without('\\"'), p.fmap(_second, p.seq(p.char("\\"), p.any_char)))
_quoted = p.fmap(lambda t: _join(t[1]), p.seq(p.char('"'), p.many(_escaped), p.char('"')))
_dash = p.attempt(p.seq(p.char("-"), p.not_followed_by(p.char(">"))))


def _dashed(parser: p.Parser) -> p.Parser:
    return p.fmap("-".join, p.sep_by1(parser, _dash))


_field_name = p.label(p.choice(_quoted, _dashed(_identifier)), "field name (* or [a..z0..9_$])")

# ---------------------------------------------------------------- fields and paths

_json_key_part = p.fmap(str.strip, p.text1_without("(-:.,>)"))
_json_key = p.label(
    p.choice(_quoted, _dashed(_json_key_part)), "any non reserved character different from: .,>()"
)
_index_end = p.choice(
    *(p.attempt(p.look_ahead(p.string(text))) for text in ("->", "::", ".", ",")), p.attempt(p.eof)
)
_json_index = p.fmap(
    lambda t: t[0] + _join(t[1]), p.seq(p.option("+", p.char("-")), p.many1(p.digit), _index_end)
)
_json_arrow = p.choice(
    p.attempt(p.fmap(lambda _: True, p.string("->>"))), p.attempt(p.fmap(lambda _: False, p.string("->")))
)
_json_operand = p.choice(
    p.attempt(p.fmap(lambda text: (text, True), _json_index)),
    p.attempt(p.fmap(lambda text: (text, False), _json_key)),
)
_json_path = p.fmap(
    tuple,
    p.many(p.fmap(lambda t: JsonStep(t[1][0], t[1][1], t[0]), p.seq(_json_arrow, _json_operand))),
)
_field = _lexeme(p.fmap(lambda t: Field(t[0], t[1]), p.seq(_field_name, p.option((), _json_path))))

# ---------------------------------------------------------------- select

_alias = p.option(
    None,
    p.attempt(
        p.fmap(_first, p.seq(_field_name, p.seq(p.char(":"), p.not_followed_by(p.char(":"))))),
    ),
)
_cast = p.option(None, p.fmap(_second, p.seq(p.string("::"), _identifier)))
_item_end = p.choice(
    p.attempt(p.look_ahead(p.string(")"))), p.attempt(p.look_ahead(p.string(","))), p.attempt(p.eof)
)
_aggregate = p.choice(
    p.string("sum"),
    p.string("avg"),
    p.string("count"),
    p.attempt(p.string("max")),
    p.attempt(p.string("min")),
)
_aggregated = p.option(None, p.attempt(p.fmap(_second, p.seq(p.char("."), _aggregate, p.string("()")))))

_select_star = p.attempt(p.fmap(lambda _: SelectField(Field("*")), p.seq(p.string("*"), _item_end)))
_select_count = p.attempt(
    p.fmap(
        lambda t: SelectField(Field("*"), alias=t[0], aggregate="COUNT", aggregate_cast=t[2]),
        p.seq(_alias, p.string("count()"), _cast, _item_end),
    )
)
_select_plain = p.fmap(
    lambda t: SelectField(t[1], t[0], t[2], t[3].upper() if t[3] else None, t[4]),
    p.seq(_alias, _field, _cast, _aggregated, _cast, _item_end),
)
_select_field = _lexeme(p.choice(_select_star, _select_count, _select_plain))

_embed_param = p.option(
    None,
    p.fmap(
        _second,
        p.seq(
            p.char("!"),
            p.choice(
                p.attempt(p.fmap(lambda text: ("join", text), p.string("left"))),
                p.attempt(p.fmap(lambda text: ("join", text), p.string("inner"))),
                p.attempt(p.fmap(lambda text: ("hint", text), _field_name)),
            ),
        ),
    ),
)


def _embed_params(pair: tuple[Any, Any]) -> tuple[str | None, str | None]:
    given = [param for param in pair if param]
    hints = [text for kind, text in given if kind == "hint"]
    joins = [text for kind, text in given if kind == "join"]
    return (hints[0] if hints else None), (joins[0] if joins else None)


_opening_ahead = p.attempt(p.look_ahead(p.string("(")))
_params = p.fmap(_embed_params, p.seq(_embed_param, _embed_param))
_relation_name = p.bind(_field_name, lambda name: p.fail_silently if name == "count" else p.pure(name))
_embedding = _lexeme(
    p.fmap(
        lambda t: SelectRelation(t[1], (), t[0], t[2][0], t[2][1]),
        p.seq(_alias, _relation_name, _params, _opening_ahead),
    )
)
_spreading = _lexeme(
    p.fmap(
        lambda t: SelectRelation(t[1], (), None, t[2][0], t[2][1], spread=True),
        p.seq(p.string("..."), _field_name, _params, _opening_ahead),
    )
)


def _with_items(pair: tuple[SelectRelation, list[SelectItem]]) -> SelectRelation:
    relation, items = pair
    return SelectRelation(
        relation.relation, tuple(items), relation.alias, relation.hint, relation.join, relation.spread
    )


def _select_list(text: str, position: int) -> p.Reply:
    """Defined as a function because it is recursive."""
    return _select_items(text, position)


_nested = p.between(p.char("("), p.char(")"), _select_list)
_select_item = p.choice(
    p.fmap(_with_items, p.seq(p.attempt(_spreading), _nested)),
    p.fmap(_with_items, p.seq(p.attempt(_embedding), _nested)),
    _select_field,
)
_select_items = p.sep_by(_select_item, _lexeme(p.char(",")))

# ---------------------------------------------------------------- operators

_SIMPLE = ("neq", "cs", "cd", "ov", "sl", "sr", "nxr", "nxl", "adj")
_QUANTIFIABLE = ("eq", "gte", "gt", "lte", "lt", "like", "ilike", "match", "imatch")
_FULL_TEXT = ("fts", "plfts", "phfts", "wfts")
IS_KEYWORDS = ("null", "not_null", "true", "false", "unknown")


def _words(words: tuple[str, ...]) -> p.Parser:
    return p.choice(*(p.attempt(p.string(word)) for word in words))


def _any_case(word: str) -> p.Parser:
    return p.attempt(
        p.fmap(lambda _: word, p.seq(*(p.choice(p.char(c), p.char(c.upper())) for c in word))),
    )


_list_element = p.choice(
    p.attempt(p.fmap(_first, p.seq(_quoted, p.not_followed_by(p.none_of(",)"))))),
    p.text_without(",)"),
)
_list = p.fmap(
    lambda t: tuple(t[1]),
    p.seq(_lexeme(p.char("(")), p.sep_by1(_list_element, p.char(",")), _lexeme(p.char(")"))),
)
_in = p.fmap(
    lambda t: Operation("in", elements=t[1]),
    p.seq(p.attempt(p.seq(p.string("in"), _delimiter)), _list),
)
_is = p.fmap(
    lambda t: Operation("is", t[1]),
    p.seq(
        p.attempt(p.seq(p.string("is"), _delimiter)),
        p.label(p.choice(*map(_any_case, IS_KEYWORDS)), "isVal: (null, not_null, true, false, unknown)"),
    ),
)
_quantifier = p.option(
    None,
    p.attempt(
        p.between(p.char("("), p.char(")"), p.choice(p.attempt(p.string("any")), p.string("all"))),
    ),
)
_language = p.option(None, p.attempt(p.between(p.char("("), p.char(")"), _identifier)))


def _operation(value: p.Parser) -> p.Parser:
    is_distinct = p.fmap(
        lambda t: Operation("isdistinct", t[1]),
        p.seq(p.attempt(p.seq(p.string("isdistinct"), _delimiter)), value),
    )
    full_text = p.fmap(
        lambda t: Operation(t[0], t[3], language=t[1]),
        p.seq(_words(_FULL_TEXT), _language, _delimiter, value),
    )
    simple = p.fmap(
        lambda t: Operation(t[0], t[2]),
        p.seq(p.label(_words(_SIMPLE), "unknown single value operator"), _delimiter, value),
    )
    quantified = p.fmap(
        lambda t: Operation(t[0], t[3], t[1]),
        p.seq(
            p.label(_words(_QUANTIFIABLE), "unknown single value operator"), _quantifier, _delimiter, value
        ),
    )
    return p.label(
        p.choice(_in, _is, is_distinct, p.attempt(full_text), p.attempt(simple), p.attempt(quantified)),
        "operator (eq, gt, ...)",
    )


def _expression(value: p.Parser) -> p.Parser:
    negation = p.choice(p.attempt(p.fmap(lambda _: True, p.seq(p.string("not"), _delimiter))), p.pure(False))
    return p.seq(negation, _operation(value))


_single_value = p.run_of(lambda _: True, p.any_char)
_filter_expression = _expression(_single_value)

# ---------------------------------------------------------------- logic trees

_array_literal = p.fmap(lambda t: "{" + t[1] + "}", p.seq(p.string("{"), p.text_without("{}"), p.string("}")))
_logic_value = p.choice(
    p.attempt(p.fmap(_first, p.seq(_quoted, p.not_followed_by(p.none_of(",)"))))),
    p.attempt(_array_literal),
    p.text_without(",)"),
)
_logic_filter = p.fmap(
    lambda t: Filter(t[0], t[2][1], t[2][0]), p.seq(_field, _delimiter, _expression(_logic_value))
)
_negation = p.label(
    p.choice(p.attempt(p.fmap(lambda _: True, p.seq(p.string("not"), _delimiter))), p.pure(False)),
    "negation operator (not)",
)
_logic_operator = p.label(p.choice(p.attempt(p.string("and")), p.string("or")), "logic operator (and, or)")


def _logic_tree(text: str, position: int) -> p.Reply:
    """Defined as a function because it is recursive."""
    return _logic(text, position)


_logic = p.choice(
    p.attempt(_logic_filter),
    p.fmap(
        lambda t: Logic(t[1], tuple(t[3]), t[0]),
        p.seq(
            _negation,
            _logic_operator,
            _lexeme(p.char("(")),
            p.sep_by1(_logic_tree, _lexeme(p.char(","))),
            _lexeme(p.char(")")),
        ),
    ),
)

# ---------------------------------------------------------------- order

_direction = p.option(
    None,
    p.choice(
        p.attempt(p.fmap(lambda _: False, p.seq(_delimiter, p.string("asc")))),
        p.attempt(p.fmap(lambda _: True, p.seq(_delimiter, p.string("desc")))),
    ),
)
_nulls = p.option(
    None,
    p.choice(
        p.attempt(p.fmap(lambda _: True, p.seq(_delimiter, p.string("nullsfirst")))),
        p.attempt(p.fmap(lambda _: False, p.seq(_delimiter, p.string("nullslast")))),
    ),
)
_order_end = p.choice(p.attempt(p.look_ahead(p.char(","))), p.attempt(p.eof))
_order_field = p.fmap(lambda t: OrderTerm(t[0], t[1], t[2]), p.seq(_field, _direction, _nulls, _order_end))
_order_related = p.fmap(
    lambda t: OrderTerm(t[1], t[2], t[3], relation=t[0]),
    p.seq(_field_name, p.between(p.char("("), p.char(")"), _field), _direction, _nulls, _order_end),
)
_order = p.sep_by1(_lexeme(p.choice(p.attempt(_order_related), _order_field)), p.char(","))

_columns = p.sep_by1(_field_name, _lexeme(p.char(",")))
_tree_path = p.fmap(
    lambda t: (tuple(t[0][:-1]), Field(t[0][-1], t[1])),
    p.seq(p.sep_by1(_field_name, _delimiter), p.option((), _json_path)),
)
_logic_path = p.sep_by1(_field_name, _delimiter)

# ---------------------------------------------------------------- what others call


def _run(parser: p.Parser, what: str, shown: str, text: str) -> Any:
    try:
        return p.parse(parser, text)
    except p.ParseFailure as failure:
        # As Parsec shows a source's name: in quotes, and not escaped.
        message = f'"failed to parse {what} ({shown})" (line {failure.line}, column {failure.column})'
        raise RequestError(400, "PGRST100", message, details=failure.details) from None
    except RecursionError:
        raise too_complex(f"The {what} is nested too deeply.") from None


def _listed(parser: p.Parser, what: str, text: str) -> Any:
    if text.count(",") >= MOST_COLUMNS:
        raise too_complex(f"The {what} names more than {MOST_COLUMNS} columns.")
    return _run(parser, what, text, text)


def _cached(function: Callable[[str], Any]) -> Callable[[str], Any]:
    """Keeps recent results: these texts are the shape of a request, so few of them come again and again."""
    kept = lru_cache(maxsize=1024)(function)
    return lambda text: kept(text) if len(text) <= LONGEST_KEPT else function(text)


@_cached
def parse_select(text: str) -> tuple[SelectItem, ...]:
    """``select=``: columns, casts, aggregates, embeds."""
    return tuple(_listed(_select_items, "select parameter", text))


@_cached
def parse_order(text: str) -> tuple[OrderTerm, ...]:
    """``order=``."""
    return tuple(_listed(_order, "order", text))


@_cached
def parse_columns(text: str) -> tuple[str, ...]:
    """``columns=``."""
    return tuple(_listed(_columns, "columns parameter", text))


@_cached
def parse_on_conflict(text: str) -> tuple[str, ...]:
    """``on_conflict=``."""
    return tuple(_listed(_columns, "on_conflict parameter", text))


@_cached
def parse_tree_path(text: str) -> tuple[EmbedPath, Field]:
    """A parameter's name: ``rel.nested.column->path``."""
    result: tuple[EmbedPath, Field] = _run(_tree_path, "tree path", text, text)
    return result


def parse_filter(text: str) -> tuple[bool, Operation]:
    """A filter's value, ``not.eq.1``: whether negated, and the operation."""
    result: tuple[bool, Operation] = _run(_filter_expression, "filter", text, text)
    return result


def parse_logic(name: str, text: str) -> tuple[EmbedPath, Filter | Logic]:
    """A logic parameter, ``rel.not.or`` with ``(a.eq.1,b.gt.2)``: where it applies, and the tree."""
    path = _run(_logic_path, "logic path", name, name)
    operator = "not." + path[-1] if "not" in path else path[-1]
    tree = _run(_logic_tree, "logic tree", text, operator + text)
    return tuple(part for part in path[:-1] if part != "not"), tree
