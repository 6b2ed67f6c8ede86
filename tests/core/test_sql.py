"""What each feature of reading renders to: one statement, values only as parameters, identifiers only quoted.

The texts are in ``golden/``, a file for each request; ``--update-golden`` writes them anew, to be read before
they are committed. Those of writes and calls are looked after by ``test_sql_writes``.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import sqlglot
from hypothesis import example, given, settings
from hypothesis import strategies as st

from aiodata_django.core.errors import ApiError
from aiodata_django.core.query.request import Dialect
from aiodata_django.core.query.statement import Slot, Slots, Statement

from . import films
from . import query_texts as texts

GOLDEN = Path(__file__).parent / "golden"

OBJECT = {"accept": "application/vnd.pgrst.object+json"}
STRIPPED = {"accept": "application/vnd.pgrst.array+json;nulls=stripped"}
PLAN = {"accept": "application/vnd.pgrst.plan+json; options=analyze|buffers"}
EXACT = {"prefer": "count=exact"}

# name: (target, headers)
REQUESTS: dict[str, tuple[str, dict[str, str]]] = {
    "read_all": ("/films", {}),
    "read_columns": ("/films?select=id,name:title,year::text", {}),
    "read_paths": ("/films?select=details->crew->>camera,tags->0", {}),
    "read_one_object": ("/films?id=eq.1", OBJECT),
    "read_nulls_stripped": ("/films", STRIPPED),
    "read_csv": ("/films", {"accept": "text/csv"}),
    "read_plan": ("/films", PLAN),
    "read_representation": ("/posters?paint=eq.0000FF", {}),
    "read_representation_list": ("/posters?select=id&paint=in.(0000FF,FF0000)", {}),
    "filter_comparisons": ("/films?select=id&year=gte.1960&year=lt.1990&title=not.eq.Ran", {}),
    "filter_patterns": ("/films?select=id&title=like.R*&title=ilike(any).{r*,i*}&title=imatch.^x", {}),
    "filter_is": ("/films?select=id&seen=is.true&year=not.is.null&rating=is.not_null", {}),
    "filter_isdistinct": ("/films?select=id&year=isdistinct.1985", {}),
    "filter_in": ('/films?select=id&id=in.(1,2)&title=not.in.("a,b",c)', {}),
    "filter_quantified": ("/films?select=id&id=eq(any).{1,2}&year=gt(all).{1950,1960}", {}),
    "filter_arrays_and_ranges": ("/films?select=id&tags=cs.{a}&tags=ov.{b}&shown=adj.[1,2)", {}),
    "filter_text_search": ("/reviews?select=id&search=fts.cat&body=plfts(french).chat", {}),
    "filter_paths": ("/films?select=id&details->crew->>camera=eq.x&tags->0=eq.y", {}),
    "filter_logic": ("/films?select=id&or=(year.eq.1,and(id.gt.2,id.lt.5),not.or(id.eq.7,seen.is.null))", {}),
    "order": ("/films?select=id&order=year.desc.nullslast,details->length,id.asc", {}),
    "order_related": ("/films?select=id,directors(name)&order=directors(name).desc", {}),
    "limit_and_offset": ("/films?select=id&limit=2&offset=3", {}),
    "count_exact": ("/films?select=id,awards!inner(id)&year=gt.1980&limit=2", EXACT),
    "count_estimated": ("/films?select=id&limit=2", {"prefer": "count=estimated"}),
    "aggregates": ("/awards?select=film_id,prize.sum(),n:count()::text", {}),
    "embed_many_to_one": ("/films?select=id,directors(name)", {}),
    "embed_one_to_many": ("/directors?select=id,films(id)&films.year=eq.1&films.order=id&films.limit=1", {}),
    "embed_many_to_many": ("/films?select=id,actors(name)", {}),
    "embed_self": ("/staff?select=id,boss(name),staff(name)", {}),
    "embed_nested": ("/directors?select=id,films(id,awards(name))&films.awards.prize=gt.100", {}),
    "embed_inner": ("/directors?select=id,films!inner(id)&films.year=eq.1985", {}),
    "embed_empty": ("/films?select=id,awards()&awards=not.is.null", {}),
    "embed_computed": ("/directors?select=id,debut(title),best_films(id)", {}),
    "spread_to_one": ("/films?select=id,...directors(by:name)", {}),
    "spread_to_many": ("/directors?select=id,...films(title)&films.order=year.desc", {}),
    "spread_aggregates": ("/awards?select=prize.sum(),...films(title)", {}),
}  # fmt: skip


def statements_of(name: str) -> list[Statement]:
    target, headers = REQUESTS[name]
    found = films.prepared(films.request("GET", target, **headers))
    return [statement for statement in (found.statement, found.rows, found.count) if statement is not None]


BREAKS = re.compile(r" +(?=(?:FROM|WHERE|GROUP BY|ORDER BY|LIMIT|LEFT JOIN|INNER JOIN|SELECT) )")


def document(name: str) -> str:
    """The statements as they are sent, broken into lines where a space stood, with what fills them."""
    target, headers = REQUESTS[name]
    parts = ["\n".join([f"-- GET {target}", *(f"-- {header}: {value}" for header, value in headers.items())])]
    for statement in statements_of(name):
        filled = ", ".join(f"${n} = {shown(param)}" for n, param in enumerate(statement.params, 1))
        parts.append(f"{BREAKS.sub(chr(10), statement.sql.decode())};" + (f"\n-- {filled}" if filled else ""))
    return "\n\n".join(parts) + "\n"


def shown(param: object) -> str:
    if isinstance(param, Slot):
        return f"value {param.index}"
    return f"values {param.indices}" if isinstance(param, Slots) else repr(param)


@pytest.mark.parametrize("name", REQUESTS)
def test_the_sql_of_each_feature(name: str, golden):
    golden(GOLDEN / f"{name}.sql", document(name))


def test_no_golden_file_is_left_over():
    kept = {file.stem for file in GOLDEN.glob("*.sql") if not file.stem.startswith("write_")}
    assert kept == set(REQUESTS)


def parsed(statement: Statement) -> list[sqlglot.Expression]:
    text = statement.sql.decode()
    explained = re.sub(r"^EXPLAIN \([A-Z, ]*\) ", "", text)
    filled = re.sub(r"\$\d+", "NULL", explained)  # sqlglot takes $1->>$2 for a quotation
    return [tree for tree in sqlglot.parse(filled, read="postgres") if tree is not None]


@pytest.mark.parametrize("name", REQUESTS)
def test_each_is_one_statement(name: str):
    for statement in statements_of(name):
        assert len(parsed(statement)) == 1
        assert b"$" not in re.sub(rb"\$\d+", b"", statement.sql)
        assert len(statement.params) == len(set(re.findall(rb"\$\d+", statement.sql)))


HOSTILE = st.text(st.characters(codec="utf-8"), max_size=12) | st.sampled_from(
    (
        "'; drop table films; --",
        '"; drop table films; --',
        "$1",
        "\x00",
        "\\",
        "/*",
        "*/",
        "--",
        "$$",
        "\\'",
        "E'",
    )
)
FOUND = re.compile(r'"(?:[^"]|"")*"|E?\'(?:[^\']|\'\')*\'')


@given(HOSTILE, HOSTILE, HOSTILE)
@example('a"b', "'", "\\")
def test_no_text_of_a_request_becomes_sql(name: str, value: str, alias: str):
    def quoted(text: str) -> str:
        return films.quote(texts.quoted(text), safe="")

    written = films.quote(value, safe="")
    query = (
        f"select=id,{quoted(alias)}:{quoted(name)},directors({quoted(name)})&{quoted(name)}=eq.{written}"
        f"&or=(title.eq.{quoted(value)},{quoted(name)}->{quoted(value)}.is.null)&order={quoted(name)}"
        f"&id=in.({quoted(value)})&title=fts(english).{written}"
    )
    try:
        statement = films.prepared(films.request("GET", f"/films?{query}")).statement
    except ApiError:
        return
    outside = FOUND.sub("", statement.sql.decode())
    assert ";" not in outside
    assert "--" not in outside
    assert re.fullmatch(r"[\w\s$.,()<>=:*@\[\]-]*", outside), outside


@settings(max_examples=50)
@given(st.lists(texts.select_items, max_size=3), texts.logic_roots, texts.order_terms())
def test_whatever_parses_renders_to_one_statement_or_is_refused(items, tree, order):
    logic = tree[1].removeprefix("not.")
    operator, _, rest = logic.partition("(")
    query = "&".join(
        f"{name}={films.quote(text, safe='')}"
        for name, text in (
            ("select", ",".join(text for _, text in items)),
            (operator.strip(), "(" + rest),
            ("order", order[1]),
        )
    )
    try:
        found = films.prepared(films.request("GET", f"/films?{query}"), Dialect.REST)
    except ApiError:
        return
    outside = FOUND.sub("", found.statement.sql.decode())
    assert ";" not in outside
    assert re.fullmatch(r"[\w\s$.,()<>=~&|:*@\[\]-]*", outside), outside
