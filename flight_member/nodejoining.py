"""A data node joins its cluster: once, with the token that `flight-member node add` made."""

from auth import InvalidTokenError, JoinToken, TlsKey, fingerprint, make_request
from flight_member import nodeprotocol
from flight_member.errors import ConfigurationError, ForwardedError
from flight_member.joining import trusted_certificates
from flight_member.nodehome import NodeHome, NodePlace
from flight_member.profiles import write_private
from flight_member.settings import ServerSection, is_loopback
from flight_sql import Client, RemoteError


def join_cluster(
    home: NodeHome, server: ServerSection, token_text: str, controller: str | None
) -> NodePlace:
    """Register with a controller, and keep what it answers.

    The node makes its own keys; only public keys and a certificate request leave it. The token
    carries the fingerprint of the federation's CA, so that nobody else can pose as the controller.

    Args:
        home: The node's directory; made when it is missing.
        server: Where the node is going to answer.
        token_text: The join token as it was printed.
        controller: Where the controller answers; None: as the token says.

    Raises:
        InvalidTokenError: When the token is damaged, or somebody else answers.
        ConfigurationError: When the controller is to be reached in plaintext beyond loopback.
        ForwardedError: When the controller refuses, as when the token was used before.
    """
    token = JoinToken.parse(token_text)
    uri = controller or token.address
    is_safe = uri.startswith("grpc+tls://") or is_loopback(_host(uri))
    if not (is_safe or server.insecure_plaintext):
        fault = (
            f"the controller at {uri} speaks plaintext: the join token would travel readable; turn "
            "TLS on there, or set server.insecure_plaintext here"
        )
        raise ConfigurationError([fault])
    key, tls_key = home.make(), TlsKey.generate()
    request = nodeprotocol.NodeJoinRequest(
        token=token_text.strip(),
        node=token.member,
        public_key=key.public_key.to_text(),
        # The port of one that takes a free port is told with each heartbeat.
        uri=server.uri(server.port),
        certificate_request=make_request(tls_key, token.member, [server.advertised_host]).decode(),
    )
    reply = _ask(token, uri, request)
    if token.fingerprint and (
        not reply.ca_certificate or fingerprint(reply.ca_certificate.encode()) != token.fingerprint
    ):
        raise InvalidTokenError("another cluster answered than the one that made the token")
    if reply.certificate:
        certificate_file, key_file = home.tls_files
        tls_key.save(key_file)
        write_private(certificate_file, reply.certificate)
    place = NodePlace(
        cluster=reply.cluster,
        node=token.member,
        controllers=(uri,),
        cluster_keys=reply.cluster_keys,
        ca_certificate=reply.ca_certificate,
    )
    place.save(home.directory)
    return place


def _host(uri: str) -> str:
    return uri.partition("://")[2].rpartition(":")[0]


def _ask(
    token: JoinToken, uri: str, request: nodeprotocol.NodeJoinRequest
) -> nodeprotocol.NodeJoinReply:
    try:
        certificates = trusted_certificates(uri, token.fingerprint)
        with Client(uri, tls_root_certs=certificates) as client:
            body = client.action(nodeprotocol.NODE_JOIN, request.write())
    except RemoteError as error:
        refusal = error
    else:
        return nodeprotocol.NodeJoinReply.read(body)
    raise ForwardedError(refusal.code, refusal.status, refusal.text, retryable=refusal.retryable)
