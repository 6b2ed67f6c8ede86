"""An ASGI application alone in a process of its own: ``python -m tests.apps.NAME SERVER``.

What lives here: what these applications share (the port they say, the life they are told of), and how a test
starts one. What does not: the applications.
"""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aiodata_django.serving import listen

ROOT = Path(__file__).parent.parent.parent


def bound() -> socket.socket:
    """A listening socket, whose port is said on stdout."""
    listening = listen("127.0.0.1", 0)
    print(listening.getsockname()[1], flush=True)
    return listening


async def live(receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]) -> None:
    """Answer the server's ``lifespan``: there is nothing to start or to end."""
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


@contextmanager
def running(name: str, server: str) -> Iterator[int]:
    """The port of ``tests.apps.NAME`` on that server, while the block runs; it says it before it serves."""
    command = [sys.executable, "-m", f"tests.apps.{name}", server]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        yield int(process.stdout.readline())
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=15)
