"""What `flight-mom member …` and `flight-mom login` do once the command line is read."""

import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from flight_member import protocol
from flight_member.errors import ConfigurationError
from flight_member.profiles import Profile, write_private
from flight_member.terminal import console, print_rows
from flight_sql import Client

_SESSION_LIFE = timedelta(hours=1)


def change_member(client: Client, request: protocol.MembersRequest) -> protocol.MembersReply:
    """Have the MoM change the membership; the client's user must be an administrator."""
    return protocol.MembersReply.read(client.action(protocol.MEMBERS, request.write()))


def add_member(
    client: Client,
    request: protocol.MembersRequest,
    token_file: Path | None,
    *,
    as_json: bool,
) -> None:
    """Name a member and hand out its join token: into a file of mode 0600, or on the terminal."""
    reply = change_member(client, request)
    token = str(reply.join_token)
    if token_file is not None:
        write_private(token_file, token + "\n")
        row = {"cluster": reply.cluster, "state": reply.state, "join_token": str(token_file)}
        print_rows([row], list(row), as_json=as_json)
    elif as_json:
        print_rows([reply.model_dump()], [], as_json=True)
    else:
        # The token alone on standard output, so that it can be piped to flight-member join.
        sys.stdout.write(token + "\n")
        console.stderr = True
        console.print(f"valid once, until {reply.expires_at}", highlight=False)


def sign_in_profile(
    user: str,
    password: str,
    uris: Sequence[str],
    home_uri: str | None,
    certificates: Path | None,
) -> Profile:
    """Sign in and return a profile that holds the token, not the password.

    Where the home cluster's address is known, its identity token is kept, which counts there and
    at the MoM; else the MoM's session token, which counts at the MoM.
    """
    name, at, cluster = user.rpartition("@")
    if not (name and at and cluster):
        raise ConfigurationError([f"{user}: write it as user@cluster"])
    root_certs = None
    if certificates is not None:
        try:
            root_certs = certificates.read_text("utf-8")
        except OSError as error:
            raise ConfigurationError([f"{certificates}: {error.strerror}"]) from None
    pem = root_certs.encode() if root_certs else None
    with Client(home_uri or uris, tls_root_certs=pem) as client:
        token = client.sign_in(user, password)
    return Profile(
        uri=uris[0],
        other_uris=tuple(uris[1:]),
        home_uri=home_uri or uris[0],
        username=user,
        token=token,
        expires_at=(datetime.now(UTC) + _SESSION_LIFE).isoformat(timespec="seconds"),
        tls_root_certs=root_certs,
        cluster=cluster,
    )
