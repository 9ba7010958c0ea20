import stat
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from auth import (
    AlreadyExistsError,
    InvalidTokenError,
    KeyChain,
    KeyFileError,
    KeyRing,
    PublicKey,
    RotatingKey,
    SigningKey,
    TokenKind,
    open_identity_token,
    open_sealed,
    rotate,
    seal,
    seal_identity_token,
)
from tests.auth.factories import MOM, NOW, later

HOUR = timedelta(hours=1)


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now

    def set(self, seconds: float) -> None:
        self.now = later(seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def key(tmp_path: Path, clock: Clock) -> RotatingKey:
    SigningKey.generate().save(tmp_path / "signing.key")
    return RotatingKey(tmp_path, clock)


def sealed(key: SigningKey, clock: Clock) -> str:
    return seal(TokenKind.SERVICE, {}, key, issuer=MOM, audience=MOM, now=clock(), ttl_s=86_400 * 2)


def is_honoured(text: str, ring: KeyRing, clock: Clock) -> bool:
    try:
        open_sealed(TokenKind.SERVICE, text, ring, audience=MOM, now=clock())
    except InvalidTokenError:
        return False
    return True


def test_next_key_is_published_first_and_signs_from_its_time_on(
    tmp_path: Path, key: RotatingKey, clock: Clock
) -> None:
    old = sealed(key, clock)
    old_kid = key.kid
    rotate(tmp_path, NOW, overlap=HOUR, signs_from=later(15))
    assert key.notice()
    assert key.kid == old_kid
    assert len(key.chain.published) == 2
    # Whoever heard of it before it signed knows it when it does.
    heard = key.ring(MOM)
    clock.set(15)
    assert key.notice()
    assert key.kid != old_kid
    assert is_honoured(sealed(key, clock), heard, clock)
    assert is_honoured(old, key.ring(MOM), clock)
    assert not key.notice()


def test_old_key_dies_at_its_date_though_nobody_says_so(
    tmp_path: Path, key: RotatingKey, clock: Clock
) -> None:
    old = sealed(key, clock)
    rotate(tmp_path, NOW, overlap=HOUR, signs_from=NOW)
    assert key.notice()
    # What others were told, as it travels.
    told = KeyRing({MOM: [PublicKey.from_text(one.to_text()) for one in key.chain.published]})
    clock.set(3599)
    assert is_honoured(old, key.ring(MOM), clock)
    assert is_honoured(old, told, clock)
    clock.set(3600)
    assert not is_honoured(old, key.ring(MOM), clock)
    assert not is_honoured(old, told, clock)
    assert key.notice()
    assert len(key.chain.published) == 1


def test_what_was_opened_is_forgotten_with_its_key() -> None:
    signing = SigningKey.generate()
    token = seal_identity_token("user1", [], signing, issuer=MOM, now=NOW, ttl_s=3600)
    ending = PublicKey(signing.kid, signing.public_key.raw, later(60))
    identity = open_identity_token(token, KeyRing({MOM: [ending]}), now=NOW)
    assert identity.expires_at == later(60)


def test_stolen_key_dies_at_once(tmp_path: Path, key: RotatingKey, clock: Clock) -> None:
    old = sealed(key, clock)
    rotate(tmp_path, NOW, overlap=timedelta(0), signs_from=NOW)
    assert key.notice()
    assert not is_honoured(old, key.ring(MOM), clock)
    assert is_honoured(sealed(key, clock), key.ring(MOM), clock)


def test_next_key_can_wait_until_others_know_it(
    tmp_path: Path, key: RotatingKey, clock: Clock
) -> None:
    old_kid = key.kid
    rotate(tmp_path, NOW, overlap=HOUR, signs_from=None)
    key.notice()
    clock.set(10**6)
    assert not key.notice()
    key.acknowledge((SigningKey.generate().public_key,))
    assert key.kid == old_kid
    key.acknowledge(key.chain.published)
    assert key.kid != old_kid
    # The overlap is counted from then on.
    assert [one.ends_at for one in key.chain.earlier] == [later(10**6 + 3600)]


def test_two_rotations_do_not_run_into_each_other(tmp_path: Path, key: RotatingKey) -> None:
    rotate(tmp_path, NOW, overlap=HOUR, signs_from=later(15))
    with pytest.raises(AlreadyExistsError):
        rotate(tmp_path, later(14), overlap=HOUR, signs_from=later(30))
    chain = rotate(tmp_path, later(15), overlap=HOUR, signs_from=later(15))
    assert len({one.kid for one in (*chain.published, key.public_key)}) == 3


def test_a_rotation_that_was_cut_short_is_finished(
    tmp_path: Path, key: RotatingKey, clock: Clock
) -> None:
    old = key.current.public_key
    rotate(tmp_path, NOW, overlap=HOUR, signs_from=later(15))
    chain = KeyChain.load(tmp_path)
    assert chain.coming is not None
    # As if the power went after the date was written and before the key was replaced.
    ending = PublicKey(old.kid, old.raw, later(15 + 3600))
    KeyChain(chain.signing, chain.coming, (ending,)).save(tmp_path)
    clock.set(20)
    again = RotatingKey(tmp_path, clock)
    assert again.kid == chain.coming.key.kid
    assert [(one.kid, one.ends_at) for one in again.chain.earlier] == [(old.kid, ending.ends_at)]


@pytest.mark.parametrize("name", ["signing.key", "signing.next.key", "keys.json"])
def test_every_file_is_its_owners_alone_and_refused_when_wider(
    tmp_path: Path, key: RotatingKey, name: str
) -> None:
    del key
    rotate(tmp_path, NOW, overlap=HOUR, signs_from=later(15))
    assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600
    (tmp_path / name).chmod(0o640)
    with pytest.raises(KeyFileError, match="open to other users"):
        KeyChain.load(tmp_path)


def test_old_private_key_is_not_kept(tmp_path: Path, key: RotatingKey, clock: Clock) -> None:
    before = (tmp_path / "signing.key").read_bytes()
    rotate(tmp_path, NOW, overlap=HOUR, signs_from=NOW)
    del key, clock
    assert all(before not in file.read_bytes() for file in tmp_path.iterdir())
    assert not (tmp_path / "signing.next.key").exists()


@pytest.mark.parametrize("text", ["~", "~x", "~-1", "~1.5", "~999999999999", "~1~2", " ~1"])
def test_a_date_that_is_none_is_refused(text: str) -> None:
    key = SigningKey.generate().public_key.to_text()
    with pytest.raises(InvalidTokenError):
        PublicKey.from_text(key + text)
    assert PublicKey.from_text(f"{key}~60").ends_at == datetime.fromtimestamp(60, NOW.tzinfo)
