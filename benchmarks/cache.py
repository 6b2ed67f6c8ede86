"""The client's copy against ``ldbcache``, the cache of the reference client: one run, ratios printed.

    python benchmarks/cache.py [--rows 1000000] [--rounds 5]

Each candidate fills itself from the same JSON text (rows of six columns, key of a text and an integer, 500
rows a text), then answers full keys, prefixes and a scan, then applies updates. Both do all that lies between
a websocket's text and a callback, and neither has a network or an event loop in it: ``ldbcache`` is driven
by the reference client itself (``aiodata`` 3.0.0: ``json.loads``, then its ``_handle``), ours by what
``aiodata_django.client`` does with a message. Reads go through both clients' ``table.get``. Both callbacks
count the updates that they are told, each with its old and its new row; the counts must be right.

Updates come as messages of one row, as version 1 of ``/state`` brings them, and as transactions of one row
and of 100 rows, as version 2 does. The reference knows no transactions: it gets version 1's messages one by
one, without the cursors and times that ours have to read; and for 100, one JSON array of 100 messages. No row
is updated twice in a measurement. A thousand messages at a time are made, outside of the time, and applied:
as from a socket, their text is in the processor's cache, and the rows, anywhere in the table, are not.

Each round has a fresh process a candidate, all of them alive at once; they take turns with each measurement,
after a full collection of garbage, the collector as Python sets it up. Times are CPU seconds: medians of the
rounds, and of the ratios within a round, with the lowest and the highest. Memory is what Python's allocator
holds for the filled cache, measured apart from the times. The reference is installed into a directory that is
gone afterwards; from Python 3.10 on it needs ``collections.Mapping``.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
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
COLUMNS = [("kind", "text"), ("id", "int8"), ("name", "text")]
COLUMNS += [("color", "int4"), ("groomed", "bool"), ("note", "text")]
CANDIDATES = ("ldbcache", "ours", "interned")
REFERENCE = ("aiodata==3.0.0", "ldbcache==0.0.0", "pathing==0.1.3")
PIECE = 64 * 1024
LOOKUPS = 100_000
AT_ONCE = 1000  # changes whose text is made before they are applied
BATCH = 100  # changes a transaction
compact = json.JSONEncoder(separators=(",", ":")).encode
TIME = "2026-01-01T10:00:00.123456+00:00"


def row(number: int, note: str) -> dict[str, Any]:
    kind = f"kind {number // GROUP}"
    name = f"name of {number}"
    return {"kind": kind, "id": number, "name": name, "color": number % 999, "groomed": True, "note": note}


def write_rows(path: Path, count: int) -> None:
    rows = [row(number, f"note {number % 50}") for number in range(count)]
    path.write_text(compact(rows))


def message(key: Any, note: str) -> str:
    """An update as version 1 of ``/state`` brings it."""
    return compact(["PATCH", "t", key, [row(key[1], note)]])


Apply = Callable[[str], None]
Texts = Callable[[list[Any]], Iterable[str]]


class Heard:
    """A callback that counts what it is told of."""

    def __init__(self) -> None:
        self.updates = 0

    def __call__(self, action: str, table: str, entries: Any) -> None:
        assert action == "update"
        self.updates += len(entries)


class Ldbcache:
    """The reference's cache, driven by the reference's client."""

    def __init__(self) -> None:
        import collections
        import collections.abc

        collections.Mapping = collections.abc.Mapping  # type: ignore[attr-defined]
        import ldbcache
        from aiodata import client

        self._entry = ldbcache.Entry
        self._cache = ldbcache.AlikeBulkRowCache(["kind", "id"])
        self._table = client.Table("t", None, self._cache, [])
        self.heard = Heard()
        self._client = client.Client(token="", callback=self.heard)
        self._client._tables = ldbcache.Entry({"t": self._table})
        self.get = self._table.get

    def fill(self, text: bytes) -> None:
        self._cache.create(None, map(self._entry, json.loads(text)))

    def scan(self) -> None:
        for _ in self._table:
            pass

    def messages(self, note: str) -> tuple[Apply, Texts]:
        """How messages of version 1 are applied, and how they are made from keys."""
        return self._apply, lambda keys: (message(key, note) for key in keys)

    def _apply(self, text: str) -> None:
        payload = json.loads(text)
        self._client._handle(*payload)

    def transactions(self, note: str, size: int) -> tuple[Apply, Texts]:
        """The same of transactions of that many updates."""
        if size == 1:
            return self.messages(note)
        return self._apply_all, lambda keys: (
            f"[{','.join(message(key, note) for key in batch)}]" for batch in batches(keys, size)
        )

    def _apply_all(self, text: str) -> None:
        for payload in json.loads(text):
            self._client._handle(*payload)


class Ours:
    """The client's cache, used as the client does."""

    def __init__(self, *, intern: bool = False) -> None:
        from aiodata_django.client.description import Description
        from aiodata_django.client.dispatch import Dispatcher
        from aiodata_django.client.table import Table
        from aiodata_django.core.state.cache import TableCache

        self._cache = TableCache("t", COLUMNS, ("kind", "id"), intern=intern)
        description = Description.of_copy("t", COLUMNS, ("kind", "id"))
        self._table = Table(description, lambda *_: asyncio.sleep(0, ()))  # never written to
        self._table.describe(description, self._cache)
        self.heard = Heard()
        self._tell = Dispatcher(self.heard).tell
        self.get = self._table.get
        self.longest = 0.0

    def fill(self, text: bytes) -> None:
        reader = self._cache.reader()
        for start in range(0, len(text), PIECE):
            began = time.perf_counter()
            self._cache.fill(reader.feed(text[start : start + PIECE]))
            self.longest = max(self.longest, time.perf_counter() - began)
        self._cache.fill(reader.close())

    def scan(self) -> None:
        for _ in self._table:
            pass

    def messages(self, note: str) -> tuple[Apply, Texts]:
        """How messages of version 1 are applied, and how they are made from keys."""
        from aiodata_django.client.frames import MessageReader
        from aiodata_django.core.state.cache import Cache

        reader, tell = MessageReader(Cache([self._cache])), self._tell
        return lambda text: tell(reader.apply(text)), lambda keys: (message(key, note) for key in keys)

    def transactions(self, note: str, size: int) -> tuple[Apply, Texts]:
        """The same of frames of version 2."""
        from aiodata_django.core.state import frames
        from aiodata_django.core.state.cache import Cache
        from aiodata_django.core.state.copy import Copy
        from aiodata_django.core.state.session import ClientSession

        session, copy, tell = ClientSession(), Copy(Cache([self._cache])), self._tell
        session.decode = copy.decode
        session.connected(0.0)
        copy._show("t", self._cache, {0: self._cache})  # the rows that are there stand for a snapshot's
        session.cursor = cursor(0)

        def apply(frame: str) -> None:
            for event in session.receive(frame, 0.0):
                tell(copy.put(event.changes))

        sent = 0

        def texts(keys: list[Any]) -> Iterator[str]:
            nonlocal sent
            puts = [frames.put("t", compact(row(key[1], note)).encode(), b"[0]").decode() for key in keys]
            for batch in batches(puts, size):
                sent += 1
                yield frames.txn(cursor(sent - 1), cursor(sent), 731, TIME, ",".join(batch), more=False)

        return apply, texts


def cursor(number: int) -> str:
    """About as long as the server's."""
    return f"7a31c5e09b:{number:X}"


def batches(items: list[Any], size: int) -> Iterator[list[Any]]:
    return (items[start : start + size] for start in range(0, len(items), size))


def make(candidate: str) -> Any:
    return Ldbcache() if candidate == "ldbcache" else Ours(intern=candidate == "interned")


def each(work: Callable[[Any], Any], arguments: Iterable[Any]) -> None:
    for argument in arguments:
        work(argument)


def seconds(work: Callable[[], Any]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


class Measured:
    """One candidate in a process of its own: a measurement at a time, when it is asked for."""

    def __init__(self, candidate: str, path: Path) -> None:
        self._path = path
        self._cache = make(candidate)
        self._chance = random.Random(1)
        self._count = 0

    def measure(self, name: str) -> float:
        """The figure of this name."""
        gc.collect()
        return MEASUREMENTS[name](self)

    def fill(self) -> float:
        text = self._path.read_bytes()
        self._count = text.count(b'"kind":')
        return seconds(lambda: self._cache.fill(text))

    def _keys(self) -> list[Any]:
        numbers = self._chance.sample(range(self._count), min(LOOKUPS, self._count))
        return [(f"kind {number // GROUP}", number) for number in numbers]

    def full_key(self) -> float:
        keys = self._keys()
        get = self._cache.get
        return seconds(lambda: each(lambda key: get(*key), keys)) / len(keys) * 1e9

    def prefix(self) -> float:
        prefixes = [kind for kind, _ in self._keys()[:1000]]
        return seconds(lambda: each(self._cache.get, prefixes)) / len(prefixes) * 1e6

    def scan(self) -> float:
        return seconds(self._cache.scan) * 1e3

    def messages(self) -> float:
        return self._applying(*self._cache.messages("by message"))

    def transactions(self, size: int) -> float:
        return self._applying(*self._cache.transactions(f"by {size}", size))

    def _applying(self, apply: Apply, texts: Texts) -> float:
        """Microseconds that an update takes."""
        taken = 0.0
        keys = self._keys()
        self._cache.heard.updates = 0
        for some in batches(keys, AT_ONCE):
            made = list(texts(some))
            began = time.process_time()
            each(apply, made)
            taken += time.process_time() - began
        assert self._cache.heard.updates == len(keys), self._cache.heard.updates
        return taken / len(keys) * 1e6


MEASUREMENTS: dict[str, Callable[[Measured], float]] = {
    "fill, s": Measured.fill,
    "full key, ns": Measured.full_key,
    "prefix, us": Measured.prefix,
    "scan, ms": Measured.scan,
    "apply a message, us": Measured.messages,
    "apply by 1, us": lambda measured: measured.transactions(1),
    f"apply by {BATCH}, us": lambda measured: measured.transactions(BATCH),
}
LONGEST = "longest piece, ms"


def measure_memory(candidate: str, path: Path) -> dict[str, float]:
    """Bytes a row that the filled cache holds, and at most held while it was filled."""
    text = path.read_bytes()
    count = text.count(b'"kind":')
    cache = make(candidate)
    tracemalloc.start()
    cache.fill(text)
    held, peak = tracemalloc.get_traced_memory()
    return {"memory, B/row": held / count, "memory peak, B/row": peak / count}


def run_child(candidate: str, what: str, path: str, libraries: str) -> None:
    """In the child: answer each line of the input, the name of a figure, with it. Of what is beside it."""
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    sys.path.append(libraries)
    if what == "memory":
        print(json.dumps(measure_memory(candidate, Path(path))))
        return
    measured = Measured(candidate, Path(path))
    for line in sys.stdin:
        name = line.rstrip("\n")
        print(measured._cache.longest * 1e3 if name == LONGEST else measured.measure(name), flush=True)


def command(candidate: str, what: str, path: Path, libraries: str) -> list[str]:
    return [sys.executable, __file__, "--child", candidate, what, str(path), libraries]


def memory(candidate: str, path: Path, libraries: str) -> dict[str, float]:
    figures: dict[str, float] = json.loads(
        subprocess.check_output(command(candidate, "memory", path, libraries))
    )
    return figures


class Child:
    """A candidate's process, as seen from outside."""

    def __init__(self, candidate: str, path: Path, libraries: str) -> None:
        asked, pipe = command(candidate, "times", path, libraries), subprocess.PIPE
        self.process = subprocess.Popen(asked, stdin=pipe, stdout=pipe, text=True)

    def ask(self, name: str) -> float:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(name, file=self.process.stdin, flush=True)
        return float(self.process.stdout.readline())


Round = dict[str, dict[str, float]]  # figures by candidate


def one_round(path: Path, libraries: str) -> Round:
    children = {candidate: Child(candidate, path, libraries) for candidate in CANDIDATES}
    figures: Round = {candidate: {} for candidate in CANDIDATES}
    for name in MEASUREMENTS:
        for candidate, child in children.items():
            figures[candidate][name] = child.ask(name)
    for candidate, child in children.items():
        figures[candidate][LONGEST] = child.ask(LONGEST) if candidate != "ldbcache" else 0.0
        child.process.communicate()
    return figures


def run(rows: int, rounds: int) -> None:
    with tempfile.TemporaryDirectory() as directory:
        libraries = str(Path(directory) / "libraries")
        pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", libraries, *REFERENCE]
        subprocess.run([*pip, "--disable-pip-version-check"], check=True)
        path = Path(directory) / "rows.json"
        write_rows(path, rows)
        held = {candidate: memory(candidate, path, libraries) for candidate in CANDIDATES}
        report(rows, held, [one_round(path, libraries) for _ in range(rounds)])


def report(rows: int, held: Round, rounds: list[Round]) -> None:
    print(f"{rows:,} rows, medians of {len(rounds)} rounds; x: times faster than ldbcache (lowest-highest)\n")
    print(f"{'':20}{'ldbcache':>10}{'ours':>10}{'x':>22}{'interned':>10}{'x':>22}")
    for name, limit in held["ldbcache"].items():
        line = f"{name:20}{limit:10.2f}"
        for candidate in CANDIDATES[1:]:
            value = held[candidate][name]
            line += f"{value:10.2f}{f'{value / limit:.2f} of it':>22}"
        print(line)
    for name in MEASUREMENTS:
        line = f"{name:20}{statistics.median(figures['ldbcache'][name] for figures in rounds):10.2f}"
        for candidate in CANDIDATES[1:]:
            ratios = [figures["ldbcache"][name] / figures[candidate][name] for figures in rounds]
            scatter = f"{statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})"
            line += f"{statistics.median(figures[candidate][name] for figures in rounds):10.2f}{scatter:>22}"
        print(line)
    longest = max(figures[candidate][LONGEST] for figures in rounds for candidate in CANDIDATES[1:])
    print(f"\nlongest time one piece of the fill held the loop: {longest:.1f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        run_child(*options.child)
    else:
        run(options.rows, options.rounds)


if __name__ == "__main__":
    main()
