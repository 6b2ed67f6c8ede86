"""The schema most tests of version 2 play in, and how a copy is compared with it."""

from __future__ import annotations

from .conftest import Stage
from .copy import Copy

SCHEMA = """
create schema api;
create table api.pets (id int primary key, type text default 'Dog', name text, owner text);
create table api.toys (pet int, name text, price numeric(8,2), primary key (pet, name));
create table api.notes (id int primary key, owner text, body text);
alter table api.notes replica identity full;
alter table api.notes enable row level security;
create policy mine on api.notes to auth
    using (owner = current_setting('request.jwt.claims', true)::json ->> 'sub');
create table api.members (who text, room int, primary key (who, room));
create table api.messages (id int primary key, room int, body text);
alter table api.messages enable row level security;
alter table api.messages replica identity full;
create policy joined on api.messages using (exists (
    select from api.members m
    where m.who = current_setting('request.jwt.claims', true)::json ->> 'sub' and m.room = messages.room));
create table api.keyless (a int);
grant usage on schema api to anon, auth;
grant select on all tables in schema api to auth;
grant select on api.pets to anon;
"""


async def equal(copy: Copy, here: Stage, table: str, where: str = "true") -> None:
    """The copy of a table is what the table holds; ``where`` says what row security leaves of it."""
    query = f"select coalesce(json_agg(row_to_json(t)::text), '[]') from api.{table} t where {where}"
    expected = await here.value(query)
    assert sorted(copy.table(table).values()) == sorted(expected)
