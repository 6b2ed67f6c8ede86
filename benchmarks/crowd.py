"""A crowd of websocket clients in one thread, cheap enough not to be what is measured.

What lives here: handshakes, counting frames, acknowledging so many as clients of ``/state`` do, each in its
own step (but not after so many seconds: there is no clock here). What does not: what is measured. Frames are
counted by their headers and not looked into: an event loop and a JSON parser would cost more than the server
does for a frame.
"""

from __future__ import annotations

import json
import select
import socket
import time
from collections.abc import Callable
from typing import Any

ACK_MESSAGES = 100
_TRANSACTION = b'{"op":"txn"'
_TEXT, _CLOSE, _PING, _PONG = 1, 8, 9, 10
_HANDSHAKE = (
    "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
)


def client_frame(payload: bytes, opcode: int = _TEXT) -> bytes:
    """A client's frame. The mask is of zeros, which is one like any other."""
    size = len(payload)
    head = bytes((0x80 | opcode, 0x80 | (size if size < 126 else 126)))
    return head + (size.to_bytes(2, "big") if size >= 126 else b"") + bytes(4) + payload


class Member:
    """One client. ``frames`` counts all it was sent, ``acked`` those it has acknowledged, which it does after
    ``patience`` more; ``told`` counts the transactions; ``texts`` may keep them."""

    def __init__(self, port: int, path: str, token: str | None) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        headers = f"Authorization: Bearer {token}\r\n" if token else ""
        self.socket.sendall(_HANDSHAKE.format(path=path, headers=headers).encode())
        self.rest = b""
        self.frames = 0
        self.acked = 0
        self.patience = ACK_MESSAGES
        self.told = 0
        self.goal = 0
        self.closed = False
        self.texts: list[bytes] | None = None

    def opened(self) -> None:
        """Wait for the end of the handshake."""
        data = b""
        while b"\r\n\r\n" not in data:
            more = self.socket.recv(4096)
            assert more, data
            data += more
        head, _, self.rest = data.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101"), head
        self.socket.setblocking(False)

    def say(self, **message: Any) -> None:
        self.socket.send(client_frame(json.dumps(message).encode()))

    def take(self, data: bytes) -> tuple[int, int]:
        """Frames of text that are complete with this data, and how many of them are transactions."""
        if self.rest:
            data = self.rest + data
        place, end, count, told = 0, len(data), 0, 0
        while end - place >= 2:
            length, head = data[place + 1], 2
            if length == 126:
                length, head = int.from_bytes(data[place + 2 : place + 4], "big"), 4
            elif length == 127:
                length, head = int.from_bytes(data[place + 2 : place + 10], "big"), 10
            start = place + head
            if start + length > end:
                break
            place = start + length
            opcode = data[place - length - head] & 15
            if opcode == _TEXT:
                count += 1
                told += data.startswith(_TRANSACTION, start)
                if self.texts is not None:
                    self.texts.append(data[start:place])
            elif opcode == _PING:
                self.socket.send(client_frame(data[start:place], _PONG))
            elif opcode == _CLOSE:
                self.closed = True
        self.rest = data[place:] if place < end else b""
        return count, told


class Crowd:
    """``size`` clients of one server; ``hello`` is what each says first."""

    def __init__(
        self, port: int, size: int, *, path: str = "/state?v=2", token: str | None = None, hello: Any = None
    ) -> None:
        self.members: list[Member] = []
        self._by_fd: dict[int, Member] = {}
        self._poll = select.epoll()
        self._buffer = bytearray(1 << 20)
        self._acks = hello is not None
        self._heard = 0.0
        # In tens: a server takes so many new ones at a time.
        for start in range(0, size, 10):
            ten = [Member(port, path, token) for _ in range(min(10, size - start))]
            for number, member in enumerate(ten, start):
                member.opened()
                member.patience = ACK_MESSAGES - number * ACK_MESSAGES // (2 * size)
                if hello is not None:
                    member.say(**hello)
                self._by_fd[member.socket.fileno()] = member
                self._poll.register(member.socket, select.EPOLLIN)
            self.members += ten
            self.pump(0)

    def pump(self, seconds: float, arrived: Callable[[Member, int], None] | None = None) -> None:
        """Read what is there, waiting at most so long for the first; ``arrived`` is told of transactions."""
        buffer, view = self._buffer, memoryview(self._buffer)
        ready = self._poll.poll(seconds)
        if ready:
            self._heard = time.monotonic()
        for fd, _ in ready:
            member = self._by_fd[fd]
            size = member.socket.recv_into(buffer)
            if not size:
                member.closed = True
                self._poll.unregister(fd)
                continue
            # One whole frame of text is what nearly every read brings.
            if (
                buffer[0] == 0x81
                and buffer[1] == 126
                and (buffer[2] << 8 | buffer[3]) == size - 4
                and not member.rest
                and member.texts is None
            ):
                count, told = 1, int(buffer.startswith(_TRANSACTION, 4))
            else:
                count, told = member.take(bytes(view[:size]))
            member.frames += count
            member.told += told
            if self._acks and member.frames - member.acked >= member.patience:
                member.acked = member.frames
                member.say(op="ack", n=member.frames)
            if told and arrived is not None:
                arrived(member, told)

    def settle(self, quiet: float = 0.5, limit: float = 60.0) -> None:
        """Read until nothing comes for a while."""
        self._heard = time.monotonic()
        deadline = self._heard + limit
        while time.monotonic() - self._heard < quiet and time.monotonic() < deadline:
            self.pump(0.05)

    def burst(self, start: Callable[[], None], frames: int, *, limit: float = 60.0) -> float:
        """Seconds from ``start`` until every member has been told of so many transactions more."""
        left = 0
        for member in self.members:
            member.goal = member.told + frames
            left += not member.closed

        def arrived(member: Member, told: int) -> None:
            nonlocal left
            if member.told >= member.goal > member.told - told:
                left -= 1

        started = time.perf_counter()
        start()
        while left:
            self.pump(1.0, arrived)
            if time.perf_counter() - started > limit:
                raise TimeoutError(f"{left} of {len(self.members)} have not been sent {frames} frames")
        return time.perf_counter() - started

    def arrivals(self, start: Callable[[], None], *, limit: float = 10.0) -> list[float]:
        """Seconds from before ``start`` until each member has been told of one transaction more."""
        clock = time.perf_counter
        times: list[float] = []
        waited = sum(not member.closed for member in self.members)
        for member in self.members:
            member.goal = member.told + 1

        def arrived(member: Member, told: int) -> None:
            if member.told >= member.goal > member.told - told:
                times.append(clock() - started)

        started = clock()
        start()
        while len(times) < waited:
            self.pump(1.0, arrived)
            if clock() - started > limit:
                raise TimeoutError(f"{waited - len(times)} of {waited} heard nothing")
        return times

    def close(self) -> None:
        for member in self.members:
            member.socket.close()
        self._poll.close()
