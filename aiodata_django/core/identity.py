"""Who is asking: the PostgreSQL role and the claims of a verified token. Verifying it is ``auth``'s work."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any


@dataclass(frozen=True)
class Identity:
    """A role, the claims behind it, and until when they hold.

    ``claims`` always contains ``role``. ``expires`` is in seconds since the epoch, None for no expiry.
    ``authenticated`` is False for the anonymous role taken for want of a token.
    """

    role: str
    claims: Mapping[str, Any] = field(default_factory=dict)
    authenticated: bool = False
    expires: float | None = None

    @cached_property
    def claims_json(self) -> str:
        """The value of ``request.jwt.claims``; members are sorted, as PostgREST writes them."""
        return json.dumps(self.claims, ensure_ascii=False, separators=(",", ":"), sort_keys=True)

    @cached_property
    def settings(self) -> tuple[bytes, bytes]:
        """The values of ``role`` and ``request.jwt.claims``, as they are sent with each request."""
        return self.role.encode(), self.claims_json.encode()
