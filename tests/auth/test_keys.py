import os
import stat
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature

from auth import InvalidTokenError, KeyFileError, KeyRing, PublicKey, SigningKey, TlsKey
from auth.encoding import decode_base64url, encode_base64url
from auth.keys import thumbprint


def test_a_key_is_named_by_its_rfc_7638_thumbprint() -> None:
    # The example of RFC 8037 appendix A.3.
    raw = decode_base64url(b"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo")
    assert thumbprint(raw) == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
    assert PublicKey.from_raw(raw).kid == thumbprint(raw)


def test_a_public_key_reads_back_from_its_text() -> None:
    key = SigningKey.generate().public_key
    assert PublicKey.from_text(key.to_text()) == key
    assert key.to_text().startswith("ed25519:")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ed25519:",
        "ed25519:AAAA",
        "rsa:" + "A" * 43,
        "ed25519:" + "A" * 42 + "B",
        "ed25519:" + "A" * 43 + "=",
        "ed25519:" + "é" * 43,
    ],
)
def test_what_is_no_public_key_is_refused(text: str) -> None:
    with pytest.raises(InvalidTokenError):
        PublicKey.from_text(text)


def test_a_public_key_cannot_bear_anothers_name() -> None:
    one, two = (SigningKey.generate().public_key for _ in range(2))
    with pytest.raises(InvalidTokenError):
        PublicKey(one.kid, two.raw)


def test_a_signature_is_verified_by_its_own_key_and_message_only() -> None:
    one, two = SigningKey.generate(), SigningKey.generate()
    signature = one.private.sign(b"message")
    one.public_key.public.verify(signature, b"message")
    for key, wrong, message in (
        (one, signature, b"massage"),
        (two, signature, b"message"),
        (one, b"", b"message"),
    ):
        with pytest.raises(InvalidSignature):
            key.public_key.public.verify(wrong, message)


def test_a_signing_key_never_shows_itself() -> None:
    key = SigningKey.generate()
    assert repr(key) == f"SigningKey(kid={key.kid!r})"
    assert encode_base64url(key.public_key.raw) not in repr(key.public_key)


@pytest.mark.parametrize("kind", [SigningKey, TlsKey])
def test_a_saved_key_is_its_owners_alone_and_loads_again(
    kind: type[SigningKey | TlsKey], tmp_path: Path
) -> None:
    path = tmp_path / "member.key"
    key = kind.generate()
    previous = os.umask(0)
    try:
        key.save(path)
    finally:
        os.umask(previous)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["member.key"]
    loaded = kind.load(path)
    if isinstance(key, SigningKey) and isinstance(loaded, SigningKey):
        assert loaded.public_key == key.public_key
    else:
        assert isinstance(loaded, TlsKey)
        assert isinstance(key, TlsKey)
        assert loaded.pem == key.pem


def test_saving_replaces_an_older_key_that_was_open_to_others(tmp_path: Path) -> None:
    path = tmp_path / "member.key"
    path.write_text("old")
    path.chmod(0o644)
    key = SigningKey.generate()
    key.save(path)
    assert SigningKey.load(path).kid == key.kid


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o602, 0o610, 0o644, 0o777, 0o700, 0o4600])
def test_a_key_file_wider_than_its_owners_is_refused(mode: int, tmp_path: Path) -> None:
    path = tmp_path / "member.key"
    SigningKey.generate().save(path)
    path.chmod(mode)
    with pytest.raises(KeyFileError, match=r"member\.key is open to other users") as refusal:
        SigningKey.load(path)
    assert str(tmp_path) not in str(refusal.value)


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_a_key_file_that_is_as_narrow_or_narrower_is_read(mode: int, tmp_path: Path) -> None:
    path = tmp_path / "member.key"
    SigningKey.generate().save(path)
    path.chmod(mode)
    assert SigningKey.load(path)


def test_a_missing_damaged_or_foreign_key_file_is_refused_by_its_name(tmp_path: Path) -> None:
    damaged, foreign, large = (tmp_path / name for name in ("damaged", "foreign", "large"))
    damaged.write_bytes(b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    TlsKey.generate().save(foreign)
    large.write_bytes(b"x" * 100_000)
    for path in (damaged, large):
        path.chmod(0o600)
    for path in (tmp_path / "missing", tmp_path, damaged, foreign, large):
        with pytest.raises(KeyFileError, match=path.name) as refusal:
            SigningKey.load(path)
        assert str(tmp_path.parent) not in str(refusal.value)
        assert refusal.value.__context__ is None
    SigningKey.generate().save(tmp_path / "ed")
    with pytest.raises(KeyFileError):
        TlsKey.load(tmp_path / "ed")


def test_a_key_cannot_be_saved_where_there_is_no_directory(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match="cannot be written"):
        SigningKey.generate().save(tmp_path / "nowhere" / "member.key")


def test_a_ring_finds_keys_by_issuer_and_name_and_never_changes() -> None:
    one, two = (SigningKey.generate().public_key for _ in range(2))
    empty = KeyRing()
    ring = empty.with_issuer("Shanghai", one).with_key("shanghai", two).with_key("hangzhou", two)
    assert ring.find("shanghai", one.kid) == one
    assert ring.find("shanghai", two.kid) == two
    assert ring.find("hangzhou", two.kid) == two
    assert ring.find("hangzhou", one.kid) is None
    assert ring.find("beijing", one.kid) is None
    assert set(ring.keys_of("shanghai")) == {one, two}
    assert ring.issuers == {"shanghai", "hangzhou"}
    assert (len(empty), len(ring)) == (0, 3)
    assert {issuer for issuer, _ in ring} == ring.issuers
    assert ring.without_issuer("shanghai").issuers == {"hangzhou"}
    assert ring.with_issuer("shanghai", one).keys_of("shanghai") == (one,)
    assert len(ring) == 3
