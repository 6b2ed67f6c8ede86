"""What the value of each setting may be: one reader a setting, from text or Python values to its type.

What lives here: readers and the errors they raise. What does not: names, sources and defaults (``conf``).
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jsonpath_rfc9535
import psycopg
from psycopg.conninfo import conninfo_to_dict

from .core.claimpath import parse_claim_path, walk_claim_path
from .core.names import QualifiedName

MIN_SECRET_BYTES = 16
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:(?:[\w.~:/?#\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*", re.ASCII)
"""RFC 3986, by its letters alone."""


class SettingError(ValueError):
    """A value that a setting cannot have; the message says which it can."""


@dataclass(frozen=True)
class Secret:
    """What verifies tokens: exactly one of the three is set."""

    key: bytes | None = field(default=None, repr=False)
    jwks: tuple[dict[str, Any], ...] | None = field(default=None, repr=False, hash=False)
    url: str | None = None


@dataclass(frozen=True)
class RoleClaim:
    """Finds the role among the claims: ``find(claims)`` gives its name, None where there is no such place.

    A value that is no text names the role by its JSON, null too: it is there, and not for nobody.
    """

    find: Callable[[Any], str | None]
    deprecated: bool = False


def text(value: Any) -> str:
    """A non-empty text. A dash in the file may also have given a number or a boolean."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float) or hasattr(value, "__fspath__"):
        return str(value)
    raise SettingError("must be a text")


def optional_text(value: Any) -> str | None:
    """A text, None or empty for unset."""
    return None if value is None or value == "" else text(value)


def boolean(value: Any) -> bool:
    """true, false, on, off, yes, no, or a number (0 is false)."""
    if isinstance(value, bool | int):
        return bool(value)
    word = str(value).strip().strip("\"'").lower()
    if word in ("true", "on", "yes"):
        return True
    if word in ("false", "off", "no"):
        return False
    try:
        return int(word) > 0
    except ValueError:
        raise SettingError(f"must be true or false, not {value!r}") from None


def integer(least: int) -> Callable[[Any], int]:
    """A whole number, at least ``least``."""

    def read(value: Any) -> int:
        try:
            whole = isinstance(value, float) and value.is_integer()
            number = int(value if whole else str(value))
        except ValueError:
            raise SettingError(f"must be a whole number, not {value!r}") from None
        if number < least or isinstance(value, bool):
            raise SettingError(f"must be a whole number, at least {least}, not {value!r}")
        return number

    return read


def optional_integer(least: int) -> Callable[[Any], int | None]:
    """A whole number, None or empty for unset."""
    read = integer(least)
    return lambda value: None if value is None or value == "" else read(value)


def seconds(value: Any) -> float:
    """A time in seconds, more than none."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise SettingError(f"must be a number of seconds, not {value!r}") from None
    if not number > 0:
        raise SettingError(f"must be more than 0 seconds, not {value!r}")
    return number


def words(value: Any) -> tuple[str, ...]:
    """A list, or a text separated by commas; empty words are left out."""
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, list | tuple):
        raise SettingError("must be a list, or a text separated by commas")
    return tuple(word for word in (text(part).strip() for part in parts) if word)


def schemas(value: Any) -> tuple[str, ...]:
    """Schemas to serve, at least one, never the system's."""
    names = words(value)
    if not names:
        raise SettingError("must name at least one schema")
    for system in ("pg_catalog", "information_schema"):
        if system in names:
            raise SettingError(f"db-schemas does not allow schema: '{system}'")
    return names


def choice(*allowed: str) -> Callable[[Any], str]:
    """One of these words."""

    def read(value: Any) -> str:
        if value not in allowed:
            raise SettingError(f"must be one of {', '.join(allowed)}, not {value!r}")
        return str(value)

    return read


def mount(value: Any) -> str:
    """A path below which something is served: ``/query``; a closing slash is dropped."""
    path = text(value)
    if not re.fullmatch(r"/[\w\-./~]*", path, re.ASCII) or "//" in path:
        raise SettingError(f"must be a path such as /query, not {value!r}")
    return path.rstrip("/") or "/"


def submount(value: Any) -> str:
    """A mount other than the root, which belongs to the site."""
    path = mount(value)
    if path == "/":
        raise SettingError("must be a path such as /query, not the root")
    return path


def optional_submount(value: Any) -> str | None:
    """A mount, or none: None, False, ``none``, ``off``."""
    return None if value in (None, False, "none", "off") else submount(value)


def role(value: Any) -> str | None:
    """A role to become. ``none`` would be the login role itself, which nobody anonymous should be."""
    name = optional_text(value)
    if name == "none":
        raise SettingError("'none' is no role one can become: leave it out to refuse anonymous requests")
    return name


def audience(value: Any) -> str | None:
    """A text, and a URI when it has a colon (RFC 7519, StringOrURI)."""
    name = optional_text(value)
    if name and ":" in name and not _URI.fullmatch(name):
        raise SettingError("jwt-aud should be a string or a valid URI")
    return name


def proxy_uri(value: Any) -> str | None:
    """An http or https address, absolute."""
    uri = optional_text(value)
    if uri is not None and (urlsplit(uri).scheme not in ("http", "https") or not urlsplit(uri).hostname):
        raise SettingError("Malformed proxy uri, a correct example: https://example.com:8443/basePath")
    return uri


def parse_qualified(name: str | None) -> QualifiedName | None:
    """``schema.name``, or a name found along the search path; None for none."""
    if name is None:
        return None
    schema, dot, rest = name.partition(".")
    return QualifiedName(schema, rest) if dot else QualifiedName("", schema)


def file_or_text(value: Any) -> str | None:
    """A text, or the contents of a file for ``@name``; one newline at its end is dropped."""
    word = optional_text(value)
    if word is None or not word.startswith("@"):
        return word
    try:
        return Path(word[1:]).read_text(encoding="utf-8").removesuffix("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingError(f"cannot read the file {word[1:]!r}: {error}") from None


def required_file_or_text(value: Any) -> str:
    """As :func:`file_or_text`, but there must be something."""
    found = file_or_text(value)
    if not found:
        raise SettingError("must not be empty")
    return found.strip()


def connection(value: Any) -> str:
    """A connection string or URI of libpq, or ``@`` and the file that holds one.

    libpq would tell what it cannot read by quoting it, password and all, to everybody who asks the server.
    """
    found = required_file_or_text(value)
    try:
        conninfo_to_dict(found)
    except psycopg.Error:
        raise SettingError(
            "is no connection string or URI that libpq can read; "
            "in a URI, write the special characters of user and password as %XX"
        ) from None
    return found


def read_secret(configured: str | None, *, base64_encoded: bool) -> Secret | None:
    """The secret behind ``jwt-secret``: bytes, JWK, JWK set, or the address of one. Raises SettingError."""
    if configured is None:
        return None
    if configured.startswith(("https://", "http://")):
        return Secret(url=configured)
    key = _unbase64(configured) if base64_encoded else configured.encode()
    jwks = read_jwks(key)
    if jwks is not None:
        return Secret(jwks=jwks)
    if key.lstrip().startswith(b"-----BEGIN"):
        # As a shared secret it would let anybody who has the public key sign tokens.
        raise SettingError("is a PEM key: give it as a JWK, or a JWK set")
    if len(key) < MIN_SECRET_BYTES:
        raise SettingError(
            f"has {len(key)} bytes, and {MIN_SECRET_BYTES} are the least (32 are advised): "
            'make one with `python -c "import secrets; print(secrets.token_urlsafe(32))"`'
        )
    return Secret(key=key)


def read_role_claim(path: str) -> RoleClaim:
    """A JSON Path (RFC 9535), or the syntax before PostgREST 16. Raises SettingError."""
    try:
        query = jsonpath_rfc9535.compile(path)
    except jsonpath_rfc9535.JSONPathError:
        return _read_old_role_claim(path)

    return RoleClaim(lambda claims: _role([node.value for node in query.find(claims)]))


def _read_old_role_claim(path: str) -> RoleClaim:
    try:
        steps = parse_claim_path(path)
    except ValueError:
        raise SettingError(f"failed to parse role-claim-key value ({path})") from None
    return RoleClaim(lambda claims: _role(walk_claim_path(steps, claims)), deprecated=True)


def _role(values: Sequence[Any]) -> str | None:
    if not values:
        return None
    first = values[0]
    return first if isinstance(first, str) else json.dumps(first, ensure_ascii=False, separators=(",", ":"))


def read_jwks(key: bytes) -> tuple[dict[str, Any], ...] | None:
    """The keys of a JWK set or of a single JWK (RFC 7517), None for bytes that are neither."""
    try:
        document = json.loads(key)
    except ValueError:
        return None
    if not isinstance(document, dict):
        return None
    keys = document.get("keys", [document])
    if not isinstance(keys, list) or not all(isinstance(k, dict) and "kty" in k for k in keys):
        return None
    return tuple(keys)


def _unbase64(configured: str) -> bytes:
    # PostgREST takes the URL-safe alphabet too, and "." for the padding.
    plain = configured.strip().translate(str.maketrans("-_.", "+/="))
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except binascii.Error:
        raise SettingError("is not base64, which jwt-secret-is-base64 says it is") from None


READERS: dict[str, Callable[[Any], Any]] = {
    "db_uri": connection,
    "db_schemas": schemas,
    "db_anon_role": role,
    "db_extra_search_path": words,
    "db_max_rows": optional_integer(0),
    "db_pool": integer(1),
    "db_pool_acquisition_timeout": seconds,
    "db_pool_max_lifetime": seconds,
    "db_pool_max_idletime": seconds,
    "db_tx_end": choice("commit", "commit-allow-override", "rollback", "rollback-allow-override"),
    "db_plan_enabled": boolean,
    "db_aggregates_enabled": boolean,
    "db_pre_request": optional_text,
    "db_pre_config": optional_text,
    "db_prepared_statements": boolean,
    "db_root_spec": optional_text,
    "db_config": boolean,
    "db_channel": text,
    "db_channel_enabled": boolean,
    "db_hoisted_tx_settings": words,
    "jwt_secret": file_or_text,
    "jwt_secret_is_base64": boolean,
    "jwt_aud": audience,
    "jwt_role_claim_key": text,
    "jwt_cache_max_entries": integer(0),
    "openapi_mode": choice("follow-privileges", "ignore-privileges", "disabled"),
    "openapi_security_active": boolean,
    "openapi_server_proxy_uri": proxy_uri,
    "server_cors_allowed_origins": words,
    "server_trace_header": optional_text,
    "server_timing_enabled": boolean,
    "server_host": text,
    "server_port": integer(0),
    "url_use_legacy_target_names": boolean,
    "client_error_verbosity": choice("verbose", "minimal"),
    "log_level": choice("crit", "error", "warn", "info", "debug"),
    "description_path": mount,
    "query_path": submount,
    "rest_path": submount,
    "state_path": submount,
    "docs_path": optional_submount,
    "allow_keyless_writes": boolean,
    "max_body_bytes": integer(1),
    "database": text,
    "schema_file": optional_text,
    "user_role": optional_text,
    "feed_enabled": boolean,
    "feed_slot": optional_text,
    "feed_publication": text,
    "feed_ring_bytes": integer(1024),
    "state_ping_interval": seconds,
    "state_queue_bytes": integer(1024),
    "state_max_sockets": integer(1),
    "state_direct_writes": boolean,
}
