import itertools
import json
from collections.abc import Callable
from datetime import timedelta

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st

from auth import (
    AuthError,
    ExpiredTicketError,
    ExpiredTokenError,
    InvalidTicketError,
    InvalidTokenError,
    KeyRing,
    SigningKey,
    TicketShard,
    TokenKind,
    kind_of,
    open_identity_token,
    open_sealed,
    open_ticket,
    seal,
    seal_identity_token,
    seal_ticket,
)
from auth.sealing import MAX_TICKET_BYTES, MAX_TOKEN_BYTES
from tests.auth.factories import (
    HANGZHOU,
    HANGZHOU_KEY,
    MOM,
    MOM_KEY,
    NOW,
    RING,
    SHANGHAI,
    SHANGHAI_KEY,
    later,
    make_ticket,
)
from tests.auth.forging import ALPHABET, b64, flips, forge, replace_byte

TICKETS = {TokenKind.TICKET, TokenKind.ANSWER, TokenKind.PREPARED}


def make_token() -> str:
    return seal_identity_token(
        "user1", ["analysts"], SHANGHAI_KEY, issuer=SHANGHAI, now=NOW, ttl_s=60
    )


def is_refused_token(data: bytes) -> bool:
    try:
        open_identity_token(data, RING, now=NOW)
    except InvalidTokenError:
        return True
    return False


def is_refused_ticket(data: bytes) -> bool:
    try:
        open_ticket(data, RING, issuer=MOM, member=HANGZHOU, now=NOW)
    except InvalidTicketError:
        return True
    return False


def test_every_flipped_bit_of_a_token_is_refused() -> None:
    token = make_token().encode()
    assert not is_refused_token(token)
    for position in range(len(token)):
        for changed in flips(position, token):
            assert is_refused_token(changed), (position, changed[position])


@pytest.mark.parametrize("shard", [None, TicketShard(1, ("hangzhou", "n2"), "r1")])
def test_every_flipped_bit_of_a_ticket_is_refused(shard: TicketShard | None) -> None:
    ticket = seal_ticket(make_ticket(shard=shard), MOM_KEY, issuer=MOM)
    assert not is_refused_ticket(ticket)
    for position in range(len(ticket)):
        for changed in flips(position, ticket):
            assert is_refused_ticket(changed), (position, changed[position])


@pytest.mark.parametrize("where", ["header", "payload", "signature"])
def test_every_other_value_of_a_byte_is_refused(where: str) -> None:
    token = make_token().encode()
    first, second = token.index(b"."), token.rindex(b".")
    sample = {
        "header": [0, 1, first - 1, first],
        "payload": [first + 1, (first + second) // 2, second - 1, second],
        # The last character of a signature has four spare bits: the classic leak.
        "signature": [second + 1, len(token) - 2, len(token) - 1],
    }[where]
    for position in sample:
        for value in set(range(256)) - {token[position]}:
            assert is_refused_token(replace_byte(token, position, value)), (position, value)


def test_every_other_value_of_the_last_byte_of_a_ticket_is_refused() -> None:
    ticket = seal_ticket(make_ticket(), MOM_KEY, issuer=MOM)
    for position in (0, len(ticket) // 2, len(ticket) - 1):
        for value in set(range(256)) - {ticket[position]}:
            assert is_refused_ticket(replace_byte(ticket, position, value))


def test_spare_bits_of_a_last_character_are_refused_though_they_decode_alike() -> None:
    token = make_token().encode()
    index = ALPHABET.index(token[-1:])
    twins = [ALPHABET[i : i + 1] for i in range(64) if i >> 4 == index >> 4 and i != index]
    assert len(twins) == 15
    assert all(is_refused_token(token[:-1] + twin) for twin in twins)


@pytest.mark.parametrize(
    "mangle",
    [
        lambda t: t + b"=",
        lambda t: t + b"==",
        lambda t: t + b"A",
        lambda t: t[:-1],
        lambda t: t + b"\n",
        lambda t: b" " + t,
        lambda t: t + b".",
        lambda t: t.replace(b".", b"..", 1),
        lambda t: t.rsplit(b".", 1)[0],
        lambda t: t.rsplit(b".", 1)[0] + b".",
        lambda _: b"",
        lambda _: b"..",
        lambda t: t + b"." + t,
        lambda t: t.upper(),
        lambda t: b"\xff" + t,
    ],
)
def test_damaged_tokens_are_refused(mangle: Callable[[bytes], bytes]) -> None:
    assert is_refused_token(mangle(make_token().encode()))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_garbage_is_refused_and_raises_nothing_else(data: bytes) -> None:
    assert is_refused_token(data)
    assert is_refused_ticket(data)
    kind_of(data)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=80), st.text(max_size=80), st.text(max_size=80))
def test_garbage_inside_the_parts_is_refused(header: str, payload: str, signature: str) -> None:
    parts = (b64(part.encode("utf-8", "replace")) for part in (header, payload, signature))
    assert is_refused_token(".".join(parts).encode())


@pytest.mark.parametrize("made, read", list(itertools.permutations(TokenKind, 2)))
def test_no_kind_passes_for_another(made: TokenKind, read: TokenKind) -> None:
    text = seal(made, {}, MOM_KEY, issuer=MOM, audience=MOM, now=NOW, ttl_s=60)
    assert open_sealed(made, text, RING, audience=MOM, now=NOW)["iss"] == MOM
    expected = InvalidTicketError if read in TICKETS else InvalidTokenError
    with pytest.raises(expected, match="another purpose"):
        open_sealed(read, text, RING, audience=MOM, now=NOW)


@pytest.mark.parametrize("kind", TokenKind)
def test_kind_of_reads_what_a_value_says_it_is(kind: TokenKind) -> None:
    text = seal(kind, {}, MOM_KEY, issuer=MOM, audience=MOM, now=NOW, ttl_s=60)
    assert kind_of(text) is kind
    assert kind_of(text.encode()) is kind


def test_kind_of_anything_else_is_none() -> None:
    assert kind_of("") is None
    assert kind_of("Basic dXNlcjpwYXNz") is None
    assert kind_of(forge({"typ": "JWT"})) is None


def test_a_well_formed_forgery_base_is_accepted_so_that_the_refusals_below_mean_something() -> None:
    assert open_identity_token(forge(), RING, now=NOW).name == "user1@shanghai"


SHANGHAI_RAW = SHANGHAI_KEY.public_key.raw


@pytest.mark.parametrize(
    "token",
    [
        pytest.param(forge({"alg": "none"}), id="alg none"),
        pytest.param(forge({"alg": "none"}, signature=b""), id="alg none unsigned"),
        pytest.param(forge({"alg": "None"}, signature=b""), id="alg None unsigned"),
        pytest.param(forge(signature=b""), id="unsigned"),
        pytest.param(forge(signature=bytes(64)), id="zero signature"),
        pytest.param(forge({"alg": "HS256"}), id="alg HS256"),
        pytest.param(forge({"alg": "eddsa"}), id="alg in lower case"),
        pytest.param(forge({"alg": "Ed25519"}), id="alg by its other name"),
        pytest.param(forge({"alg": ["EdDSA"]}), id="alg list"),
        pytest.param(forge({"alg": ...}), id="no alg"),
        pytest.param(forge({"kid": ...}), id="no kid"),
        pytest.param(forge({"kid": None}), id="kid null"),
        pytest.param(forge({"kid": ["x"]}), id="kid list"),
        pytest.param(forge({"kid": HANGZHOU_KEY.kid}), id="another's kid"),
        pytest.param(forge({"kid": "x" * 43}), id="unknown kid"),
        pytest.param(forge({"kid": "../../key"}), id="kid path"),
        pytest.param(forge({"typ": ...}), id="no typ"),
        pytest.param(forge({"typ": "JWT"}), id="typ JWT"),
        pytest.param(forge({"typ": "FM-IDENTITY+JWT"}), id="typ in upper case"),
        pytest.param(forge({"typ": "application/fm-identity+jwt"}), id="typ as media type"),
        pytest.param(forge({"crit": ["exp"]}), id="crit"),
        pytest.param(forge({"b64": False, "crit": ["b64"]}), id="b64"),
        pytest.param(forge({"zip": "DEF"}), id="zip"),
        pytest.param(forge({"jku": "https://example.org/keys"}), id="jku"),
        pytest.param(
            forge({"jwk": {"kty": "OKP", "crv": "Ed25519", "x": b64(SHANGHAI_RAW)}}), id="jwk"
        ),
        pytest.param(forge({"x5c": ["MII"]}), id="x5c"),
        pytest.param(forge(b"[]"), id="header list"),
        pytest.param(forge(b"null"), id="header null"),
        pytest.param(
            forge(
                json.dumps(
                    {"alg": "EdDSA", "kid": SHANGHAI_KEY.kid, "typ": "fm-identity+jwt"}
                ).encode()[:-1]
                + b',"typ":"fm-identity+jwt"}'
            ),
            id="typ twice",
        ),
        pytest.param(forge(payload={"iss": HANGZHOU}), id="another's iss"),
        pytest.param(forge(payload={"iss": "nowhere"}), id="unknown iss"),
        pytest.param(forge(payload={"iss": ...}), id="no iss"),
        pytest.param(forge(payload={"iss": [SHANGHAI]}), id="iss list"),
        pytest.param(forge(payload={"iss": "SHANGHAI"}), id="iss in upper case"),
        pytest.param(forge(key=SigningKey.generate()), id="unknown key"),
        pytest.param(
            forge({"kid": SHANGHAI_KEY.kid}, key=HANGZHOU_KEY), id="signed by another under its kid"
        ),
        pytest.param(forge(payload={"aud": MOM}), id="another's aud"),
        pytest.param(forge(payload={"aud": ["federation"]}), id="aud list"),
        pytest.param(forge(payload={"aud": ...}), id="no aud"),
        pytest.param(forge(payload={"aud": ""}), id="empty aud"),
        pytest.param(forge(payload={"jti": ...}), id="no jti"),
        pytest.param(forge(payload={"jti": 7}), id="jti number"),
        pytest.param(forge(payload={"jti": "x" * 257}), id="jti too long"),
        pytest.param(forge(payload={"exp": ...}), id="no exp"),
        pytest.param(forge(payload={"exp": None}), id="exp null"),
        pytest.param(forge(payload={"exp": True}), id="exp true"),
        pytest.param(forge(payload={"exp": "9999999999"}), id="exp text"),
        pytest.param(forge(payload={"exp": 10**400}), id="exp endless"),
        pytest.param(forge(payload={"exp": 99999999999}), id="exp too far away"),
        pytest.param(forge(payload={"iat": ...}), id="no iat"),
        pytest.param(forge(payload={"iat": False}), id="iat false"),
        pytest.param(forge(payload={"iat": -1}), id="iat before the epoch"),
        pytest.param(forge(payload={"iat": int(NOW.timestamp()) + 60}), id="iat equals exp"),
        pytest.param(
            forge(payload={"iat": int(NOW.timestamp()) + 40, "exp": int(NOW.timestamp()) + 90}),
            id="iat in the future",
        ),
        pytest.param(forge(payload={"sub": ...}), id="no sub"),
        pytest.param(forge(payload={"sub": 5}), id="sub number"),
        pytest.param(forge(payload={"sub": "user1@hangzhou"}), id="sub of another cluster"),
        pytest.param(forge(payload={"sub": "GROUP x"}), id="sub with space"),
        pytest.param(forge(payload={"sub": ""}), id="empty sub"),
        pytest.param(forge(payload={"groups": "analysts"}), id="groups text"),
        pytest.param(forge(payload={"groups": ["a@hangzhou"]}), id="group of another cluster"),
        pytest.param(forge(payload={"groups": [["a"]]}), id="groups nested"),
        pytest.param(forge(payload={"admin": 1}), id="admin number"),
        pytest.param(forge(payload=b"[]"), id="payload list"),
        pytest.param(forge(payload=b""), id="payload empty"),
        pytest.param(forge(payload=b"\xff{}"), id="payload not UTF-8"),
        pytest.param(forge(payload=b"[" * 5000), id="payload nested"),
        pytest.param(forge(payload=b'{"a":' * 1000 + b"1" + b"}" * 1000), id="payload deep"),
    ],
)
def test_forged_and_malformed_tokens_are_refused(token: str) -> None:
    with pytest.raises(InvalidTokenError) as refusal:
        open_identity_token(token, RING, now=NOW)
    assert refusal.value.__cause__ is None
    assert refusal.value.__context__ is None


def payload_with(text: str) -> bytes:
    """Return the payload of a good token with more text before its closing brace."""
    start = int(NOW.timestamp())
    good = {
        "sub": "user1", "groups": [], "admin": False, "iss": SHANGHAI,
        "aud": "federation", "iat": start, "exp": start + 60, "jti": "j1",
    }  # fmt: skip
    return json.dumps(good).encode()[:-1] + text.encode() + b"}"


def test_more_claims_are_accepted_when_they_are_new() -> None:
    assert open_identity_token(forge(payload=payload_with(',"x":1')), RING, now=NOW)


@pytest.mark.parametrize(
    "text",
    [
        ',"sub":"user1"',
        ',"sub":"admin"',
        ',"exp":1',
        ',"\\u0073ub":"admin"',
        ',"x":{"y":1,"y":2}',
        ',"x":NaN',
        ',"x":Infinity',
    ],
)
def test_a_claim_that_stands_twice_or_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(InvalidTokenError):
        open_identity_token(forge(payload=payload_with(text)), RING, now=NOW)


@pytest.mark.parametrize(
    "secret",
    [SHANGHAI_RAW, SHANGHAI_KEY.public_key.to_text().encode()],
    ids=["its bytes", "its text"],
)
def test_an_hmac_with_the_public_key_is_refused(secret: bytes) -> None:
    payload = {
        "sub": "user1",
        "groups": [],
        "admin": True,
        "iss": SHANGHAI,
        "aud": "federation",
        "iat": int(NOW.timestamp()),
        "exp": int(NOW.timestamp()) + 60,
        "jti": "j1",
    }
    headers = {"kid": SHANGHAI_KEY.kid, "typ": "fm-identity+jwt"}
    for algorithm in ("HS256", "HS384", "HS512"):
        token = jwt.encode(payload, secret.ljust(64, b"\0"), algorithm=algorithm, headers=headers)
        with pytest.raises(InvalidTokenError):
            open_identity_token(token, RING, now=NOW)


def test_a_token_is_a_jwt_that_any_library_reads() -> None:
    key = Ed25519PublicKey.from_public_bytes(SHANGHAI_RAW)
    claims = jwt.decode(
        make_token(),
        key,
        algorithms=["EdDSA"],
        audience="federation",
        issuer=SHANGHAI,
        options={"verify_exp": False, "verify_iat": False, "require": ["exp", "iat", "jti"]},
    )
    assert claims["sub"] == "user1"
    assert claims["exp"] - claims["iat"] == pytest.approx(60)


@pytest.mark.parametrize("kind", TokenKind)
def test_a_value_expires_exactly_when_it_says(kind: TokenKind) -> None:
    text = seal(kind, {}, MOM_KEY, issuer=MOM, audience=MOM, now=NOW, ttl_s=60)
    moment = timedelta(microseconds=1)
    assert open_sealed(kind, text, RING, audience=MOM, now=later(60) - moment)
    expected = ExpiredTicketError if kind in TICKETS else ExpiredTokenError
    for late in (later(60), later(60) + moment, later(10**6)):
        with pytest.raises(expected):
            open_sealed(kind, text, RING, audience=MOM, now=late)


def test_a_forgery_that_is_also_too_old_is_called_invalid_and_not_expired() -> None:
    token = make_token()
    with pytest.raises(InvalidTokenError):
        open_identity_token(token[:-4] + "AAAA", RING, now=later(10**6))


def test_a_clock_that_is_a_little_ahead_is_forgiven_and_no_more() -> None:
    text = seal(TokenKind.SERVICE, {}, MOM_KEY, issuer=MOM, audience=HANGZHOU, now=NOW, ttl_s=60)
    assert open_sealed(TokenKind.SERVICE, text, RING, audience=HANGZHOU, now=later(-30))
    with pytest.raises(InvalidTokenError, match="not valid yet"):
        open_sealed(TokenKind.SERVICE, text, RING, audience=HANGZHOU, now=later(-30.1))
    with pytest.raises(InvalidTokenError, match="not valid yet"):
        open_sealed(TokenKind.SERVICE, text, RING, audience=HANGZHOU, now=later(-1), skew_s=0)


def test_only_the_named_issuer_is_believed_when_there_is_one() -> None:
    text = seal(
        TokenKind.SERVICE, {}, HANGZHOU_KEY, issuer=HANGZHOU, audience=MOM, now=NOW, ttl_s=60
    )
    assert open_sealed(TokenKind.SERVICE, text, RING, audience=MOM, now=NOW, issuer=HANGZHOU)
    with pytest.raises(InvalidTokenError, match="issuer"):
        open_sealed(TokenKind.SERVICE, text, RING, audience=MOM, now=NOW, issuer=MOM)


def test_a_member_cannot_speak_for_another_even_with_a_key_of_the_ring() -> None:
    token = seal_identity_token(
        "boss", [], HANGZHOU_KEY, issuer=SHANGHAI, now=NOW, ttl_s=60, is_admin=True
    )
    with pytest.raises(InvalidTokenError):
        open_identity_token(token, RING, now=NOW)


def test_keys_rotate_with_overlap() -> None:
    new = SigningKey.generate()
    old_token = make_token()
    new_token = seal_identity_token("user1", [], new, issuer=SHANGHAI, now=NOW, ttl_s=60)
    both = RING.with_key(SHANGHAI, new.public_key)
    for token in (old_token, new_token):
        assert open_identity_token(token, both, now=NOW).user == "user1"
    only_new = RING.with_issuer(SHANGHAI, new.public_key)
    assert open_identity_token(new_token, only_new, now=NOW)
    with pytest.raises(InvalidTokenError):
        open_identity_token(old_token, only_new, now=NOW)
    with pytest.raises(InvalidTokenError):
        open_identity_token(new_token, RING.without_issuer(SHANGHAI), now=NOW)
    with pytest.raises(InvalidTokenError):
        open_identity_token(new_token, KeyRing(), now=NOW)


@pytest.mark.parametrize(
    "kind, limit",
    [(TokenKind.IDENTITY, MAX_TOKEN_BYTES), (TokenKind.TICKET, MAX_TICKET_BYTES)],
)
def test_what_is_too_long_is_refused_when_made_and_when_read(kind: TokenKind, limit: int) -> None:
    expected = InvalidTicketError if kind in TICKETS else InvalidTokenError
    with pytest.raises(expected, match="longer"):
        seal(kind, {"x": "y" * limit}, MOM_KEY, issuer=MOM, audience=MOM, now=NOW, ttl_s=60)
    with pytest.raises(expected, match="longer"):
        open_sealed(kind, b"a" * (limit + 1), RING, audience=MOM, now=NOW)


def test_two_values_of_the_same_claims_have_ids_of_their_own() -> None:
    ids = {
        open_sealed(TokenKind.SERVICE, text, RING, audience=MOM, now=NOW)["jti"]
        for text in (
            seal(TokenKind.SERVICE, {}, MOM_KEY, issuer=MOM, audience=MOM, now=NOW, ttl_s=60)
            for _ in range(50)
        )
    }
    assert len(ids) == 50


@pytest.mark.parametrize("claim", ["iss", "aud", "iat", "exp", "jti"])
def test_claims_that_are_added_cannot_be_given(claim: str) -> None:
    with pytest.raises(ValueError, match=claim):
        seal(TokenKind.SERVICE, {claim: 1}, MOM_KEY, issuer=MOM, audience=MOM, now=NOW, ttl_s=60)


@pytest.mark.parametrize("ttl_s", [0, -1, 31 * 86_400 + 1, float("nan"), float("inf")])
def test_no_value_lives_for_ever_or_not_at_all(ttl_s: float) -> None:
    with pytest.raises(ValueError, match="ttl_s"):
        seal(TokenKind.SERVICE, {}, MOM_KEY, issuer=MOM, audience=MOM, now=NOW, ttl_s=ttl_s)


def test_refusals_never_repeat_what_was_presented() -> None:
    for changed in (forge({"kid": "secret-kid"}), forge(payload={"iss": "secret-iss"}), "secret"):
        with pytest.raises(AuthError) as refusal:
            open_identity_token(changed, RING, now=NOW)
        assert "secret" not in str(refusal.value)


@settings(max_examples=100, deadline=None)
@given(
    st.dictionaries(
        st.text(st.characters(codec="utf-8"), max_size=8).filter(
            lambda name: name not in {"iss", "aud", "iat", "exp", "jti"}
        ),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="utf-8")),
            lambda inner: st.lists(inner, max_size=3),
            max_leaves=5,
        ),
        max_size=5,
    )
)
def test_claims_come_back_as_they_were_given(claims: dict[str, object]) -> None:
    text = seal(TokenKind.ANSWER, claims, MOM_KEY, issuer=MOM, audience=MOM, now=NOW, ttl_s=60)
    opened = open_sealed(TokenKind.ANSWER, text, RING, audience=MOM, now=NOW)
    assert {name: opened[name] for name in claims} == claims
