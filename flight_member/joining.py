"""A member joins a federation: once, with the token that an administrator made for it."""

from contextlib import closing
from datetime import UTC, datetime
from urllib.parse import urlsplit

from auth import (
    InvalidTokenError,
    JoinToken,
    PublicKey,
    RotatingKey,
    TlsKey,
    fingerprint,
    make_request,
)
from auth.revocationstore import RevocationStore
from flight_member import protocol
from flight_member.clock import utc_now
from flight_member.errors import ConfigurationError, ForwardedError
from flight_member.memberhome import MemberHome
from flight_member.membership import Membership
from flight_member.peerstore import PeerStore
from flight_member.profiles import write_private
from flight_member.settings import MemberSettings, is_loopback
from flight_member.sharedstore import SharedStore
from flight_member.sharing import keep_membership
from flight_sql import Client, RemoteError


def join_federation(home: MemberHome, token_text: str) -> Membership:
    """Register with the MoM that a join token names, and keep what it answers.

    The member makes its own keys; only public keys and a certificate request leave it. The token
    carries the CA's fingerprint, so that nobody else can pose as the federation.

    Args:
        home: The member's directory, made by `init`.
        token_text: The join token as it was printed.

    Raises:
        InvalidTokenError: When the token is damaged or another cluster's, or another federation
            answers.
        ConfigurationError: When the MoM is to be reached in plaintext beyond loopback.
        ForwardedError: When the MoM refuses, for instance because the token was used before.
    """
    token = JoinToken.parse(token_text)
    settings = home.settings
    _require_fitting(token, settings)
    server = settings.server
    tls_key = TlsKey.generate()
    home.load_key()
    key = RotatingKey(home.directory, utc_now)
    # A key that waits for the MoM to know it need not wait any more.
    coming = key.chain.coming
    public_key = key.public_key if coming is None else coming.key.public_key
    others = _other_controllers(home, public_key)
    request = protocol.JoinRequest(
        token=token_text,
        cluster=settings.cluster.name,
        public_key=public_key.to_text(),
        certificate_request=make_request(
            tls_key, settings.cluster.name, [server.advertised_host]
        ).decode(),
        uri=server.uri(server.port),
        other_keys=tuple(one.to_text() for one in others),
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
    _forget_other_federation(home, membership)
    # The MoM knows this key now, and no other: what was signed with an older one ends there.
    key.acknowledge((public_key,))
    with closing(home.open_database()) as database:
        keep_membership(database, home.directory, membership)
    return membership


def _forget_other_federation(home: MemberHome, joined: Membership) -> None:
    """Drop what another federation took back: its epochs are none of this one's."""
    known = Membership.load(home.directory)
    with closing(home.open_database()) as database, database.change() as connection:
        SharedStore(connection).forget_word()
        if known is not None and known.federation != joined.federation:
            RevocationStore(connection).forget_before(datetime.max.replace(tzinfo=UTC))


def _other_controllers(home: MemberHome, own: PublicKey) -> tuple[PublicKey, ...]:
    """Return the keys of the cluster's other controllers, for whom this one joins too."""
    with closing(home.open_database()) as database, database.read() as connection:
        peers = PeerStore(connection).all() if database.is_shared else ()
    keys = (key for peer in peers for key in peer.public_keys if peer.role == "controller")
    return tuple(key for key in keys if key.kid != own.kid)


def _require_fitting(token: JoinToken, settings: MemberSettings) -> None:
    if token.member != settings.cluster.name:
        raise InvalidTokenError(
            f"this join token was made for {token.member}, and this is {settings.cluster.name}"
        )
    is_tls = token.address.startswith("grpc+tls://")
    host = urlsplit(token.address).hostname or ""
    if not (is_tls or is_loopback(host) or settings.server.insecure_plaintext):
        fault = (
            f"the MoM at {token.address} speaks plaintext: the join token and every report would "
            "travel readable; turn TLS on there, or set server.insecure_plaintext here"
        )
        raise ConfigurationError([fault])


def _ask(token: JoinToken, request: protocol.JoinRequest) -> protocol.JoinReply:
    try:
        certificates = trusted_certificates(token.address, token.fingerprint)
        with Client(token.address, tls_root_certs=certificates) as client:
            return protocol.JoinReply.read(client.action(protocol.JOIN, request.write()))
    except RemoteError as error:
        refusal = error
    raise ForwardedError(refusal.code, refusal.status, refusal.text, retryable=refusal.retryable)


def trusted_certificates(uri: str, wanted: str) -> bytes | None:
    """Return the federation's CA certificate, known by its fingerprint; None for plaintext.

    It is public, so it is fetched over a connection that proves nothing; the join token itself
    is sent only once the server has proved itself with it.

    Raises:
        InvalidTokenError: When it has another fingerprint.
    """
    if not uri.startswith("grpc+tls"):
        return None
    with Client(uri, verify_server=False) as client:
        certificate = client.action(protocol.AUTHORITY)
    if not certificate or fingerprint(certificate) != wanted:
        raise InvalidTokenError("another federation answers there than the one of the token")
    return certificate
