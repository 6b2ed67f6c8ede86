"""Who is asking: from an ``Authorization`` header to a role and its claims.

What lives here: choosing the key, verifying the signature, the time and audience claims, and a bounded memory
of tokens already verified. What does not: the cryptography (PyJWT), fetching a key set from its address
(``jwks``), and what the role may do, which PostgreSQL decides.

Sources: RFC 7519 (JWT), RFC 7517 (JWK), RFC 6750 (bearer tokens), and for messages and codes
https://docs.postgrest.org/en/v16/references/auth.html
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jwt
from jwt.algorithms import Algorithm, get_default_algorithms

from .conf import Settings
from .core.errors import AuthError
from .core.identity import Identity

SKEW = 30.0
"""Seconds by which clocks may differ."""

_FAR = 1e15  # seconds; later than any date that matters, and exact as a float

_KEY_TYPES = {"HS": "oct", "RS": "RSA", "ES": "EC", "Ed": "OKP"}
_NAMES = [*(f"{kind}{bits}" for kind in ("HS", "RS", "ES") for bits in (256, 384, 512)), "EdDSA"]
# PostgREST's, no more: a token that only one of the two takes would be a surprise on the way back.
_ALGORITHMS = {name: algorithm for name, algorithm in get_default_algorithms().items() if name in _NAMES}


@dataclass(frozen=True, slots=True)
class Key:
    """A key that verifies: ``kty`` as in RFC 7517, ``alg`` and ``kid`` None where any will do."""

    kty: str
    material: Any
    alg: str | None = None
    kid: str | None = None

    def fits(self, alg: str, kid: str | None) -> bool:
        """Whether a token with this header may be tried with this key."""
        if kid is not None and self.kid != kid:
            return False
        return _KEY_TYPES.get(alg[:2]) == self.kty and self.alg in (None, alg)


@dataclass(slots=True)
class _Known:
    """A token already verified: whose, from when to when it holds, and whether it was asked for lately."""

    identity: Identity
    since: float
    until: float
    asked: bool = False


class Authenticator:
    """Turns ``Authorization`` headers into identities, without any input or output.

    ``keys`` are replaced by :meth:`use_keys` when they come from an address; until then a token is refused.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._anonymous = None if settings.db_anon_role is None else _anonymous(settings.db_anon_role)
        self._find_role = settings.role_claim.find
        self._audience = settings.jwt_aud
        self._capacity = settings.jwt_cache_max_entries
        self._known: dict[str, _Known] = {}
        self.keys = _configured_keys(settings)
        self.unknown_key = False
        """Set when a token named a key that is not there: time to fetch the key set again."""

    def use_keys(self, jwks: Sequence[Mapping[str, Any]]) -> None:
        """Take these keys from now on; tokens verified before are verified anew."""
        self.keys = read_keys(jwks)
        self._known.clear()
        self.unknown_key = False

    def authenticate(self, authorization: str | None, now: float) -> Identity:
        """The identity behind a header; ``now`` is in seconds since the epoch.

        Raises AuthError: PGRST300 without a secret, 301 for a token that cannot be verified, 302 where a
        token is required, 303 for one whose claims do not hold.
        """
        if authorization is None:
            return self._nobody()
        # Any white space may stand between the two, and around them.
        scheme, token = (*authorization.split(None, 1), "", "")[:2]
        if scheme.lower() != "bearer":
            return self._nobody()
        token = token.rstrip()
        known = self._known.get(token)
        if known is not None and known.since <= now <= known.until:
            known.asked = True
            return known.identity
        return self._authenticate(token, now)

    def _nobody(self) -> Identity:
        if self._anonymous is None:
            raise AuthError(
                401, "PGRST302", "Anonymous access is disabled", headers=[("WWW-Authenticate", "Bearer")]
            )
        return self._anonymous

    def _authenticate(self, token: str, now: float) -> Identity:
        if self.keys is None:
            raise AuthError(500, "PGRST300", "Server lacks JWT secret")
        claims = _claims(self._payload(token, self.keys))
        since, until = _validity(claims, now)
        _check_audience(claims, self._audience)
        identity = self._identify(claims, until)
        if self._capacity:
            self._remember(token, _Known(identity, since, until))
        return identity

    def _payload(self, token: str, keys: Sequence[Key]) -> bytes:
        if not token:
            raise undecodable("Empty JWT is sent in Authorization header")
        parts = token.split(".")
        if len(parts) != 3:
            raise undecodable(f"Expected 3 parts in JWT; got {len(parts)}")
        header, payload = _header(parts[0]), _unbase64(parts[1])
        alg, kid = header["alg"], header.get("kid")
        if alg == "none":
            details = "JWT is unsecured but expected 'alg' was not 'none'"
            raise undecodable("Wrong or unsupported encoding algorithm", details)
        signed, signature = f"{parts[0]}.{parts[1]}".encode(), _unbase64(parts[2])
        fitting = [key for key in keys if key.fits(alg, kid)]
        if not fitting:
            self.unknown_key = True
            raise unsuitable("No suitable key was found to decode the JWT")
        if not any(_verifies(_ALGORITHMS[alg], key, signed, signature) for key in fitting):
            raise unsuitable("None of the keys was able to decode the JWT")
        return payload

    def _identify(self, claims: dict[str, Any], until: float) -> Identity:
        found = self._find_role(claims)
        role = self._nobody().role if found is None else found
        # PostgreSQL reads "none" as the login role itself, and text ends at a NUL.
        if role == "none" or "\x00" in role:
            raise AuthError(401, "22023", f'role "{role}" does not exist')
        return Identity(
            role=role,
            claims={**claims, "role": role},
            authenticated=self._anonymous is None or role != self._anonymous.role,
            expires=None if until == _FAR else until,
        )

    def _remember(self, token: str, known: _Known) -> None:
        """Keep a verified token, in place of the one longest unasked for: second chance, as in CLOCK."""
        while len(self._known) >= self._capacity:
            oldest = next(iter(self._known))
            candidate = self._known.pop(oldest)
            if candidate.asked:
                candidate.asked = False
                self._known[oldest] = candidate
        self._known[token] = known


def _anonymous(role: str) -> Identity:
    return Identity(role=role, claims={"role": role})


def _configured_keys(settings: Settings) -> tuple[Key, ...] | None:
    secret = settings.secret
    if secret is None or secret.url is not None:
        return None
    # A plain secret is for HS256 alone; a JWK of type "oct" is for the others, too.
    return (Key("oct", secret.key, "HS256"),) if secret.key is not None else read_keys(secret.jwks or ())


def read_keys(jwks: Sequence[Mapping[str, Any]]) -> tuple[Key, ...]:
    """The keys of a set that sign; those of other uses or unknown types are left out (RFC 7517, 5)."""
    keys = (_read_key(dict(jwk)) for jwk in jwks)
    return tuple(key for key in keys if key is not None)


def _read_key(jwk: dict[str, Any]) -> Key | None:
    # "key_ops" is not asked: a private key given for verifying says "sign", and its public half verifies.
    if jwk.get("use", "sig") != "sig":
        return None
    try:
        read = jwt.PyJWK(jwk)
    except (jwt.PyJWTError, ValueError, TypeError):
        return None
    # A private key verifies by its public half.
    public = read.key.public_key() if hasattr(read.key, "public_key") else read.key
    # A curve has one algorithm; RSA and shared secrets have several (RFC 7518, 3.1).
    alg = read.algorithm_name if jwk["kty"] in ("EC", "OKP") else jwk.get("alg")
    return Key(jwk["kty"], public, alg, jwk.get("kid"))


def _header(part: str) -> dict[str, Any]:
    """A JWS header, whose ``alg`` is known or ``none``."""
    try:
        header = json.loads(_unbase64(part))
    except (ValueError, RecursionError):
        raise unreadable() from None
    if not isinstance(header, dict):
        raise unreadable()
    if header.get("alg") == "none":
        return header
    texts = all(isinstance(header.get(name), str | None) for name in ("typ", "cty", "kid"))
    # Encrypted tokens have five parts, never three; what is marked critical we would have to know.
    known = header.get("alg") in _ALGORITHMS and "enc" not in header and "crit" not in header
    if not texts or not known:
        raise unreadable()
    return header


def _verifies(algorithm: Algorithm, key: Key, signed: bytes, signature: bytes) -> bool:
    try:
        return algorithm.verify(signed, key.material, signature)
    except (ValueError, TypeError):
        return False  # such as a signature of another curve's length


def _claims(payload: bytes) -> dict[str, Any]:
    try:
        claims = json.loads(payload, parse_constant=_refuse)
        json.dumps(claims, ensure_ascii=False).encode()  # half a surrogate pair is no text for PostgreSQL
    except (ValueError, RecursionError):
        claims = None
    if not isinstance(claims, dict):
        raise claims_error("Parsing claims failed")
    return claims


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


def _validity(claims: Mapping[str, Any], now: float) -> tuple[float, float]:
    """From when to when a token holds, clock differences included; refuses one that does not hold now.

    A time may have a fraction (RFC 7519, NumericDate), as ``time.time()`` has. PostgREST takes an ``exp``
    with one for long past, which helps nobody.
    """
    until = _time(claims, "exp", _FAR)
    if now - SKEW > until:
        raise claims_error("JWT expired")
    since = -_FAR
    for name, message in (("nbf", "JWT not yet valid"), ("iat", "JWT issued at future")):
        begin = _time(claims, name, -_FAR)
        if now + SKEW < begin:
            raise claims_error(message)
        since = max(since, begin - SKEW)
    return since, min(until + SKEW, _FAR)


def _time(claims: Mapping[str, Any], name: str, default: float) -> float:
    value = claims.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise claims_error(f"The JWT '{name}' claim must be a number")
    return float(max(-_FAR, min(value, _FAR)))


def _check_audience(claims: Mapping[str, Any], expected: str | None) -> None:
    audience = claims.get("aud")
    if audience is None:
        return
    audiences = [audience] if isinstance(audience, str) else audience
    if not isinstance(audiences, list) or not all(isinstance(one, str) for one in audiences):
        raise claims_error("The JWT 'aud' claim must be a string or an array of strings")
    if expected is not None and audiences and expected not in audiences:
        raise claims_error("JWT not in audience")


def _unbase64(part: str) -> bytes:
    """Strictly the URL-safe alphabet without padding (RFC 7515, 2): one token has one spelling."""
    try:
        return base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
    except ValueError:
        raise unreadable() from None


def unreadable() -> AuthError:
    """PGRST301: some part of the token is not what it has to be."""
    return undecodable("JWT cryptographic operation failed")


def undecodable(message: str, details: str | None = None) -> AuthError:
    """PGRST301: the token could not be verified."""
    return _invalid_token("PGRST301", message, details)


def unsuitable(details: str) -> AuthError:
    """PGRST301: no key fits, or none verifies."""
    return undecodable("No suitable key or wrong key type", details)


def claims_error(message: str) -> AuthError:
    """PGRST303: the token is genuine, but does not hold."""
    return _invalid_token("PGRST303", message, None)


def _invalid_token(code: str, message: str, details: str | None) -> AuthError:
    challenge = f'Bearer error="invalid_token", error_description="{message}"'
    return AuthError(401, code, message, details=details, headers=[("WWW-Authenticate", challenge)])
