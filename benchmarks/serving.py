"""What the benchmarks of the whole server share: a server process, wrk, and the server's CPU.

What lives here: starting and measuring. What does not: what is asked for.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import jwt

SECRET = "benchmarks-have-no-secrets-to-keep"
TICKS = os.sysconf("SC_CLK_TCK")


def token(role: str = "auth") -> str:
    """A token for a role."""
    return jwt.encode({"role": role, "sub": "1"}, SECRET, algorithm="HS256")


@contextmanager
def server(uri: str, kind: str, **environment: str) -> Iterator[tuple[int, int]]:
    """An ``aiodata-django`` of that kind serving ``uri``: its port and process id."""
    options = ["--port", "0", "--db-uri", uri, "--schema", "api", "--secret", SECRET, "--server", kind]
    command = [sys.executable, "-m", "aiodata_django.cli", *options]
    variables = os.environ | {"PGRST_DB_ANON_ROLE": "anon", "PGRST_DB_POOL": "8"} | environment
    process = subprocess.Popen(
        command, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        assert process.stdout is not None
        port = next(int(found[1]) for line in process.stdout if (found := re.search(r":(\d+)", line)))
        _wait(port)
        yield port, process.pid
    finally:
        process.terminate()
        process.wait(10)


def _wait(port: int) -> None:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/", headers={"Authorization": f"Bearer {token()}"}
    )
    deadline = time.monotonic() + 20
    while True:
        try:
            with urllib.request.urlopen(request) as answer:
                assert answer.status == 200
                return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def cpu_seconds(pid: int) -> float:
    """CPU the process has used so far."""
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def memory(pid: int) -> int:
    """Bytes of memory the process holds."""
    with open(f"/proc/{pid}/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def wrk(
    port: int,
    path: str,
    *,
    clients: int,
    seconds: float,
    method: str = "GET",
    body: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> tuple[dict[str, float], int]:
    """What wrk measures of one kind of request, and how many it made."""
    lines = [f'wrk.method = "{method}"']
    if body is not None:
        lines.append(f"wrk.body = [[{body}]]")
    given = {"Authorization": f"Bearer {token()}", "Content-Type": "application/json"} | dict(headers or {})
    lines += [f'wrk.headers["{name}"] = "{value}"' for name, value in given.items()]
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write("\n".join(lines))
        script.flush()
        command = ["wrk", "-t1", f"-c{clients}", f"-d{seconds:.0f}s", "--latency", "-s", script.name]
        command.append(f"http://127.0.0.1:{port}{path}")
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in said:
        raise RuntimeError(said)
    figures = {
        "rate": _number(r"Requests/sec:\s+([\d.]+)", said),
        "p50 ms": _milliseconds(said, "50%"),
        "p99 ms": _milliseconds(said, "99%"),
    }
    return figures, int(_number(r"(\d+) requests in", said))


def load(
    port: int,
    pid: int,
    path: str,
    *,
    clients: int,
    seconds: float,
    method: str = "GET",
    body: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> dict[str, float]:
    """What wrk measures, and the server's CPU a request in microseconds."""
    before = cpu_seconds(pid)
    figures, requests = wrk(
        port, path, clients=clients, seconds=seconds, method=method, body=body, headers=headers
    )
    return figures | {"CPU µs": (cpu_seconds(pid) - before) / requests * 1e6}


def _number(pattern: str, text: str) -> float:
    found = re.search(pattern, text)
    if found is None:
        raise ValueError(f"wrk said {text!r}")
    return float(found[1])


def _milliseconds(said: str, percentile: str) -> float:
    found = re.search(rf"{percentile}\s+([\d.]+)(us|ms|s)", said)
    if found is None:
        raise ValueError(f"wrk said {said!r}")
    return float(found[1]) * {"us": 1e-3, "ms": 1, "s": 1e3}[found[2]]
