"""Batches are transactions; connections stay clean, whatever becomes of the batch or of who asked for it."""

from __future__ import annotations

import psycopg
import pytest

from aiodata_django.core.errors import DatabaseError
from aiodata_django.core.query.statement import Batch, Query
from aiodata_django.db.pool import Pool
from tests.db.conftest import batch, plain, refused, rows

SCHEMA = """
create table pets (name text primary key, color int);
insert into pets values ('Rex', 1), ('Kim', 2);
create table nodes (id int primary key, parent int references nodes deferrable initially deferred);
grant all on pets, nodes to auth;
grant select on pets to anon;
"""


@pytest.fixture(scope="module")
def uri(make_module_database) -> str:
    return make_module_database(SCHEMA)


@pytest.fixture
async def pool(uri: str, make_pool) -> Pool:
    return await make_pool(uri, size=2)


# One batch, one transaction ------------------------------------------------------------------------------


async def test_settings_hold_for_the_statements_after_them_and_vanish_with_the_batch(uri, make_pool) -> None:
    pool = await make_pool(uri, size=1)
    look = "select current_user, current_setting('request.method', true)"
    assert rows(await pool.run(batch(look, role="anon"))) == [(b"anon", b"GET")]
    assert rows(await pool.run(plain(look))) == [(b"postgres", b"")]


async def test_results_come_with_columns_and_tags_in_order(pool: Pool) -> None:
    result = await pool.run(batch("select name, color, null as none from pets order by name"))
    assert [len(part.columns) for part in result.results] == [2, 3]
    assert result.results[1].columns == (b"name", b"color", b"none")
    assert result.results[1].rows == [(b"Kim", b"2", None), (b"Rex", b"1", None)]
    assert result.results[1].tag == b"SELECT 2"
    assert result.committed
    assert result.lsn is None


async def test_rows_nobody_wants_are_not_read(pool: Pool) -> None:
    queries = [Query(b"select 1", wanted=False), Query(b"select 2"), Query(b"select 3", (), False, False)]
    result = await pool.run(Batch(queries, scope=""))
    assert [part.rows for part in result.results] == [(), [(b"2",)], ()]


async def test_a_failing_statement_undoes_the_earlier_ones(pool: Pool) -> None:
    writes = [Query(b"insert into pets values ('Half')"), Query(b"select 1/0")]
    error = await refused(pool, Batch(writes, scope=""))
    assert error.code == "22012"
    assert rows(await pool.run(batch("select 1 from pets where name = 'Half'"))) == []


async def test_rollback_answers_and_keeps_nothing(pool: Pool) -> None:
    insert = "insert into pets values ('Ghost') returning name"
    result = await pool.run(batch(insert, rollback=True))
    assert rows(result) == [(b"Ghost",)]
    assert not result.committed
    assert rows(await pool.run(batch("select 1 from pets where name = 'Ghost'"))) == []


@pytest.mark.parametrize("begin", [None, b"begin isolation level repeatable read"])
@pytest.mark.parametrize("keep", [True, False])
async def test_the_verdict_sees_the_results_and_decides(pool: Pool, begin: bytes | None, keep: bool) -> None:
    seen = []

    def verdict(results) -> bool:
        seen.extend(results[-1].rows)
        return keep

    name = f"Verdict{keep}{begin}"
    insert = "insert into pets values ($1) returning name"
    result = await pool.run(batch(insert, name, verdict=verdict, begin=begin))
    assert seen == [(name.encode(),)]
    assert result.committed is keep
    assert len(rows(await pool.run(batch("select 1 from pets where name = $1", name)))) == keep


async def test_a_verdict_that_raises_rolls_back_and_reaches_the_caller(pool: Pool) -> None:
    def verdict(results) -> bool:
        raise LookupError("no")

    with pytest.raises(LookupError):
        await pool.run(batch("insert into pets values ('Raised')", verdict=verdict))
    assert rows(await pool.run(batch("select 1 from pets where name = 'Raised'"))) == []


async def test_a_verdict_is_not_asked_when_a_statement_failed(pool: Pool) -> None:
    error = await refused(pool, batch("select 1/0", verdict=lambda results: pytest.fail("asked")))
    assert error.code == "22012"
    assert rows(await pool.run(batch("select 1"))) == [(b"1",)]


async def test_rollback_and_verdict_together_roll_back(pool: Pool) -> None:
    insert = batch("insert into pets values ('Both')", verdict=lambda results: True, rollback=True)
    assert not (await pool.run(insert)).committed
    assert rows(await pool.run(batch("select 1 from pets where name = 'Both'"))) == []


async def test_an_explicit_begin_sets_the_isolation_level(uri: str, make_pool) -> None:
    pool = await make_pool(uri, size=1)
    show = "select current_setting('transaction_isolation'), current_setting('transaction_read_only')"
    begin = b"begin isolation level serializable read only"
    assert rows(await pool.run(batch(show, begin=begin))) == [(b"serializable", b"on")]
    assert rows(await pool.run(batch(show))) == [(b"read committed", b"off")]


async def test_a_failed_explicit_transaction_leaves_the_connection_clean(uri: str, make_pool) -> None:
    pool = await make_pool(uri, size=1)
    for report_lsn in (False, True):
        failing = batch("select 1/0", begin=b"begin", report_lsn=report_lsn)
        assert (await refused(pool, failing)).code == "22012"
        assert rows(await pool.run(batch("select 5"))) == [(b"5",)]


@pytest.mark.parametrize("options", [{}, {"rollback": True}, {"begin": b"begin"}, {"report_lsn": True}])
async def test_a_deferred_constraint_fails_the_batch(pool: Pool, options) -> None:
    error = await refused(pool, batch("insert into nodes values (1, 99)", **options))
    assert (error.status, error.code) == (409, "23503")
    assert rows(await pool.run(batch("select count(*) from nodes"))) == [(b"0",)]


async def test_a_deferred_constraint_fails_the_batch_after_its_verdict(pool: Pool) -> None:
    error = await refused(pool, batch("insert into nodes values (1, 99)", verdict=lambda results: True))
    assert error.code == "23503"


async def test_the_reported_lsn_lies_behind_the_commit(pool: Pool) -> None:
    insert = "insert into pets values ('Logged') returning pg_current_wal_insert_lsn()"
    result = await pool.run(batch(insert, report_lsn=True))
    assert result.lsn is not None
    before = rows(result)[0][0]
    assert before is not None
    compare = batch("select $1::pg_lsn > $2::pg_lsn", result.lsn, before)
    assert rows(await pool.run(compare)) == [(b"t",)]
    verdict = batch("delete from pets where name = 'Logged'", report_lsn=True, verdict=lambda results: True)
    assert (await pool.run(verdict)).lsn is not None


async def test_a_transaction_begun_by_a_statement_does_not_outlive_its_batch(uri: str, make_pool) -> None:
    pool = await make_pool(uri, size=1)
    await pool.run(plain("begin"))
    with psycopg.connect(uri, autocommit=True) as other:
        open_ones = (
            "select 1 from pg_stat_activity where state like 'idle in%' and datname = current_database()"
        )
        assert other.execute(open_ones).fetchall() == []


# Errors --------------------------------------------------------------------------------------------------


async def test_an_error_carries_sqlstate_message_details_hint_and_status(pool: Pool) -> None:
    told = "errcode = 'PT418', detail = 'more', hint = 'try tea'"
    raise_all = f"do $$ begin raise exception 'told' using {told}; end $$"
    error = await refused(pool, plain(raise_all))
    assert isinstance(error, DatabaseError)
    assert (error.code, error.message, error.details, error.hint) == ("PT418", "told", "more", "try tea")
    duplicate = await refused(pool, batch("insert into pets values ('Rex')"))
    assert (duplicate.status, duplicate.code) == (409, "23505")
    assert duplicate.details == "Key (name)=(Rex) already exists."
    forbidden = await refused(pool, batch("delete from pets", role="anon"))
    assert (forbidden.status, forbidden.code) == (403, "42501")
    unknown_role = await refused(pool, batch("select 1", role="nobody at all"))
    assert unknown_role.code == "22023"


@pytest.mark.parametrize(
    ("sql", "code"),
    [
        ("select 1; select 2", "42601"),
        ("selekt", "42601"),
        ("copy pets to stdout", "0A000"),
        ("copy pets from stdin", "0A000"),
        ("select * from missing", "42P01"),
    ],
)
async def test_statements_that_cannot_run_harm_nobody_else(uri: str, make_pool, sql: str, code: str) -> None:
    pool = await make_pool(uri, size=1)
    assert (await refused(pool, batch(sql, role="postgres"))).code == code
    assert rows(await pool.run(batch("select 1"))) == [(b"1",)]


async def test_an_empty_statement_and_an_empty_batch_are_no_errors(pool: Pool) -> None:
    assert rows(await pool.run(plain(""))) == []
    assert (await pool.run(Batch([], scope=""))).results == []


@pytest.mark.parametrize("value", [b"a\0b", b"\0", b"\xff\xfe", b"half \xc3"])
async def test_text_postgresql_cannot_hold_is_refused(pool: Pool, value: bytes) -> None:
    error = await refused(pool, batch("select $1::text", value))
    assert (error.status, error.code) == (400, "22021")


@pytest.mark.parametrize(
    "value", ["", "ü €", "\x01\x7f\ttab\nline\\", "x" * 5_000_000, "'; drop table pets; --"]
)
async def test_values_come_back_as_they_were_sent(pool: Pool, value: str) -> None:
    assert rows(await pool.run(batch("select $1::text", value))) == [(value.encode(),)]


async def test_null_is_not_the_empty_text(pool: Pool) -> None:
    assert rows(await pool.run(batch("select $1::text, $2::text", None, ""))) == [(None, b"")]


async def test_statement_timeout_ends_the_statement_alone(uri: str, make_pool) -> None:
    pool = await make_pool(uri, size=1)
    queries = [Query(b"select set_config('statement_timeout', '50', true)"), Query(b"select pg_sleep(20)")]
    error = await refused(pool, Batch(queries, scope=""))
    assert (error.status, error.code) == (500, "57014")
    assert rows(await pool.run(batch("select 1"))) == [(b"1",)]
