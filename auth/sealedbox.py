"""A secret for one receiver: sealed to a key that was made for this one time.

The receiver makes a key pair and sends the public half; whoever has the secret encrypts it with a
key that only the two can derive. What it is for is bound in: opened for anything else, it is
refused. Who the receiver is must be proved otherwise.

Source: RFC 7748 (X25519), RFC 5869 (HKDF), RFC 8439 (ChaCha20-Poly1305).
"""

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from auth.encoding import EncodingFaultError, decode_base64url, encode_base64url
from auth.errors import InvalidTokenError

_PURPOSE = b"flight-mom sealed box"
_KEY_BYTES = 32
# Each box has a key of its own, so that the nonce never meets the same one twice.
_NONCE = bytes(12)


class BoxKey:
    """The receiver's key, for one box. It is never printed or written down."""

    __slots__ = ("_private",)

    def __init__(self) -> None:
        self._private = X25519PrivateKey.generate()

    @property
    def public_text(self) -> str:
        """What the sender needs, in base64url."""
        return encode_base64url(self._private.public_key().public_bytes_raw())

    def open(self, box: str, context: str) -> bytes:
        """Return what was sealed for this key.

        Args:
            box: What `seal_box` returned.
            context: What it is for; the same as it was sealed with.

        Raises:
            InvalidTokenError: When it was sealed for another key or context, or is damaged.
        """
        try:
            data = decode_base64url(box.encode("ascii"))
            sender = X25519PublicKey.from_public_bytes(data[:_KEY_BYTES])
            shared = self._private.exchange(sender)
            ours = self._private.public_key().public_bytes_raw()
            cipher = _cipher(shared, data[:_KEY_BYTES], ours)
            return cipher.decrypt(_NONCE, data[_KEY_BYTES:], context.encode())
        except (EncodingFaultError, UnicodeEncodeError, ValueError, InvalidTag):
            pass
        raise InvalidTokenError("what was sealed is damaged, or was meant for somebody else")


def seal_box(public_text: str, secret: bytes, context: str) -> str:
    """Return a secret that only the receiver can read.

    Args:
        public_text: The receiver's `BoxKey.public_text`.
        secret: What is sealed.
        context: What it is for.

    Raises:
        InvalidTokenError: When that is no such key.
    """
    try:
        receiver = X25519PublicKey.from_public_bytes(decode_base64url(public_text.encode("ascii")))
        private = X25519PrivateKey.generate()
        shared = private.exchange(receiver)
    except (EncodingFaultError, UnicodeEncodeError, ValueError):
        pass
    else:
        sender = private.public_key().public_bytes_raw()
        cipher = _cipher(shared, sender, receiver.public_bytes_raw())
        return encode_base64url(sender + cipher.encrypt(_NONCE, secret, context.encode()))
    raise InvalidTokenError("a key for a sealed box is 32 bytes in base64url")


def _cipher(shared: bytes, sender: bytes, receiver: bytes) -> ChaCha20Poly1305:
    derived = HKDF(SHA256(), _KEY_BYTES, salt=sender + receiver, info=_PURPOSE).derive(shared)
    return ChaCha20Poly1305(derived)
