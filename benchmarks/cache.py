"""The client's copy against ``ldbcache``, the cache of the reference client: one run, ratios printed.

    python benchmarks/cache.py [--rows 1000000] [--rounds 3]

Each candidate fills itself from the same JSON text (rows of six columns, key of a text and an integer, 500
rows a text), then answers full keys, prefixes and a scan, then applies updates, each giving its old and its
new row. Their JSON text is decoded within the time, on both sides: messages of one row, as version 1 of
``/state`` brings them; transactions of one row and of 100 rows, as version 2 does. For ``ldbcache``, which
knows no transactions, those are messages one by one, and JSON arrays of 100 messages.
Candidates alternate, each in a process of its own; times are CPU seconds, medians of the rounds. Memory is
what Python's allocator holds for the filled cache, measured apart from the times. ``ldbcache`` is installed
into a directory that is gone afterwards; from Python 3.10 on its dependency needs ``collections.Mapping``.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

GROUP = 500
COLUMNS = [
    ("kind", "text"),
    ("id", "int8"),
    ("name", "text"),
    ("color", "int4"),
    ("groomed", "bool"),
    ("note", "text"),
]
CANDIDATES = ("ldbcache", "ours", "interned")
PIECE = 64 * 1024
LOOKUPS = 100_000
BATCH = 100  # changes a transaction
TIME = "2026-01-01T10:00:00.123456+00:00"


def row(number: int, note: str) -> dict[str, Any]:
    kind = f"kind {number // GROUP}"
    name = f"name of {number}"
    return {"kind": kind, "id": number, "name": name, "color": number % 999, "groomed": True, "note": note}


def write_rows(path: Path, count: int) -> None:
    rows = [row(number, f"note {number % 50}") for number in range(count)]
    path.write_text(compact(rows))


def compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def messages(keys: list[Any], note: str) -> list[str]:
    """Updates as version 1 of ``/state`` brings them, one row a message."""
    return [compact(["PATCH", "t", key, [row(key[1], note)]]) for key in keys]


class Ldbcache:
    """The reference's cache, used as the reference's client does."""

    def __init__(self) -> None:
        import collections
        import collections.abc

        collections.Mapping = collections.abc.Mapping  # type: ignore[attr-defined]
        import ldbcache

        self._entry = ldbcache.Entry
        self._cache = ldbcache.AlikeBulkRowCache(["kind", "id"])

    def fill(self, text: bytes) -> None:
        self._cache.create(None, map(self._entry, json.loads(text)))

    def get(self, *keys: Any) -> Any:
        return self._cache.select(keys)

    def scan(self) -> None:
        for _ in self._cache.entries():
            pass

    def apply(self, message: str) -> None:
        _, _, keys, rows = json.loads(message)
        self._cache.modify(keys, rows)

    def transactions(
        self, keys: list[Any], note: str, size: int
    ) -> tuple[Callable[[Any], None], Iterable[Any]]:
        """Messages, and how they are applied."""
        single = messages(keys, note)
        if size == 1:
            return self.apply, single
        return self._apply_all, [f"[{','.join(batch)}]" for batch in batches(single, size)]

    def _apply_all(self, text: str) -> None:
        for _, _, keys, rows in json.loads(text):
            self._cache.modify(keys, rows)


class Ours:
    """The client's cache, used as the client does."""

    def __init__(self, *, intern: bool = False) -> None:
        from aiodata_django.client.frames import MessageReader
        from aiodata_django.core.state.cache import Cache, TableCache

        self._table = TableCache("t", COLUMNS, ("kind", "id"), intern=intern)
        self.apply = MessageReader(Cache([self._table])).apply
        self.get = self._table.get
        self.longest = 0.0

    def fill(self, text: bytes) -> None:
        reader = self._table.reader()
        for start in range(0, len(text), PIECE):
            began = time.perf_counter()
            self._table.fill(reader.feed(text[start : start + PIECE]))
            self.longest = max(self.longest, time.perf_counter() - began)
        self._table.fill(reader.close())

    def scan(self) -> None:
        for _ in self._table:
            pass

    def transactions(
        self, keys: list[Any], note: str, size: int
    ) -> tuple[Callable[[Any], None], Iterable[Any]]:
        """Frames of version 2, and what the client does with them."""
        from aiodata_django.core.state import frames
        from aiodata_django.core.state.cache import Cache
        from aiodata_django.core.state.copy import Copy
        from aiodata_django.core.state.session import ClientSession

        session, copy = ClientSession(), Copy(Cache([self._table]))
        session.decode = copy.decode
        session.connected(0.0)
        copy._show("t", self._table, {0: self._table})  # the rows that are there stand for a snapshot's
        session.cursor = cursor(0)

        def apply(frame: str) -> None:
            for event in session.receive(frame, 0.0):
                copy.put(event.changes)

        puts = [frames.put("t", compact(row(key[1], note)).encode(), b"[0]").decode() for key in keys]
        return apply, [
            frames.txn(cursor(number), cursor(number + 1), 731, TIME, ",".join(batch), more=False)
            for number, batch in enumerate(batches(puts, size))
        ]


def cursor(number: int) -> str:
    """About as long as the server's."""
    return f"7a31c5e09b:{number:X}"


def batches(items: list[str], size: int) -> Iterator[list[str]]:
    return (items[start : start + size] for start in range(0, len(items), size))


def make(candidate: str) -> Any:
    return Ldbcache() if candidate == "ldbcache" else Ours(intern=candidate == "interned")


def each(work: Callable[[Any], Any], arguments: list[Any]) -> None:
    for argument in arguments:
        work(argument)


def seconds(work: Callable[[], Any]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def applying(cache: Any, keys: list[Any], size: int) -> float:
    """Seconds an update takes, in transactions of that many."""
    apply, transactions = cache.transactions(keys, f"by {size}", size)
    return seconds(lambda: each(apply, transactions)) / len(keys)


def measure(candidate: str, path: Path) -> dict[str, float]:
    """All times of one candidate, in a fresh process."""
    text = path.read_bytes()
    cache = make(candidate)
    fill = seconds(lambda: cache.fill(text))
    count = text.count(b'"kind":')
    chance = random.Random(1)
    numbers = [chance.randrange(count) for _ in range(LOOKUPS)]
    keys = [(f"kind {number // GROUP}", number) for number in numbers]
    prefixes = [key[0] for key in keys[:1000]]
    single = messages(keys, "changed")
    result = {
        "fill, s": fill,
        "full key, ns": seconds(lambda: each(lambda key: cache.get(*key), keys)) / LOOKUPS * 1e9,
        "prefix, us": seconds(lambda: each(cache.get, prefixes)) / 1000 * 1e6,
        "scan, ms": seconds(cache.scan) * 1e3,
        "apply a message, us": seconds(lambda: each(cache.apply, single)) / LOOKUPS * 1e6,
    }
    for size in (1, BATCH):
        result[f"apply by {size}, us"] = applying(cache, keys, size) * 1e6
    if isinstance(cache, Ours):
        result["longest piece, ms"] = cache.longest * 1e3
    return result


def measure_memory(candidate: str, path: Path) -> dict[str, float]:
    """Bytes a row that the filled cache holds, and at most held while it was filled, in a fresh process."""
    text = path.read_bytes()
    count = text.count(b'"kind":')
    cache = make(candidate)
    tracemalloc.start()
    cache.fill(text)
    held, peak = tracemalloc.get_traced_memory()
    return {"memory, B/row": held / count, "memory peak, B/row": peak / count}


def child(candidate: str, what: str, path: Path, libraries: str) -> dict[str, float]:
    """Run one measurement in a process of its own."""
    command = [sys.executable, __file__, "--child", candidate, what, str(path), libraries]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return {name: float(value) for name, value in json.loads(done.stdout).items()}


def run_child(candidate: str, what: str, path: str, libraries: str) -> None:
    sys.path.append(libraries)
    work = measure if what == "times" else measure_memory
    print(json.dumps(work(candidate, Path(path))))


def run(rows: int, rounds: int) -> None:
    with tempfile.TemporaryDirectory() as directory:
        libraries = str(Path(directory) / "libraries")
        pip = [sys.executable, "-m", "pip", "install", "-q", "--target", libraries, "ldbcache==0.0.0"]
        subprocess.run([*pip, "--disable-pip-version-check"], check=True)
        path = Path(directory) / "rows.json"
        write_rows(path, rows)
        results = {candidate: child(candidate, "memory", path, libraries) for candidate in CANDIDATES}
        times: dict[str, list[dict[str, float]]] = {candidate: [] for candidate in CANDIDATES}
        for _ in range(rounds):
            for candidate in CANDIDATES:
                times[candidate].append(child(candidate, "times", path, libraries))
        for candidate, measured in times.items():
            for name in measured[0]:
                results[candidate][name] = statistics.median(each[name] for each in measured)
    report(rows, rounds, results)


def report(rows: int, rounds: int, results: dict[str, dict[str, float]]) -> None:
    print(
        f"{rows:,} rows, medians of {rounds} rounds; x: times faster than ldbcache, or share of its memory\n"
    )
    print(f"{'':20}{'ldbcache':>10}{'ours':>10}{'x':>7}{'interned':>10}{'x':>7}")
    for name, limit in results["ldbcache"].items():
        line = f"{name:20}{limit:10.2f}"
        for candidate in CANDIDATES[1:]:
            value = results[candidate][name]
            ratio = value / limit if name.startswith("memory") else limit / value
            line += f"{value:10.2f}{ratio:7.2f}"
        print(line)
    longest = max(results[candidate]["longest piece, ms"] for candidate in CANDIDATES[1:])
    print(f"\nlongest time one piece of the fill held the loop: {longest:.1f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        run_child(*options.child)
    else:
        run(options.rows, options.rounds)


if __name__ == "__main__":
    main()
