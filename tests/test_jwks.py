"""Keeping keys as their address has them, on a real server."""

from __future__ import annotations

import asyncio
import time

import jwt
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec

from aiodata_django import jwks
from aiodata_django.auth import Authenticator
from aiodata_django.conf import Settings
from aiodata_django.core.errors import AuthError
from aiodata_django.observe import Observation, handlers


class Issuer:
    """Serves a key set; ``rotate`` replaces its only key."""

    def __init__(self) -> None:
        self.fetched = 0
        self.body: object = None
        self.rotate()

    def rotate(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.kid = str(self.fetched)
        jwk = jwt.get_algorithm_by_name("ES256").to_jwk(self.key.public_key(), as_dict=True)
        self.body = {"keys": [jwk | {"kid": self.kid}]}

    def header(self) -> str:
        return "Bearer " + jwt.encode({"role": "auth"}, self.key, "ES256", headers={"kid": self.kid})

    async def answer(self, request: web.Request) -> web.Response:
        self.fetched += 1
        return web.json_response(self.body)


@pytest.fixture
async def issuer(monkeypatch):
    """An issuer, what verifies its tokens, and what was told meanwhile; nobody waits ten seconds here."""
    monkeypatch.setattr(jwks, "LEAST_INTERVAL", 0.02)
    told: asyncio.Queue[Observation] = asyncio.Queue()
    handlers.append(told.put_nowait)
    issuer = Issuer()
    application = web.Application()
    application.router.add_get("/jwks.json", issuer.answer)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/jwks.json"
    who = Authenticator(Settings(jwt_secret=url))
    keeping = asyncio.ensure_future(jwks.keep_keys(who, url))
    yield issuer, who, told
    keeping.cancel()
    handlers.remove(told.put_nowait)
    await runner.cleanup()


async def role_of(who: Authenticator, header: str, seconds: float = 5.0) -> str:
    """The role of a token, as soon as it is taken."""
    async with asyncio.timeout(seconds):
        while True:
            try:
                return who.authenticate(header, time.time()).role
            except AuthError:
                await asyncio.sleep(0.01)


async def test_keys_are_fetched_and_a_rotated_key_is_found_when_a_token_names_it(issuer):
    served, who, _ = issuer
    first = served.header()
    assert await role_of(who, first) == "auth"
    served.rotate()
    assert await role_of(who, served.header()) == "auth"
    with pytest.raises(AuthError):
        who.authenticate(first, time.time())


async def test_a_set_that_is_none_leaves_the_last_one_in_use_and_is_told(issuer):
    served, who, told = issuer
    header = served.header()
    assert await role_of(who, header) == "auth"
    served.body = ["nonsense"]
    who.unknown_key = True
    async with asyncio.timeout(5):
        assert "is no JWK set" in (await told.get()).text
    assert who.authenticate(header, time.time()).role == "auth"
