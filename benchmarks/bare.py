"""The limit of telling many: a loop that writes one ready frame to bare transports, and does nothing else.

    python -m benchmarks.bare

Says its port on stdout. Every line on stdin is a number of rounds and a text: that text goes to every socket
so many times. No protocol, no database, no acknowledgements; uvloop where it is installed.
"""

from __future__ import annotations

import asyncio
import sys
from typing import ClassVar

from benchmarks.driver import _runner

ANSWER = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
)


class Socket(asyncio.Protocol):
    """Answers the handshake and is written to."""

    everybody: ClassVar[list[asyncio.Transport]] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.shaken = False

    def data_received(self, data: bytes) -> None:
        if not self.shaken:
            self.shaken = True
            self.transport.write(ANSWER)
            self.everybody.append(self.transport)

    def connection_lost(self, error: Exception | None) -> None:
        if self.transport in self.everybody:
            self.everybody.remove(self.transport)


def server_frame(payload: bytes) -> bytes:
    size = len(payload)
    assert size < 65536
    head = bytes((0x81, size if size < 126 else 126))
    return head + (size.to_bytes(2, "big") if size >= 126 else b"") + payload


async def main() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Socket, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    commands = asyncio.StreamReader(limit=1 << 20)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    while line := await commands.readline():
        rounds, _, text = line.rstrip(b"\n").partition(b" ")
        frame = server_frame(text)
        for _ in range(int(rounds)):
            for transport in Socket.everybody:
                transport.write(frame)
            await asyncio.sleep(0)


if __name__ == "__main__":
    _runner()(main())
