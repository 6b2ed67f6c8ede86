"""Other processes, by their number: whether they live, and what they were started as.

What lives here: what Linux and macOS tell about processes that are not our children. What does not: ending
them, which whoever knows why they run does.
"""

from __future__ import annotations

import os
import subprocess
from contextlib import suppress
from pathlib import Path

_PROC = Path("/proc/self").exists()


def alive(pid: int) -> bool:
    """Whether a process runs. One that has ended but has not been waited for does not: whoever adopted it
    may never wait, as a container's first process often does not.
    """
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return not _ended(pid)


def _ended(pid: int) -> bool:
    if not _PROC:
        return _ps("stat", pid).startswith("Z")
    with suppress(OSError):
        # The state follows the name, which is in parentheses and may hold some itself.
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b") ")[2][:1] in (b"Z", b"X")
    return True


def command_of(pid: int) -> str:
    """The command line of a process, empty when there is none."""
    if not _PROC:
        return _ps("args", pid)
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return ""


def _ps(what: str, pid: int) -> str:
    """macOS has no /proc; a bare Debian no ps."""
    command = ["ps", "-o", f"{what}=", "-p", str(pid)]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout  # noqa: S603 - no shell, a number
