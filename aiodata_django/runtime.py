"""What lives while a server serves: pool, schema, pipeline and feed, one set per event loop.

What lives here: starting all that in order, going on without what cannot start, reloading without harming
requests in flight, stopping. What does not: any of the parts.

A request in flight keeps the pipeline it began with; a reload builds a new one and swaps the reference.
"""

from __future__ import annotations

import asyncio
import gc
import signal
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import replace
from typing import Any, cast
from weakref import WeakKeyDictionary

import psycopg
from asgiref.sync import sync_to_async
from django.apps import apps

from .auth import Authenticator
from .conf import IN_DATABASE, ConfigurationError, Settings, Sources, django_sources
from .conftypes import parse_qualified
from .consumers import UNAVAILABLE, StateConsumer
from .core.errors import ApiError, InternalError
from .core.schema import Schema
from .db.catalog import load_schema
from .db.configuration import DatabaseConfiguration, load_configuration
from .db.pool import Pool
from .db.watch import Watch
from .feed.service import Feed, FeedUnavailable
from .jwks import keep_keys
from .observe import LEVELS, Notice, SchemaLoaded, Trouble, Volume, observe
from .pipeline import Pipeline
from .servers import (
    Application,
    Receive,
    Scope,
    Send,
    before_shutdown,
    close_with_reason,
    under_daphne,
)

LONGEST_WAIT = 32.0
"""Seconds between two tries to reach the database, at most."""

FIRST_EVENTS = 5.0
"""Seconds to wait for the feed before anything is served, so that the first write is heard too. It may take
longer: a replication slot waits for the write transactions that are open when it is made."""

# Cannot change under a running pool.
_FIXED = ("db_uri", "db_pool", "db_pool_acquisition_timeout", "db_pool_max_lifetime", "db_pool_max_idletime")


class Runtime:
    """Everything a server needs, on one event loop. ``sources`` are read at start and at each reload."""

    settings: Settings
    pool: Pool
    pipeline: Pipeline
    authenticator: Authenticator

    def __init__(self, sources: Sources, *, with_feed: bool = True) -> None:
        self._sources = sources
        self._with_feed = with_feed
        self._schema: Schema | None = None
        self._starting = asyncio.Lock()
        self.started = False
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._watch: Watch | None = None
        self._sockets: Application | None = None
        self.feed: Feed | None = None

    def schema(self) -> Schema:
        """The current schema. Raises InternalError (503, PGRST002) before the first could be read."""
        if self._schema is None:
            raise InternalError(
                503, "PGRST002", "Could not query the database for the schema cache. Retrying."
            )
        return self._schema

    async def start(self) -> None:
        """Start, once; without a database too, which is then tried again and again in the background.

        Raises ConfigurationError.
        """
        async with self._starting:
            if not self.started:
                await self._start()
                self.started = True

    async def _start(self) -> None:
        self._take(self._sources.settings())
        Volume.least = LEVELS[self.settings.log_level]
        for warning in self.settings.warnings:
            observe(Notice(warning))
        self.pool = self._make_pool()
        self._build()
        with suppress(ApiError):  # told by the reading of the schema, which follows
            await self.pool.open()
        if not await self._load():
            self._run("load", self._load_when_possible())
        if self.settings.secret is not None and self.settings.secret.url is not None:
            self._run("keys", keep_keys(self.authenticator, self.settings.secret.url))
        if self._with_feed and self.settings.feed_enabled:
            try:
                await self._start_feed()
            except Exception as error:  # whatever ails the feed: everything else serves
                observe(Trouble(f"no change events, the feed cannot start: {error!r}"))
        if self.settings.db_channel_enabled:
            self._watch = Watch(
                self.settings.db_uri,
                channel=self.settings.db_channel,
                notified=self._notified,
                reconnected=self._notified,
            )
            self._watch.start()
        self._listen_to_signals()
        before_shutdown(self.stop)
        _spare_the_collector()

    async def stop(self) -> None:
        """Stop everything; requests in flight get the pool's grace."""
        async with self._starting:
            if not self.started:
                return
            self.started = False
            tasks = list(self._tasks.values())
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            if self.feed is not None:
                await self.feed.stop()
            if self._watch is not None:
                await self._watch.stop()
            await self.pool.close()

    async def serve_socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One websocket on ``/state``, as ASGI has it."""
        if self._sockets is not None:
            await self._sockets(scope, receive, send)
            return
        await receive()
        reason = "no change events: switched off (feed-enabled), or see the server's log"
        await send({"type": "websocket.accept"})
        if not close_with_reason(send, UNAVAILABLE, reason):
            await send({"type": "websocket.close", "code": UNAVAILABLE, "reason": reason})

    async def _start_feed(self) -> None:
        self.feed = Feed(
            conninfo=self.settings.db_uri, pool=self.pool, schema=self.schema, settings=self.settings
        )
        await self.feed.start()
        with suppress(FeedUnavailable):  # told by the feed itself, and by the system checks
            await self.feed.ready(FIRST_EVENTS)
        consumer = StateConsumer.as_asgi(
            feed=self.feed, authenticator=lambda: self.authenticator, settings=lambda: self.settings
        )
        self._sockets = cast(Application, consumer)
        if _in_a_project():
            from .relay import Relay

            relay = Relay(self.feed.subscribe_transactions(), using=self.settings.database)
            self._run("relay", relay.run())

    async def _update_models(self, schema: Schema) -> None:
        """The project's models follow the schema, where there is a file that they were built from."""
        if self.settings.schema_file is None or not _in_a_project():
            return
        from . import registry

        # In Django's thread: receivers of schema_changed may use the ORM.
        swap = await sync_to_async(registry.swap)(schema)
        if swap.changes:
            observe(Notice("the schema file is not up to date, run: manage.py aiodata_sync"))

    def reload(self) -> None:
        """Read settings and schema anew, in the background; several calls in a row are one reload."""
        self._run("load", self._load_when_possible(reread=True))

    def _take(self, settings: Settings) -> None:
        fixed = {name: getattr(self.settings, name) for name in _FIXED} if hasattr(self, "settings") else {}
        self.settings = replace(settings, **fixed)

    def _make_pool(self) -> Pool:
        settings = self.settings
        return Pool(
            settings.db_uri,
            size=settings.db_pool,
            acquisition_timeout=settings.db_pool_acquisition_timeout,
            statement_cache=256 if settings.db_prepared_statements else 0,
            max_lifetime=settings.db_pool_max_lifetime,
            max_idletime=settings.db_pool_max_idletime,
        )

    def _build(self) -> None:
        """A new pipeline for the current settings; the authenticator lives on while its settings do."""
        known = getattr(self, "authenticator", None)
        if known is None or known.settings != self.settings:
            self.authenticator = Authenticator(self.settings)
        self.pipeline = Pipeline(
            settings=self.settings, pool=self.pool, schema=self.schema, authenticator=self.authenticator
        )

    async def _load(self) -> bool:
        """Read what the database says, settings first; True when it could be read."""
        try:
            await self._configure()
            started = time.monotonic()
            schema = await load_schema(
                self.settings.db_uri,
                schemas=self.settings.db_schemas,
                extra_search_path=self.settings.db_extra_search_path,
            )
        except (psycopg.Error, OSError) as error:
            observe(Trouble(f"the schema cannot be read, requests get 503 or the last one: {error}"))
            return False
        except ConfigurationError as error:
            observe(Trouble(f"the settings stay as they were: {error}"))
            return self._schema is not None
        observe(SchemaLoaded(len(schema.relations), len(schema.routines), time.monotonic() - started))
        if self._schema is not None:
            self.pool.renew()
        self._schema = schema
        self._build()
        await self._update_models(schema)
        return True

    async def _configure(self) -> None:
        if not self.settings.db_config:
            self._take(self._sources.settings())
            return
        found = await self._configuration()
        self._take(replace(self._sources.settings(found.settings), roles=found.roles))

    async def _configuration(self) -> DatabaseConfiguration:
        pre_config = parse_qualified(self.settings.db_pre_config)
        return await load_configuration(self.settings.db_uri, names=IN_DATABASE, pre_config=pre_config)

    async def _load_when_possible(self, *, reread: bool = False) -> None:
        """Load, again after 1, 2, 4 … seconds until it works."""
        wait = 0.05 if reread else 1.0
        while True:
            await asyncio.sleep(wait)
            if await self._load():
                return
            wait = min(LONGEST_WAIT, max(1.0, wait * 2))

    def _run(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        """Run in the background, in place of what ran under that name."""
        known = self._tasks.pop(name, None)
        if known is not None:
            known.cancel()
        task = asyncio.ensure_future(work)
        task.add_done_callback(_tell)
        self._tasks[name] = task

    async def _notified(self, payload: str = "") -> None:
        """NOTIFY pgrst, 'reload schema' or 'reload config'; without payload, or connected again: both."""
        if payload in ("", "reload schema", "reload config"):
            self.reload()

    def _listen_to_signals(self) -> None:
        """SIGUSR1 and SIGUSR2 reload, as PostgREST's schema cache and configuration do."""
        loop = asyncio.get_running_loop()
        for name in ("SIGUSR1", "SIGUSR2"):
            # Not in the main thread (runserver's reloader), or not on Windows: NOTIFY works everywhere.
            with suppress(ValueError, RuntimeError, NotImplementedError, AttributeError):
                loop.add_signal_handler(getattr(signal, name), self.reload)


def _in_a_project() -> bool:
    """Whether this is a Django project with the app installed, hence with models; the bare command is not."""
    return apps.ready and apps.is_installed("aiodata_django")


def _tell(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        observe(Trouble(f"a task in the background ended: {task.exception()!r}"))


def _spare_the_collector() -> None:
    """Set aside what lives as long as the process: modules, schema, plans of Django's own.

    A full collection walks over every object there is, and holds the loop for 20 to 50 ms in a process that
    has loaded Django; without those objects it takes 1 or 2. Once a process is enough: what a reloaded schema
    replaces is freed by its counts. Under Daphne, whose requests make much garbage in cycles, collect rarely,
    too: the slowest answers halve.
    """
    if gc.get_freeze_count() == 0:
        gc.collect()
        gc.freeze()
    if under_daphne() and gc.get_threshold()[0] <= 2000:
        gc.set_threshold(100_000, 20, 20)


_make_sources: Callable[[], Sources] = django_sources
_runtimes: WeakKeyDictionary[asyncio.AbstractEventLoop, Runtime] = WeakKeyDictionary()


def configure(sources: Sources) -> None:
    """Serve by these sources instead of the Django project's; to be called before serving."""
    global _make_sources
    _make_sources = lambda: sources  # noqa: E731


def runtime_of() -> Runtime:
    """The runtime of the running event loop, made but not started at the first call."""
    loop = asyncio.get_running_loop()
    runtime = _runtimes.get(loop)
    if runtime is None:
        runtime = _runtimes[loop] = Runtime(_make_sources())
    return runtime


def started_runtime() -> Runtime | None:
    """The runtime that serves in the running event loop, None where no server started one."""
    runtime = _runtimes.get(asyncio.get_running_loop())
    return runtime if runtime is not None and runtime.started else None


async def end_views_runtime() -> None:
    """Stop what :func:`views_runtime` made for the running loop; the next request makes it anew."""
    runtime = _runtimes.pop(asyncio.get_running_loop(), None)
    if runtime is not None:
        await runtime.stop()


async def views_runtime() -> Runtime:
    """A runtime without feed for the running loop, started: what Django's views need where nothing serves."""
    loop = asyncio.get_running_loop()
    runtime = _runtimes.setdefault(loop, Runtime(_make_sources(), with_feed=False))
    await runtime.start()
    return runtime
