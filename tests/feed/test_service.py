"""Version 1 sockets hear every commit once, in order, as far as their role may see; refusals say why."""

import asyncio
import time

import psycopg
import pytest

from aiodata_django.core.errors import ApiError
from aiodata_django.feed.service import FeedUnavailable

from .conftest import Socket, staged

PETS = """
create schema api;
create table api.pets (id int primary key, name text, owner text default 'nobody');
create table api.keyless (a int);
grant usage on schema api to anon, auth;
grant select on api.pets, api.keyless to auth;
grant select (id, name) on api.pets to anon;
"""


async def test_each_kind_of_change_is_told_with_keys_and_rows(stage) -> None:
    here = await stage(PETS)
    socket = await here.listen("auth")
    await here.write(
        "insert into api.pets values (1, 'Aqui')",
        "update api.pets set name = 'Luna'",
        "update api.pets set id = 2",
        "delete from api.pets",
    )
    assert await socket.heard(4) == [
        ["POST", "pets", [], [{"id": 1, "name": "Aqui", "owner": "nobody"}]],
        ["PATCH", "pets", [1], [{"id": 1, "name": "Luna", "owner": "nobody"}]],
        ["PATCH", "pets", [1], [{"id": 2, "name": "Luna", "owner": "nobody"}]],
        ["DELETE", "pets", [2], [{"id": 2}]],
    ]


async def test_a_role_gets_the_columns_it_may_select(stage) -> None:
    here = await stage(PETS)
    socket = await here.listen("anon")
    await here.write("insert into api.pets values (1, 'Aqui', 'me')")
    assert await socket.heard(1) == [["POST", "pets", [], [{"id": 1, "name": "Aqui"}]]]


async def test_a_role_without_the_key_or_any_right_hears_nothing(stage) -> None:
    here = await stage(PETS)
    await here.write("revoke select (id) on api.pets from anon")
    await here.feed.hub.refresh()
    deaf, hearing = await here.listen("anon"), await here.listen("auth")
    await here.write("insert into api.pets values (1, 'Aqui')")
    await hearing.heard(1)
    await asyncio.sleep(0.05)
    assert deaf.frames == []


async def test_a_grant_and_a_revoke_take_effect_while_streaming(stage) -> None:
    here = await stage(PETS)
    socket = await here.listen("auth")
    await here.write("revoke select on api.pets from auth")
    await here.feed.hub.refresh()
    await here.write("insert into api.pets values (1, 'unheard')", "grant select on api.pets to auth")
    await here.feed.hub.passed(await present(here))
    await here.feed.hub.refresh()
    await here.write("insert into api.pets values (2, 'heard')")
    await socket.heard(1)
    assert [frame[3][0]["name"] for frame in socket.frames] == ["heard"]


async def polled(condition) -> None:
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it never came true")


async def present(here) -> int:
    return (await here.feed.control.present())[1]


async def test_many_writers_are_heard_once_each_in_commit_order(stage) -> None:
    here = await stage(PETS)
    sockets = [await here.listen("auth"), await here.listen("auth"), await here.listen("anon")]

    async def write(first: int) -> None:
        async with await psycopg.AsyncConnection.connect(here.uri, autocommit=True) as connection:
            for number in range(first, first + 100):
                await connection.execute(f"insert into api.pets values ({number}, 'x')")

    await asyncio.gather(*(write(n * 1000) for n in range(4)))
    for socket in sockets:
        await socket.heard(400)
    told = [[frame[3][0]["id"] for frame in socket.frames] for socket in sockets]
    assert told[0] == told[1] == told[2]
    assert sorted(told[0]) == sorted(n * 1000 + i for n in range(4) for i in range(100))
    for n in range(4):
        mine = [number for number in told[0] if number // 1000 == n]
        assert mine == sorted(mine)


async def test_what_was_committed_before_a_socket_joined_is_not_told(stage) -> None:
    here = await stage(PETS)
    for number in range(30):
        await here.write(f"insert into api.pets values ({number})")
        socket = await here.listen("auth")
        await here.write(f"update api.pets set name = 'x' where id = {number}")
        await socket.heard(1)
        assert [frame[:3] for frame in socket.frames] == [["PATCH", "pets", [number]]]


async def test_joins_under_load_leave_no_gap(stage) -> None:
    """Socket first, then a read: what the read misses, the socket tells."""
    here = await stage(PETS)
    stop = False

    async def write(first: int) -> None:
        async with await psycopg.AsyncConnection.connect(here.uri, autocommit=True) as connection:
            number = first
            while not stop:
                await connection.execute(f"insert into api.pets values ({number}, 'x')")
                number += 4

    writers = [asyncio.create_task(write(n)) for n in range(4)]
    joined: list[tuple[Socket, set[int]]] = []
    async with await psycopg.AsyncConnection.connect(here.uri, autocommit=True) as connection:
        for _ in range(40):
            socket = await here.listen("auth")
            rows = await (await connection.execute("select id from api.pets")).fetchall()
            joined.append((socket, {row[0] for row in rows}))
    stop = True
    await asyncio.gather(*writers)
    await here.feed.hub.passed(await present(here))
    total = await here.value("select count(*) from api.pets")
    for socket, read in joined:
        await socket.until(
            lambda socket=socket, read=read: len(read | {f[3][0]["id"] for f in socket.frames}) == total
        )
        told = [frame[3][0]["id"] for frame in socket.frames]
        assert len(told) == len(set(told))


async def test_an_expired_token_closes_its_socket(stage) -> None:
    here = await stage(PETS)
    socket = await here.listen("auth", expires=time.time() + 0.2)
    await socket.until(lambda: socket.closed)
    assert socket.closed is not None
    assert socket.closed[0] == 4401


async def test_truncate_closes_rather_than_leave_a_copy_wrong(stage) -> None:
    here = await stage(PETS)
    socket = await here.listen("auth")
    await here.write("truncate api.pets")
    await socket.until(lambda: socket.closed)
    assert socket.closed is not None
    assert socket.closed[0] == 4410


async def test_a_role_that_cannot_be_taken_is_an_error(stage) -> None:
    here = await stage(PETS)
    with pytest.raises(ApiError):
        await here.listen("no such role")


async def test_a_broken_session_closes_version_1_and_the_feed_goes_on(stage) -> None:
    here = await stage(PETS)
    socket = await here.listen("auth")
    await here.write(
        "select pg_terminate_backend(active_pid) from pg_replication_slots where active"
        " and database = current_database()"
    )
    await socket.until(lambda: socket.closed)
    assert socket.closed is not None
    assert socket.closed[0] == 4012
    again = await here.listen("auth")
    await here.write("insert into api.pets values (1)")
    await again.heard(1)


async def test_stopping_leaves_no_slot_behind(make_database) -> None:
    uri = make_database(PETS)
    async with staged(uri) as here:
        await here.feed.ready()
        slots = "select count(*) from pg_replication_slots where database = current_database()"
        assert await here.value(slots) == 1
        await here.feed.stop()
        for _ in range(200):
            if await here.value(slots) == 0:
                break
            await asyncio.sleep(0.02)
        assert await here.value(slots) == 0


async def test_without_the_replication_right_the_problem_says_what_to_run(make_database, as_user) -> None:
    uri = make_database(PETS + "create publication aiodata for table api.pets")
    async with await psycopg.AsyncConnection.connect(uri, autocommit=True) as admin:
        await admin.execute("drop role if exists plain_login")
        await admin.execute("create role plain_login login password 'plain_login'")
        try:
            async with staged(uri, login=as_user(uri, "plain_login")) as here:
                with pytest.raises(FeedUnavailable, match="ALTER ROLE plain_login REPLICATION"):
                    await here.feed.ready()
        finally:
            await admin.execute("drop role plain_login")


async def test_without_a_publication_and_the_right_to_make_it_the_problem_has_the_sql(
    make_database, as_user
) -> None:
    uri = make_database(PETS)
    async with staged(uri, login=as_user(uri, "authenticator")) as here:
        with pytest.raises(FeedUnavailable, match="create publication") as refused:
            await here.feed.ready()
        assert 'for table only "api"."pets" with' in str(refused.value)
        await here.write("create publication aiodata for table only api.pets")
        await polled(lambda: here.feed.problem is None)
        socket = await here.listen("auth")
        await here.write("insert into api.pets values (1)")
        await socket.heard(1)


async def test_followers_get_rows_as_python_values_once_visible(stage) -> None:
    here = await stage(PETS)
    told = []

    async def follow() -> None:
        async for transaction in here.feed.subscribe_transactions():
            seen = await here.value("select count(*) from api.pets")
            told.append(([(c.kind, c.key, c.old_key, c.row) for c in transaction.changes()], seen))

    task = asyncio.create_task(follow())
    await asyncio.sleep(0.2)
    await here.write(
        "insert into api.pets values (1, 'a'), (2, 'b')", "update api.pets set id = 3 where id = 1"
    )
    await polled(lambda: len(told) == 2)
    task.cancel()
    assert told[0] == (
        [
            ("create", (1,), (1,), {"id": 1, "name": "a", "owner": "nobody"}),
            ("create", (2,), (2,), {"id": 2, "name": "b", "owner": "nobody"}),
        ],
        2,
    )
    assert told[1][0] == [("update", (3,), (1,), {"id": 3, "name": "a", "owner": "nobody"})]
