"""The federation's CA, and the certificates that its servers present.

A server makes its own key and sends a request; the CA signs a certificate for the hosts that an
administrator named and no others, whatever the request says besides. Private keys never travel.

Keys are EC P-256: every TLS library of every client takes them. Certificates are for TLS servers
only, and the CA can sign no further CA.

Source: RFC 5280 sections 4.1 and 4.2; RFC 6125 section 6.4 (hosts stand in the alternative names).
"""

import ipaddress
import re
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from auth.errors import InvalidTokenError, KeyFileError, PermissionDeniedError
from auth.keyfiles import read_private, write_private
from auth.sealedbox import seal_box

_CA_DAYS = 3_650
_MAX_DAYS = 3_650
_BACKDATED = timedelta(minutes=5)
_MAX_REQUEST_BYTES = 16_384
_HOST = re.compile(
    r"(?=.{1,253}\Z)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*",
    re.ASCII,
)


class TlsKey:
    """The private key of a TLS server or of the CA. It is never printed."""

    __slots__ = ("_private",)

    def __init__(self, private: ec.EllipticCurvePrivateKey) -> None:
        self._private = private

    @classmethod
    def generate(cls) -> Self:
        """Make a new key."""
        return cls(ec.generate_private_key(ec.SECP256R1()))

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote.

        Raises:
            KeyFileError: When the file is missing, holds no such key, or other users of the
                machine may read or write it.
        """
        try:
            private = load_pem_private_key(read_private(path), password=None)
        except (ValueError, TypeError):
            private = None
        if not isinstance(private, ec.EllipticCurvePrivateKey):
            raise KeyFileError(f"{path.name} does not hold an EC private key")
        return cls(private)

    def save(self, path: Path) -> None:
        """Write the key for this user alone (0600), atomically.

        Raises:
            KeyFileError: When the file cannot be written.
        """
        write_private(path, self.pem)

    @property
    def pem(self) -> bytes:
        """The key as TLS servers take it (PKCS 8, PEM); a secret."""
        return self._private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    @property
    def private(self) -> ec.EllipticCurvePrivateKey:
        """The library's key, for signing in this module."""
        return self._private


class CertificateAuthority:
    """The federation's CA: its key and its own certificate."""

    __slots__ = ("_certificate", "_key")

    def __init__(self, key: TlsKey, certificate: x509.Certificate) -> None:
        self._key = key
        self._certificate = certificate

    @classmethod
    def create(cls, name: str, *, now: datetime, days: int = _CA_DAYS) -> Self:
        """Make a CA with a new key.

        Args:
            name: What certificates show as their issuer, e.g. the federation's name.
            now: The time from which it is valid.
            days: For how long.
        """
        key = TlsKey.generate()
        subject = _subject(f"{name} federation CA")
        public = key.private.public_key()
        certificate = (
            _builder(subject, subject, public, now=now, ends_at=now + _valid(days))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(is_ca=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .sign(key.private, SHA256())
        )
        return cls(key, certificate)

    @classmethod
    def load(cls, key_path: Path, certificate_path: Path) -> Self:
        """Read what `save` wrote.

        Raises:
            KeyFileError: When a file is missing or damaged, the key is open to others, or the two
                do not belong together.
        """
        key = TlsKey.load(key_path)
        try:
            certificate = x509.load_pem_x509_certificate(certificate_path.read_bytes())
        except (OSError, ValueError):
            certificate = None
        if certificate is None or certificate.public_key() != key.private.public_key():
            raise KeyFileError(
                f"{certificate_path.name} is not the certificate of the key in {key_path.name}"
            )
        return cls(key, certificate)

    def save(self, key_path: Path, certificate_path: Path) -> None:
        """Write the key (0600) and the certificate.

        Raises:
            KeyFileError: When a file cannot be written.
        """
        self._key.save(key_path)
        write_private(certificate_path, self.certificate_pem)

    def sealed_key(self, receiver: str, context: str) -> str:
        """Return the CA's private key (PEM) for another server that is to sign as well.

        Args:
            receiver: That server's `BoxKey.public_text`.
            context: What it is for.

        Raises:
            InvalidTokenError: When the receiver's key is none.
        """
        return seal_box(receiver, self._key.pem, context)

    @property
    def certificate_pem(self) -> bytes:
        """The certificate that clients and servers trust."""
        return self._certificate.public_bytes(Encoding.PEM)

    @property
    def fingerprint(self) -> str:
        """By which a join token names this CA."""
        return fingerprint(self.certificate_pem)

    def sign_request(
        self, csr_pem: bytes, *, common_name: str, hosts: Sequence[str], now: datetime, days: int
    ) -> bytes:
        """Sign a server's certificate.

        Args:
            csr_pem: The server's request; only its key and its hosts are read.
            common_name: The subject, e.g. the member's name.
            hosts: The hosts that an administrator named: DNS names and IP addresses.
            now: The time from which it is valid.
            days: For how long; cut off where the CA's own time ends.

        Returns:
            The certificate in PEM, for all of `hosts`.

        Raises:
            InvalidTokenError: When the request is damaged, is not signed by its own key, or has
                another kind of key.
            PermissionDeniedError: When it asks for a host that was not named.
        """
        request = _load_request(csr_pem)
        public = request.public_key()
        if not isinstance(public, ec.EllipticCurvePublicKey) or not isinstance(
            public.curve, ec.SECP256R1
        ):
            raise InvalidTokenError("the certificate request must have an EC P-256 key")
        named = {_fold_host(host) for host in hosts}
        if strangers := _requested_hosts(request) - named:
            raise PermissionDeniedError(
                f"{', '.join(sorted(strangers))} was not named by an administrator; name it with "
                "`member add --host`"
            )
        certificate = (
            _builder(
                _subject(common_name),
                self._certificate.subject,
                public,
                now=now,
                ends_at=min(now + _valid(days), self._certificate.not_valid_after_utc),
            )
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(is_ca=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(_alternative_names(named), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.private.public_key()),
                critical=False,
            )
            .sign(self._key.private, SHA256())
        )
        return certificate.public_bytes(Encoding.PEM)


def make_request(key: TlsKey, name: str, hosts: Iterable[str]) -> bytes:
    """Return a certificate request (PEM) of this key for these hosts.

    Raises:
        PermissionDeniedError: When one of them is neither a DNS name nor an IP address.
    """
    builder = x509.CertificateSigningRequestBuilder().subject_name(_subject(name))
    if named := {_fold_host(host) for host in hosts}:
        builder = builder.add_extension(_alternative_names(named), critical=False)
    return builder.sign(key.private, SHA256()).public_bytes(Encoding.PEM)


def certificate_lifetime(certificate_pem: bytes) -> tuple[datetime, datetime]:
    """Return from when and until when a certificate is valid.

    Raises:
        KeyFileError: When it is no certificate.
    """
    certificate = _load_certificate(certificate_pem)
    return certificate.not_valid_before_utc, certificate.not_valid_after_utc


def is_certificate_of(key: TlsKey, certificate_pem: bytes, authority_pem: bytes) -> bool:
    """Whether a certificate is for this key, and signed by this CA.

    Raises:
        KeyFileError: When one of the two is no certificate.
    """
    certificate, authority = _load_certificate(certificate_pem), _load_certificate(authority_pem)
    try:
        certificate.verify_directly_issued_by(authority)
    except (InvalidSignature, ValueError, TypeError):
        return False
    return certificate.public_key() == key.private.public_key()


def fingerprint(certificate_pem: bytes) -> str:
    """Return `sha256:` and the digest of a certificate in hexadecimal.

    Raises:
        KeyFileError: When it is not a certificate.
    """
    return f"sha256:{_load_certificate(certificate_pem).fingerprint(SHA256()).hex()}"


def _load_certificate(certificate_pem: bytes) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(certificate_pem)
    except ValueError:
        pass
    raise KeyFileError("this is not a certificate in PEM")


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public: ec.EllipticCurvePublicKey,
    *,
    now: datetime,
    ends_at: datetime,
) -> x509.CertificateBuilder:
    return x509.CertificateBuilder(
        issuer_name=issuer,
        subject_name=subject,
        public_key=public,
        serial_number=x509.random_serial_number(),
        # Clocks of the federation may differ a little when a certificate is new.
        not_valid_before=now - _BACKDATED,
        not_valid_after=ends_at,
    )


def _valid(days: int) -> timedelta:
    if not 0 < days <= _MAX_DAYS:
        raise ValueError(f"a certificate is valid for 1 to {_MAX_DAYS} days")
    return timedelta(days=days)


def _usage(*, is_ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not is_ca,
        key_cert_sign=is_ca,
        crl_sign=is_ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _subject(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])


def _load_request(csr_pem: bytes) -> x509.CertificateSigningRequest:
    request: x509.CertificateSigningRequest | None = None
    if len(csr_pem) <= _MAX_REQUEST_BYTES:
        try:
            request = x509.load_pem_x509_csr(csr_pem)
            is_own = request.is_signature_valid
        except (ValueError, TypeError, InvalidSignature):
            is_own = False
        if not is_own:
            request = None
    if request is None:
        raise InvalidTokenError("the certificate request is damaged; make it again")
    return request


def _requested_hosts(request: x509.CertificateSigningRequest) -> set[str]:
    try:
        names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return set()
    except ValueError:
        names = None
    if names is None:
        raise InvalidTokenError("the certificate request is damaged; make it again")
    hosts = {_fold_host(host) for host in names.get_values_for_type(x509.DNSName)}
    hosts |= {str(address) for address in names.get_values_for_type(x509.IPAddress)}
    if len(hosts) != len(names):
        raise PermissionDeniedError("a certificate names DNS names and IP addresses only")
    return hosts


def _fold_host(host: str) -> str:
    """Return a DNS name in lower case, or an IP address in its usual spelling."""
    try:
        return str(ipaddress.ip_address(host.strip("[]")))
    except ValueError:
        folded = host.lower().removesuffix(".")
    if not _HOST.fullmatch(folded):
        raise PermissionDeniedError(f"{host[:64]!r} is neither a DNS name nor an IP address")
    return folded


def _alternative_names(hosts: Iterable[str]) -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName([_general_name(host) for host in sorted(hosts)])


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
