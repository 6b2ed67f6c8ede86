"""Whom a server's processes run as: ourselves, or an unprivileged account when we are root.

What lives here: choosing the account, and starting a command under it. What does not: which command that is
(``embedded``).
"""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

_NAMES = ("postgres", "nobody")


class AccountError(RuntimeError):
    """There is no account the server could run as; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Account:
    """An account; all None for our own. ``prefix``, when given, is the command that changes to it."""

    uid: int | None = None
    gid: int | None = None
    groups: Sequence[int] | None = None
    prefix: tuple[str, ...] = ()

    def popen(self, command: Sequence[str], output: IO[bytes]) -> subprocess.Popen[bytes]:
        """Start ``command`` under the account, outside our session, its output going to ``output``."""
        itself = not self.prefix
        # A session of its own: Ctrl-C in a terminal must reach us alone, who then stop the server in order.
        return subprocess.Popen(  # noqa: S603 - the wheel's programs, no text of anybody else's
            [*self.prefix, *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd="/",
            start_new_session=True,
            user=self.uid if itself else None,
            group=self.gid if itself else None,
            extra_groups=self.groups if itself else None,
        )

    def give(self, path: Path) -> None:
        """Make the account the owner of ``path``."""
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid)

    def can_reach(self, directory: Path) -> bool:
        """Whether plain permissions let the account enter ``directory`` and all above it."""
        if self.uid is None:
            return True
        existing = next(path for path in (directory, *directory.parents) if path.exists())
        for path in (existing, *existing.parents):
            status = path.stat()
            needed = stat.S_IXUSR if status.st_uid == self.uid else stat.S_IXOTH
            if not status.st_mode & needed:
                return False
        return True


def choose_account(data_dir: Path) -> Account:
    """The account to run as: our own, or under root the data directory's owner, else an unprivileged one."""
    if os.geteuid() != 0:
        return Account()
    entry = _unprivileged(data_dir)
    account = Account(entry.pw_uid, entry.pw_gid, ())
    if account.can_reach(data_dir.parent):
        return account
    return replace(account, prefix=_keeping_passage(data_dir, entry))


def _unprivileged(data_dir: Path) -> pwd.struct_passwd:
    if data_dir.exists() and (owner := data_dir.stat().st_uid) != 0:
        return pwd.getpwuid(owner)
    for name in _NAMES:
        with suppress(KeyError):
            return pwd.getpwnam(name)
    raise AccountError("PostgreSQL cannot run as root, and there is no account 'postgres' or 'nobody'")


def _keeping_passage(data_dir: Path, entry: pwd.struct_passwd) -> tuple[str, ...]:
    """The command that changes the account where it could not reach our directories by itself.

    Under ``/root`` no other account may even pass. Instead of opening root's directories to everybody, the
    server keeps one capability: to pass regardless of permissions.
    """
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise AccountError(
            f"PostgreSQL cannot run as root, and no other account can reach {data_dir}: "
            "move the project to a directory others may enter, or run as an ordinary user"
        )
    identity = (f"--reuid={entry.pw_uid}", f"--regid={entry.pw_gid}", "--clear-groups")
    return (setpriv, *identity, "--inh-caps=+dac_override", "--ambient-caps=+dac_override")
