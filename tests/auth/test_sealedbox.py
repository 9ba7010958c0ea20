import pytest

from auth import BoxKey, InvalidTokenError, seal_box
from auth.encoding import decode_base64url, encode_base64url

SECRET = b"-----BEGIN PRIVATE KEY-----"


def test_box_opens_with_its_key_for_what_it_was_sealed_for() -> None:
    key = BoxKey()
    box = seal_box(key.public_text, SECRET, "second")
    assert key.open(box, "second") == SECRET
    assert SECRET not in decode_base64url(box.encode())
    assert box != seal_box(key.public_text, SECRET, "second")


def test_box_is_refused_with_another_key_or_for_something_else() -> None:
    key = BoxKey()
    box = seal_box(key.public_text, SECRET, "second")
    with pytest.raises(InvalidTokenError):
        key.open(box, "third")
    with pytest.raises(InvalidTokenError):
        BoxKey().open(box, "second")


def test_every_flipped_byte_is_refused() -> None:
    key = BoxKey()
    data = decode_base64url(seal_box(key.public_text, SECRET, "second").encode())
    for place in range(len(data)):
        flipped = bytearray(data)
        flipped[place] ^= 1
        with pytest.raises(InvalidTokenError):
            key.open(encode_base64url(bytes(flipped)), "second")


@pytest.mark.parametrize("text", ["", "x", "é", "A" * 43, encode_base64url(bytes(32)), "A" * 9_999])
def test_what_is_no_key_or_box_is_refused(text: str) -> None:
    with pytest.raises(InvalidTokenError):
        BoxKey().open(text, "second")
    with pytest.raises(InvalidTokenError):
        seal_box(text, SECRET, "second")
