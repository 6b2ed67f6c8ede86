"""How many rows the gate judges a second: transactions under row-level security, told to many audiences.

    python -m benchmarks.gate [--rounds 5] [--rows 100] [--audiences 100] [--connections 4]

A check is one changed row judged for one audience (role and claims) by the table's own policy. Beside it the
limit: the same images put to the same policy by one statement for each audience, in psql, nothing looked at.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections import defaultdict

import psycopg

from aiodata_django.conf import Settings
from aiodata_django.core.identity import Identity
from aiodata_django.core.schema import Schema
from aiodata_django.core.state.audience import Audience, Viewer
from aiodata_django.db.pool import Pool
from aiodata_django.feed.digest import Digest
from aiodata_django.feed.service import Feed
from benchmarks.load import postgres, table

SQL = """
create role auth nologin;
create role authenticator login replication password 'authenticator';
grant auth to authenticator;
create schema api;
create table api.notes (id int primary key, owner text, body text, price numeric(10, 2));
alter table api.notes replica identity full;
alter table api.notes enable row level security;
create policy mine on api.notes
    using (owner = current_setting('request.jwt.claims', true)::json ->> 'sub');
create publication aiodata for table api.notes;
insert into api.notes
    select n, 'user ' || n % 100, 'the body of note ' || n, n from generate_series(1, 10000) n;
grant usage on schema api to auth;
grant select on api.notes to auth;
"""
SCOPE = "select set_config('role', 'auth', true), set_config('request.jwt.claims', $1, true)"
STATEMENT = """
select count(*) from (
    select coalesce((owner = current_setting('request.jwt.claims', true)::json ->> 'sub'), false),
        (select row_to_json(r) from (select notes.id, notes.owner, notes.body, notes.price) r)::text
    from json_array_elements($1::json) with ordinality as x (image, place),
        lateral json_populate_record(null::api.notes, x.image) as notes order by x.place offset 0) judged
"""


async def audiences(feed: Feed, count: int) -> list[Audience]:
    published = feed.catalogue.published.by_name
    (notes,) = [found for name, found in published.items() if name.name == "notes"]
    grants = await feed.catalogue.grants("auth")
    viewers = [
        Viewer.of(Identity("auth", {"role": "auth", "sub": f"user {n}"}, True, None)) for n in range(count)
    ]
    found = [grants.audience(viewer, notes) for viewer in viewers]
    return [audience for audience in found if audience is not None]


async def judge(feed: Feed, who: list[Audience]) -> None:
    """The newest transaction, for all audiences at once."""
    (transaction,) = feed.log.after(feed.log.last - 1)[-1:]
    digest = Digest(transaction, feed.catalogue.published)
    await asyncio.gather(*[digest.seen(0, audience, feed.gate) for audience in who])


async def bare(connection: psycopg.AsyncConnection, images: str, count: int) -> None:
    for number in range(count):
        async with connection.transaction():
            claims = json.dumps({"role": "auth", "sub": f"user {number}"})
            await connection.execute(
                "select set_config('role', 'auth', true), set_config('request.jwt.claims', $1, true)",
                [claims],
            )
            await connection.execute(STATEMENT, [images])


async def compare(uri: str, admin: str, options: argparse.Namespace) -> None:
    results: dict[str, list[dict[str, float]]] = defaultdict(list)
    settings = Settings(db_uri=uri, db_schemas=("api",))
    connect = psycopg.AsyncConnection.connect
    async with (
        Pool(uri, size=options.connections) as pool,
        await connect(admin, autocommit=True) as writer,
        await connect(uri, autocommit=True, cursor_factory=psycopg.AsyncRawCursor) as limit,
    ):
        schema = Schema(("api",), {})
        feed = Feed(conninfo=uri, pool=pool, schema=lambda: schema, settings=settings)
        await feed.start()
        await feed.ready(30)
        who = await audiences(feed, options.audiences)
        rows = await (
            await writer.execute(
                f"select json_agg(t)::text from (select * from api.notes limit {options.rows}) t"
            )
        ).fetchone()
        for number in range(options.rounds + 1):
            before = feed.log.end
            await writer.execute(f"update api.notes set price = price + 1 where id <= {options.rows}")
            await feed.log.changed(feed.log.epoch, before)
            await asyncio.sleep(0.05)
            for name, work in (
                ("one statement each", lambda: bare(limit, rows[0], options.audiences)),
                ("gate", lambda: judge(feed, who)),
            ):
                cpu, started = time.process_time(), time.perf_counter()
                await work()
                seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
                if number:
                    checks = options.rows * options.audiences
                    results[name].append({"rate": checks / seconds, "CPU µs": cpu / checks * 1e6})
        await feed.stop()
    print(f"\n{options.rows} rows, {options.audiences} audiences; (row, audience) checks a second")
    table(results, limit="one statement each")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=100)
    parser.add_argument("--audiences", type=int, default=100)
    parser.add_argument("--connections", type=int, default=4)
    options = parser.parse_args()
    with postgres(SQL) as server:
        uri = server.uri(user="authenticator", password="authenticator")
        asyncio.run(compare(uri, server.uri(), options))


if __name__ == "__main__":
    main()
