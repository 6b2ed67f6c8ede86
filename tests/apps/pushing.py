"""A websocket application that pushes frames past ASGI where it can, and says how it went.

Served by ``python -m tests.apps.pushing daphne|uvicorn|uvicorn-legacy``; says its port on stdout. A client's
message is the number of characters a frame is to have, or ``stall``: frames without end, until one is left to
wait for.
"""

import sys

from aiodata_django.feed.outlet import SharedFrame, begun
from aiodata_django.serving import serve
from aiodata_django.sockets import direct_push
from tests.apps.alone import bound, live

PIECE = "é" * 8192


class Socket:
    """One websocket."""

    def __init__(self, send):
        self._send = send
        self.detours = 0

    def otherwise(self, frame):
        self.detours += 1
        return begun(self._send({"type": "websocket.send", "text": frame.text}))

    async def tell(self, text):
        await self._send({"type": "websocket.send", "text": text})

    async def answer(self, asked):
        push = direct_push(self._send, self.otherwise)
        if asked == "stall":
            # What nobody reads is at some point left to ASGI, which may wait or not.
            number = 0
            while not self.detours and number < 10_000:
                number += 1
                rest = push(SharedFrame(PIECE))
            if rest is not None:
                await rest
            await self.tell(f"{number}")
            return
        frame = SharedFrame("é" * int(asked))
        for _ in range(3):
            rest = push(frame)
            if rest is not None:
                await rest
        await self.tell(f"detours: {self.detours}")


async def application(scope, receive, send):
    if scope["type"] == "lifespan":
        await live(receive, send)
        return
    await receive()
    await send({"type": "websocket.accept"})
    socket = Socket(send)
    while (message := await receive())["type"] == "websocket.receive":
        await socket.answer(message["text"])


def serve_legacy(listening):
    import warnings

    import uvicorn

    warnings.simplefilter("ignore")
    config = uvicorn.Config(application, log_level="warning", ws="websockets")
    uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    if sys.argv[1] == "uvicorn-legacy":
        serve_legacy(bound())
    else:
        serve(application, bound(), server=sys.argv[1])
