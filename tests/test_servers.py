"""What servers let us do beyond ASGI: waiting for slow clients, noticing those who leave, aborting."""

from __future__ import annotations

import http.client
import socket
import time
from contextlib import closing

import pytest

from tests.apps.alone import running

MEGABYTE = 1024 * 1024


@pytest.fixture(scope="module", params=["daphne", "uvicorn"])
def port(request):
    """The port of a server of each kind that streams without end."""
    with running("streaming", request.param) as port:
        yield port


def get(port: int, path: str) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", path)
    body = connection.getresponse().read().decode()
    connection.close()
    return body


def wait_until_sent_stays(port: int) -> int:
    """How much was sent, once it no longer grows."""
    sent = -1
    while (now := int(get(port, "/told").split()[0])) != sent:
        sent = now
        time.sleep(0.3)
    return sent


def test_a_stream_waits_for_its_reader_and_ends_when_the_reader_leaves(port):
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    client.settimeout(10)
    client.connect(("127.0.0.1", port))
    client.sendall(b"GET /endless HTTP/1.1\r\nHost: localhost\r\n\r\n")
    client.recv(1000)
    # The kernel's buffers take some megabytes; what nobody reads must not go on growing in ours.
    held = wait_until_sent_stays(port)
    assert held < 16 * MEGABYTE
    received = 0
    while received < held + 4 * MEGABYTE:
        received += len(client.recv(65536))
    assert wait_until_sent_stays(port) >= held + 4 * MEGABYTE
    client.close()
    deadline = time.monotonic() + 10
    while not get(port, "/told").endswith("True"):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_an_aborted_stream_does_not_look_whole(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", "/broken")
    with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
        connection.getresponse().read()
    connection.close()
    assert get(port, "/told")


@pytest.mark.parametrize(
    ("reason", "told"),
    [("All%20is%20well", "All is well"), ("%C3%A9t%C3%A9", "été"), ("a%0D%0AX-Own:%201", None), ("", None)],
)
def test_an_answer_has_a_reason_of_its_own_that_ends_no_line(port, reason, told):
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        for target, status, wanted in [(f"/reason?{reason}", 299, told), ("/told", 200, "OK")]:
            connection.request("GET", target)
            answer = connection.getresponse()
            answer.read()
            assert (answer.status, answer.getheader("x-own")) == (status, None)
            if wanted is None:
                assert answer.reason in ("", "Unknown Status")
            else:
                assert answer.reason.encode("latin-1").decode() == wanted
