"""Keeps an authenticator's keys as the key set's address has them.

What lives here: fetching a JWK set, and when. What does not: what the keys are good for (``auth``).
"""

from __future__ import annotations

import asyncio

import aiohttp

from .auth import Authenticator
from .conftypes import read_jwks
from .observe import Trouble, observe

INTERVAL = 300.0
"""Seconds after which the set is fetched again."""

LEAST_INTERVAL = 10.0
"""Seconds between two fetches at least, however many tokens name keys that are not there."""


async def keep_keys(authenticator: Authenticator, url: str) -> None:
    """Fetch now, every ``INTERVAL``, and soon after a token named an unknown key; until cancelled."""
    loop = asyncio.get_running_loop()
    while True:
        await _refresh(authenticator, url)
        fetched = loop.time()
        while loop.time() < fetched + INTERVAL:
            await asyncio.sleep(LEAST_INTERVAL if authenticator.keys is not None else 1.0)
            if authenticator.unknown_key or authenticator.keys is None:
                break


async def _refresh(authenticator: Authenticator, url: str) -> None:
    try:
        document = await _fetch(url)
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        observe(Trouble(f"the key set at {url} cannot be fetched, the last one stays in use: {error}"))
        return
    jwks = read_jwks(document)
    if jwks is None:
        observe(Trouble(f"what {url} answers is no JWK set, the last one stays in use"))
    else:
        authenticator.use_keys(jwks)


async def _fetch(url: str) -> bytes:
    timeout = aiohttp.ClientTimeout(total=10)
    async with (
        aiohttp.ClientSession(timeout=timeout, raise_for_status=True) as session,
        session.get(url) as response,
    ):
        return await response.read()
