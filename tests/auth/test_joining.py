from dataclasses import replace

import pytest

from auth import InvalidTokenError, JoinToken
from auth.encoding import encode_base64url, encode_json
from tests.auth.forging import flips

CA = "sha256:" + "0f" * 32


def make_token() -> JoinToken:
    return JoinToken.make("Shanghai", "grpc+tls://mom.example:31337", CA)


def test_a_join_token_reads_back_from_its_text() -> None:
    token = make_token()
    assert JoinToken.parse(token.text) == token
    assert JoinToken.parse(f"  {token.text}\n") == token
    assert (token.member, token.fingerprint) == ("shanghai", CA)


def test_a_join_token_without_tls_has_no_fingerprint() -> None:
    token = JoinToken.make("shanghai", "grpc://127.0.0.1:31337", "")
    assert JoinToken.parse(token.text).fingerprint == ""


def test_secrets_are_never_the_same_and_never_shown() -> None:
    tokens = [make_token() for _ in range(20)]
    assert len({token.secret for token in tokens}) == 20
    assert len({token.digest for token in tokens}) == 20
    assert repr(tokens[0].secret)[2:-1] not in repr(tokens[0])


def test_only_the_token_itself_matches_its_digest() -> None:
    token = make_token()
    assert JoinToken.parse(token.text).matches(token.digest)
    assert not make_token().matches(token.digest)
    assert not replace(token, member="hangzhou").matches(token.digest)
    assert not token.matches("")


def test_a_flipped_bit_is_refused_or_no_longer_the_same_token() -> None:
    token = make_token()
    text = token.text.encode()
    for position in range(len(text)):
        for changed in flips(position, text):
            try:
                read = JoinToken.parse(changed.decode("latin-1"))
            except InvalidTokenError:
                continue
            assert read != token


GOOD = {"member": "shanghai", "address": "a", "fingerprint": CA, "secret": "A" * 43}


def test_the_good_fields_are_good_so_that_the_refusals_below_mean_something() -> None:
    assert JoinToken.parse("fmj1." + encode_base64url(encode_json(GOOD)))


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {**GOOD, "more": "x"},
        {**GOOD, "member": "not a name"},
        {**GOOD, "member": "Shanghai"},
        {**GOOD, "member": 5},
        {**GOOD, "address": ""},
        {**GOOD, "address": None},
        {**GOOD, "fingerprint": "sha256:xyz"},
        {**GOOD, "fingerprint": None, "member": 5},
        {**GOOD, "secret": "AAAA"},
        {**GOOD, "secret": None},
    ],
)
def test_other_fields_are_refused(fields: dict[str, object]) -> None:
    with pytest.raises(InvalidTokenError):
        JoinToken.parse("fmj1." + encode_base64url(encode_json(fields)))


@pytest.mark.parametrize("text", ["", "fmj1.", "fmj2.e30", "e30", "fmj1." + "A" * 5000, "fmj1.é"])
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(InvalidTokenError):
        JoinToken.parse(text)
