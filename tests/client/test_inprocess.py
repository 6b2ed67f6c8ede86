"""The client without a network: the real application, called in this process."""

import pytest

from aiodata_django.asgi import aiodata_asgi
from aiodata_django.client import Client, Unreachable
from aiodata_django.client.inprocess import AsgiTransport
from aiodata_django.conf import Sources
from tests.client.heard import Heard
from tests.live import DEMO_SCHEMA, SECRET, token


@pytest.fixture
def application(make_database, as_user, monkeypatch):
    uri = as_user(make_database(DEMO_SCHEMA), "authenticator")
    values = {"db_uri": uri, "db_schemas": "api", "db_anon_role": "anon", "jwt_secret": SECRET}
    sources = Sources(mapping=values, environ={})
    monkeypatch.setattr("aiodata_django.runtime._make_sources", lambda: sources)
    return aiodata_asgi()


@pytest.mark.parametrize("root_path", ["", "/shop"])
async def test_the_application_is_read_written_and_heard(application, root_path):
    heard = Heard()
    transport = AsgiTransport(application, root_path)
    async with Client(token=token(), callback=heard, transport=transport) as client:
        await client.live()
        assert len(client.tables.pets.get("Cat")) == 2
        (created,) = await client.tables.pets.create("Cow", "a/b", "100%")
        await heard.wait(1)
        assert client.tables.pets.get("Cow", "a/b", "100%") == (created,)
        assert await client.tables.pets.delete("Cow") == (created,)


async def test_an_application_that_fails_is_unreachable():
    async def broken(scope, receive, send):
        raise ValueError("broken")

    transport = AsgiTransport(broken)
    await transport.open()
    with pytest.raises(Unreachable, match="broken"):
        await transport.request("GET", "/", {})
    with pytest.raises(Unreachable, match="broken"):
        await transport.connect("/state", {})
    await transport.close()
