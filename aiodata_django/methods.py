"""Methods that uvicorn's fast parser does not know, answered by the application all the same.

What lives here: a protocol that hands a connection over to uvicorn's other parser. What does not: what is
answered, which is for the application to say, as under Daphne it does.

httptools takes registered methods alone, and uvicorn refuses the rest as bad requests in words of its own. By
RFC 9110, 9.1 they are no bad requests: whoever serves the target says that it does not take the method.
"""

from __future__ import annotations

import sys

import httptools
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class AnyMethodProtocol(HttpToolsProtocol):
    """httptools; from the first request on whose method it does not know, h11, which takes any."""

    _received = b""

    def data_received(self, data: bytes) -> None:
        """Parse what came, keeping it at hand for :meth:`send_400_response`."""
        self._received = data
        super().data_received(data)
        self._received = b""

    def send_400_response(self, msg: str) -> None:
        """Where uvicorn gives up: not on a method, unless an answer before it is still being made."""
        idle = self.cycle is None or self.cycle.response_complete
        if idle and isinstance(sys.exc_info()[1], httptools.HttpParserInvalidMethodError):
            self._hand_over()
        else:
            super().send_400_response(msg)

    def _hand_over(self) -> None:
        self.connections.discard(self)
        other = H11Protocol(config=self.config, server_state=self.server_state, app_state=self.app_state)
        other.connection_made(self.transport)
        self.transport.set_protocol(other)
        other.data_received(self._received)
