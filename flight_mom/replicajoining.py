"""A server becomes a replica of the MoM: once, with the token that an administrator made for it."""

from contextlib import closing

from auth import BoxKey, InvalidTokenError, JoinToken, SigningKey, TlsKey, fingerprint, make_request
from flight_member import protocol
from flight_member.errors import ConfigurationError, ForwardedError
from flight_member.joining import trusted_certificates
from flight_member.peerstore import PeerStore
from flight_member.settings import is_loopback
from flight_mom.momhome import MomHome
from flight_mom.settings import MomSettings
from flight_sql import Client, RemoteError


def join_as_replica(settings: MomSettings, token_text: str) -> MomHome:
    """Register with the MoM that a join token names, and keep what it answers.

    The server makes its own keys. The CA's key comes sealed to one that is made for this answer
    alone; the token carries the CA's fingerprint, so that nobody else can pose as the federation.

    Args:
        settings: The new replica's: its directory, database, name and address.
        token_text: The join token as it was printed.

    Raises:
        InvalidTokenError: When the token is damaged, or another federation answers.
        ConfigurationError: When the directory holds a federation already, the MoM is to be reached
            in plaintext beyond loopback, or the database is not the MoM's.
        ForwardedError: When the MoM refuses, for instance because the token was used before.
    """
    MomHome(settings).require_new()
    token = JoinToken.parse(token_text)
    if not (token.address.startswith("grpc+tls://") or is_loopback(_host(token.address))):
        raise ConfigurationError(["a replica joins over TLS, or on the MoM's own machine"])
    key, tls_key, box_key = SigningKey.generate(), TlsKey.generate(), BoxKey()
    request = protocol.ReplicaJoinRequest(
        token=token_text,
        name=settings.server_name,
        public_key=key.public_key.to_text(),
        certificate_request=make_request(
            tls_key, settings.cluster.name, MomHome(settings).hosts
        ).decode(),
        box_key=box_key.public_text,
    )
    _require_database(settings)
    reply = _ask(token, request)
    if token.fingerprint and fingerprint(reply.ca_certificate.encode()) != token.fingerprint:
        raise InvalidTokenError("another federation answered than the one that made the token")
    authority_key = box_key.open(reply.sealed_authority, settings.server_name)
    home = MomHome.create_replica(settings, key, tls_key, authority_key, reply)
    _require_row(home, settings.server_name)
    return home


def _require_database(settings: MomSettings) -> None:
    """Check, before the token is used, that the database can be opened and is a MoM's."""
    with closing(MomHome(settings).open_database()) as database:
        if not database.is_shared:
            raise ConfigurationError(
                ["state.database: a replica needs the MoM's own, which is PostgreSQL"]
            )


def _require_row(home: MomHome, name: str) -> None:
    """Check that the database is the one in which the MoM has just written this replica down."""
    with closing(home.open_database()) as database, database.read() as connection:
        if name not in {peer.name for peer in PeerStore(connection).all()}:
            raise ConfigurationError(
                ["state.database: it is not the database of the MoM that answered"]
            )


def _ask(token: JoinToken, request: protocol.ReplicaJoinRequest) -> protocol.ReplicaJoinReply:
    try:
        certificates = trusted_certificates(token.address, token.fingerprint)
        with Client(token.address, tls_root_certs=certificates) as client:
            body = client.action(protocol.REPLICA_JOIN, request.write())
            return protocol.ReplicaJoinReply.read(body)
    except RemoteError as error:
        refusal = error
    raise ForwardedError(refusal.code, refusal.status, refusal.text, retryable=refusal.retryable)


def _host(address: str) -> str:
    return address.partition("://")[2].rpartition(":")[0]
