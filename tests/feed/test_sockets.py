"""``/state`` on real sockets, under both servers: who gets in, what is heard, how sockets are closed."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, suppress
from typing import Any

import aiohttp
import psycopg
import pytest

from tests.live import LiveServer, token

SCHEMA = """
create schema api;
create table api.pets (id int primary key, name text);
create table api.notes (id int primary key, owner text);
alter table api.notes replica identity full;
alter table api.notes enable row level security;
create policy mine on api.notes
    using (owner = current_setting('request.jwt.claims', true)::json ->> 'sub');
create publication aiodata for table api.pets, api.notes;
grant usage on schema api to anon, auth;
grant select on all tables in schema api to auth;
grant select on api.pets to anon;
"""
HELLO = {"op": "hello", "subs": [{"id": 1, "table": "pets"}]}
BOTH = pytest.mark.parametrize("query", ["", "?v=2"], ids=["v1", "v2"])


@pytest.fixture(scope="module", params=["uvicorn", "daphne"])
def server(request, make_module_database, as_user) -> Iterator[LiveServer]:
    admin_uri = make_module_database(SCHEMA)
    live = LiveServer(as_user(admin_uri, "authenticator"), server=request.param)
    live.admin_uri = admin_uri
    with ExitStack() as stack:
        stack.callback(live.close)
        yield live.start()


@pytest.fixture
async def write(server) -> AsyncIterator[Any]:
    """Runs statements as somebody else would: beside the server."""
    async with await psycopg.AsyncConnection.connect(server.admin_uri, autocommit=True) as connection:
        await connection.execute("truncate api.pets, api.notes")
        yield connection.execute


class Talk:
    """A socket and what is said on it."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket

    async def say(self, *frames: Any) -> None:
        for frame in frames:
            await self.socket.send_str(frame if isinstance(frame, str) else json.dumps(frame))

    async def hear(self) -> Any:
        message = await self.socket.receive(timeout=10)
        assert message.type is aiohttp.WSMsgType.TEXT, (message, self.socket.close_code)
        return json.loads(message.data)

    async def until(self, op: str) -> dict[str, Any]:
        """The next frame of that kind."""
        while (frame := await self.hear())["op"] != op:
            pass
        return frame

    async def closed(self) -> tuple[int, str]:
        """Code and reason, whatever was said before."""
        while (message := await self.socket.receive(timeout=10)).type is aiohttp.WSMsgType.TEXT:
            pass
        assert message.type is aiohttp.WSMsgType.CLOSE, message
        return message.data, message.extra


@asynccontextmanager
async def talk(
    server: LiveServer, query: str = "", bearer: str | None = None, **options: Any
) -> AsyncIterator[Talk]:
    headers = {**options.pop("headers", {}), **({"Authorization": f"Bearer {bearer}"} if bearer else {})}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.ws_connect(f"{server.url}/state{query}", max_msg_size=0, **options) as socket,
    ):
        yield Talk(socket)


async def test_version_1_hears_what_psql_commits(server, write) -> None:
    async with talk(server, bearer=token()) as socket:
        await write("insert into api.pets values (1, 'Aqui')")
        await write("update api.pets set name = 'Luna'")
        await write("delete from api.pets")
        assert [await socket.hear() for _ in range(3)] == [
            ["POST", "pets", [], [{"id": 1, "name": "Aqui"}]],
            ["PATCH", "pets", [1], [{"id": 1, "name": "Luna"}]],
            ["DELETE", "pets", [1], [{"id": 1}]],
        ]


@pytest.mark.parametrize("by", ["subprotocol", "query"])
async def test_version_2_joins_hears_and_goes_on(server, write, by) -> None:
    query = "?v=2" if by == "query" else ""
    protocols = ("aiodata.v2",) if by == "subprotocol" else ()
    await write("insert into api.pets values (1, 'Aqui')")
    async with talk(server, query, token(), protocols=protocols) as socket:
        assert socket.socket.protocol == ("aiodata.v2" if protocols else None)
        await socket.say(HELLO)
        assert (await socket.until("ready"))["resumed"] is False
        snap = await socket.until("snap")
        assert (snap["rows"], snap["more"]) == ([{"id": 1, "name": "Aqui"}], False)
        await write("begin; insert into api.pets values (2); delete from api.pets where id = 1; commit")
        heard = await socket.until("txn")
        assert heard["changes"] == [["put", "pets", {"id": 2, "name": None}, [1]], ["del", "pets", [1], [1]]]
    await write("insert into api.pets values (3)")
    async with talk(server, query, token(), protocols=protocols) as socket:
        await socket.say({**HELLO, "at": heard["at"]})
        assert (await socket.until("ready"))["resumed"] is True
        assert (await socket.until("txn"))["changes"] == [["put", "pets", {"id": 3, "name": None}, [1]]]


async def test_a_token_comes_by_header_by_parameter_or_by_message(server, write) -> None:
    mine = token(sub="me")
    hello = {"op": "hello", "subs": [{"id": 1, "table": "notes"}]}
    await write("insert into api.notes values (1, 'me'), (2, 'you')")
    for query, bearer, first in (
        ("?v=2", mine, []),
        (f"?v=2&token={mine}", None, []),
        ("?v=2", None, [{"op": "auth", "token": mine}]),
    ):
        async with talk(server, query, bearer) as socket:
            await socket.say(*first, hello)
            assert (await socket.until("snap"))["rows"] == [{"id": 1, "owner": "me"}]
    async with talk(server, f"?token={mine}") as socket:
        await write("insert into api.notes values (3, 'you'), (4, 'me')")
        assert await socket.hear() == ["POST", "notes", [], [{"id": 4, "owner": "me"}]]


async def test_no_cookie_and_no_origin_says_who_is_there(server, write) -> None:
    """A browser sends its cookies to whatever page opens a socket: they must count for nothing."""
    mine = token(sub="me")
    sent = {
        "Cookie": f"token={mine}; sessionid=x; Authorization=Bearer {mine}",
        "Origin": "http://evil.example",
    }
    await write("insert into api.notes values (1, 'me')")
    async with talk(server, "?v=2", headers=sent) as socket:
        await socket.say({"op": "hello", "subs": [{"id": 1, "table": "notes"}]})
        assert (await socket.until("error"))["code"] == "42501"
    async with talk(server, headers=sent) as socket:
        await write("insert into api.notes values (2, 'me')")
        await write("insert into api.pets values (1, 'Aqui')")
        assert (await socket.hear())[1] == "pets"


@BOTH
async def test_a_bad_token_or_role_is_closed_with_the_reason(server, query) -> None:
    async with talk(server, query, "nonsense") as socket:
        assert (await socket.closed())[0] == 4401
    async with talk(server, query, token(exp=int(time.time()) - 100)) as socket:
        assert await socket.closed() == (4401, "PGRST303: JWT expired")
    async with talk(server, query, token(role="nobody_knows")) as socket:
        await socket.say(HELLO)
        code, reason = await socket.closed()
        assert (code, bool(reason)) == (4403, True)


async def test_a_bad_token_by_message_is_closed(server) -> None:
    async with talk(server, "?v=2") as socket:
        await socket.say({"op": "auth", "token": "nonsense"}, HELLO)
        assert (await socket.closed())[0] == 4401
    async with talk(server, "?v=2", token()) as socket:
        await socket.say(HELLO)
        await socket.until("snap")
        await socket.say({"op": "auth", "token": "nonsense"})
        assert (await socket.closed())[0] == 4401


@pytest.mark.parametrize(
    "frame",
    ["", "nonsense", "[]", '{"op":"strange"}', '{"op":"sub"}', "[" * 100_000, '{"op":"ack","n":999}'],
    ids=["empty", "nonsense", "array", "op", "fields", "deep", "future"],
)
async def test_garbage_closes_that_socket_alone(server, write, frame) -> None:
    async with talk(server, "?v=2", token()) as other, talk(server, "?v=2", token()) as socket:
        for one in (other, socket):
            await one.say(HELLO)
            await one.until("snap")
        await socket.say(frame)
        assert (await socket.closed())[0] == 4400
        await write("insert into api.pets values (1)")
        await other.until("txn")


@BOTH
async def test_a_message_too_large_is_closed(server, query) -> None:
    async with talk(server, query, token()) as socket:
        await socket.say('"' + "x" * (1 << 20) + '"')
        code, reason = await socket.closed()
        assert (code, "bytes" in reason) == (4400, True)


async def test_bytes_are_read_as_text_is(server) -> None:
    async with talk(server, "?v=2", token()) as socket:
        await socket.socket.send_bytes(json.dumps(HELLO).encode())
        await socket.until("snap")
        await socket.socket.send_bytes(b"\xff\xfe")
        assert (await socket.closed())[0] == 4400


async def test_an_unknown_table_is_an_error_of_that_subscription_alone(server) -> None:
    async with talk(server, "?v=2", token()) as socket:
        subs = [{"id": 1, "table": "nothing"}, {"id": 2, "table": "pets", "query": "id=strange.1"}]
        await socket.say({"op": "hello", "subs": [*subs, {"id": 3, "table": "pets"}]})
        errors = [await socket.until("error") for _ in subs]
        assert {error["sub"]: error["code"] for error in errors} == {1: "PGRST205", 2: "PGRST100"}
        assert (await socket.until("snap"))["sub"] == 3


async def test_what_is_refused_on_an_open_socket_hurts_nothing_else(server, write) -> None:
    async with talk(server, "?v=2") as socket:
        await socket.say({"op": "hello", "subs": [{"id": 3, "table": "pets"}]})
        await socket.until("snap")
        wrong = {
            1: {"table": "nothing"},
            2: {"table": "pets", "query": "id=strange.1"},
            4: {"table": "notes"},
            5: {"table": "pets", "query": "id=eq.x"},
        }
        for number, sub in wrong.items():
            await socket.say({"op": "sub", "sub": {"id": number, **sub}})
        errors = [await socket.until("error") for _ in wrong]
        codes = {1: "PGRST205", 2: "PGRST100", 4: "42501", 5: "22P02"}
        assert {error["sub"]: error["code"] for error in errors} == codes
        assert {error["fatal"] for error in errors} == {False}
        await write("insert into api.pets values (1)")
        assert (await socket.until("txn"))["changes"] == [["put", "pets", {"id": 1, "name": None}, [3]]]
        await socket.say(*({"op": "sub", "sub": {"id": n, "table": "pets"}} for n in range(10, 30)))
        assert {(await socket.until("snap"))["sub"] for _ in range(20)} == set(range(10, 30))


async def test_why_a_subscription_is_refused_is_told_once_and_again_when_asked_again(server) -> None:
    async with talk(server, "?v=2", token()) as socket:
        await socket.say({"op": "hello", "subs": [{"id": 1, "table": "nothing"}]})
        await socket.until("error")
        heard = []
        for sub in ({"id": 2, "table": "pets"}, {"id": 1, "table": "nothing"}):  # each looks at all anew
            await socket.say({"op": "sub", "sub": sub})
            while not heard or heard[-1]["op"] not in ("snap", "error"):
                heard.append(await socket.hear())
            heard.append({"op": "next"})
        assert [frame["op"] for frame in heard if frame["op"] in ("snap", "error")] == ["snap", "error"]


@pytest.mark.parametrize("at", ["nonsense", "", "0:0", ":::", "x" * 5000])
async def test_a_cursor_that_is_none_of_ours_starts_over(server, at) -> None:
    async with talk(server, "?v=2", token()) as socket:
        await socket.say({**HELLO, "at": at})
        assert (await socket.until("ready"))["resumed"] is False
        await socket.until("snap")


async def test_too_many_subscriptions_are_closed(server) -> None:
    async with talk(server, "?v=2", token()) as socket:
        await socket.say({"op": "hello", "subs": [{"id": n, "table": "pets"} for n in range(1001)]})
        assert (await socket.closed())[0] == 4429


async def test_a_client_that_begins_anew_when_the_session_is_lost_is_told(server, write) -> None:
    async with talk(server, bearer=token()) as socket:
        await write(
            "select pg_terminate_backend(active_pid) from pg_replication_slots"
            " where database = current_database()"
        )
        code, reason = await socket.closed()
        assert (code, bool(reason)) == (4012, True)


async def test_a_path_nothing_is_served_at_is_refused(server) -> None:
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await session.ws_connect(server.url + "/nothing")
    assert refused.value.status in (403, 404)


@pytest.mark.parametrize("name", ["uvicorn", "daphne"])
async def test_the_limits_of_the_settings_hold(make_aiodata_server, name) -> None:
    environment = {"PGRST_STATE_MAX_SOCKETS": "2", "PGRST_STATE_QUEUE_BYTES": "2000"}
    live = make_aiodata_server(SCHEMA, server=name, environment=environment)
    async with talk(live, bearer=token()) as first, talk(live, "?v=2", token()) as second:
        async with talk(live, bearer=token()) as third:
            assert (await third.closed())[0] == 4503
        await second.say(HELLO)
        await second.until("snap")
        await asyncio.to_thread(fill, live.admin_uri)
        # It acknowledges nothing: no more than the queue's bytes come, until it does.
        came = [await second.until("txn")]
        with suppress(TimeoutError):
            async with asyncio.timeout(0.5):
                while True:
                    came.append(await second.until("txn"))
        assert len(came) < 20
        for _ in range(100):
            assert (await first.hear())[0] == "POST"
        while len(came) < 100:
            await second.say({"op": "ack", "at": came[-1]["at"]})
            came.append(await second.until("txn"))


def fill(uri: str) -> None:
    with psycopg.connect(uri, autocommit=True) as connection:
        for number in range(100):
            connection.execute("insert into api.pets values (%s, repeat('x', 300))", [number])
