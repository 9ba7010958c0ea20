import statistics
import time

import pytest
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

import auth.passwords
from auth import UnusablePasswordError, hash_password, verify_password

HASH = hash_password("correct horse")


def test_a_hash_is_argon2id_at_the_recommended_cost() -> None:
    assert HASH.startswith("$argon2id$v=19$m=19456,t=2,p=1$")


def test_the_right_password_is_right_and_no_other() -> None:
    assert verify_password("correct horse", HASH)
    for wrong in ("Correct horse", "correct horse ", "correct hors", "", "\0", "x" * 5000):
        assert not verify_password(wrong, HASH)


def test_two_hashes_of_one_password_differ() -> None:
    assert hash_password("correct horse") != HASH


def test_an_unknown_user_has_no_password() -> None:
    for password in ("", "correct horse", "x" * 5000):
        assert not verify_password(password, None)


def test_a_password_is_the_same_however_its_accents_are_typed() -> None:
    encoded = hash_password("gr\u00f6\u00dfe")
    assert verify_password("gro\u0308\u00dfe", encoded)


@pytest.mark.parametrize("password", ["", "x" * 1025, "ö" * 513])
def test_an_empty_or_endless_password_is_refused(password: str) -> None:
    with pytest.raises(UnusablePasswordError):
        hash_password(password)


def test_a_long_password_counts_to_its_end() -> None:
    encoded = hash_password("x" * 1024)
    assert verify_password("x" * 1024, encoded)
    assert not verify_password("x" * 1023, encoded)
    assert not verify_password("x" * 1025, encoded)


DAMAGED = [
    "",
    "plain",
    "$argon2id$",
    HASH[:-20],
    HASH.replace("argon2id", "argon2i"),
    HASH.replace("v=19", "v=16"),
    HASH.replace("m=19456,", ""),
    HASH.rsplit("$", 1)[0] + "$",
    HASH.replace("t=2", "t=two"),
]


@pytest.mark.parametrize("encoded", DAMAGED, ids=map(str, range(len(DAMAGED))))
def test_a_damaged_hash_is_nobodys_password(encoded: str) -> None:
    assert not verify_password("correct horse", encoded)


CASES = {
    "right": ("correct horse", HASH),
    "wrong": ("wrong", HASH),
    "unknown user": ("correct horse", None),
    "empty": ("", HASH),
    "too long": ("x" * 5000, HASH),
    "damaged hash": ("correct horse", "plain"),
    "other algorithm": ("correct horse", HASH.replace("argon2id", "argon2i")),
}


@pytest.mark.parametrize("case", CASES)
def test_every_verification_computes_exactly_one_hash_of_the_same_cost(
    case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    verified: list[str] = []

    class Watched:
        @staticmethod
        def verify_phc_encoded(data: bytes, encoded: str) -> None:
            verified.append(encoded)
            Argon2id.verify_phc_encoded(data, encoded)

    monkeypatch.setattr(auth.passwords, "Argon2id", Watched)
    assert verify_password(*CASES[case]) is (case == "right")
    assert [encoded.split("$")[3] for encoded in verified] == ["m=19456,t=2,p=1"]
    assert len(verified[0].split("$")[4]) == len(HASH.split("$")[4])


def test_an_unknown_user_takes_as_long_as_a_wrong_password() -> None:
    def measure(encoded: str | None) -> float:
        start = time.perf_counter()
        verify_password("wrong", encoded)
        return time.perf_counter() - start

    measure(HASH)
    known, unknown = ([measure(e) for _ in range(7)] for e in (HASH, None))
    # Wide enough for a busy machine; without the dummy the ratio is in the thousands.
    assert 0.2 < statistics.median(known) / statistics.median(unknown) < 5
