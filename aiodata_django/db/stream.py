"""The rows of a large result, chunk by chunk, at the pace of whoever reads them.

What lives here: the reader's side. What does not: how chunks come off the wire (``connection``), which
connections streams may use (``pool``).

Nothing is read from the socket while the reader is busy elsewhere, so PostgreSQL waits in its turn and memory
stays flat. A reader that takes nothing for ``patience`` seconds loses the connection. A chunk is little work,
and between two of them everybody else on the event loop has a turn.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import TracebackType
from typing import Protocol, Self

from aiodata_django.core.errors import ApiError
from aiodata_django.core.query.statement import Row, Rows
from aiodata_django.db.failures import reader_stalled

ROW_OVERHEAD = 100
"""Bytes that Python takes for a row of one text, beside the text: objects and a place in a list."""

CHUNK_BYTES = 1 << 18
"""Bytes of memory that the rows of a chunk take at most, but for those that libpq hands over with them."""

WIRE_ROWS = 100
"""Rows that libpq hands over at a time, however long they are. Fewer cost more for each."""


class Source(Protocol):
    """The connection below a stream."""

    def resume(self) -> None:
        """Read on until a chunk is full, the end or an error."""

    def condemn(self) -> None:
        """Cancel what runs and close the connection; it serves nobody any more."""


class Stream:
    """The last statement's rows by chunks; iterate over it for the chunks after ``first``.

    ``results`` are the Rows of the earlier statements, ``columns`` the names of this one's, ``first`` the
    first chunk; ``complete`` says that ``first`` is all there is and that the transaction has been
    committed. Otherwise it commits behind the last chunk: iterating to the end tells. Read or ``aclose``
    it: ``async with`` does.

    A chunk is full at ``chunk`` rows, or when they take ``CHUNK_BYTES``; with ``gather``, the first one when
    its rows take that many bytes.
    """

    def __init__(
        self, chunk: int, patience: float, loop: asyncio.AbstractEventLoop, *, gather: int = 0
    ) -> None:
        self.results: Sequence[Rows] = ()
        self.columns: tuple[bytes, ...] = ()
        self.first: Sequence[Row] = ()
        self.complete = False
        self.chunk = chunk
        self.source: Source | None = None
        self._patience = patience
        self._loop = loop
        self._gather = gather
        self._rows: list[Row] = []
        self._memory = 0
        self._reader: asyncio.Future[None] | None = None
        self._stall: asyncio.TimerHandle | None = None
        self._ended = False
        self._error: ApiError | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Sequence[Row]:
        """The next chunk of rows; raises ApiError when the statement or its commit fails."""
        if not self._ended:
            await self._read()
        if self._rows:
            return self._take()
        if self._error is not None:
            raise self._error
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Leave: what has not been read is not wanted any more, and is cancelled where it still runs."""
        self.leave()

    def leave(self) -> None:
        """``aclose`` without waiting, for where nothing can be awaited."""
        source = self.source
        if not self._ended and source is not None:
            self.end(None)
            source.condemn()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.leave()

    # The connection's side ----------------------------------------------------------------------------

    def feed(self, rows: Sequence[Row]) -> bool:
        """Take rows off the wire; True when the chunk is full and the wire must wait for the reader."""
        self._rows.extend(rows)
        self._memory += _memory(rows)
        return self._full

    @property
    def _full(self) -> bool:
        if self._gather:
            return self._memory >= self._gather
        return len(self._rows) >= self.chunk or self._memory >= CHUNK_BYTES

    def begin(self, results: Sequence[Rows], *, complete: bool) -> None:
        """The first chunk is there: the stream can be handed to its reader."""
        self.results = results
        self.complete = complete
        self._ended = complete
        self.first = self._take()
        self._gather = 0
        if not complete:
            self._await_reader()

    def wake(self) -> None:
        """A further chunk is full."""
        if self.waiting and self._reader is not None:
            self._reader.set_result(None)
        else:  # the reader was cancelled while waiting: it may come back for this chunk, or not
            self._await_reader()

    def end(self, error: ApiError | None) -> None:
        """No more rows will come. The first reason is the one that counts."""
        if self._ended:
            return
        self._ended = True
        self._error = error
        self.source = None
        self._stop_clock()
        if self.waiting and self._reader is not None:
            self._reader.set_result(None)

    @property
    def waiting(self) -> bool:
        """Whether the reader waits for rows."""
        return self._reader is not None and not self._reader.done()

    async def _read(self) -> None:
        self._stop_clock()
        self._reader = self._loop.create_future()
        # In a turn of its own: between two chunks all others get theirs, however fast the rows come.
        self._loop.call_soon(self._read_on)
        try:
            await self._reader
        finally:
            self._reader = None

    def _read_on(self) -> None:
        if self._ended:
            return
        if self._reader is None or self._reader.done():  # cancelled meanwhile
            self._await_reader()
        elif self._full:
            self._reader.set_result(None)
        elif self.source is not None:
            self.source.resume()

    def _take(self) -> Sequence[Row]:
        rows, self._rows = self._rows, []
        self._memory = 0
        if not self._ended:
            self._await_reader()
        return rows

    def _await_reader(self) -> None:
        self._stop_clock()
        self._stall = self._loop.call_later(self._patience, self._cut_off)

    def _stop_clock(self) -> None:
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None

    def _cut_off(self) -> None:
        source = self.source
        self._rows.clear()
        self.end(reader_stalled())
        if source is not None:
            source.condemn()


def _memory(rows: Sequence[Row]) -> int:
    """About how many bytes rows take whose last column is the long one; joining is faster than adding up."""
    texts = [row[-1] or b"" for row in rows] if rows and rows[0] else ()
    return len(rows) * ROW_OVERHEAD + len(b"".join(texts))
