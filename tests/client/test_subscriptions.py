"""Subscriptions that are refused, at once or later, and tables of theirs that change shape."""

from collections import deque

import psycopg
import pytest

from aiodata_django.client import Client, Error, asdict
from aiodata_django.client.transport import HttpTransport
from tests.client.heard import Heard
from tests.client.test_follow import Recorded
from tests.live import DEMO_SCHEMA, token

ROOMS = """
create table api.members (who text primary key);
create table api.messages (id int primary key, body text);
alter table api.messages replica identity full;
alter table api.messages enable row level security;
create policy joined on api.messages using (exists (
    select from api.members where who = current_setting('request.jwt.claims', true)::json ->> 'sub'));
insert into api.messages values (1, 'hello');
grant select on api.members, api.messages to auth;
alter publication aiodata add table api.members, api.messages;
"""


def sql(server, *statements):
    with psycopg.connect(server.admin_uri, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)


async def test_a_refused_subscription_is_forgotten_by_both_sides_and_hurts_no_other(make_aiodata_server):
    server, heard = make_aiodata_server(), Heard()
    sql(
        server,
        "revoke select on api.pets from anon, auth",
        "grant select (type, breed, name) on api.pets to auth",
    )
    transport = Recorded(server.url)
    async with Client(token=token(), callback=heard, transport=transport, subscribe=["owners"]) as client:
        for what, code, hint in (
            ("pets?color=eq.1", "42501", None),
            ("owners?nam=eq.Eve", "42703", "owners.name"),
            ("nothing", "PGRST205", None),
        ):
            with pytest.raises(Error) as refused:
                await client.subscribe(what)
            assert refused.value.code == code
            assert (hint or "") in (refused.value.hint or "")
        assert [each.table for each in client.subscriptions] == ["owners"]
        seen = len(transport.texts)
        sql(server, "alter table api.owners add column nam text default 'Eve'")  # it could be granted now
        await heard.wait(1, 20)
        await client.tables.owners.create(name="Ann")
        assert not [text for text in transport.texts[seen:] if '"sub":2' in text or '"sub":3' in text]


async def test_rows_that_may_not_be_told_any_more_are_gone_until_they_may(make_aiodata_server, caplog):
    server, heard = make_aiodata_server(), Heard()
    async with Client(server.url, token(), callback=heard, subscribe=["pets", "owners"]) as client:
        owners = {owner.id for owner in client.tables.owners}
        pets = len(client.tables.pets)
        sql(server, "revoke select on api.owners from auth, anon")
        await heard.wait(len(owners), 20)
        assert [(action, row.id) for action, _, rows in heard for row in rows] == [
            ("delete", number) for number in sorted(owners)
        ]
        assert (client.tables.owners.get(), len(client.tables.pets)) == ((), pets)
        assert "42501" in caplog.text
        sql(server, "grant select on api.owners to auth")
        await heard.wait(2 * len(owners), 20)
        assert {owner.id for owner in client.tables.owners} == owners
        sql(server, "insert into api.owners (name) values ('Late')")
        await heard.wait(2 * len(owners) + 1, 20)
        assert "Late" in {owner.name for owner in client.tables.owners}


class Together(HttpTransport):
    """The network; what it brings waits for a message with ``awaited`` in it, and comes with that at once."""

    awaited = ""

    async def connect(self, target, headers, protocols=()):
        socket = await super().connect(target, headers, protocols)
        receive, kept = socket.receive, deque()

        async def together():
            if not kept:
                kept.append(await receive())
                while not any(self.awaited in text for text in kept):
                    kept.append(await receive())
                self.awaited = ""
            return kept.popleft()

        socket.receive = together
        return socket


async def test_a_copy_is_stale_when_what_came_with_a_resync_is_told(make_aiodata_server):
    server, told = make_aiodata_server(DEMO_SCHEMA + ROOMS), Heard()
    states = []

    def hear(action, table, entries):
        states.append((table, client.state))
        told(action, table, entries)

    transport = Together(server.url)
    async with Client(token=token(sub="me"), callback=hear, transport=transport) as client:
        await client.live()
        assert client.tables.messages.get() == ()
        transport.awaited = '"op":"txn"'
        with psycopg.connect(server.admin_uri) as connection:
            connection.execute("insert into api.members values ('me')")
            connection.execute("insert into api.pets values ('Cow', 'x', 'y')")
        await told.until(lambda: len(client.tables.messages.get()) == 1)
        await client.live()
    assert ("pets", "stale") in states
    assert ("pets", "live") not in states


async def test_entries_of_the_old_and_the_new_shape_are_told_when_a_column_comes_and_goes(
    make_aiodata_server,
):
    server, heard = make_aiodata_server(), Heard()
    async with Client(server.url, token(), callback=heard, subscribe=["owners"]) as client:
        before = {owner.id: owner for owner in client.tables.owners}
        for count, (statement, old_has, new_has) in enumerate(
            (
                ("alter table api.owners add column chip text default 'none'", False, True),
                ("alter table api.owners drop column chip", True, False),
            ),
            1,
        ):
            sql(server, statement)
            await heard.wait(count * len(before), 20)
            pairs = [pair for _, _, entries in heard[(count - 1) * len(before) :] for pair in entries]
            assert sorted(old.id for old, _ in pairs) == sorted(before)
            assert {("chip" in old, "chip" in new) for old, new in pairs} == {(old_has, new_has)}
            assert all(client.tables.owners.get(new.id) == (new,) for _, new in pairs)
        assert {owner.id: asdict(owner) for owner in client.tables.owners} == {
            key: asdict(owner) for key, owner in before.items()
        }
        assert {action for action, _, _ in heard} == {"update"}
