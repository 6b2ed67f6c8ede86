"""Running a server in this process: the address, the socket, Daphne or uvicorn.

What lives here: what the commands have in common. What does not: their options (``cli``, ``management``), and
what is served (``asgi``).
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from typing import Any

from .observe import LEVELS, logger
from .servers import Application

# PostgREST's names for "all addresses".
_HOSTS = {"*": "0.0.0.0", "*4": "0.0.0.0", "!4": "0.0.0.0", "*6": "::", "!6": "::"}  # noqa: S104 - as asked for

# What servers read of a client's message before they drop it, without a word: more than the application's own
# limit (``consumers``), which closes with a code and a reason.
_MESSAGE_BYTES = 4 << 20

# The pool gives what runs five seconds more; then it fails, and that is answered, too.
_LAST_SECONDS = 6.0


class CannotServe(Exception):
    """The address cannot be listened on, or the server is not installed; the message says what to do."""


def listen(host: str, port: int) -> socket.socket:
    """A socket bound to the address; port 0 takes a free one. Raises CannotServe."""
    address = _HOSTS.get(host, host)
    try:
        family, _, _, _, found = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)[0]
        # localhost is 127.0.0.1 where it is both: what every client tries.
        if host == "localhost":
            family, found = socket.AF_INET, ("127.0.0.1", port)
        bound = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise CannotServe(f"there is no address {host}: {error.strerror}") from None
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind(found)
        bound.listen(1024)
    except OSError as error:
        bound.close()
        raise CannotServe(_why_not(host, port, error)) from None
    return bound


def _why_not(host: str, port: int, error: OSError) -> str:
    if "in use" in str(error):
        return f"port {port} of {host} is in use: stop what listens there, or choose another with --port"
    return f"cannot listen on {host}:{port}: {error.strerror}"


def address_of(bound: socket.socket, host: str) -> str:
    """The URL to reach it by, as seen from here."""
    name = "localhost" if host in _HOSTS else f"[{host}]" if ":" in host else host
    return f"http://{name}:{bound.getsockname()[1]}"


def log_to_terminal(level: str) -> None:
    """Send our log to stderr, for commands that configure no logging of their own."""
    import logging

    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s")
    # Troubles and notices are told at any level but crit; of requests those that log-level lets through.
    logger.setLevel(logging.CRITICAL if level == "crit" else min(LEVELS[level], logging.WARNING))


def serve(
    application: Application,
    bound: socket.socket,
    *,
    server: str,
    ping: float = 30.0,
    ready: Callable[[], None] = lambda: None,
) -> None:
    """Serve on a bound socket until SIGINT or SIGTERM; ``server`` is ``daphne`` or ``uvicorn``.

    ``ping`` is the seconds between two pings of a websocket.
    """
    _SERVERS[server](application, bound, ping, ready)


def _daphne(application: Application, bound: socket.socket, ping: float, ready: Callable[[], None]) -> None:
    from daphne.server import Server

    domain = f":domain={int(bound.family)}" if bound.family is not socket.AF_INET else ""
    endpoints = [f"fd:fileno={bound.fileno()}{domain}"]
    bound.setblocking(False)
    server = Server(
        application=application, endpoints=endpoints, ready_callable=ready, ping_interval=ping, server_name=""
    )
    # Attributes, not arguments: Daphne before 4.2 has neither of them, and no limit.
    server.websocket_max_message_size = server.websocket_max_frame_size = _MESSAGE_BYTES
    kill = server.kill_all_applications
    server.kill_all_applications = lambda: _end_requests_first(server, kill)
    server.run()


def _end_requests_first(server: Any, kill: Callable[[], Any]) -> Any:
    """Daphne, told to stop, kills what runs; as under uvicorn, requests in flight are answered first."""
    from daphne.http_protocol import WebRequest
    from twisted.internet.defer import Deferred

    for listener in server.listeners:
        listener.addCallback(lambda port: port.stopListening())
    running = [
        details["application_instance"]
        for protocol, details in server.connections.items()
        if isinstance(protocol, WebRequest) and "application_instance" in details
    ]
    ended = asyncio.wait(running, timeout=_LAST_SECONDS) if running else asyncio.sleep(0)
    return Deferred.fromFuture(asyncio.ensure_future(ended)).addCallback(lambda _: kill())


def _uvicorn(application: Application, bound: socket.socket, ping: float, ready: Callable[[], None]) -> None:
    try:
        import uvicorn
    except ImportError:
        raise CannotServe("uvicorn is not installed: pip install 'aiodata-django[server]'") from None
    config = uvicorn.Config(
        application,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws_ping_interval=ping,
        ws_max_size=_MESSAGE_BYTES,
        http=_protocol(),
    )
    ready()
    uvicorn.Server(config).run(sockets=[bound])


def _protocol() -> Any:
    """uvicorn's name for its own choice, where that would not be httptools."""
    try:
        from .methods import AnyMethodProtocol
    except ImportError:
        return "auto"
    return AnyMethodProtocol


_SERVERS: dict[str, Callable[[Application, socket.socket, float, Callable[[], None]], None]] = {
    "daphne": _daphne,
    "uvicorn": _uvicorn,
}

SERVERS: Sequence[str] = tuple(_SERVERS)
"""Names :func:`serve` knows."""
