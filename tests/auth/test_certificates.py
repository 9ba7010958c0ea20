import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from auth import (
    CertificateAuthority,
    InvalidTokenError,
    KeyFileError,
    PermissionDeniedError,
    TlsKey,
    fingerprint,
    make_request,
)

# TLS libraries read the clock.
NOW = datetime.now(UTC).replace(microsecond=0)
CA = CertificateAuthority.create("demo", now=NOW)
HOSTS = ["localhost", "127.0.0.1", "data.hangzhou.example"]


def sign(csr: bytes, hosts: list[str] | None = None, days: int = 30) -> x509.Certificate:
    pem = CA.sign_request(csr, common_name="hangzhou", hosts=hosts or HOSTS, now=NOW, days=days)
    return x509.load_pem_x509_certificate(pem)


def hosts_of(certificate: x509.Certificate) -> set[str]:
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {str(name.value) for name in names}


def test_a_signed_certificate_is_for_the_hosts_that_were_named_and_a_server_only() -> None:
    certificate = sign(make_request(TlsKey.generate(), "hangzhou", ["LOCALHOST"]))
    assert hosts_of(certificate) == set(HOSTS)
    assert certificate.subject.rfc4514_string() == "CN=hangzhou"
    extensions = certificate.extensions
    assert not extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    usage = extensions.get_extension_for_class(x509.KeyUsage).value
    assert usage.digital_signature
    assert not usage.key_cert_sign
    assert certificate.not_valid_after_utc == NOW + timedelta(days=30)
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(CA.certificate_pem))


def test_a_host_that_was_not_named_is_refused() -> None:
    for stranger in ("mom.example", "127.0.0.2", "sub.localhost", "::1"):
        csr = make_request(TlsKey.generate(), "hangzhou", ["localhost", stranger])
        with pytest.raises(PermissionDeniedError, match=stranger):
            sign(csr)


@pytest.mark.parametrize(
    "host", ["*.example", "a b", "", "-a", "a..b", "ä.example", "x" * 64, "a/b", "::g", "a:1"]
)
def test_what_is_no_host_is_neither_asked_for_nor_signed(host: str) -> None:
    with pytest.raises(PermissionDeniedError):
        make_request(TlsKey.generate(), "hangzhou", [host])
    with pytest.raises(PermissionDeniedError):
        sign(make_request(TlsKey.generate(), "hangzhou", []), hosts=[host])


def test_a_request_names_hosts_only_and_may_not_smuggle_in_rights() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mom")])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    greedy = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    certificate = sign(greedy.sign(key, SHA256()).public_bytes(Encoding.PEM))
    assert certificate.subject.rfc4514_string() == "CN=hangzhou"
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    odd = builder.add_extension(
        x509.SubjectAlternativeName([x509.RFC822Name("root@mom.example")]), critical=False
    )
    with pytest.raises(PermissionDeniedError, match="DNS names and IP addresses only"):
        sign(odd.sign(key, SHA256()).public_bytes(Encoding.PEM))


def test_other_kinds_of_keys_are_refused() -> None:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    for csr in (
        builder.sign(rsa.generate_private_key(65537, 2048), SHA256()),
        builder.sign(ec.generate_private_key(ec.SECP384R1()), SHA256()),
        builder.sign(ed25519.Ed25519PrivateKey.generate(), None),
    ):
        with pytest.raises(InvalidTokenError, match="P-256"):
            sign(csr.public_bytes(Encoding.PEM))


def test_a_damaged_request_or_one_of_another_key_is_refused() -> None:
    csr = make_request(TlsKey.generate(), "hangzhou", HOSTS)
    request = x509.load_pem_x509_csr(csr)
    der = bytearray(request.public_bytes(Encoding.DER))
    der[-1] ^= 1
    forged = ssl.DER_cert_to_PEM_cert(bytes(der)).replace("CERTIFICATE", "CERTIFICATE REQUEST")
    for bad in (b"", b"junk", csr[:-60], csr * 20 + b"x" * 20_000, forged.encode()):
        with pytest.raises(InvalidTokenError, match="damaged"):
            sign(bad)


def test_a_certificate_does_not_outlive_its_ca() -> None:
    ending = CertificateAuthority.create("demo", now=NOW, days=10)
    csr = make_request(TlsKey.generate(), "hangzhou", [])
    pem = ending.sign_request(csr, common_name="hangzhou", hosts=HOSTS, now=NOW, days=30)
    certificate = x509.load_pem_x509_certificate(pem)
    assert certificate.not_valid_after_utc == NOW + timedelta(days=10)


def test_a_ca_is_saved_and_loaded_with_its_certificate(tmp_path: Path) -> None:
    key_path, certificate_path = tmp_path / "ca.key", tmp_path / "ca.crt"
    CA.save(key_path, certificate_path)
    loaded = CertificateAuthority.load(key_path, certificate_path)
    assert loaded.certificate_pem == CA.certificate_pem
    assert loaded.fingerprint == CA.fingerprint == fingerprint(CA.certificate_pem)
    assert key_path.stat().st_mode & 0o777 == 0o600
    other = CertificateAuthority.create("other", now=NOW)
    certificate_path.write_bytes(other.certificate_pem)
    with pytest.raises(KeyFileError, match=r"ca\.crt is not the certificate"):
        CertificateAuthority.load(key_path, certificate_path)
    certificate_path.unlink()
    with pytest.raises(KeyFileError):
        CertificateAuthority.load(key_path, certificate_path)


def test_a_fingerprint_is_openssls() -> None:
    der = ssl.PEM_cert_to_DER_cert(CA.certificate_pem.decode())
    certificate = x509.load_der_x509_certificate(der)
    assert CA.fingerprint == "sha256:" + certificate.fingerprint(SHA256()).hex()
    with pytest.raises(KeyFileError):
        fingerprint(b"junk")


def shake_hands(tmp_path: Path, trusted: bytes, host: str) -> None:
    """Connect to a real TLS server that presents a signed certificate."""
    key = TlsKey.generate()
    key.save(tmp_path / "tls.key")
    certificate = sign(make_request(key, "hangzhou", ["localhost"]), ["localhost"])
    (tmp_path / "tls.crt").write_bytes(certificate.public_bytes(Encoding.PEM))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(tmp_path / "tls.crt", tmp_path / "tls.key")
    client = ssl.create_default_context(cadata=trusted.decode())
    near, far = socket.socketpair()

    def serve() -> None:
        try:
            server.wrap_socket(far, server_side=True).close()
        except OSError:
            far.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        client.wrap_socket(near, server_hostname=host).close()
    finally:
        near.close()
        thread.join()


def test_tls_clients_accept_the_certificate_for_its_host_and_its_ca_only(tmp_path: Path) -> None:
    shake_hands(tmp_path, CA.certificate_pem, "localhost")
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(tmp_path, CA.certificate_pem, "hangzhou.example")
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(
            tmp_path, CertificateAuthority.create("demo", now=NOW).certificate_pem, "localhost"
        )


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_ca_whose_key_is_open_to_others_is_refused(tmp_path: Path, mode: int) -> None:
    key_path, certificate_path = tmp_path / "ca.key", tmp_path / "ca.pem"
    CA.save(key_path, certificate_path)
    CertificateAuthority.load(key_path, certificate_path)
    key_path.chmod(mode)
    with pytest.raises(KeyFileError, match=r"ca\.key is open to other users"):
        CertificateAuthority.load(key_path, certificate_path)
