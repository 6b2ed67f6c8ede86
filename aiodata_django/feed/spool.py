"""Where the changes of a big transaction wait: in memory first, in a temporary file beyond a limit."""

from __future__ import annotations

import tempfile
import weakref
from collections.abc import Iterator
from contextlib import suppress
from struct import Struct
from typing import IO

from ..core.changes.pgoutput import RelationMessage
from ..core.changes.transaction import MemoryBuffer

_ENTRY = Struct(">II")  # index of the relation, length of the payload
_READ_BYTES = 1 << 18


class SpooledBuffer:
    """A :class:`~aiodata_django.core.changes.transaction.ChangeBuffer` of bounded memory.

    Up to ``limit`` bytes stay in memory; what follows is written to an unnamed temporary file, which goes
    when the buffer does.
    """

    def __init__(self, limit: int = 4 << 20) -> None:
        self._limit = limit
        self._head = MemoryBuffer()
        self._file: IO[bytes] | None = None
        self._relations: list[RelationMessage] = []
        self._spooled = 0
        self._end = 0

    def append(self, relation: RelationMessage, payload: bytes) -> None:
        """Add one raw message."""
        if self._file is None:
            if self._head.size < self._limit:
                self._head.append(relation, payload)
                return
            self._file = tempfile.TemporaryFile(prefix="aiodata-", buffering=1 << 20)  # noqa: SIM115
            weakref.finalize(self, _close, self._file)
        if not self._relations or self._relations[-1] is not relation:
            self._relations.append(relation)
        entry = _ENTRY.pack(len(self._relations) - 1, len(payload))
        self._file.write(entry)
        self._file.write(payload)
        self._end += len(entry) + len(payload)
        self._spooled += 1

    def __iter__(self) -> Iterator[tuple[RelationMessage, bytes]]:
        yield from self._head
        if self._file is not None:
            self._file.flush()
            yield from self._read()

    def _read(self) -> Iterator[tuple[RelationMessage, bytes]]:
        # Several readers stand at different places of the same file: each keeps its own and seeks to it.
        assert self._file is not None
        place, pending, position = 0, b"", 0
        while True:
            if len(pending) - position < _ENTRY.size or not self._whole(pending, position):
                self._file.seek(place)
                chunk = self._file.read(min(_READ_BYTES, self._end - place))
                if not chunk:
                    return
                place += len(chunk)
                pending, position = pending[position:] + chunk, 0
                continue
            index, length = _ENTRY.unpack_from(pending, position)
            position += _ENTRY.size + length
            yield self._relations[index], pending[position - length : position]

    @staticmethod
    def _whole(pending: bytes, position: int) -> bool:
        length: int = _ENTRY.unpack_from(pending, position)[1]
        return len(pending) - position >= _ENTRY.size + length

    def __len__(self) -> int:
        return len(self._head) + self._spooled

    @property
    def size(self) -> int:
        """Bytes of memory held, roughly; the file is not memory."""
        return self._head.size


def _close(file: IO[bytes]) -> None:
    with suppress(OSError):
        file.close()
