"""The soak's writer through Django's ORM: models of the served tables, a transaction with ``atomic``.

What lives here: the models, and what is done with them. What does not: writers in general (``writers``).
Models can be made only when Django is set up; so is whoever imports this.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import psycopg
from django.db import DatabaseError, InterfaceError, connections, models, transaction
from django.db.backends.postgresql.base import DatabaseWrapper
from psycopg.conninfo import conninfo_to_dict

from .world import PEOPLE
from .writers import KEYS, Entry, Ledger, Writer

ALIAS = "soak"


class LedgerEntry(models.Model):
    """A row of ``api.ledger``."""

    pk = models.CompositePrimaryKey("writer", "n")
    writer = models.IntegerField()
    n = models.IntegerField()

    class Meta:
        app_label, managed, db_table = "soak", False, "ledger"


class Plain(models.Model):
    """A row of ``api.plain``."""

    id = models.IntegerField(primary_key=True)
    value = models.IntegerField(default=0)
    note = models.TextField(null=True)  # noqa: DJ001 - so it is in the table

    class Meta:
        app_label, managed, db_table = "soak", False, "plain"


class Note(models.Model):
    """A row of ``api.notes``."""

    id = models.IntegerField(primary_key=True)
    owner = models.TextField()
    pinned = models.BooleanField(default=False)
    body = models.TextField()

    class Meta:
        app_label, managed, db_table = "soak", False, "notes"


class OrmWriter(Writer):
    """Transactions through the ORM, in a thread of its own, whose connection Django keeps."""

    def __init__(self, number: int, seed: int, ledger: Ledger, pace: float, uri: Callable[[], str]) -> None:
        super().__init__(number, seed, ledger, pace)
        self._uri = uri
        self._thread = ThreadPoolExecutor(1, "orm", self._connect)

    def _connect(self) -> None:
        """Connections are the thread's own."""
        given = conninfo_to_dict(self._uri())
        login = {key.upper(): given.get(key, "") for key in ("host", "port", "user", "password")}
        options = {"options": "-c search_path=api -c lock_timeout=3s"}
        known = {"ENGINE": "django.db.backends.postgresql", "NAME": given["dbname"], "OPTIONS": options}
        settings = connections.configure_settings({"default": {}, ALIAS: {**known, **login}})
        connections[ALIAS] = DatabaseWrapper(settings[ALIAS], ALIAS)

    async def close(self) -> None:
        """Give the connection back."""
        await asyncio.get_running_loop().run_in_executor(self._thread, lambda: connections[ALIAS].close())
        self._thread.shutdown()

    async def transaction(self, entry: Entry) -> set[Entry]:
        """Some objects and the ledger's row."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._write, entry)

    def _write(self, entry: Entry) -> set[Entry]:
        written = False
        try:
            with transaction.atomic(using=ALIAS):
                LedgerEntry.objects.using(ALIAS).create(writer=entry[0], n=entry[1])
                self._plain()
                self._notes()
                if self.random.random() < 0.1:
                    transaction.set_rollback(True, using=ALIAS)
                    return self._ledger.refused
                written = True
        except (DatabaseError, InterfaceError, psycopg.Error):
            with suppress(DatabaseError, InterfaceError, psycopg.Error):
                connections[ALIAS].close()  # Django opens another when it is asked next
            return self._ledger.unknown if written else self._ledger.refused
        return self._ledger.acknowledged

    def _plain(self) -> None:
        rows = Plain.objects.using(ALIAS)
        key, value = self.random.randint(1, KEYS), self.random.randint(0, 99)
        match self.random.randrange(4):
            case 0:
                rows.update_or_create(id=key, defaults={"value": value, "note": "orm"})
            case 1:
                rows.filter(id__range=(key, key + 2)).update(value=models.F("value") / 2)
            case 2:
                several = [Plain(id=n, value=n, note="bulk") for n in range(key, key + 3)]
                rows.bulk_create(several, ignore_conflicts=True)
            case _:
                rows.filter(id=key).delete()

    def _notes(self) -> None:
        rows = Note.objects.using(ALIAS)
        note = rows.select_for_update().filter(id=self.random.randint(1, KEYS)).first()
        if note is None:
            rows.create(id=100 + self.random.randint(1, KEYS), owner=self.random.choice(PEOPLE), body="orm")
            return
        try:
            with transaction.atomic(using=ALIAS):  # a savepoint
                note.owner = self.random.choice(PEOPLE)
                note.save(using=ALIAS, update_fields=["owner"])
                if self.random.random() < 0.3:
                    raise _ChangedItsMind
        except _ChangedItsMind:
            note.delete(using=ALIAS)


class _ChangedItsMind(Exception):
    """What was done since the savepoint is undone."""
