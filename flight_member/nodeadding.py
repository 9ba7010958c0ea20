"""Adds and removes data nodes at a controller's state directory; a server that runs notices."""

from datetime import UTC, datetime, timedelta

from auth import JoinToken, fingerprint
from flight_member.changing import changing
from flight_member.errors import BadRequestError, ConfigurationError, NotFoundError
from flight_member.locations import fold_host, read_hosts
from flight_member.memberhome import MemberHome
from flight_member.membership import Membership
from storage.names import InvalidNameError, fold_name

_TOKEN_LIFE = timedelta(hours=24)


def add_node(home: MemberHome, name: str, host: str) -> tuple[JoinToken, datetime]:
    """Name a data node and return its join token, and until when that counts.

    Raises:
        ConfigurationError: When the name or the host is none, or the name is the cluster's own.
    """
    settings = home.settings
    try:
        name, (host,) = fold_name(name), read_hosts([host])
    except (InvalidNameError, BadRequestError) as error:
        raise ConfigurationError([getattr(error, "text", str(error))]) from None
    if name == settings.cluster.name:
        raise ConfigurationError([f"{name} is the controller itself; choose another name"])
    membership = Membership.load(home.directory)
    trusted = "" if membership is None else fingerprint(membership.ca_certificate.encode())
    address = settings.server.uri(settings.server.port)
    token = JoinToken.make(name, address, trusted)
    with changing(home) as change:
        expires_at = change.at + _TOKEN_LIFE
        change.nodes.add(name, fold_host(host), change.at)
        change.nodes.add_join_token(token.digest, name, expires_at)
        change.record("add node", name, rule=host)
    return token, expires_at.astimezone(UTC)


def remove_node(home: MemberHome, name: str) -> None:
    """Forget a data node.

    Raises:
        NotFoundError: When there is none of that name.
    """
    with changing(home) as change:
        if not change.nodes.remove(name.lower()):
            raise NotFoundError(
                f"there is no node {name[:63]} here; flight-member nodes lists them"
            )
        change.record("remove node", name.lower())
