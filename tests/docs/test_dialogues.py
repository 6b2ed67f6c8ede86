"""The dialogues of /state that the documentation shows, held with a real server."""

from __future__ import annotations

import json
import re

import aiohttp
import psycopg
import pytest

from tests.docs.examples import ANYTHING
from tests.docs.pages import Block, page

PAGE = page("docs/reference/state-protocol.md")
DIALOGUES = [block for block in PAGE.blocks() if block.info.startswith("text state")]


class Dialogue:
    """One socket at a time; ``at`` is the last cursor heard."""

    def __init__(
        self, session: aiohttp.ClientSession, url: str, admin: psycopg.AsyncConnection, version: str
    ):
        self._session = session
        self._url = url + "/state"
        self._admin = admin
        self._protocols = ("aiodata.v2",) if version == "v2" else ()
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self.at = "null"

    async def connect(self) -> None:
        await self.close()
        self._socket = await self._session.ws_connect(self._url, protocols=self._protocols)

    async def close(self) -> None:
        if self._socket is not None:
            await self._socket.close()

    async def step(self, line: str) -> None:
        kind, _, text = line.partition(" ")
        if kind == "$":
            await self._admin.execute(text.encode())
        elif kind == "!":
            await self.connect()
        elif kind == ">":
            await self._socket.send_str(text.replace("$AT", self.at))
        elif kind == "<":
            self._heard(text, await self._next())

    async def _next(self) -> str:
        """The next message but for heartbeats, whose cursors are taken note of."""
        while True:
            given = str((await self._socket.receive(timeout=10)).data)
            if not given.startswith('{"op":"pos"'):
                return given
            self.at = json.dumps(json.loads(given)["at"])

    def _heard(self, shown: str, given: str) -> None:
        pattern = ".*".join(re.escape(part) for part in shown.split(ANYTHING))
        assert re.fullmatch(pattern, given, re.S), f"{given}\ninstead of\n{shown}"
        message = json.loads(given)
        if isinstance(message, dict) and "at" in message:
            self.at = json.dumps(message["at"])


@pytest.mark.parametrize("block", DIALOGUES, ids=lambda block: f"line {block.line}")
async def test_the_dialogue_goes_as_it_is_shown(aiodata_server, block: Block):
    live = aiodata_server  # one for all, in their order
    async with (
        aiohttp.ClientSession() as session,
        await psycopg.AsyncConnection.connect(live.admin_uri, autocommit=True) as admin,
    ):
        dialogue = Dialogue(session, live.url, admin, block.info.split()[-1])
        await dialogue.connect()
        try:
            for line in block.text.splitlines():
                await dialogue.step(line)
        finally:
            await dialogue.close()
