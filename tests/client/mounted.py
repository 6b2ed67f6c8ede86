"""The server below a path of its site: what ``aiodata-django`` serves, at ``/shop``."""

import sys

from aiodata_django import asgi, cli

PREFIX = "/shop"


def mounted(application):
    """ASGI's way of mounting: the path stays whole, ``root_path`` says which part of it is the site's."""

    async def site(scope, receive, send):
        if scope["type"] in ("http", "websocket"):
            if not scope["path"].startswith(PREFIX + "/"):
                await send({"type": "http.response.start", "status": 404, "headers": []})
                await send({"type": "http.response.body", "body": b"nothing of the shop's"})
                return
            scope = {**scope, "root_path": PREFIX}
        await application(scope, receive, send)

    return site


if __name__ == "__main__":
    unmounted = asgi.aiodata_asgi
    asgi.aiodata_asgi = lambda: mounted(unmounted())
    sys.exit(cli.main())
