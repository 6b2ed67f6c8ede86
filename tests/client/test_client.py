"""The client on the real server: what it copies, hears, writes and refuses."""

import asyncio
import time
import uuid
from datetime import date
from decimal import Decimal

import psycopg
import pytest
from wrapio import Track

from aiodata_django.client import Client, Column, Error, SyncClient, asdict
from tests.client.heard import Heard
from tests.live import token


@pytest.fixture(autouse=True)
def fresh_pets(aiodata_server):
    """Each test begins with these rows, whatever those before it wrote."""
    sql(
        aiodata_server,
        "truncate api.keepings, api.visits, api.pets, api.opening_hours, api.remarks",
        "insert into api.pets (type, breed, name, color) values"
        " ('Cat', 'Persian', 'Aja', 1), ('Cat', 'Persian', 'Bo', 2), ('Parrot', 'Kea', 'A/B 100%', 3)",
    )


def sql(server, *statements):
    with psycopg.connect(server.admin_uri, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)


@pytest.fixture
def heard():
    return Heard()


@pytest.fixture
async def client(aiodata_server, heard, fresh_pets):
    async with Client(aiodata_server.url, token(), callback=heard) as client:
        await client.live()
        yield client


async def test_the_copy_is_what_the_tables_hold(client):
    pets = client.tables.pets
    assert {pet.name for pet in pets} == {pet["name"] for pet in pets.get()} == {"Aja", "Bo", "A/B 100%"}
    assert [pet.color for pet in pets.get("Cat", "Persian", "Bo")] == [2]
    assert {pet.name for pet in pets.get("Cat")} == {"Aja", "Bo"}
    assert pets.get("Cow") == pets.get("Cat", "Persian", "Bo", "more") == ()
    assert (client.state, len(pets)) == ("live", 3)


async def test_tables_are_found_by_attribute_item_and_iteration(client):
    assert client.tables.pets is client.tables["pets"]
    assert {"pets", "owners", "visits", "remarks", "ungroomed"} <= set(client.tables)
    assert client.tables.pets.name == "pets"
    with pytest.raises(AttributeError):
        client.tables.cars  # noqa: B018
    with pytest.raises(KeyError):
        client.tables["cars"]


async def test_fields_describe_the_columns(client):
    fields = client.tables.keepings.fields
    assert [field.name for field in fields] == ["owner_id", "type", "breed", "name"]
    assert (fields.owner_id.main, fields.owner_id.type, fields.owner_id.null) == (True, "int4", False)
    assert (fields.owner_id.refs, fields["type"].refs) == (("owners", "id"), ("pets", "type"))
    assert client.tables.pets.fields.color.info == "RGB, 24 bits"
    assert client.tables.owners.fields.phones.dims == 1


async def test_writes_answer_with_entries_and_are_heard_in_order(client, heard):
    pets = client.tables.pets
    chain = pets.create("Fish", "Koi", "Aqui", color=1).create(
        "Dog", breed="Akita", name="Luna", groomed=True
    )
    created = await chain
    assert [(pet.name, pet.color, pet.groomed) for pet in created] == [
        ("Aqui", 1, False),
        ("Luna", None, True),
    ]
    (luna,) = await pets.update("Dog", color=7)
    gone = await pets.delete("Fish", "Koi")
    assert gone == created[:1]
    assert heard == [
        ("create", "pets", created),
        ("update", "pets", ((created[1], luna),)),
        ("delete", "pets", gone),
    ]
    assert pets.get("Dog") == (luna,)


async def test_every_writer_is_heard_once_and_in_commit_order(client, heard, aiodata_server):
    sql(aiodata_server, "insert into api.pets values ('Cow', 'x', 'psql')")
    await client.tables.pets.create("Cow", "x", "client")
    await client.rpc("paint", {"type": "Cow", "color": 9})
    sql(aiodata_server, "update api.pets set name = 'renamed' where name = 'psql'")
    with SyncClient(aiodata_server.url, token()) as other:
        other.from_("pets").eq("name", "client").delete().execute()
    await heard.wait(5)
    assert [(action, *names(entries)) for action, _, entries in heard] == [
        ("create", "psql"),
        ("create", "client"),
        ("update", ("psql", "psql"), ("client", "client")),
        ("update", ("psql", "renamed")),
        ("delete", "client"),
    ]
    assert [pet.name for pet in client.tables.pets.get("Cow")] == ["renamed"]


def names(entries):
    return [
        tuple(each.name for each in entry) if isinstance(entry, tuple) else entry.name for entry in entries
    ]


async def test_entries_stay_as_they_were_when_rows_change(client, heard):
    (before,) = client.tables.pets.get("Cat", "Persian", "Bo")
    (after,) = await client.tables.pets.update("Cat", "Persian", "Bo", color=5)
    assert (before.color, after.color) == (2, 5)
    assert heard[0][2] == ((before, after),)
    assert heard[0][2][0][0] is before


ODD_KEYS = ["", "a/b", "a b", "100%", "%2F", "..", ".", "ü✓", "+&?#=", "\\", '"', "a,b", "x'y", "\n", "*"]


@pytest.mark.parametrize("part", ODD_KEYS)
async def test_any_text_is_a_key(client, heard, part):
    pets = client.tables.pets
    (created,) = await pets.create("odd", part, part, color=1)
    (updated,) = await pets.update("odd", part, part, color=2)
    assert (created.breed, updated.name, updated.color) == (part, part, 2)
    assert pets.get("odd", part, part) == pets.get("odd", part) == (updated,)
    assert await pets.delete("odd", part) == (updated,)
    assert pets.get("odd") == ()


async def test_keys_of_other_types_than_text(client, heard):
    visits, days, owners = client.tables.visits, client.tables.opening_hours, client.tables.owners
    number = uuid.uuid4()
    (visit,) = await visits.create(
        number, type="Cat", breed="Persian", name="Bo", reason="claws", price=Decimal("12.50")
    )
    (day,) = await days.create(date(2030, 2, 1), opens="09:00", closes="17:00")
    (owner,) = await owners.create(name="Eve", phones=["+1", "+2"], profile={"city": "Évora", "n": 1.5})
    assert visits.get(number) == visits.get(str(number)) == (visit,)
    assert visit.price == Decimal("12.50")
    assert days.get(date(2030, 2, 1)) == days.get("2030-02-01") == (day,)
    assert owners.get(owner.id) == (owner,)
    assert (owner.phones, owner.profile) == (["+1", "+2"], {"city": "Évora", "n": 1.5})
    assert await days.update(date(2030, 2, 1), opens=None) == await days.delete(date(2030, 2, 1))
    assert await visits.delete(number) == (visit,)
    assert await owners.delete(owner.id) == (owner,)
    assert len(heard) == 7
    assert visits.get() == days.get() == owners.get(owner.id) == ()


async def test_a_whole_table_is_deleted_without_key(client, heard):
    gone = await client.tables.pets.delete()
    assert [(action, len(entries)) for action, _, entries in heard] == [("delete", 3)]
    assert {pet.name for pet in gone} == {"Aja", "Bo", "A/B 100%"}
    assert client.tables.pets.get() == ()


async def test_a_truncate_is_heard(client, heard, aiodata_server):
    sql(aiodata_server, "truncate api.pets cascade")
    await heard.until(lambda: not client.tables.pets.get())
    assert sum(len(entries) for _, table, entries in heard if table == "pets") == 3
    assert {action for action, table, _ in heard if table == "pets"} == {"delete"}


async def test_a_table_without_key_is_listed_written_to_and_not_copied(client, heard):
    remarks = client.tables.remarks
    (remark,) = await remarks.create(remark="hot")
    await client.tables.pets.create("Cow", "x", "y")
    assert (remark.remark, remarks.key) == ("hot", ())
    assert remarks.get() == tuple(remarks) == ()
    assert [table for _, table, _ in heard] == ["pets"]


async def test_more_key_values_than_key_columns_are_refused(client):
    with pytest.raises(TypeError, match="type, breed, name"):
        client.tables.pets.create("Dog", "Akita", "Luna", "more")
    with pytest.raises(TypeError, match="none"):
        client.tables.remarks.create("x")
    with pytest.raises(Error) as refused:
        await client.tables.pets.delete("Cat", "Persian", "Bo", "more")
    assert refused.value.status == 400
    assert len(client.tables.pets) == 3


async def test_errors_carry_what_the_server_said(client):
    with pytest.raises(Error) as refused:
        await client.tables.pets.create("Cat", "Persian", "Bo")
    error = refused.value
    assert (error.status, error.code) == (409, "23505")
    assert "pets_pkey" in error.message
    assert "already exists" in error.details
    with pytest.raises(Error) as refused:
        await client.tables.pets.update("Cat", colour=1)
    assert (refused.value.status, refused.value.code) == (400, "PGRST204")


async def test_without_a_token_one_reads_and_may_not_write(aiodata_server, client, heard):
    others = Heard()
    async with Client(aiodata_server.url, callback=others) as anonymous:
        await anonymous.live()
        with pytest.raises(Error) as refused:
            await anonymous.tables.pets.create("Dog", "Akita", "Luna")
        assert (refused.value.status, refused.value.code) == (401, "42501")
        await client.tables.pets.create("Dog", "Akita", "Luna")
        await others.wait(1)
        assert len(anonymous.tables.pets.get("Dog")) == 1


async def test_a_bad_token_ends_the_start(aiodata_server):
    client = Client(aiodata_server.url, "bad")
    with pytest.raises(Error) as refused:
        await client.start()
    assert refused.value.status == 401
    assert (refused.value.code or "").startswith("PGRST30")


async def test_a_token_may_be_a_coroutine_function(aiodata_server):
    async def renewed():
        return token()

    async with Client(aiodata_server.url, renewed) as client:
        assert await client.tables.pets.delete("Cow") == ()


async def test_whatever_a_callback_does_the_next_event_comes(aiodata_server, caplog):
    heard = Heard()

    async def callback(action, table, entries):
        heard(action, table, entries)
        await asyncio.sleep(0.01)
        raise ValueError("a mistake in the callback")

    async with Client(aiodata_server.url, token(), callback=callback) as client:
        await client.live()
        for name in "abc":
            await client.tables.pets.create("Cow", "x", name)
        await heard.wait(3)
    assert [entries[0].name for _, _, entries in heard] == ["a", "b", "c"]
    assert caplog.text.count("ValueError: a mistake in the callback") >= 2


async def test_a_callback_may_write_and_see_its_own_events(aiodata_server):
    heard = Heard()

    async def callback(action, table, entries):
        heard(action, table, entries)
        if action == "create":
            await client.tables.pets.update("Cow", color=3)

    async with Client(aiodata_server.url, token(), callback=callback) as client:
        await client.live()
        await client.tables.pets.create("Cow", "x", "y")
        await heard.wait(2)
    assert [action for action, _, _ in heard] == ["create", "update"]


async def test_wrapio_s_track_is_a_callback(aiodata_server):
    heard = Heard()
    track = Track(sync=False)

    @track.call
    async def pets_create(entries):
        heard("create", "pets", entries)

    @track.call
    async def pets_update(entries):
        for old, new in entries:
            heard("update", "pets", (old.color, new.color))

    def callback(action, table, entries):
        return track.invoke(f"{table}_{action}", entries)

    async with Client(aiodata_server.url, token(), callback=callback) as client:
        await client.live()
        created = await client.tables.pets.create("Cow", "x", "y", color=1)
        await client.tables.pets.update("Cow", color=2)
        await client.tables.pets.delete("Cow")
        await heard.wait(2)
    assert heard == [("create", "pets", created), ("update", "pets", (1, 2))]


async def test_queries_go_past_the_copy(client):
    kind, color = Column("type"), Column("color")
    rows = (
        await client.from_("pets")
        .select("name", "color", count="exact")
        .where(kind == "Cat")
        .order("color")
        .limit(1)
    )
    assert ([asdict(row) for row in rows], rows.total) == ([{"name": "Aja", "color": 1}], 2)
    odd = (
        await client.from_("pets")
        .where((kind == "Cow") | (Column("name") == "A/B 100%") & (color > 2))
        .single()
    )
    assert odd.name == "A/B 100%"
    (upserted,) = await client.from_("pets").upsert({**asdict(odd), "color": 8})
    assert upserted.color == 8
    assert [row.name for row in await client.from_("pets").in_("name", ["A/B 100%", "x,y"])] == ["A/B 100%"]
    painted = await client.rpc("paint", {"type": "Cat", "color": 4})
    assert {row.color for row in painted} == {4}
    with pytest.raises(Error) as refused:
        await client.from_("pets").eq("type", "Cow").single()
    assert (refused.value.status, refused.value.code) == (406, "PGRST116")


def test_the_synchronous_client_asks_the_same(aiodata_server):
    with SyncClient(aiodata_server.url, token()) as client:
        rows = client.from_("pets").select("name").order("name").execute()
        assert [row.name for row in rows] == ["A/B 100%", "Aja", "Bo"]
        (created,) = client.from_("pets").insert({"type": "Dog", "breed": "..", "name": "x"}).execute()
        assert created.groomed is False
        assert client.from_("pets").eq("breed", "..").delete().execute() == (created,)
        assert client.rpc("paint", {"type": "Cat", "color": 4}).execute()[0].color == 4
        with pytest.raises(Error) as refused:
            client.from_("cars").execute()
        assert (refused.value.status, refused.value.code) == (404, "PGRST205")


async def test_a_view_is_listed_and_not_copied_since_nobody_tells_its_changes(client):
    assert client.tables.ungroomed.get() == ()
    assert client.tables.ungroomed.key == ()
    assert {row.name for row in await client.from_("ungroomed").eq("type", "Cat")} == {"Aja", "Bo"}


async def test_a_write_need_not_be_waited_for(client, heard, aiodata_server):
    (created,) = await client.tables.pets.create("Cow", "x", "y", wait=False)
    await heard.wait(1)
    assert await client.tables.pets.update("Cow", color=1, wait=False) != (created,)
    assert len(await client.tables.pets.delete("Cow", wait=False)) == 1


async def test_a_position_can_be_waited_for(client, aiodata_server):
    with psycopg.connect(aiodata_server.admin_uri) as connection:
        connection.execute("insert into api.pets values ('Cow', 'x', 'y')")
        connection.commit()
        (lsn,) = connection.execute("select pg_current_wal_insert_lsn()::text").fetchone()
    await client.synced(lsn)
    assert len(client.tables.pets.get("Cow")) == 1


async def test_a_transaction_is_in_the_copy_whole_or_not_at_all(aiodata_server):
    """A sum that every transaction keeps is kept in every callback, which finds its rows in the copy."""
    sums, missing = set(), []

    def callback(action, table, entries):
        sums.add(sum(pet.color for pet in client.tables.pets.get("Cat")))
        missing.extend(
            new for _, new in entries if client.tables.pets.get(new.type, new.breed, new.name) != (new,)
        )

    async with Client(aiodata_server.url, token(), callback=callback) as client:
        await client.live()
        moves = (
            "update api.pets set color = color + case name when 'Bo' then 1 else -1 end where type = 'Cat'"
        )
        await asyncio.to_thread(sql, aiodata_server, *[moves] * 50)
        await client.tables.pets.update("Parrot", color=9)
        assert [pet.color for pet in client.tables.pets.get("Cat", "Persian", "Bo")] == [52]
    assert (sums, missing) == ({3}, [])


async def test_changes_that_cancel_out_are_not_told(client, heard, aiodata_server):
    with psycopg.connect(aiodata_server.admin_uri) as connection:
        connection.execute("insert into api.pets values ('Cow', 'x', 'y')")
        connection.execute("update api.pets set color = 5 where type = 'Cow'")
        connection.execute("update api.pets set color = color + 1 where name = 'Bo'")
        connection.execute("update api.pets set color = color - 1 where name = 'Bo'")
        connection.execute("insert into api.pets values ('Ant', 'x', 'y')")
        connection.execute("delete from api.pets where type = 'Ant'")
    await heard.wait(1)
    await client.tables.pets.delete("Cow")
    assert [(action, [pet.color for pet in entries]) for action, _, entries in heard] == [
        ("create", [5]),
        ("delete", [5]),
    ]


async def test_a_client_may_copy_less_than_everything(aiodata_server):
    heard = Heard()
    what = ["pets?type=eq.Cat&select=name,color", "owners"]
    async with Client(aiodata_server.url, token(), callback=heard, subscribe=what) as client:
        await client.live()
        pets = client.tables.pets
        assert {pet.name for pet in pets} == {"Aja", "Bo"}
        assert "groomed" not in pets.get("Cat")[0]
        assert client.tables.visits.get() == ()
        await pets.create("Cow", "z", "z")
        await pets.create("Cat", "x", "y")
        await pets.update("Cat", "x", type="Cow")
        assert [(action, table, *names(entries)) for action, table, entries in heard] == [
            ("create", "pets", "y"),
            ("delete", "pets", "y"),
        ]
        cows = await client.subscribe(client.from_("pets").eq("type", "Cow"))
        assert {pet.breed for pet in pets.get("Cow")} == {"x", "z"}
        assert heard[-1][0] == "create"
        await client.unsubscribe(cows)
        assert heard[-1][0] == "delete"
        assert {pet.type for pet in pets} == {"Cat"}
        with pytest.raises(Error) as refused:
            await client.subscribe("cars")
        assert refused.value.code == "PGRST205"
        assert [each.table for each in client.subscriptions] == ["pets", "owners"]


async def test_a_subscription_that_is_refused_ends_the_start(aiodata_server):
    with pytest.raises(Error) as refused:
        await Client(aiodata_server.url, token(), subscribe=["pets?colour=eq.1"]).start()
    assert refused.value.code in ("42703", "PGRST204")


async def test_a_token_is_renewed_on_the_open_socket(aiodata_server, heard):
    made = []

    def renewed():
        made.append(time.time())
        return token(exp=int(time.time()) + 5)

    async with Client(aiodata_server.url, renewed, callback=heard) as client:
        await client.live()
        await asyncio.sleep(made[0] + 6 - time.time())  # the first one has ended
        assert client.state == "live"
        await client.tables.pets.create("Cow", "x", "y")
    assert len(heard) == 1


async def test_a_table_that_changes_shape_is_copied_anew(client, heard, aiodata_server):
    sql(
        aiodata_server,
        "alter table api.visits add column vet text default 'Eve'",
        "notify pgrst, 'reload schema'",
    )
    try:
        sql(
            aiodata_server,
            "insert into api.visits (type, breed, name, reason) values ('Cat', 'Persian', 'Bo', 'claws')",
        )
        await heard.until(lambda: "vet" in next(iter(client.tables.visits), ()))
        assert [visit.vet for visit in client.tables.visits] == ["Eve"]
        async with asyncio.timeout(10):
            while "vet" not in client.tables.visits.fields:  # noqa: ASYNC110 - no event tells of fields
                await asyncio.sleep(0.05)
        assert client.tables.visits.fields.vet.type == "text"
    finally:
        sql(aiodata_server, "alter table api.visits drop column vet", "notify pgrst, 'reload schema'")
