"""Values decoded from the stream are, byte for byte, what to_json of the table prints."""

import asyncio
import json

import psycopg

from aiodata_django.core.changes.published import RowFormat
from aiodata_django.core.changes.transaction import Assembler, Transaction
from aiodata_django.db.published import load_publication, load_published, mending
from aiodata_django.db.replication import ReplicationStream

VALUES = {
    "boolean": ["true", "false"],
    "smallint": ["-32768", "7"],
    "bigint": ["9223372036854775807"],
    "real": ["'NaN'", "'Infinity'", "1.5e-30", "0.1"],
    "double precision": ["'-Infinity'", "0.1", "1e300", "-0.0"],
    "numeric": ["12.50", "'NaN'", "'Infinity'", "1e30", "-0.000001"],
    "money": ["12.34"],
    "text": [
        "''",
        "'a\"b\\c'",
        "E'tab\\t nl\\n cr\\r bs\\b ff\\f bell\\x07 del\\x7f'",
        "'ünï 🐕 / </script>'",
    ],
    "varchar(5)": ["'abc'"],
    "char(4)": ["'ab'"],
    '"char"': ["'x'"],
    "name": ["'n'"],
    "bytea": ["'\\xdeadbeef'", "''"],
    "date": ["'2024-02-29'", "'infinity'", "'0044-03-15 BC'", "'99999-01-01'"],
    "time": ["'12:34:56.789'"],
    "timetz": ["'12:34:56+05:30'"],
    "timestamp": ["'2024-02-29 12:34:56.5'", "'-infinity'", "'0044-03-15 01:00:00 BC'"],
    "timestamptz": [
        "'2024-02-29 12:34:56.5+05:30'",
        "'infinity'",
        "'0044-03-15 01:00:00+00 BC'",
        "'1850-01-01 00:00:00+00'",
    ],
    "interval": ["'1 year -3 days 04:05:06.7'", "'0'"],
    "uuid": ["'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'"],
    "json": ['\'{"a" : [1,  2.50], "a": null}\'', "'\"x\"'", "'null'"],
    "jsonb": ['\'{"b":1,"a":[1.50,"x\\u00e9"]}\'', "'null'"],
    "inet": ["'10.0.0.1/8'"],
    "cidr": ["'10.0.0.0/8'"],
    "macaddr": ["'08:00:2b:01:02:03'"],
    "bit(3)": ["'101'"],
    "varbit": ["'10101'"],
    "point": ["'(1.5,2)'"],
    "box": ["'((1,1),(0,0))'"],
    "circle": ["'<(1,2),3>'"],
    "tsvector": ["'a:1 b:2'"],
    "tsquery": ["'a & b'"],
    "int4range": ["'[1,5)'", "'empty'"],
    "tstzrange": ["'[2024-01-01 00:00+00,)'"],
    "int4multirange": ["'{[1,3),[5,7)}'"],
    "pg_lsn": ["'16/B374D848'"],
    "oid": ["42"],
    "regclass": ["'pg_catalog.pg_class'"],
    "int2vector": ["'1 2 3'", "''"],
    "oidvector": ["'1 2'"],
    "api.mood": ["'so \"so\"'"],
    "api.percent": ["50"],
    "api.spot": ["row(1, 'a,b \"q\" \\', null, array[1,2], '2024-01-01')", "row(null,null,null,null,null)"],
    "integer[]": ["'{1,null,3}'", "'{}'", "'{{1,2},{3,4}}'", "'[0:1]={5,6}'"],
    "text[]": ["array['a,b','\"','\\','NULL',null,'','{}']"],
    "boolean[]": ["'{t,f}'"],
    "timestamptz[]": ["array['2024-02-29 12:34:56+00'::timestamptz]"],
    "jsonb[]": ["array['{\"a\": 1}'::jsonb, 'null', null]"],
    "numeric[]": ["'{1.50,NaN}'"],
    "box[]": ["'{((1,1),(0,0));((2,2),(1,1))}'"],
    "api.spot[]": ["array[row(1,'x',1.5,null,null)::api.spot, null]"],
    "api.percents": ["'{1,2}'"],
    "date[]": ["'{2024-01-01}'"],
    "bytea[]": ["array['\\xff'::bytea]"],
}

TYPES = """
create schema api;
create type api.mood as enum ('so "so"', 'fine');
create domain api.percent as int check (value between 0 and 100);
create domain api.percents as int[];
create type api.spot as (x int, "the label" text, n numeric, xs int[], d date);
"""


async def test_every_type_prints_as_to_json_does(make_database) -> None:
    columns = ", ".join(f"c{n} {kind}" for n, kind in enumerate(VALUES))
    uri = make_database(
        TYPES + f"create table api.t (id int generated always as identity primary key, {columns})"
    )
    async with await psycopg.AsyncConnection.connect(uri, autocommit=True) as connection:
        async with await psycopg.AsyncConnection.connect(
            uri, autocommit=True, options="-c search_path="
        ) as bare:
            published = await load_published(bare, ["api"])
            version = connection.info.server_version
            for statement in mending(published, await load_publication(bare, "p"), "p", version):
                await bare.execute(statement)
        async with ReplicationStream(uri, publication="p", formats=await formats(connection)) as stream:
            for n, literals in enumerate(VALUES.values()):
                for literal in literals:
                    await connection.execute(f"insert into api.t (c{n}) values ({literal})")
            expected = await (
                await connection.execute("select to_json(t)::text from api.t t order by id")
            ).fetchall()
            told = [row async for row in streamed(stream, published, len(expected))]
    assert told == [row[0] for row in expected]


async def formats(connection: psycopg.AsyncConnection) -> dict[str, str]:
    cursor = await connection.execute("show timezone")
    return {"DateStyle": "ISO", "TimeZone": (await cursor.fetchone())[0], "bytea_output": "hex"}


async def streamed(stream, published, count):
    assembler = Assembler()
    async with asyncio.timeout(20):
        while count:
            for payload in await stream.receive():
                transaction = assembler.feed(payload)
                if isinstance(transaction, Transaction):
                    for change in transaction.changes():
                        table = published.tables[change.relation.oid]
                        form = RowFormat(change.relation, table, published.renderers, table.column)
                        assert form.local
                        row = form.row(change.new).decode()
                        json.loads(row)
                        yield row
                        count -= 1
