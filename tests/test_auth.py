"""From an Authorization header to an identity: keys, algorithms, claims, errors, memory."""

from __future__ import annotations

import base64
import hmac
import json

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given
from hypothesis import strategies as st

from aiodata_django.auth import Authenticator, read_keys
from aiodata_django.conf import Settings
from aiodata_django.core.errors import AuthError

NOW = 1_800_000_000.0
SECRET = "reallyreallyreallyreallyverysafe"

RSA = rsa.generate_private_key(65537, 2048)
P256 = ec.generate_private_key(ec.SECP256R1())
P384 = ec.generate_private_key(ec.SECP384R1())
ED = ed25519.Ed25519PrivateKey.generate()


def jwk_of(key, algorithm: str, **members: str) -> dict[str, str]:
    jwk = jwt.get_algorithm_by_name(algorithm).to_jwk(key.public_key(), as_dict=True)
    return {name: value for name, value in jwk.items() if name not in ("key_ops", "alg")} | members


def part(**header: object) -> str:
    """The first part of a token."""
    return base64.urlsafe_b64encode(json.dumps(header).encode()).decode().rstrip("=")


def authenticator(secret: str | None = SECRET, **settings: object) -> Authenticator:
    return Authenticator(Settings(jwt_secret=secret, **{"db_anon_role": "anon", **settings}))


def bearer(claims: object, key: object = SECRET, algorithm: str = "HS256", **headers: object) -> str:
    return "Bearer " + jwt.encode(claims, key, algorithm, headers=headers or None)


def refusal(who: Authenticator, header: str | None, now: float = NOW) -> AuthError:
    with pytest.raises(AuthError) as caught:
        who.authenticate(header, now)
    return caught.value


def test_without_a_token_the_caller_is_anonymous():
    for header in (None, "Basic dXNlcjpwYXNz", "Bearertoken"):
        identity = authenticator().authenticate(header, NOW)
        assert (identity.role, identity.authenticated) == ("anon", False)
        assert identity.claims_json == '{"role":"anon"}'


def test_a_tokens_role_and_claims_are_the_callers():
    identity = authenticator().authenticate(bearer({"role": "auth", "sub": "ä", "exp": NOW + 5}), NOW)
    assert (identity.role, identity.authenticated, identity.expires) == ("auth", True, NOW + 35)
    assert identity.claims_json == f'{{"exp":{NOW + 5},"role":"auth","sub":"ä"}}'


def test_a_secret_of_sixteen_bytes_works():
    key = b"superdupersecret"
    token = jwt.PyJWS().encode(b'{"role":"auth"}', key.ljust(32, b"\0"))  # HMAC pads short keys with zeros
    assert authenticator("superdupersecret").authenticate(f"Bearer {token}", NOW).role == "auth"


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_scheme_is_read_in_any_case(scheme):
    header = bearer({"role": "auth"}).replace("Bearer", scheme)
    assert authenticator().authenticate(header, NOW).role == "auth"


def test_a_token_without_role_is_anonymous_where_there_is_an_anonymous_role():
    identity = authenticator().authenticate(bearer({"sub": "x"}), NOW)
    assert (identity.role, identity.authenticated) == ("anon", False)
    assert json.loads(identity.claims_json) == {"sub": "x", "role": "anon"}


def test_without_anonymous_role_a_token_with_role_is_required():
    for header in (None, bearer({"sub": "x"})):
        error = refusal(authenticator(db_anon_role=None), header)
        assert (error.status, error.code, error.message) == (401, "PGRST302", "Anonymous access is disabled")
        assert error.headers == (("WWW-Authenticate", "Bearer"),)


def test_without_secret_a_token_is_the_servers_fault():
    error = refusal(authenticator(None), bearer({"role": "auth"}))
    assert (error.status, error.code, error.message) == (500, "PGRST300", "Server lacks JWT secret")
    assert error.headers == ()


@pytest.mark.parametrize(
    ("token", "message", "details"),
    [
        ("", "Empty JWT is sent in Authorization header", None),
        ("a.b", "Expected 3 parts in JWT; got 2", None),
        ("a.b.c.d", "Expected 3 parts in JWT; got 4", None),
        ("a.b.c", "JWT cryptographic operation failed", None),
        ("e30.e30.e30", "JWT cryptographic operation failed", None),
        ("W10.e30.e30", "JWT cryptographic operation failed", None),
        (f"{part(alg='HS256')}.!.AA", "JWT cryptographic operation failed", None),
        (f"{part(alg='HS256')}.e30.!", "JWT cryptographic operation failed", None),
        (f"{part(alg='HS256', kid=1)}.e30.AA", "JWT cryptographic operation failed", None),
        (f"{part(alg='HS256', typ=[])}.e30.AA", "JWT cryptographic operation failed", None),
        (f"{part(alg='PS256')}.e30.AA", "JWT cryptographic operation failed", None),
        (f"{part(alg='RSA-OAEP', enc='A128GCM')}.e30.AA", "JWT cryptographic operation failed", None),
        (f"{part(alg='none')}.!.", "JWT cryptographic operation failed", None),
    ],
)
def test_what_is_no_token_is_refused_as_postgrest_does(token, message, details):
    error = refusal(authenticator(), f"Bearer {token}")
    assert (error.status, error.code, error.message, error.details) == (401, "PGRST301", message, details)
    assert error.headers == (
        ("WWW-Authenticate", f'Bearer error="invalid_token", error_description="{message}"'),
    )


def test_a_forged_signature_is_refused():
    error = refusal(authenticator(), bearer({"role": "auth"}, key="another secret of thirty-two bytes"))
    assert (error.code, error.message) == ("PGRST301", "No suitable key or wrong key type")
    assert error.details == "None of the keys was able to decode the JWT"


def test_an_unsigned_token_is_refused():
    error = refusal(authenticator(), bearer({"role": "auth"}, None, "none"))
    assert error.message == "Wrong or unsupported encoding algorithm"
    assert error.details == "JWT is unsecured but expected 'alg' was not 'none'"


@pytest.mark.parametrize(
    ("claims", "message"),
    [
        ({"exp": NOW - 31}, "JWT expired"),
        ({"exp": NOW - 30.5}, "JWT expired"),
        ({"nbf": NOW + 31}, "JWT not yet valid"),
        ({"iat": NOW + 31}, "JWT issued at future"),
        ({"exp": "soon"}, "The JWT 'exp' claim must be a number"),
        ({"nbf": True}, "The JWT 'nbf' claim must be a number"),
        ({"iat": []}, "The JWT 'iat' claim must be a number"),
        ({"aud": {"a": 1}}, "The JWT 'aud' claim must be a string or an array of strings"),
        ({"aud": ["me", 1]}, "The JWT 'aud' claim must be a string or an array of strings"),
        ({"aud": "you"}, "JWT not in audience"),
        ({"aud": ["you", "they"]}, "JWT not in audience"),
        ({"aud": ""}, "JWT not in audience"),
    ],
)
def test_claims_that_do_not_hold_are_refused_as_postgrest_does(claims, message):
    error = refusal(authenticator(jwt_aud="me"), signed({"role": "auth", **claims}))
    assert (error.status, error.code, error.message, error.details) == (401, "PGRST303", message, None)
    assert error.headers[0][1] == f'Bearer error="invalid_token", error_description="{message}"'


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": NOW - 30, "nbf": NOW + 30, "iat": NOW + 30},
        {"exp": None, "nbf": None, "iat": None, "aud": None},
        {"exp": NOW + 900.5, "nbf": NOW - 0.5, "iat": NOW - 0.5},
        {"exp": 10**400, "nbf": -(10**400)},
        {"aud": "me"},
        {"aud": ["you", "me"]},
        {"aud": []},
    ],
)
def test_claims_that_hold_within_the_clocks_difference_are_taken(claims):
    assert authenticator(jwt_aud="me").authenticate(signed({"role": "auth", **claims}), NOW).role == "auth"


def signed(claims: object) -> str:
    """A token of claims that PyJWT would not put its name to."""
    payload = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
    return "Bearer " + jwt.PyJWS().encode(payload, SECRET)


@pytest.mark.parametrize(
    "payload",
    [b"", b"[]", b'"x"', b"{", b'{"exp": NaN}', rb'{"a": "\ud800"}', b"[" * 30_000, b'{"role": "\xff"}'],
)
def test_a_payload_that_is_no_object_is_refused(payload):
    assert refusal(authenticator(), signed(payload)).message == "Parsing claims failed"


@pytest.mark.parametrize("role", ["none", "auth\x00"])
def test_no_token_becomes_the_login_role_or_a_prefix(role):
    error = refusal(authenticator(), signed({"role": role}))
    assert (error.status, error.code) == (401, "22023")


def test_the_role_is_found_by_path_and_other_values_are_taken_as_json():
    claims = {"realm": {"roles": ["x", "web_user"]}, "n": 5}
    by_path = authenticator(jwt_role_claim_key="$.realm.roles[?search(@, '^web_')]")
    assert by_path.authenticate(signed(claims), NOW).role == "web_user"
    assert authenticator(jwt_role_claim_key="$.n").authenticate(signed(claims), NOW).role == "5"
    assert authenticator().authenticate(signed({"role": None}), NOW).role == "null"
    assert authenticator(jwt_role_claim_key=".role").authenticate(signed({"role": None}), NOW).role == "null"


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [
        (SECRET, "HS256"),
        *((RSA, f"RS{bits}") for bits in (256, 384, 512)),
        (P256, "ES256"),
        (P384, "ES384"),
        (ED, "EdDSA"),
    ],
)
def test_all_usual_algorithms_verify_by_secret_or_key_set(key, algorithm):
    secret = key if isinstance(key, str) else json.dumps({"keys": [jwk_of(key, algorithm)]})
    header = bearer({"role": "auth"}, key, algorithm)
    assert authenticator(secret).authenticate(header, NOW).role == "auth"
    forged = header[:-8] + ("AAAAAAAA" if not header.endswith("AAAAAAAA") else "BBBBBBBB")
    assert refusal(authenticator(secret), forged).code == "PGRST301"


def test_a_key_is_used_for_its_own_algorithm_only():
    only_rs256 = authenticator(json.dumps(jwk_of(RSA, "RS256", alg="RS256")))
    assert only_rs256.authenticate(bearer({"role": "auth"}, RSA, "RS256"), NOW).role == "auth"
    error = refusal(only_rs256, bearer({"role": "auth"}, RSA, "RS512"))
    assert error.details == "No suitable key was found to decode the JWT"


@pytest.mark.parametrize("algorithm", ["HS384", "HS512"])
def test_a_plain_secret_is_for_hs256_and_a_jwk_for_the_others_too(algorithm):
    header = bearer({"role": "auth"}, SECRET * 2, algorithm)
    error = refusal(authenticator(SECRET * 2), header)
    assert error.details == "No suitable key was found to decode the JWT"
    key = base64.urlsafe_b64encode((SECRET * 2).encode()).decode().rstrip("=")
    jwk = json.dumps({"kty": "oct", "k": key})
    assert authenticator(jwk).authenticate(header, NOW).role == "auth"


def test_a_public_key_is_no_shared_secret():
    secret = json.dumps(jwk_of(RSA, "RS256"))
    signed_part = bearer({"role": "auth"}).removeprefix("Bearer ").rpartition(".")[0]
    signature = hmac.digest(secret.encode(), signed_part.encode(), "sha256")
    forged = f"Bearer {signed_part}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"
    assert refusal(authenticator(secret), forged).details == "No suitable key was found to decode the JWT"


def test_of_a_key_set_the_named_key_counts_and_without_name_each_is_tried():
    other = rsa.generate_private_key(65537, 2048)
    who = authenticator(
        json.dumps({"keys": [jwk_of(RSA, "RS256", kid="a"), jwk_of(other, "RS256", kid="b")]})
    )
    assert who.authenticate(bearer({"role": "auth"}, other, "RS256", kid="b"), NOW).role == "auth"
    assert who.authenticate(bearer({"role": "auth"}, other, "RS256"), NOW).role == "auth"
    refusal(who, bearer({"role": "auth"}, other, "RS256", kid="a"))
    assert not who.unknown_key
    refusal(who, bearer({"role": "auth"}, other, "RS256", kid="c"))
    assert who.unknown_key


def test_keys_that_encrypt_or_are_of_unknown_type_are_left_out():
    jwks = [
        jwk_of(RSA, "RS256", use="enc"),
        {"kty": "XYZ"},
        {"kty": "EC", "crv": "P-256"},
        {"kty": "oct", "k": "YQ"},
    ]
    assert [key.kty for key in read_keys(jwks)] == ["oct"]


@pytest.mark.parametrize("operations", [["verify"], ["sign"], ["sign", "verify"], []])
def test_a_private_key_verifies_whatever_operations_it_names(operations):
    private = jwt.get_algorithm_by_name("ES256").to_jwk(P256, as_dict=True) | {"key_ops": operations}
    who = authenticator(json.dumps(private))
    assert who.authenticate(bearer({"role": "auth"}, P256, "ES256"), NOW).role == "auth"


def test_keys_fetched_later_take_the_place_of_the_old_and_of_what_was_verified():
    who = authenticator("https://issuer/jwks.json")
    header = bearer({"role": "auth"}, RSA, "RS256")
    assert refusal(who, header).code == "PGRST300"
    who.use_keys([jwk_of(RSA, "RS256")])
    assert who.authenticate(header, NOW).role == "auth"
    who.use_keys([jwk_of(P256, "ES256")])
    assert refusal(who, header).code == "PGRST301"


def test_a_verified_token_is_remembered_until_it_expires():
    who = authenticator()
    header = bearer({"role": "auth", "exp": NOW + 10})
    first = who.authenticate(header, NOW)
    assert who.authenticate(header, NOW + 40) is first
    assert refusal(who, header, NOW + 41).message == "JWT expired"


def test_a_remembered_token_is_not_valid_before_its_time():
    who = authenticator()
    header = bearer({"role": "auth", "nbf": NOW})
    who.authenticate(header, NOW)
    assert refusal(who, header, NOW - 31).message == "JWT not yet valid"


def test_a_memory_of_no_entries_remembers_nothing():
    who = authenticator(jwt_cache_max_entries=0)
    header = bearer({"role": "auth"})
    assert who.authenticate(header, NOW) is not who.authenticate(header, NOW)


@given(st.lists(st.integers(0, 9), max_size=60), st.integers(1, 5))
def test_the_memory_is_bounded_and_never_mistakes_one_token_for_another(asked, capacity):
    who = authenticator(jwt_cache_max_entries=capacity)
    for number in asked:
        assert who.authenticate(TOKENS[number], NOW).claims["sub"] == str(number)
        assert len(who._known) <= capacity


TOKENS = [bearer({"role": "auth", "sub": str(number)}) for number in range(10)]


@given(st.lists(st.binary(max_size=20), min_size=3, max_size=3), st.text(max_size=30))
def test_any_header_is_an_identity_or_a_refusal(parts, text):
    token = ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)
    for header in (text, f"Bearer {text}", f"Bearer {token}"):
        try:
            authenticator().authenticate(header, NOW)
        except AuthError as error:
            status = error.status
        else:
            continue
        assert status == 401


@given(
    st.dictionaries(
        st.sampled_from(["role", "exp", "nbf", "iat", "aud"]),
        st.recursive(
            st.none()
            | st.booleans()
            | st.integers()
            | st.floats(allow_nan=False, allow_infinity=False)
            | st.text(),
            st.lists,
            max_leaves=3,
        ),
    )
)
def test_any_claims_are_an_identity_or_a_refusal(claims):
    try:
        identity = authenticator().authenticate(signed(claims), NOW)
    except AuthError as error:
        status = error.status
    else:
        assert json.loads(identity.claims_json.encode())["role"] == identity.role
        return
    assert status == 401
