"""A further controller joins its cluster: once, with the token that one of the others made."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from auth import InvalidTokenError, JoinToken, SigningKey, TlsKey, fingerprint, make_request
from flight_member.controllerprotocol import (
    CONTROLLER_JOIN,
    ControllerJoinReply,
    ControllerJoinRequest,
)
from flight_member.errors import ConfigurationError, ForwardedError
from flight_member.joining import trusted_certificates
from flight_member.memberhome import MemberHome
from flight_member.profiles import make_private_directory, write_private
from flight_member.settings import SETTINGS_FILE, MemberSettings, ServerSection, is_loopback
from flight_member.sharing import adopt_membership
from flight_sql import Client, RemoteError

_NOT_TOLD_YET = "unknown"


def join_cluster(
    directory: Path,
    token_text: str,
    controller: str | None,
    read_settings: Callable[[str, str, str | None], MemberSettings],
) -> MemberHome:
    """Register with a controller that is there, and make this one's state directory.

    It makes its own keys; only public keys and a certificate request leave it. All else that it
    needs is in the database that the controllers share.

    Args:
        directory: Made when it is missing.
        token_text: The join token as it was printed.
        controller: Where the other controller answers; None: as the token says.
        read_settings: Returns the settings, told the cluster, the controller's name and, when it is
            known, where managed tables lie.

    Raises:
        InvalidTokenError: When the token is damaged, or somebody else answers.
        ConfigurationError: When the directory is one already, the settings cannot be used, or the
            other controller is to be reached in plaintext beyond loopback.
        ForwardedError: When the controller refuses, as when the token was used before.
    """
    token = JoinToken.parse(token_text)
    token = replace(token, address=controller or token.address)
    # Of which cluster it is, it learns only now; where it answers is settled.
    server = read_settings(_NOT_TOLD_YET, token.member, None).server
    _require_usable(directory, server, token.address)
    key, tls_key = SigningKey.generate(), TlsKey.generate()
    request = ControllerJoinRequest(
        token=token_text.strip(),
        name=token.member,
        public_key=key.public_key.to_text(),
        certificate_request=make_request(tls_key, token.member, [server.advertised_host]).decode(),
        uri=server.uri(server.port),
    )
    reply = _ask(token, request)
    if token.fingerprint and fingerprint(reply.ca_certificate.encode()) != token.fingerprint:
        raise InvalidTokenError("another cluster answered than the one that made the token")
    if not Path(reply.tables_directory).is_dir():
        fault = (
            f"{reply.tables_directory}: the cluster's managed tables lie there, and it is not "
            "there on this machine; mount the storage that the controllers share at the same place"
        )
        raise ConfigurationError([fault])
    make_private_directory(directory)
    home = MemberHome(read_settings(reply.cluster, token.member, reply.tables_directory))
    key.save(home.signing_key_file)
    if reply.certificate:
        certificate_file, key_file = home.tls_files
        tls_key.save(key_file)
        write_private(certificate_file, reply.certificate)
    MemberHome.create(home.settings)
    with closing(home.open_database()) as database:
        adopt_membership(database, directory)
    return home


def _require_usable(directory: Path, server: ServerSection, uri: str) -> None:
    if (directory / SETTINGS_FILE).exists():
        raise ConfigurationError([f"{directory} is a member's directory already; name another"])
    host = urlsplit(uri).hostname or ""
    if not (uri.startswith("grpc+tls://") or is_loopback(host) or server.insecure_plaintext):
        fault = (
            f"the controller at {uri} speaks plaintext: the join token would travel readable; turn "
            "TLS on there, or set server.insecure_plaintext here"
        )
        raise ConfigurationError([fault])


def _ask(token: JoinToken, request: ControllerJoinRequest) -> ControllerJoinReply:
    try:
        certificates = trusted_certificates(token.address, token.fingerprint)
        with Client(token.address, tls_root_certs=certificates) as client:
            return ControllerJoinReply.read(client.action(CONTROLLER_JOIN, request.write()))
    except RemoteError as error:
        refusal = error
    raise ForwardedError(refusal.code, refusal.status, refusal.text, retryable=refusal.retryable)
