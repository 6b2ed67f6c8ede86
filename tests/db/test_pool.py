"""Batches are transactions; connections stay clean, whatever becomes of the batch or of who asked for it."""

from __future__ import annotations

import asyncio

import psycopg
import pytest

from aiodata_django.core.errors import ApiError, DatabaseError, InternalError
from aiodata_django.core.query.statement import Batch, Query
from aiodata_django.db.pool import Pool
from tests.db.conftest import batch, eventually, rows, running

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


def plain(sql: str) -> Batch:
    return Batch([Query(sql.encode())], scope="")


async def refused(pool: Pool, batch: Batch) -> ApiError:
    with pytest.raises(ApiError) as caught:
        await pool.run(batch)
    return caught.value


async def backend(pool: Pool) -> bytes:
    value = rows(await pool.run(plain("select pg_backend_pid()")))[0][0]
    assert value is not None
    return value


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


# Prepared statements -------------------------------------------------------------------------------------


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


# Waiting and leaving -------------------------------------------------------------------------------------


async def test_a_renewed_pool_knows_nothing_of_types_that_were(make_database, make_pool) -> None:
    uri = make_database("create table pets (id uuid)")
    pool = await make_pool(uri, size=1)
    ask = Batch([Query(b"select id from pets where id = $1", [b"7"])], scope="")
    assert (await refused(pool, ask)).code == "22P02"
    with psycopg.connect(uri, autocommit=True) as admin:
        admin.execute("drop table pets; create table pets as select 7 as id")
    pool.renew()
    assert rows(await pool.run(ask)) == [(b"7",)]


async def test_a_renewed_pool_lets_what_runs_end_and_then_has_new_connections(uri: str, make_pool) -> None:
    pool = await make_pool(uri, size=2)
    slow = asyncio.ensure_future(pool.run(plain("select pg_backend_pid(), pg_sleep(0.5)")))
    await asyncio.sleep(0)  # it is sent
    other = await backend(pool)
    pool.renew()
    new = await backend(pool)
    (old, _), *_ = rows(await slow)
    assert len({old, other, new}) == 3
    assert [await backend(pool), await backend(pool)] == [new, new]
    assert pool.connections == 1


async def test_more_batches_than_connections_take_turns(pool: Pool) -> None:
    results = await asyncio.gather(*[pool.run(batch("select $1::int", str(n))) for n in range(100)])
    assert [rows(result) for result in results] == [[(b"%d" % n,)] for n in range(100)]


async def test_waiting_too_long_for_a_connection_is_a_504(uri: str, make_pool) -> None:
    pool = await make_pool(uri, size=1, acquisition_timeout=0.1)
    slow = asyncio.create_task(pool.run(batch("select pg_sleep(0.5)")))
    await asyncio.sleep(0)
    errors = await asyncio.gather(refused(pool, batch("select 1")), refused(pool, batch("select 2")))
    assert [(error.status, error.code) for error in errors] == [(504, "PGRST003")] * 2
    await slow
    assert rows(await pool.run(batch("select 1"))) == [(b"1",)]


async def test_cancelled_tasks_by_the_hundred_neither_leak_nor_poison(uri: str, make_pool) -> None:
    pool = await make_pool(uri, size=2)

    async def ask(n: int) -> None:
        begin = b"begin" if n % 2 else None
        sql = "select 1/0" if n % 5 == 0 else "select current_user, pg_sleep(0.001)"
        await pool.run(
            batch(sql, role="anon", begin=begin, verdict=(lambda results: True) if n % 3 else None)
        )

    for round_ in range(4):
        tasks = [asyncio.create_task(ask(n)) for n in range(100)]
        for n in range(round_ * 10):
            await asyncio.sleep(0.001 * (n % 3))
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    answers = await asyncio.gather(*[pool.run(plain("select current_user, $$fine$$")) for _ in range(20)])
    assert {tuple(rows(answer)) for answer in answers} == {((b"postgres", b"fine"),)}
    ours = "application_name = 'aiodata' and datname = current_database()"
    open_ones = rows(await pool.run(plain(f"select 1 from pg_stat_activity where {ours}")))
    assert len(open_ones) <= 2


async def test_a_short_batch_whose_caller_left_is_committed_whole(pool: Pool) -> None:
    writes = [Query(b"select pg_sleep(0.05)"), Query(b"insert into pets values ('Left')")]
    task = asyncio.create_task(pool.run(Batch(writes, scope="")))
    await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.sleep(0.1)
    assert rows(await pool.run(batch("delete from pets where name = 'Left' returning 1"))) == [(b"1",)]


async def test_a_long_batch_whose_caller_left_is_cancelled_after_the_grace(uri: str, make_pool) -> None:
    pool = await make_pool(uri, size=1, grace=0.05)
    task = asyncio.create_task(pool.run(batch("select pg_sleep(30), 'abandoned'")))
    await asyncio.sleep(0.05)
    task.cancel()
    assert rows(await pool.run(batch("select 1"))) == [(b"1",)]
    assert await running(pool, "abandoned") == 0


# Losing the database -------------------------------------------------------------------------------------


async def test_a_terminated_connection_fails_its_batch_and_is_replaced(uri: str, make_pool) -> None:
    pool = await make_pool(uri, size=1)
    pid = await backend(pool)
    task = asyncio.create_task(refused(pool, batch("select pg_sleep(30)")))
    await asyncio.sleep(0.05)
    with psycopg.connect(uri, autocommit=True) as other:
        other.execute("select pg_terminate_backend(%s)", [int(pid)])
    error = await task
    assert (error.status, error.code) == (503, "57P01")
    assert await backend(pool) != pid


async def test_an_idle_connection_that_is_terminated_goes_unnoticed(uri: str, make_pool) -> None:
    pool = await make_pool(uri, size=1)
    pid = await backend(pool)
    with psycopg.connect(uri, autocommit=True) as other:
        other.execute("select pg_terminate_backend(%s, 5000)", [int(pid)])
    await asyncio.sleep(0.05)
    assert await backend(pool) != pid


async def test_no_connection_at_open_is_a_503_and_a_later_database_is_found(own_postgres, make_pool) -> None:
    own_postgres.crash()
    pool = Pool(own_postgres.uri(), size=2)
    with pytest.raises(InternalError) as caught:
        await pool.open()
    assert (caught.value.status, caught.value.code) == (503, "PGRST000")
    own_postgres.restart()
    assert rows(await pool.run(plain("select 1"))) == [(b"1",)]
    await pool.close()


@pytest.mark.parametrize("mode", ["fast", "immediate"])
async def test_a_stopped_database_is_a_503_until_it_is_back(own_postgres, make_pool, mode) -> None:
    pool = await make_pool(own_postgres.uri(), size=3)
    await asyncio.gather(*[pool.run(plain("select pg_sleep(0.01)")) for _ in range(3)])
    tasks = [asyncio.create_task(refused(pool, plain("select pg_sleep(30)"))) for _ in range(5)]
    await asyncio.sleep(0.05)
    await asyncio.to_thread(own_postgres.stop, mode)
    assert {error.status for error in await asyncio.gather(*tasks)} == {503}
    errors = await asyncio.gather(*[refused(pool, plain("select 1")) for _ in range(20)])
    assert {(error.status, error.code) for error in errors} == {(503, "PGRST000")}
    await asyncio.to_thread(own_postgres.restart)
    results = await asyncio.gather(*[pool.run(plain("select 1")) for _ in range(20)])
    assert all(rows(result) == [(b"1",)] for result in results)


async def test_a_wrong_address_or_password_is_a_503_that_names_the_reason(uri: str) -> None:
    for wrong in (uri + "x", "postgresql://127.0.0.1:1/none", "not a connection string"):
        pool = Pool(wrong)
        with pytest.raises(InternalError) as caught:
            await pool.open()
        assert (caught.value.status, caught.value.code) == (503, "PGRST000")
        assert caught.value.details
        await pool.close()


async def test_idle_connections_are_closed_and_come_back(uri: str, make_pool) -> None:
    pool = await make_pool(uri, size=3, max_idletime=0.0)
    await asyncio.gather(*[pool.run(plain("select pg_sleep(0.01)")) for _ in range(3)])
    await eventually(lambda: pool.connections == 0)
    assert rows(await pool.run(plain("select 1"))) == [(b"1",)]


async def test_close_waits_for_what_runs_and_refuses_what_comes(uri: str) -> None:
    pool = Pool(uri, size=2)
    await pool.open()
    task = asyncio.create_task(pool.run(plain("select pg_sleep(0.1), 1")))
    await asyncio.sleep(0.02)
    await pool.close()
    assert rows(await task) == [(b"", b"1")]
    assert (await refused(pool, plain("select 1"))).status == 503
    assert pool.connections == 0


async def test_close_cancels_what_runs_too_long(uri: str) -> None:
    pool = Pool(uri, size=2)
    await pool.open()
    task = asyncio.create_task(refused(pool, plain("select pg_sleep(30)")))
    await asyncio.sleep(0.02)
    await pool.close(grace=0.05)
    assert (await task).status == 503
