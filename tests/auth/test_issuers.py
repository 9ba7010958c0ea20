"""Tokens of outside issuers: whom they name, and everything that must not pass for one."""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from auth import (
    ExpiredTokenError,
    InvalidTokenError,
    IssuerKeys,
    OutsideIssuer,
    OutsideToken,
    open_outside_token,
)
from tests.auth.factories import NOW, later

ISSUER = OutsideIssuer("https://id.example", "flight-mom", frozenset({"shanghai"}))
SEVERAL = replace(ISSUER, clusters=frozenset({"shanghai", "hangzhou"}), cluster_claim="dept")
RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
ED_KEY = ed25519.Ed25519PrivateKey.generate()
OTHER_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PRIVATE: dict[str, tuple[Any, str]] = {
    "rsa": (RSA_KEY, "RS256"),
    "ec": (EC_KEY, "ES256"),
    "ed": (ED_KEY, "EdDSA"),
}


def jwk(key: Any, kid: str, **changes: Any) -> dict[str, Any]:
    kinds: dict[type, Any] = {
        rsa.RSAPrivateKey: jwt.algorithms.RSAAlgorithm,
        ec.EllipticCurvePrivateKey: jwt.algorithms.ECAlgorithm,
        ed25519.Ed25519PrivateKey: jwt.algorithms.OKPAlgorithm,
    }
    algorithm = next(algorithm for kind, algorithm in kinds.items() if isinstance(key, kind))
    described: dict[str, Any] = json.loads(algorithm.to_jwk(key.public_key()))
    return {**described, "kid": kid, **changes}


SECRET = {"kty": "oct", "kid": "secret", "k": base64.urlsafe_b64encode(b"s" * 32).decode()}
KEYS = IssuerKeys.parse(
    json.dumps({"keys": [*(jwk(key, kid) for kid, (key, _) in PRIVATE.items()), SECRET]}).encode()
)


def make_token(
    kid: str = "rsa", *, headers: Mapping[str, Any] | None = None, **changes: Any
) -> str:
    claims: dict[str, Any] = {
        "iss": ISSUER.issuer,
        "aud": ISSUER.audience,
        "sub": "User1",
        "iat": NOW.timestamp(),
        "exp": later(600).timestamp(),
        "jti": "t1",
    }
    claims = {name: value for name, value in (claims | changes).items() if value is not ...}
    key, algorithm = PRIVATE[kid]
    return jwt.encode(claims, key, algorithm, headers={"kid": kid, **(headers or {})})


def read(text: str, issuer: OutsideIssuer = ISSUER, **options: Any) -> Any:
    return open_outside_token(OutsideToken.parse(text), issuer, KEYS, now=NOW, **options)


@pytest.mark.parametrize("kid", PRIVATE)
def test_token_names_a_user_of_the_cluster(kid: str) -> None:
    identity = read(make_token(kid, aud=["other", "flight-mom"]))
    assert identity.name == "user1@shanghai"
    assert identity.groups == frozenset()
    assert not identity.is_admin
    assert (identity.issued_at, identity.expires_at) == (NOW, later(600))


def test_claims_are_mapped() -> None:
    issuer = replace(SEVERAL, user_claim="email", user_suffix="@example.org", groups_claim="roles")
    token = make_token(
        email="ann@example.org", dept="Hangzhou", roles=["Quants"], admin=True, is_admin=True
    )
    identity = read(token, issuer)
    assert identity.name == "ann@hangzhou"
    assert identity.groups == {"quants"}
    assert not identity.is_admin


REFUSED: dict[str, tuple[str, OutsideIssuer]] = {
    "another audience": (make_token(aud="somebody"), ISSUER),
    "no audience": (make_token(aud=...), ISSUER),
    "another issuer": (make_token(iss="https://id.example/"), ISSUER),
    "no expiry": (make_token(exp=...), ISSUER),
    "no time of issue": (make_token(iat=...), ISSUER),
    "issued in the future": (make_token(iat=later(31).timestamp()), ISSUER),
    "valid in the future": (make_token(nbf=later(31).timestamp()), ISSUER),
    "an expiry that is true": (make_token(exp=True), ISSUER),
    "an expiry that is no time": (make_token(exp=1e300), ISSUER),
    "an expiry in words": (make_token(exp="tomorrow"), ISSUER),
    "no user": (make_token(sub=...), ISSUER),
    "a user that nobody can be": (make_token(sub="a b"), ISSUER),
    "a user of another cluster": (make_token(sub="user1@hangzhou"), ISSUER),
    "an empty user": (make_token(sub=""), ISSUER),
    "a suffix that is not there": (make_token(), replace(ISSUER, user_suffix="@example.org")),
    "a cluster that it may not speak for": (make_token(dept="beijing"), SEVERAL),
    "no cluster": (make_token(), SEVERAL),
    "groups that are no list": (make_token(roles="a"), replace(ISSUER, groups_claim="roles")),
    "groups that are no names": (make_token(roles=[1]), replace(ISSUER, groups_claim="roles")),
    "an unknown key": (make_token(headers={"kid": "other"}), ISSUER),
    "another key's name": (make_token(headers={"kid": "ed"}), ISSUER),
    "an extension": (make_token(headers={"crit": ["x"], "x": 1}), ISSUER),
}


@pytest.mark.parametrize("name", REFUSED)
def test_token_that_does_not_count_is_refused(name: str) -> None:
    text, issuer = REFUSED[name]
    with pytest.raises(InvalidTokenError):
        read(text, issuer)


def test_expired_token_says_so() -> None:
    with pytest.raises(ExpiredTokenError):
        read(make_token(exp=NOW.timestamp()))


def encoded(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def test_unsigned_token_is_refused() -> None:
    claims = make_token().split(".")[1]
    for algorithm in ("none", "None", "NONE"):
        with pytest.raises(InvalidTokenError):
            read(f"{encoded({'alg': algorithm, 'kid': 'rsa'})}.{claims}.")


def test_public_key_is_no_shared_secret() -> None:
    pem = RSA_KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    claims = make_token().split(".")[1]
    for kid, secret in (("rsa", pem), ("secret", b"s" * 32)):
        signed = f"{encoded({'alg': 'HS256', 'kid': kid})}.{claims}"
        digest = hmac.new(secret, signed.encode(), hashlib.sha256).digest()
        with pytest.raises(InvalidTokenError):
            read(f"{signed}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}")


def test_key_inside_the_token_counts_for_nothing() -> None:
    claims = jwt.decode(make_token(), options={"verify_signature": False})
    headers = {"kid": "rsa", "jwk": jwk(OTHER_KEY, "rsa"), "jku": "https://evil.example/keys"}
    with pytest.raises(InvalidTokenError):
        read(jwt.encode(claims, OTHER_KEY, "RS256", headers=headers))


def test_every_changed_byte_is_refused() -> None:
    token = make_token("ed")
    for at in range(0, len(token), 3):
        other = "A" if token[at] != "A" else "B"
        with pytest.raises(InvalidTokenError):
            read(token[:at] + other + token[at + 1 :])


def test_claim_that_stands_twice_is_refused() -> None:
    header = encoded({"alg": "EdDSA", "kid": "ed"})
    text = json.dumps(jwt.decode(make_token(), options={"verify_signature": False}))
    twice = text[:-1] + ', "sub": "admin"}'
    signed = f"{header}.{base64.urlsafe_b64encode(twice.encode()).rstrip(b'=').decode()}"
    signature = base64.urlsafe_b64encode(ED_KEY.sign(signed.encode())).rstrip(b"=").decode()
    with pytest.raises(InvalidTokenError):
        read(f"{signed}.{signature}")


@pytest.mark.parametrize("text", ["", "a.b", "a.b.c", "....", "é.é.é", "x" * 40_000])
def test_what_is_no_token_is_refused(text: str) -> None:
    with pytest.raises(InvalidTokenError):
        OutsideToken.parse(text)


@pytest.mark.parametrize("text", [b"", b"[]", b"{}", b'{"keys": 1}', b"\xff", b"[" * 100_000])
def test_what_is_no_key_set_is_refused(text: bytes) -> None:
    with pytest.raises(InvalidTokenError):
        IssuerKeys.parse(text)


def test_keys_that_cannot_be_used_are_left_out() -> None:
    entries = [
        SECRET,
        {"kty": "RSA", "kid": "broken"},
        jwk(RSA_KEY, "for encryption", use="enc"),
        {name: value for name, value in jwk(RSA_KEY, "x").items() if name != "kid"},
        "no key",
        jwk(EC_KEY, "good"),
    ]
    keys = IssuerKeys.parse(json.dumps({"keys": entries}).encode())
    assert len(keys) == 1
    assert keys.find("good") is not None
