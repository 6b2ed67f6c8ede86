"""An application that streams without end, and writes down how far it came and how it ended.

Another path answers with a reason. Served by ``python -m tests.apps.streaming daphne|uvicorn``; says its port
on stdout.
"""

import sys
from urllib.parse import unquote

from aiodata_django.servers import Stream, send_whole
from aiodata_django.serving import serve
from tests.apps.alone import bound, live

PIECE = b"x" * 65536
LAST = "the last piece"


async def pieces(told):
    told["sent"] = 0
    try:
        while True:
            told["sent"] += len(PIECE)
            yield PIECE
    finally:
        told["ended"] = True


TOLD = {}


async def application(scope, receive, send):
    if scope["type"] == "lifespan":
        await live(receive, send)
        return
    if scope["path"] == "/reason":
        reason = unquote(scope["query_string"].decode())
        await send_whole(send, 299, [(b"content-length", b"2")], b"ok", reason)
        return
    stream = Stream(receive, send)
    if scope["path"] == "/told":
        await stream.start(200, [(b"content-type", b"text/plain")])
        await stream.write(f"{TOLD.get('sent')} {TOLD.get('ended', False)}".encode())
        await stream.finish()
        return
    if scope["path"] == "/broken":
        await stream.start(200, [(b"content-type", b"text/plain")])
        await stream.write(b"the first piece")
        stream.abort()
        return
    source = pieces(TOLD)
    await stream.start(200, [(b"content-type", b"application/octet-stream")])
    async for piece in source:
        if stream.gone:
            break
        await stream.write(piece)
    await source.aclose()
    await stream.finish()


if __name__ == "__main__":
    serve(application, bound(), server=sys.argv[1])
