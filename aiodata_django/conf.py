"""The settings: one frozen record, validated once, whatever mixture of sources it came from.

What lives here: which settings exist, what their values mean, where they come from and which source wins.
What does not: the grammar of ``postgrest.conf`` (``core.conffile``), and asking the database for its part.

Lowest to highest: the ``AIODATA`` dict, the file, ``PGRST_*`` and ``AIODT_*`` variables, the settings in the
database, the command line. Names are PostgREST's, with dashes or underscores, in any case.
Source: https://docs.postgrest.org/en/v16/references/configuration.html
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cache, cached_property, lru_cache
from pathlib import Path
from typing import Any

from . import __version__
from .conftypes import READERS, RoleClaim, Secret, SettingError, parse_qualified, read_role_claim, read_secret
from .core.conffile import ConfFileError, parse_conf
from .core.query.config import QueryConfig

HOISTED = ("statement_timeout", "plan_filter.statement_cost_limit", "default_transaction_isolation")


@dataclass(frozen=True)
class Settings:
    """All settings. Times are seconds, sizes bytes; None means unset.

    Those up to ``log_level`` are PostgREST's, with its meanings and defaults unless said.
    """

    db_uri: str = field(default="postgresql://", repr=False)  # may hold a password
    db_schemas: tuple[str, ...] = ("public",)
    db_anon_role: str | None = None
    db_extra_search_path: tuple[str, ...] = ("public",)
    db_max_rows: int | None = None
    db_pool: int = 10
    db_pool_acquisition_timeout: float = 10.0
    db_pool_max_lifetime: float = 1800.0
    db_pool_max_idletime: float = 30.0
    db_tx_end: str = "commit"
    db_plan_enabled: bool = False
    db_aggregates_enabled: bool = False
    db_pre_request: str | None = None
    db_pre_config: str | None = None
    db_prepared_statements: bool = True
    db_root_spec: str | None = None
    db_config: bool = True
    db_channel: str = "pgrst"
    db_channel_enabled: bool = True
    db_hoisted_tx_settings: tuple[str, ...] = HOISTED
    jwt_secret: str | None = field(default=None, repr=False)  # as configured; files already read
    jwt_secret_is_base64: bool = False
    jwt_aud: str | None = None
    jwt_role_claim_key: str = "$.role"
    jwt_cache_max_entries: int = 1000
    openapi_mode: str = "follow-privileges"
    openapi_security_active: bool = False
    openapi_server_proxy_uri: str | None = None
    server_cors_allowed_origins: tuple[str, ...] = ()  # none listed: any origin
    server_trace_header: str | None = None
    server_timing_enabled: bool = False
    server_host: str = "localhost"
    server_port: int = 4000
    url_use_legacy_target_names: bool = True
    client_error_verbosity: str = "verbose"
    log_level: str = "error"
    app_settings: Mapping[str, str] = field(default_factory=dict, repr=False)  # keys with "app.settings."

    description_path: str = "/"
    query_path: str = "/query"
    rest_path: str = "/rest"
    state_path: str = "/state"
    docs_path: str | None = "/docs"  # the page that shows the API; none switches it off
    allow_keyless_writes: bool = True  # PATCH and DELETE of whole tables under query_path
    max_body_bytes: int = 64 * 1024 * 1024
    database: str = "default"  # Django alias: the models', and the source of db_uri when that is unset
    schema_file: str | None = None
    user_role: str | None = None  # dotted path of a callable: Django user -> role
    feed_enabled: bool = True
    feed_slot: str | None = None  # a durable slot made before; None takes a temporary one
    feed_publication: str = "aiodata"
    feed_ring_bytes: int = 64 * 1024 * 1024
    state_ping_interval: float = 30.0
    state_queue_bytes: int = 4 * 1024 * 1024
    state_max_sockets: int = 10_000
    state_direct_writes: bool = True  # websocket frames straight to the server's transport, where it is known

    # Found in the database, not configured: what ALTER ROLE … SET gave the roles that may be become.
    roles: Mapping[str, Mapping[str, str]] = field(default_factory=dict, repr=False)
    warnings: tuple[str, ...] = field(default=(), compare=False)

    @cached_property
    def secret(self) -> Secret | None:
        """What tokens are verified with: key bytes, a JWK set, or the URL of one."""
        return read_secret(self.jwt_secret, base64_encoded=self.jwt_secret_is_base64)

    @cached_property
    def query(self) -> QueryConfig:
        """The part that planning and rendering need."""
        return QueryConfig(
            schemas=self.db_schemas,
            anon_role=self.db_anon_role,
            extra_search_path=self.db_extra_search_path,
            max_rows=self.db_max_rows,
            tx_allow_override=self.db_tx_end.endswith("-allow-override"),
            tx_rollback_all=self.db_tx_end.startswith("rollback"),
            plan_enabled=self.db_plan_enabled,
            aggregates_enabled=self.db_aggregates_enabled,
            pre_request=parse_qualified(self.db_pre_request),
            root_spec=parse_qualified(self.db_root_spec),
            openapi_mode=self.openapi_mode,
            openapi_security_active=self.openapi_security_active,
            openapi_server_proxy_uri=self.openapi_server_proxy_uri,
            legacy_target_names=self.url_use_legacy_target_names,
            app_settings=self.app_settings,
            server_host=self.server_host,
            server_port=self.server_port,
            version=__version__,
            allow_keyless_writes=self.allow_keyless_writes,
            hoisted_settings=self.db_hoisted_tx_settings,
            roles=self.roles,
        )

    @cached_property
    def role_claim(self) -> RoleClaim:
        """Where the role stands among the claims."""
        return read_role_claim(self.jwt_role_claim_key)


NAMES = frozenset(f.name for f in fields(Settings)) - {"roles", "warnings", "app_settings"}

ALIASES = {
    "db_schema": "db_schemas",
    "max_rows": "db_max_rows",
    "db_pool_timeout": "db_pool_max_idletime",
    "pre_request": "db_pre_request",
    "root_spec": "db_root_spec",
    "role_claim_key": "jwt_role_claim_key",
    "secret_is_base64": "jwt_secret_is_base64",
    "server_proxy_uri": "openapi_server_proxy_uri",
}


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Settings of PostgREST that have no meaning here: the ASGI server binds, retries are always on.
FOREIGN = _names(
    """admin_server_host admin_server_port admin_server_unix_socket admin_server_unix_socket_mode
    db_pool_automatic_recovery db_timezone_enabled jwt_cache_max_lifetime log_query server_otel_enabled
    server_reuseport server_unix_socket server_unix_socket_mode"""
)

# What ALTER ROLE ... SET pgrst.<name> and the pre-config function may set.
IN_DATABASE = _names(
    """client_error_verbosity db_aggregates_enabled db_anon_role db_extra_search_path db_hoisted_tx_settings
    db_max_rows db_plan_enabled db_pre_config db_pre_request db_prepared_statements db_root_spec db_schemas
    db_tx_end jwt_aud jwt_cache_max_entries jwt_role_claim_key jwt_secret jwt_secret_is_base64 openapi_mode
    openapi_security_active openapi_server_proxy_uri server_cors_allowed_origins server_timing_enabled
    server_trace_header url_use_legacy_target_names"""
)

# The variables of the aiodata proxy.
AIODT = {
    "AIODT_DB_URI": "db_uri",
    "AIODT_HOST": "server_host",
    "AIODT_PORT": "server_port",
    "AIODT_SCHEMA": "db_schemas",
    "AIODT_SECRET": "jwt_secret",
    "AIODT_QUERY": "query_path",
    "AIODT_STATE": "state_path",
}


class ConfigurationError(Exception):
    """Settings that cannot be used. ``problems`` are sentences that say what to change."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True)
class Sources:
    """Where settings come from; reading them again is what a reload does."""

    mapping: Mapping[str, Any] = field(default_factory=dict)
    file: Path | None = None
    environ: Mapping[str, str] = field(default_factory=dict)
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def settings(self, database: Mapping[str, str] | None = None) -> Settings:
        """The settings, the file read anew; ``database`` are the in-database ones, without ``pgrst.``.

        Raises ConfigurationError.
        """
        reading = _Reading()
        reading.add(self.mapping, "AIODATA")
        if self.file is not None:
            reading.add(self._file_settings(self.file), str(self.file))
        reading.add_environment(self.environ)
        reading.add({key: value for key, value in (database or {}).items() if key in IN_DATABASE}, "database")
        reading.add(
            {key: value for key, value in self.arguments.items() if value is not None}, "command line"
        )
        return reading.finish()

    def _file_settings(self, file: Path) -> dict[str, Any]:
        try:
            return parse_conf(file.read_text(encoding="utf-8"), self.environ)
        except OSError as error:
            raise ConfigurationError((f"{file}: cannot be read: {error.strerror}",)) from None
        except (ConfFileError, UnicodeDecodeError) as error:
            raise ConfigurationError((f"{file}: {error}",)) from None


def sources(mapping: Mapping[str, Any], *, environ: Mapping[str, str] = os.environ) -> Sources:
    """The sources of a project: its ``AIODATA`` dict, the file that it names (``CONFIG_FILE``), variables."""
    rest = dict(mapping)
    file = next((rest.pop(key) for key in tuple(rest) if _name(key) == "config_file"), None)
    return Sources(mapping=rest, file=Path(file) if file else None, environ=environ)


def _name(key: str) -> str:
    name = key.lower().replace("-", "_")
    return ALIASES.get(name, name)


class _Reading:
    """Collects values by name, later sources over earlier ones, and every problem instead of the first."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.app_settings: dict[str, str] = {}
        self.problems: list[str] = []
        self.warnings: list[str] = []

    def add(self, mapping: Mapping[str, Any], origin: str) -> None:
        # Present names win over their aliases within one source, as in PostgREST.
        for key in sorted(mapping, key=lambda key: key.lower().replace("-", "_") not in ALIASES):
            self._add(key, mapping[key], origin)

    def _add(self, key: str, value: Any, origin: str) -> None:
        name = _name(key)
        if name == "app_settings":
            self.app_settings |= {f"app.settings.{k}": str(v) for k, v in dict(value).items()}
        elif key.lower().startswith("app.settings."):
            self.app_settings[key] = str(value)
        elif name in NAMES:
            self._read(name, value, f"{origin}: {key}")
        elif name not in FOREIGN:
            self._unknown(key, name, origin)

    def add_environment(self, environ: Mapping[str, str]) -> None:
        prefixed = {key.removeprefix("PGRST_"): key for key in environ if key.startswith("PGRST_")}
        for key in sorted(prefixed, key=lambda key: key.lower() not in ALIASES):
            setting, name = key.removeprefix("APP_SETTINGS_"), _name(key)
            if setting != key:
                self.app_settings[f"app.settings.{setting}"] = environ[prefixed[key]]
            elif name in NAMES:
                self._read(name, environ[prefixed[key]], prefixed[key])
        for variable, name in AIODT.items():
            if variable in environ:
                self._read(name, environ[variable], variable)

    def _read(self, name: str, value: Any, origin: str) -> None:
        default = getattr(Settings, name)
        if value == "" and name != "db_extra_search_path":
            self.values[name] = default  # PostgREST: an empty text is an unset one
            return
        try:
            self.values[name] = READERS[name](value)
        except SettingError as error:
            self.problems.append(f"{origin}: {error}")

    def _unknown(self, key: str, name: str, origin: str) -> None:
        near = difflib.get_close_matches(name, NAMES, 1)
        hint = f"; did you mean {near[0].replace('_', '-')}?" if near else ""
        # A file may be shared with a newer PostgREST; our own dict and command line are not.
        if origin == "AIODATA":
            self.problems.append(f"{origin}: unknown setting {key!r}{hint}")
        else:
            self.warnings.append(f"{origin}: unknown setting {key!r} is ignored{hint}")

    def finish(self) -> Settings:
        settings = Settings(**self.values, app_settings=self.app_settings)
        self.problems += _conflicts(settings)
        if self.problems:
            raise ConfigurationError(tuple(self.problems))
        if settings.role_claim.deprecated:
            self.warnings.append(
                f"jwt-role-claim-key: {settings.jwt_role_claim_key!r} is the old syntax; "
                "write a JSON Path (RFC 9535), such as $.realm.roles[0] or $.roles[?search(@, '^web_')]"
            )
        return replace(settings, warnings=tuple(self.warnings))


def _conflicts(settings: Settings) -> list[str]:
    """What is wrong between settings that are each right."""
    problems = []
    mounts = [settings.query_path, settings.rest_path, settings.state_path, settings.docs_path]
    if len(set(mounts)) < len(mounts):
        problems.append("query-path, rest-path, state-path and docs-path must differ from one another")
    for key, part in (("jwt-secret", "secret"), ("jwt-role-claim-key", "role_claim")):
        try:
            getattr(settings, part)
        except SettingError as error:
            problems.append(f"{key}: {error}")
    return problems


def current() -> Settings:
    """The Django project's settings; read at the first call, and again after ``override_settings``.

    And when an alias got another database: Django's test runner tells nobody that it does so, and tests must
    never work on the real one.
    """
    from django.conf import settings

    return _current(tuple(str(entry.get("NAME")) for entry in settings.DATABASES.values()))


@lru_cache(maxsize=1)
def _current(_databases: tuple[str, ...]) -> Settings:
    return django_sources().settings()


def django_sources() -> Sources:
    """The sources of the configured Django project. Raises ConfigurationError."""
    from django.conf import settings

    _watch_settings()
    found = sources(getattr(settings, "AIODATA", {}))
    alias = found.settings().database
    uri = _uri_of_alias(settings.DATABASES.get(alias))
    # Below everything else: an address that is written down wins over the alias.
    return replace(found, mapping={"db_uri": uri, **found.mapping}) if uri else found


# What an alias says of the ORM's sessions and not of the way to the server: ours are not its role's.
_SESSION = frozenset(
    ("application_name", "client_encoding", "fallback_application_name", "options", "replication")
)


def _uri_of_alias(entry: Mapping[str, Any] | None) -> str | None:
    """The connection text of an entry of DATABASES, None for one that is not PostgreSQL."""
    if entry is None or not str(entry.get("ENGINE", "")).endswith(("postgresql", "postgis")):
        return None
    from psycopg.conninfo import make_conninfo
    from psycopg.pq import Conninfo

    known = {option.keyword.decode() for option in Conninfo.get_defaults()} - _SESSION
    options = entry.get("OPTIONS") or {}
    parts = {
        "dbname": entry.get("NAME"),
        "user": entry.get("USER"),
        "password": entry.get("PASSWORD"),
        "host": entry.get("HOST"),
        "port": entry.get("PORT"),
        **{key: value for key, value in options.items() if key in known},
    }
    return make_conninfo(**{key: value for key, value in parts.items() if value not in (None, "")}) or None


@cache
def _watch_settings() -> None:
    from django.core.signals import setting_changed

    setting_changed.connect(_forget, dispatch_uid="aiodata_django.conf")


def _forget(*, setting: str, **_: Any) -> None:
    if setting in ("AIODATA", "DATABASES"):
        _current.cache_clear()
