"""``manage.py aiodata_token ROLE``: a token signed with the configured secret."""

from __future__ import annotations

import json
import time
import warnings
from argparse import ArgumentParser
from typing import Any

import jwt
from django.core.management.base import BaseCommand, CommandError

from aiodata_django.conf import ConfigurationError, Settings, current


class Command(BaseCommand):
    """Prints a bearer token for a role, alone on its line."""

    help = "Print a token for a role, signed with jwt-secret (HS256)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The role, how long, and what else the token says."""
        parser.add_argument("role")
        parser.add_argument(
            "--expires", type=float, metavar="SECONDS", help="valid for so long (default: ever)"
        )
        parser.add_argument(
            "--claims", type=json.loads, default={}, metavar="JSON", help="an object of claims"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Print the token."""
        if not isinstance(options["claims"], dict):
            raise CommandError("--claims must be a JSON object")
        try:
            self.stdout.write(mint(current(), options["role"], options["claims"], options["expires"]))
        except ConfigurationError as error:
            raise CommandError(str(error)) from None


def mint(settings: Settings, role: str, claims: dict[str, Any], seconds: float | None) -> str:
    """A token of these claims. Raises CommandError where there is no shared secret to sign with."""
    secret = settings.secret
    if secret is None or secret.key is None:
        raise CommandError("jwt-secret is not a shared secret: tokens come from whoever has the private key")
    claims = {"role": role, **claims}
    if settings.role_claim.find(claims) != role:
        raise CommandError(f"the role belongs at {settings.jwt_role_claim_key}: place it there with --claims")
    if seconds is not None:
        claims["exp"] = int(time.time() + seconds)
    if settings.jwt_aud is not None:
        claims.setdefault("aud", settings.jwt_aud)
    with warnings.catch_warnings():
        # A short secret is what the deployment check warns of; the token is none the worse.
        warnings.simplefilter("ignore", jwt.InsecureKeyLengthWarning)
        return jwt.encode(claims, secret.key)
