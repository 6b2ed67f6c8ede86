"""Thousands of sockets held by one server: memory, commits told to all of them, requests answered meanwhile.

    python -m benchmarks.held [--sockets 5000] [--crowds 2] [--commits 40] [--idle 30]

The clients are raw sockets in processes of their own (``benchmarks.crowd``). First single commits, each until
the last socket has it; then as many in one burst; then nothing for a while, when heartbeats are all there is.
Another thread asks for a row by key all the time, a hundred times a second at most. At the end it is counted
how many transactions each socket was told: it must be all of them, once.
"""

from __future__ import annotations

import argparse
import http.client
import multiprocessing
import resource
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from multiprocessing.connection import Connection

import psycopg

from benchmarks.crowd import Crowd
from benchmarks.fanout import HELLO, SQL
from benchmarks.load import percentile, postgres
from benchmarks.serving import cpu_seconds, memory, server, token


def hold(parent: Connection, port: int, size: int) -> None:
    """A process of clients: joins, then does what it is asked for until it is told to stop."""
    crowd = Crowd(port, size, token=token(), hello=HELLO)
    crowd.settle()
    parent.send(size)
    while True:
        crowd.pump(0.05)
        if not parent.poll():
            continue
        asked = parent.recv()
        if asked is None:
            parent.send([(member.told, member.closed) for member in crowd.members])
            crowd.close()
            return
        parent.send(_times(crowd, asked, lambda: parent.send("ready")))


def _times(crowd: Crowd, commits: int, ready: Callable[[], None]) -> list[float]:
    """When each member was told of the last of so many commits (monotonic)."""
    times: list[float] = []
    goals = {id(member): member.told + commits for member in crowd.members if not member.closed}

    def arrived(member: object, told: int) -> None:
        goal = goals[id(member)]
        if member.told >= goal > member.told - told:
            times.append(time.monotonic())

    ready()
    deadline = time.monotonic() + 60
    while len(times) < len(goals) and time.monotonic() < deadline:
        crowd.pump(0.5, arrived)
    return times


class Asking(threading.Thread):
    """Asks for a row by key, again and again; ``seconds`` are what the answers took."""

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self._port = port
        self.seconds: list[float] = []
        self.failed = 0

    def run(self) -> None:
        """Until the process ends."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        headers = {"Authorization": f"Bearer {token()}"}
        while True:
            started = time.monotonic()
            try:
                connection.request("GET", "/rest/items?id=eq.1", headers=headers)
                answer = connection.getresponse()
                body = answer.read()
                self.failed += answer.status != 200 or b'"id":1' not in body
            except OSError:
                self.failed += 1
                connection.close()
            self.seconds.append(time.monotonic() - started)
            time.sleep(max(0.0, started + 0.01 - time.monotonic()))


class Held:
    """The server under test with all its sockets."""

    def __init__(self, uri: str, port: int, pid: int, options: argparse.Namespace, stack: ExitStack) -> None:
        self.pid, self.commits = pid, 0
        self._connection = stack.enter_context(psycopg.connect(uri, autocommit=True))
        self.asking = Asking(port)
        before, started = memory(pid), time.monotonic()
        context = multiprocessing.get_context("spawn")
        self._crowds: list[Connection] = []
        for number in range(options.crowds):
            ours, theirs = context.Pipe()
            size = (options.sockets + number) // options.crowds
            process = context.Process(target=hold, args=(theirs, port, size), daemon=True)
            process.start()
            stack.callback(process.kill)
            self._crowds.append(ours)
        self.joined = sum(crowd.recv() for crowd in self._crowds)
        print(
            f"{self.joined} sockets joined in {time.monotonic() - started:.1f} s;"
            f" {(memory(pid) - before) / self.joined / 1000:.1f} kB of the server's memory each"
        )
        self.before = before
        self.asking.start()

    def commit(self, times: int) -> list[float]:
        """Seconds from before so many commits until each socket has been told of the last."""
        for crowd in self._crowds:
            crowd.send(times)
        for crowd in self._crowds:
            assert crowd.recv() == "ready"
        started = time.monotonic()
        self._connection.execute(f"call api.change({times})")
        self.commits += times
        return [at - started for crowd in self._crowds for at in crowd.recv()]

    def report(self, what: str, cpu: float, told: str) -> None:
        """What a phase took; ``cpu`` is what the server had used before it."""
        asked = self.asking.seconds
        print(f"{what}: {told}")
        print(
            f"  server's CPU {cpu_seconds(self.pid) - cpu:.2f} s;"
            f" {len(asked)} requests meanwhile, {self.asking.failed} failed,"
            f" p50 {percentile(asked, 0.5) * 1e3:.1f} p99 {percentile(asked, 0.99) * 1e3:.1f}"
            f" max {max(asked) * 1e3:.0f} ms"
        )
        self.asking.seconds = []

    def count(self) -> tuple[int, int]:
        """Sockets that were told of every commit exactly once, and those that are open."""
        for crowd in self._crowds:
            crowd.send(None)
        members = [member for crowd in self._crowds for member in crowd.recv()]
        return sum(told == self.commits for told, _ in members), sum(not closed for _, closed in members)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sockets", type=int, default=5000)
    parser.add_argument("--crowds", type=int, default=2, help="processes of clients")
    parser.add_argument("--commits", type=int, default=40)
    parser.add_argument("--idle", type=float, default=30.0, help="seconds of nothing but heartbeats")
    options = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # inherited by the server and the crowds
    with ExitStack() as stack:
        database = stack.enter_context(postgres(SQL))
        uri = database.uri(user="authenticator", password="authenticator")
        port, pid = stack.enter_context(server(uri, "uvicorn", PGRST_DB_POOL="4"))
        measure(Held(database.uri(), port, pid, options, stack), options)


def measure(held: Held, options: argparse.Namespace) -> None:
    held.commit(1)  # from now on they are in step
    held.asking.seconds = []
    cpu, each, last = cpu_seconds(held.pid), [], []
    for _ in range(options.commits):
        times = held.commit(1)
        each += times
        last.append(max(times))
        time.sleep(0.05)
    p50, p99 = (percentile(each, share) * 1e3 for share in (0.5, 0.99))
    told = f"a socket has it after p50 {p50:.0f} p99 {p99:.0f} ms"
    told += f", the last one after p50 {percentile(last, 0.5) * 1e3:.0f} max {max(last) * 1e3:.0f} ms"
    held.report(f"{options.commits} commits one by one", cpu, told)
    cpu, seconds = cpu_seconds(held.pid), max(held.commit(options.commits))
    rate = options.commits * held.joined / seconds
    told = f"all sockets have all after {seconds:.2f} s, {rate:,.0f} messages/s"
    held.report(f"{options.commits} in a burst", cpu, told)
    cpu = cpu_seconds(held.pid)
    time.sleep(options.idle)
    held.report("no commits", cpu, f"{options.idle:.0f} s")
    grown = (memory(held.pid) - held.before) / held.joined / 1000
    whole, still = held.count()
    print(f"{still} of {held.joined} sockets are open; {grown:.1f} kB of the server's memory each")
    print(f"{whole} of them were told of each of {held.commits} commits, and once")


if __name__ == "__main__":
    main()
