"""Version 2 while definitions change; partitions and generated columns."""

from __future__ import annotations

from aiodata_django.core.state.session import Subscription

from .copy import Copy
from .zoo import SCHEMA, equal


async def test_definitions_change_while_streaming(stage) -> None:
    here = await stage(SCHEMA)
    await here.write("insert into api.pets values (1, 'Dog', 'Aqui', 'me')")
    copy = await (await Copy(here.feed, "auth", Subscription(1, "pets")).connect()).live()
    await here.write(
        "alter table api.pets add column age int default 3",
        "insert into api.pets values (2, 'Cat', 'Mu', null, 4)",
    )
    await copy.until(lambda: "schema" in copy.resyncs)
    await copy.synced()
    await equal(copy, here, "pets")
    await here.write("alter table api.pets alter id type bigint, drop column owner")
    await here.feed.reload()
    await here.write("update api.pets set name = 'x'")
    await copy.synced()
    await equal(copy, here, "pets")


async def test_a_table_dropped_or_revoked_is_emptied(stage) -> None:
    here = await stage(SCHEMA)
    await here.write("insert into api.pets values (1)", "insert into api.toys values (1, 'a', 1)")
    copy = await (await Copy(here.feed, "auth").connect()).live()
    await here.write("drop table api.pets", "revoke select on api.toys from auth")
    await here.feed.reload()
    await copy.until(lambda: not copy.table("pets") and not copy.table("toys"))
    await here.write("create table api.fresh (id int primary key)", "grant select on api.fresh to auth")
    await here.feed.reload()
    await here.write("insert into api.fresh values (1)")
    await copy.until(lambda: copy.table("fresh"))


async def test_partitions_speak_with_their_roots_name_and_come_and_go(stage) -> None:
    here = await stage(
        SCHEMA
        + """create table api.days (day int primary key, what text) partition by range (day);
        create table api.days_1 partition of api.days for values from (0) to (10);
        create table api.days_2 partition of api.days for values from (10) to (20);
        grant select on api.days to auth;"""
    )
    await here.write("insert into api.days values (1, 'a'), (11, 'b')")
    copy = await (await Copy(here.feed, "auth", Subscription(1, "days")).connect()).live()
    await here.write("update api.days set day = 12 where day = 1", "insert into api.days values (2, 'c')")
    await copy.synced()
    await equal(copy, here, "days")
    await here.write("truncate api.days_2")
    await copy.until(lambda: list(copy.table("days")) == [(2,)])
    await here.write("alter table api.days detach partition api.days_1")
    await here.feed.reload()
    await copy.until(lambda: copy.table("days") == {})
    await here.write("alter table api.days attach partition api.days_1 for values from (0) to (10)")
    await here.feed.reload()
    await copy.until(lambda: list(copy.table("days")) == [(2,)])


async def test_generated_columns_are_there(stage) -> None:
    here = await stage(SCHEMA)
    kinds = ["stored", "virtual"] if await here.value("show server_version_num") >= "180000" else ["stored"]
    for kind in kinds:
        await here.write(
            f"create table api.g_{kind}"
            f" (id int primary key, a int, b int generated always as (a * 2) {kind})",
            f"grant select on api.g_{kind} to auth",
        )
    await here.feed.reload()
    copy = await (await Copy(here.feed, "auth").connect()).live()
    for kind in kinds:
        await here.write(f"insert into api.g_{kind} values (1, 5)", f"update api.g_{kind} set a = 6")
    await copy.synced()
    for kind in kinds:
        assert copy.table(f"g_{kind}") == {(1,): '{"id":1,"a":6,"b":12}'}
