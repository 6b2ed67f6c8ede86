"""Frames as bytes, and writing them to many sockets' transports in one go.

What lives here: RFC 6455 as far as a server's text frames go, and the loop that writes. What does not: which
sockets may be written to past their server (``sockets``), and who is sent what (``lane``).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

BEHIND = 1 << 16
"""Bytes that wait in a transport before its socket counts as behind: asyncio's own high-water mark."""


class Pipe(Protocol):
    """An asyncio transport, as far as frames are written to it."""

    def get_write_buffer_size(self) -> int:
        """Bytes that wait in it."""

    def is_closing(self) -> bool:
        """Whether nothing may follow."""

    def write(self, data: bytes, /) -> None:
        """Send, or keep for later."""


def text_frame(payload: bytes) -> bytes:
    """A server's whole frame of text: RFC 6455, 5.2."""
    size = len(payload)
    if size < 126:
        return bytes((0x81, size)) + payload
    if size < 1 << 16:
        return b"\x81\x7e" + size.to_bytes(2, "big") + payload
    return b"\x81\x7f" + size.to_bytes(8, "big") + payload


def write_all(pipes: Iterable[Pipe], frame: bytes) -> list[Pipe]:
    """Write a frame to all; those that are behind, closing or broken are answered instead.

    Between two frames to one socket the processor has forgotten all about it, so what costs here is each
    object that is looked at: of a socket that is its transport, and nothing else.
    """
    left = []
    for pipe in pipes:
        try:
            if pipe.get_write_buffer_size() > BEHIND or pipe.is_closing():
                left.append(pipe)
            else:
                pipe.write(frame)
        except Exception:  # whoever tries again by itself will say why
            left.append(pipe)
    return left
