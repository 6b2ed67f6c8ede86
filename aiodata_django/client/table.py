"""Tables as the user has them: reads from the copy, writes to the server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Iterator, Mapping
from typing import Any

from ..core.state.cache import TableCache
from ..core.state.entry import Entry, EntryType
from .description import Description, Fields
from .error import Error
from .values import cached_form

Entries = tuple[Entry, ...]
Write = Callable[["Table", str, tuple[Any, ...], Any, bool], Awaitable[Entries]]


class Writing:
    """A write that happens when it is awaited; each await writes again."""

    def __init__(self, write: Callable[[], Awaitable[Entries]]) -> None:
        self._write = write

    def __await__(self) -> Generator[Any, None, Entries]:
        return self._write().__await__()


class Creation(Writing):
    """An insert of one row or, by further calls of :meth:`create`, of several in one request."""

    def __init__(self, table: Table, write: Write) -> None:
        super().__init__(lambda: write(table, "POST", (), self._rows, self._wait))
        self._table = table
        self._wait = True
        self._rows: list[dict[str, Any]] = []

    def create(self, /, *keys: Any, **data: Any) -> Creation:
        """Another row: key values in the order of the key's columns, and columns by name."""
        names = self._table.key
        if len(keys) > len(names):
            columns = ", ".join(names) or "none"
            raise TypeError(
                f"{len(keys)} key values for {self._table.name}, whose key columns are: {columns}"
            )
        self._wait = self._table.waits(data)
        self._rows.append({**data, **dict(zip(names, keys, strict=False))})
        return self


class Table:
    """A table of the server.

    Reads (:meth:`get`, iteration) come from the copy and never wait. Writes are awaited, and return the rows
    as the server answered, when the copy contains them; ``wait=False`` returns with the answer. A table
    without primary key is not copied: its reads are empty, it has no events.
    """

    def __init__(self, description: Description, write: Write) -> None:
        self._write = write
        self.describe(description, None)

    def describe(self, description: Description, cache: TableCache | None) -> None:
        """For the client alone: the table is now this, and its rows are those."""
        self._description = description
        self._cache = cache
        self._rows = cache.rows if cache is not None else EntryType(description.columns)
        #: Why the table is not copied although it has a key, or None.
        self.problem: Error | None = None

    @property
    def name(self) -> str:
        """The table's name."""
        return self._description.name

    @property
    def copied(self) -> bool:
        """Whether the copy has rows of this table."""
        return self._cache is not None

    @property
    def fields(self) -> Fields:
        """The columns: in order when iterated, by name as attribute or item."""
        return self._description.fields

    @property
    def key(self) -> tuple[str, ...]:
        """Names of the primary key's columns in the order of the table's, ``()`` for none."""
        return self._description.key

    def get(self, /, *keys: Any) -> Entries:
        """The entries whose key begins with these values: all for none, ``()`` when there are none such."""
        cache = self._cache
        if cache is None:
            return ()
        try:
            entries = cache.get(*keys)
        except TypeError:  # a key value that the copy cannot hold as it is, such as a bytearray
            entries = ()
        # What is there is mostly found so. Dates, UUIDs and the like equal nothing there; their text does.
        if entries or (held := cached_form(keys)) is keys:
            return entries
        return cache.get(*held)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.get())

    def __len__(self) -> int:
        return len(self._cache) if self._cache is not None else 0

    def __bool__(self) -> bool:
        return True

    def create(self, /, *keys: Any, **data: Any) -> Creation:
        """Insert a row. Chain further ``.create(...)`` for several in one request; await for their entries.

        What a row leaves out takes its column's default. Raises TypeError for more key values than key
        columns; awaiting raises Error.
        """
        return Creation(self, self._write).create(*keys, **data)

    def update(self, /, *keys: Any, **data: Any) -> Writing:
        """Set columns of the rows whose key begins with these values (all rows for none); await for them."""
        wait = self.waits(data)
        return Writing(lambda: self._write(self, "PATCH", keys, data, wait))

    def delete(self, /, *keys: Any, wait: bool = True) -> Writing:
        """Delete the rows whose key begins with these values (all rows for none!); await for them."""
        return Writing(lambda: self._write(self, "DELETE", keys, None, wait))

    def waits(self, data: dict[str, Any]) -> bool:
        """Take the option ``wait`` out of the columns to write; a column of that name is a column."""
        return True if "wait" in self.fields else bool(data.pop("wait", True))

    def entries(self, body: bytes) -> Entries:
        """The entries in an answer to a write."""
        return tuple(self._rows.rows(body)) if body.strip() else ()

    def __repr__(self) -> str:
        return f"<Table {self.name} {len(self)}>" if self._cache is not None else f"<Table {self.name}>"


class Tables:
    """Tables by name: attribute, item, iteration over names. Empty before the client has started.

    Unknown names raise AttributeError or KeyError.
    """

    def __init__(self) -> None:
        self._tables: dict[str, Table] = {}

    def __getitem__(self, name: str) -> Table:
        return self._tables[name]

    def __getattr__(self, name: str) -> Table:
        try:
            return self.__dict__["_tables"][name]  # type: ignore[no-any-return]
        except KeyError:
            raise AttributeError(f"no table {name!r}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._tables)

    def __len__(self) -> int:
        return len(self._tables)

    def __contains__(self, name: object) -> bool:
        return name in self._tables

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._tables]

    def __repr__(self) -> str:
        return f"<Tables {', '.join(self._tables)}>"


def replace_tables(tables: Tables, by_name: Mapping[str, Table]) -> None:
    """For the client alone: the tables are now these."""
    tables._tables = dict(by_name)
