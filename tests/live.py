"""The real server for tests: a process of its own on a free port, over a database made for the test."""

from __future__ import annotations

import itertools
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType

import jwt

SECRET = "tests-share-this-secret-of-32-bytes!"
ROOT = Path(__file__).parent.parent
DEMO_SCHEMA = (ROOT / "demo_project" / "schema.sql").read_text()


# Below what the kernel hands out; the suite's other process begins elsewhere.
_ports = itertools.count(20_000 + os.getpid() * 997 % 8_000)


def free_port() -> int:
    """A port that nobody else gets who asks the kernel for any: what stops may come back to it."""
    while True:
        port = next(_ports)
        with suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port


def token(role: str = "auth", **claims: object) -> str:
    """A token the live server accepts."""
    return jwt.encode({"role": role, **claims}, SECRET)


class LiveServer:
    """``aiodata-django`` serving schema ``api`` of a database; ``url`` once it is started.

    A second :meth:`start` takes the same port, as a restarted server does.
    """

    def __init__(
        self,
        db_uri: str,
        *options: str,
        server: str = "uvicorn",
        module: str = "aiodata_django.cli",
        path: str = "",
        environment: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._module = module
        self._path = path  # what the module puts before everything
        self._environment = environment
        self._arguments = ["--db-uri", db_uri, "--schema", "api", "--anon-role", "anon", "--secret", SECRET]
        self._arguments += ["--server", server, "--host", "127.0.0.1", *options]
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._output = tempfile.NamedTemporaryFile(prefix="aiodata-live-")  # noqa: SIM115 - closed by stop
        self.url = ""
        self.admin_uri = ""

    def start(self) -> LiveServer:
        """Start it, and wait until it describes its schema."""
        command = [sys.executable, "-m", self._module, *self._arguments, "--port", str(self._port)]
        environment = {name: value for name, value in os.environ.items() if "AIOD" not in name}
        environment |= {"PYTHONPATH": str(ROOT), **self._environment}
        self._process = subprocess.Popen(
            command, stdout=self._output, stderr=subprocess.STDOUT, env=environment, cwd=tempfile.gettempdir()
        )
        self.url = self._wait_for(self._address) + self._path
        self._wait_for(self._describes)
        return self

    def _wait_for(self, condition):
        deadline = time.monotonic() + 30
        while not (found := condition()):
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the server did not start:\n{self.output()}")
            time.sleep(0.02)
        return found

    def _address(self) -> str | None:
        found = re.findall(r"serving at (http://[^/,\s]+)", self.output())
        return found[-1] if found else None

    def _describes(self) -> bool:
        try:
            with urllib.request.urlopen(self.url + "/", timeout=5) as answer:
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            return False

    def output(self) -> str:
        """What it has written so far."""
        return Path(self._output.name).read_text(errors="replace")

    @property
    def pid(self) -> int:
        """The process it runs in, or ran in last."""
        return self._process.pid

    def signal(self, number: int) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def kill(self) -> None:
        """End it at once, as a crash does."""
        self.signal(signal.SIGKILL)
        self._process.wait(10)

    def stop(self) -> None:
        """End it in order, or after ten seconds by force."""
        if self._process is not None and self._process.poll() is None:
            self.signal(signal.SIGTERM)
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self.kill()

    def close(self) -> None:
        """Stop it and forget its output."""
        self.stop()
        self._output.close()
