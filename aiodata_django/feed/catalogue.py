"""The feed's catalogue: published tables and grants, kept current while definitions change.

What lives here: loading, the publication's mending, the notice of changes, grants by role. What does not: the
queries themselves (``db.published``, ``control``) and what a change means to sockets (``hub``).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Container, Iterable, Mapping, Sequence

import psycopg
from psycopg import errors

from ..core.changes.published import Published
from ..core.errors import ApiError
from ..core.state.audience import Grants
from ..db.published import Publication, load_publication, load_published, mending, told_whole
from .control import Control
from .gate import Gate

logger = logging.getLogger("aiodata.feed")


class Catalogue:
    """What the feed knows of definitions and privileges.

    ``schemas`` names the exposed schemas at each load. Attributes: ``published``; ``version``, counted up
    when anything changed; ``changed``, the version at which each table last changed, by root oid;
    ``exists``, whether the publication is there; ``problem``, when it lacks what it should have and we may
    not mend it.
    """

    def __init__(
        self,
        control: Control,
        gate: Gate,
        schemas: Callable[[], Sequence[str]],
        publication: str,
        further: Sequence[str] = (),
    ) -> None:
        self._control = control
        self._gate = gate
        self._schemas = schemas
        self._publication = publication
        self._further = further
        self._grants: dict[str, Grants] = {}
        self._fingerprint = ""
        self._entries: dict[int, str] | None = None  # each table's place in the publication; None before any
        self._unsettled: dict[int, int] = {}
        self._loading = asyncio.Lock()  # of two loads at once the older might end last
        self.published = Published({})
        self.version = 0
        self.changed: dict[int, int] = {}
        self.problem: str | None = None
        self.exists = False

    async def load(self) -> bool:
        """Read everything anew. True when anything changed."""
        async with self._loading:
            return await self._load()

    async def _load(self) -> bool:
        fingerprint = await self._control.fingerprint()
        connection = await self._control.connection()
        published = await load_published(connection, self._schemas(), self._further)
        published = await self._mended(published, connection)
        roles = list(self._grants)
        grants = {role: found for role in roles if (found := await self._granted(role, published))}
        touched = self._differences(published, grants)
        self._fingerprint = fingerprint
        self.published, self._grants = published, grants
        if touched or len(grants) < len(roles):
            self.version += 1
            self.changed.update(dict.fromkeys(touched, self.version))
            return True
        return False

    async def _granted(self, role: str, published: Published) -> Grants | None:
        """What a role known so far may select; None when it cannot be taken any more."""
        try:
            return await self._gate.grants(role, published)
        except ApiError as error:
            if error.passing:
                raise
            return None  # its sockets are told when they ask; nobody else has to know

    async def refresh(self) -> bool:
        """Read everything anew if a definition or privilege changed. True when so."""
        async with self._loading:
            if await self._control.fingerprint() == self._fingerprint and not await self._settles():
                return False
            return await self._load()

    async def _settles(self) -> bool:
        """Whether a transaction that a table waited for has ended (see :meth:`_settled`)."""
        if not self._unsettled:
            return False
        horizon = (await self._control.snapshot()).xmin
        return any(xid <= horizon for xid in self._unsettled.values())

    def forget(self) -> None:
        """The next :meth:`refresh` loads."""
        self._fingerprint = ""

    def _differences(self, published: Published, grants: dict[str, Grants]) -> set[int]:
        old, new = self.published.tables, published.tables
        oids = {oid for oid in old.keys() | new.keys() if old.get(oid) != new.get(oid)}
        for role, now in grants.items():
            before = self._grants[role]
            if before.memberships != now.memberships:
                oids |= {oid for oid, table in new.items() if table.row_security}
            oids |= {o for o in new if before.tables.get(o) != now.tables.get(o)}
        # A partition attached or detached concerns the root it had and the one it has.
        return {tables[oid].root for oid in oids for tables in (old, new) if oid in tables}

    async def grants(self, role: str) -> Grants:
        """What a role may select. Raises ApiError when it cannot be taken."""
        while role not in self._grants:
            published = self.published
            found = await self._gate.grants(role, published)
            if published is self.published:  # otherwise it does not know the tables of now
                self._grants[role] = found
        return self._grants[role]

    def schemas(self) -> Sequence[str]:
        """The exposed schemas; tables of the first go by their bare names."""
        return self._schemas() or ("public",)

    def read_by(self, oids: Iterable[int]) -> set[int]:
        """Roots of the tables that policies of these tables read, directly or through other policies."""
        tables = self.published.tables
        reached: set[int] = set()
        ahead = set(oids) & tables.keys()
        while ahead:
            ahead = {d for oid in ahead for d in tables[oid].depends if d in tables} - reached
            reached |= ahead
        return {tables[oid].root for oid in reached}

    def dependents(self, oids: Iterable[int]) -> set[int]:
        """Roots of tables whose policies read one of these tables, directly or through other policies."""
        tables = self.published.tables
        reached: set[int] = set()
        ahead = set(oids)
        while ahead:
            ahead = {oid for oid, table in tables.items() if ahead.intersection(table.depends)} - reached
            reached |= ahead
        return {tables[oid].root for oid in reached}

    async def _mended(
        self, published: Published, connection: psycopg.AsyncConnection[tuple[object, ...]]
    ) -> Published:
        """Make the publication hold all it should, if we may; what of the tables is told then."""
        publication = await load_publication(connection, self._publication)
        statements = mending(published, publication, self._publication, connection.info.server_version)
        known = self._entries if self._entries is not None else _entries(published, publication)
        told, self.problem = self.problem, None
        try:
            for statement in statements:
                await self._control.execute(statement)
        except errors.InsufficientPrivilege:
            sql = "; ".join(statements)
            what = "No change events" if publication is None else "Some tables give no change events"
            self.problem = f"{what}: the publication is not as it should be; run as the tables' owner: {sql}"
            if self.problem != told:
                logger.warning("%s", self.problem)
        except errors.DuplicateObject:
            pass  # another process made it in this moment
        self.exists = publication is not None or self.problem is None
        publication = await load_publication(connection, self._publication) if statements else publication
        if publication is None:
            return published
        return told_whole(published, publication, await self._settled(published, publication, known))

    async def _settled(
        self, published: Published, publication: Publication, known: Mapping[int, str]
    ) -> Container[int]:
        """The tables that are published anew, until every transaction that was open then has ended.

        What such a transaction had written before is not in the WAL for us, and no snapshot shows it until it
        commits: whoever reads the table now has to read it again.
        """
        snapshot = await self._control.snapshot()
        self._entries = _entries(published, publication)
        anew = {oid: snapshot.xmax for oid, entry in self._entries.items() if known.get(oid) != entry}
        self._unsettled = {oid: xid for oid, xid in (self._unsettled | anew).items() if xid > snapshot.xmin}
        return self._unsettled


def _entries(published: Published, publication: Publication | None) -> dict[int, str]:
    """Of each table that is published, which entry of the publication it is by."""
    if publication is None:
        return {}
    tables = published.tables.values()
    return {t.oid: publication.revision_of(t) for t in tables if t.qualified in publication.members}
