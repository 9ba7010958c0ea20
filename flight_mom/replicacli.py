"""The commands `flight-mom replica …` and `flight-mom replicas`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flight_member.options import AsJson, ProfileFile, StateDatabase, settings_in
from flight_member.querycommand import connect, find_profile
from flight_member.terminal import console, print_rows, read_secret, reported_errors

if TYPE_CHECKING:
    from flight_member.protocol import ReplicasReply

app = typer.Typer(help="Several MoMs over one PostgreSQL.", no_args_is_help=True)
_COLUMNS = ["name", "state", "uri", "hosts", "heard", "periodic_work"]
Name = Annotated[str, typer.Argument(help="The replica's name.")]


def _ask(
    profile: Path | None, action: str, name: str = "", hosts: tuple[str, ...] = ()
) -> "ReplicasReply":
    from flight_member.protocol import REPLICAS, ReplicasReply, ReplicasRequest

    request = ReplicasRequest(action=action, name=name, hosts=hosts)
    with connect(find_profile(profile)) as client:
        return ReplicasReply.read(client.action(REPLICAS, request.write()))


@app.command(epilog="Example: flight-mom replica add second --host 10.0.0.8 --token-file token")
def add(
    name: Name,
    host: Annotated[
        list[str] | None,
        typer.Option(help="A host it may answer at, or be reached by; repeat for more."),
    ] = None,
    token_file: Annotated[
        Path | None, typer.Option(help="File to write the join token to; else it is printed.")
    ] = None,
    profile: ProfileFile = None,
    as_json: AsJson = False,
) -> None:
    """Name a replica and make its one-time join token (administrators)."""
    from flight_member.profiles import write_private

    with reported_errors():
        reply = _ask(profile, "add", name, tuple(host or ()))
        token = str(reply.join_token)
        if token_file is not None:
            write_private(token_file, token + "\n")
            row = {"name": name, "state": "expected", "join_token": str(token_file)}
            print_rows([row], list(row), as_json=as_json)
        elif as_json:
            row = {"name": name, "join_token": token, "expires_at": str(reply.expires_at)}
            print_rows([row], [], as_json=True)
        else:
            # The token alone on standard output, so that it can be piped.
            sys.stdout.write(token + "\n")
            console.stderr = True
            console.print(f"valid once, until {reply.expires_at}", highlight=False)


@app.command(epilog="Example: flight-mom replica join --dir second --token-file token --name mom")
def join(
    directory: Annotated[
        Path, typer.Option("--dir", help="The new replica's state directory.")
    ] = Path(".flight-mom"),
    name: Annotated[str, typer.Option(help="The MoM's cluster name.")] = "headquarters",
    token_file: Annotated[
        Path | None, typer.Option(help="File with the join token; else it is asked for.")
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.")] = 32010,
    database: StateDatabase = None,
) -> None:
    """Make this machine a replica of the MoM that the join token names."""
    from auth import JoinToken
    from flight_mom.replicajoining import join_as_replica
    from flight_mom.settings import SETTINGS_FILE, MomSettings

    with reported_errors():
        token = read_secret(token_file, "join token")
        flags = {
            "cluster.name": name,
            "server.host": host,
            "server.port": port,
            "state.database": database,
            "state.server": JoinToken.parse(token).member,
        }
        settings = settings_in(MomSettings, directory, SETTINGS_FILE, None, flags).settings
        join_as_replica(settings, token)
        console.print(f"{settings.server_name} is a replica of {name}", highlight=False)
        console.print(f"next: flight-mom serve --dir {directory}", highlight=False)


@app.command(epilog="Example: flight-mom replica remove second --profile admin.json")
def remove(name: Name, profile: ProfileFile = None, as_json: AsJson = False) -> None:
    """Take a replica out: what it signs counts no more (administrators)."""
    with reported_errors():
        _print(_ask(profile, "remove", name), as_json=as_json)


def replicas(profile: ProfileFile = None, as_json: AsJson = False) -> None:
    """List the MoM's replicas and which of them runs periodic work (administrators)."""
    with reported_errors():
        _print(_ask(profile, "list"), as_json=as_json)


def _print(reply: "ReplicasReply", *, as_json: bool) -> None:
    rows: list[dict[str, object]] = [
        {
            "name": one.name,
            "state": one.state,
            "uri": one.uri or None,
            "hosts": " ".join(one.hosts) or None,
            "heard": None if one.heard_s is None else f"{one.heard_s:.0f} s ago",
            "periodic_work": one.is_periodic,
        }
        for one in reply.replicas
    ]
    print_rows(rows, _COLUMNS, as_json=as_json)
