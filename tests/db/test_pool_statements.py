"""Statements are prepared once for each scope, boundedly many, and anew when PostgreSQL forgot them."""

from __future__ import annotations

import psycopg
import pytest

from aiodata_django.core.query.statement import Batch, Query
from aiodata_django.db.pool import Pool
from tests.db.conftest import batch, plain, refused, rows


@pytest.fixture(scope="module")
def uri(make_module_database) -> str:
    return make_module_database()


async def prepared(pool: Pool) -> int:
    value = rows(
        await pool.run(Batch([Query(b"select count(*) from pg_prepared_statements", (), False)], scope=""))
    )
    return int(value[0][0] or 0)


async def test_statements_are_prepared_once_per_scope_and_boundedly_many(uri: str, make_pool) -> None:
    pool = await make_pool(uri, size=1, statement_cache=5)
    for _ in range(3):
        await pool.run(batch("select 1 as one", role="auth"))
    assert await prepared(pool) == 2
    await pool.run(batch("select 1 as one", role="anon"))
    assert await prepared(pool) == 4
    for n in range(20):
        assert rows(await pool.run(batch(f"select {n}"))) == [(b"%d" % n,)]
    await pool.run(batch("select 1"))
    assert await prepared(pool) <= 6  # the one pushed out last is closed by the next batch


async def test_nothing_is_prepared_when_not_wanted(uri: str, make_pool) -> None:
    pool = await make_pool(uri, size=1, statement_cache=0)
    await pool.run(batch("select 1"))
    assert await prepared(pool) == 0


async def test_a_statement_that_failed_to_prepare_is_not_taken_for_prepared(uri: str, make_pool) -> None:
    pool = await make_pool(uri, size=1)
    for _ in range(2):
        assert (await refused(pool, batch("select * from later"))).code == "42P01"
    # The second statement is skipped, and with it its Parse.
    skipped = Batch([Query(b"select 1/0"), Query(b"select 'after'")], scope="")
    assert (await refused(pool, skipped)).code == "22012"
    assert rows(await pool.run(plain("select 'after'"))) == [(b"after",)]


async def test_one_text_twice_in_a_batch_is_prepared_once(uri: str, make_pool) -> None:
    pool = await make_pool(uri, size=1)
    twice = Batch([Query(b"select $1::int", (b"1",)), Query(b"select $1::int", (b"2",))], scope="")
    result = await pool.run(twice)
    assert [part.rows for part in result.results] == [[(b"1",)], [(b"2",)]]
    assert await prepared(pool) == 1


async def test_a_plan_made_for_one_role_never_answers_another(make_database, make_pool) -> None:
    """PostgreSQL inlines the function into the cached plan, and then checks no EXECUTE any more."""
    uri = make_database(
        """create function secret(a int) returns int language sql immutable as 'select a * 2';
        revoke all on function secret from public;
        grant execute on function secret to auth;"""
    )
    pool = await make_pool(uri, size=1)
    for n in range(50):
        assert rows(await pool.run(batch("select secret($1::int)", str(n)))) == [(b"%d" % (2 * n),)]
    error = await refused(pool, batch("select secret($1::int)", "4", role="anon"))
    assert (error.status, error.code) == (403, "42501")


async def test_changed_columns_are_prepared_anew(make_database, make_pool) -> None:
    uri = make_database("create table t (a int); insert into t values (1); grant all on t to auth")
    pool = await make_pool(uri, size=1)
    for begin in (None, b"begin isolation level repeatable read"):
        select = batch("select * from t", begin=begin)
        before = (await pool.run(select)).results[1].columns
        await pool.run(plain(f"alter table t add column c{len(before)} int"))
        assert len((await pool.run(select)).results[1].columns) == len(before) + 1


async def test_statements_deallocated_behind_our_back_are_prepared_anew(uri: str, make_pool) -> None:
    pool = await make_pool(uri, size=1)
    await pool.run(batch("select 1"))
    await pool.run(Batch([Query(b"deallocate all", (), False)], scope=""))
    assert rows(await pool.run(batch("select 1"))) == [(b"1",)]


async def test_a_renewed_pool_knows_nothing_of_types_that_were(make_database, make_pool) -> None:
    uri = make_database("create table pets (id uuid)")
    pool = await make_pool(uri, size=1)
    ask = Batch([Query(b"select id from pets where id = $1", [b"7"])], scope="")
    assert (await refused(pool, ask)).code == "22P02"
    with psycopg.connect(uri, autocommit=True) as admin:
        admin.execute("drop table pets; create table pets as select 7 as id")
    pool.renew()
    assert rows(await pool.run(ask)) == [(b"7",)]
