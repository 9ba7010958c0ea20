"""What a further controller of a member asks of one that is there; see `protocol`."""

from pydantic import Field

from flight_member.protocol import Message, Versioned

CONTROLLER_JOIN = "member.controller_join"


class ControllerJoinRequest(Versioned):
    """A controller presents its one-time join token, its public key and a certificate request."""

    token: str = Field(repr=False)
    name: str
    public_key: str
    certificate_request: str
    uri: str


class ControllerJoinReply(Message):
    """What a controller needs to stand beside the others; the rest is in their database."""

    cluster: str
    tables_directory: str
    """Where managed tables lie, on storage that all controllers share."""
    ca_certificate: str = ""
    """Empty where the cluster has joined no federation."""
    certificate: str = ""
    """Empty where the controller speaks plaintext, on loopback."""
