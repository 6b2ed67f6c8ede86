"""The part of the configuration that planning and rendering need; what reads it lives in ``conf``.

Names are PostgREST's, without the ``db-`` prefix.
Source: https://docs.postgrest.org/en/v16/references/configuration.html
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..names import QualifiedName


@dataclass(frozen=True)
class QueryConfig:
    """Everything that changes what a request means or how it is answered."""

    schemas: tuple[str, ...]
    anon_role: str | None = None
    extra_search_path: tuple[str, ...] = ("public",)
    max_rows: int | None = None
    tx_allow_override: bool = False
    tx_rollback_all: bool = False
    plan_enabled: bool = False
    aggregates_enabled: bool = False
    pre_request: QualifiedName | None = None
    root_spec: QualifiedName | None = None
    openapi_mode: str = "follow-privileges"  # ignore-privileges, disabled
    openapi_security_active: bool = False
    openapi_server_proxy_uri: str | None = None
    legacy_target_names: bool = True
    app_settings: Mapping[str, str] = field(default_factory=dict)
    server_host: str = "localhost"
    server_port: int = 4000
    version: str = ""  # ours, told by the OpenAPI document
    allow_keyless_writes: bool = True
    hoisted_settings: tuple[str, ...] = ()  # which of a routine's SET clauses hold for the whole transaction
    # By role: what ALTER ROLE … SET gave it, default_transaction_isolation among them.
    roles: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
