"""A member joins a federation: once, with the token that an administrator made for it."""

from auth import (
    InvalidTokenError,
    JoinToken,
    TlsKey,
    fingerprint,
    make_request,
)
from flight_member import protocol
from flight_member.errors import ForwardedError
from flight_member.memberhome import MemberHome
from flight_member.membership import Membership
from flight_member.profiles import write_private
from flight_sql import Client, RemoteError


def join_federation(home: MemberHome, token_text: str) -> Membership:
    """Register with the MoM that a join token names, and keep what it answers.

    The member makes its own keys; only public keys and a certificate request leave it. The token
    carries the CA's fingerprint, so that nobody else can pose as the federation.

    Args:
        home: The member's directory, made by `init`.
        token_text: The join token as it was printed.

    Raises:
        InvalidTokenError: When the token is damaged, or another federation answers.
        ForwardedError: When the MoM refuses, for instance because the token was used before.
    """
    token = JoinToken.parse(token_text)
    settings = home.settings
    server = settings.server
    tls_key = TlsKey.generate()
    scheme = "grpc+tls" if server.uses_tls else "grpc"
    request = protocol.JoinRequest(
        token=token_text,
        cluster=settings.cluster.name,
        public_key=home.load_key().public_key.to_text(),
        certificate_request=make_request(
            tls_key, settings.cluster.name, [server.advertised_host]
        ).decode(),
        uri=f"{scheme}://{server.advertised_host}:{server.port}",
    )
    reply = _ask(token, request)
    if fingerprint(reply.ca_certificate.encode()) != token.fingerprint:
        raise InvalidTokenError("another federation answered than the one that made the token")
    certificate_file, key_file = home.tls_files
    tls_key.save(key_file)
    write_private(certificate_file, reply.certificate)
    membership = Membership(
        federation=reply.federation,
        mom=reply.mom,
        uri=token.address,
        mom_keys=reply.mom_keys,
        ca_certificate=reply.ca_certificate,
    )
    membership.save(home.directory)
    return membership


def _ask(token: JoinToken, request: protocol.JoinRequest) -> protocol.JoinReply:
    try:
        certificates = _trusted_certificates(token)
        with Client(token.address, tls_root_certs=certificates) as client:
            return protocol.JoinReply.read(client.action(protocol.JOIN, request.write()))
    except RemoteError as error:
        refusal = error
    raise ForwardedError(refusal.code, refusal.status, refusal.text, retryable=refusal.retryable)


def _trusted_certificates(token: JoinToken) -> bytes | None:
    """Return the federation's CA certificate, known by its fingerprint; None for plaintext.

    It is public, so it is fetched over a connection that proves nothing; the join token itself
    is sent only once the server has proved itself with it.
    """
    if not token.address.startswith("grpc+tls"):
        return None
    with Client(token.address, verify_server=False) as client:
        certificate = client.action(protocol.AUTHORITY)
    if fingerprint(certificate) != token.fingerprint:
        raise InvalidTokenError("another federation answers there than the one of the token")
    return certificate
