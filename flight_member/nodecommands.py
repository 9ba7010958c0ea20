"""The commands `node …`, `nodes` and `drain` of a member."""

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flight_member.garbage import collecting_nothing
from flight_member.options import (
    AsJson,
    Config,
    ListenHost,
    ListenPort,
    ProfileFile,
    WithParent,
)
from flight_member.querycommand import connect, find_profile
from flight_member.terminal import console, print_rows, reported_errors

if TYPE_CHECKING:
    from flight_member.memberhome import MemberHome
    from flight_member.nodeprotocol import NodesRequest
    from flight_sql import Client

_COLUMNS = ["node", "state", "uri", "running_statements", "queued_statements", "heard_at"]

NodeName = Annotated[str, typer.Argument(help="The node's name in its cluster.")]


def node_commands(here: Path, open_home: Callable[[Path], "MemberHome"]) -> typer.Typer:
    """Return the commands that add, remove and run data nodes.

    Args:
        here: The controller's state directory where none is given.
        open_home: Opens a controller's state directory.
    """
    app = typer.Typer(help="The member's data nodes.", no_args_is_help=True)
    place = typer.Option(here, "--dir", help="The controller's state directory.")

    @app.command("add", epilog="Example: flight-member node add n1 --dir hangzhou --host 10.0.0.8")
    def add(
        name: NodeName,
        directory: Path = place,
        host: Annotated[
            str, typer.Option(help="The one host that it may answer at.")
        ] = "127.0.0.1",
        token_file: Annotated[
            Path | None, typer.Option(help="File for the join token; else standard output.")
        ] = None,
        as_json: AsJson = False,
    ) -> None:
        """Name a data node, or one again, and make its one-time join token."""
        from flight_member.nodeadding import add_node
        from flight_member.profiles import write_private

        with reported_errors():
            token, expires_at = add_node(open_home(directory), name, host)
            row = {"node": token.member, "expires_at": expires_at.isoformat(timespec="seconds")}
            if token_file is not None:
                write_private(token_file, token.text + "\n")
                shown = {**row, "join_token": str(token_file)}
                print_rows([shown], list(shown), as_json=as_json)
            elif as_json:
                print_rows([{**row, "join_token": token.text}], [], as_json=True)
            else:
                # The token alone on standard output, so that it can be piped to the node.
                sys.stdout.write(token.text + "\n")
                console.stderr = True
                console.print(f"valid once, until {row['expires_at']}", highlight=False)

    @app.command("remove", epilog="Example: flight-member node remove n1 --dir hangzhou")
    def remove(name: NodeName, directory: Path = place) -> None:
        """Forget a data node: what it says counts no more, and it serves no more."""
        from flight_member.nodeadding import remove_node

        with reported_errors():
            remove_node(open_home(directory), name)
            console.print(f"removed {name}", highlight=False)

    app.command(
        "serve",
        epilog="Example: flight-member node serve --dir n1 --token-file n1.join "
        "--controller grpc+tls://10.0.0.7:32011",
    )(_serve)
    return app


def show_nodes(client: "Client", request: "NodesRequest", *, as_json: bool) -> None:
    """Have a controller carry out a request, and print its nodes."""
    from flight_member.nodeprotocol import NODES, NodesReply

    reply = NodesReply.read(client.action(NODES, request.write()))
    rows = [
        {
            **one.model_dump(),
            "heard_at": None
            if one.heard_at is None
            else datetime.fromtimestamp(one.heard_at, UTC).isoformat(timespec="seconds"),
        }
        for one in reply.nodes
    ]
    print_rows(rows, _COLUMNS, as_json=as_json)


def nodes(profile: ProfileFile = None, as_json: AsJson = False) -> None:
    """List the data nodes of the profile's home cluster, as its controller sees them now."""
    from flight_member.nodeprotocol import NodesRequest

    with reported_errors(), connect(find_profile(profile), at_home=True) as client:
        show_nodes(client, NodesRequest(), as_json=as_json)


def drain(name: NodeName, profile: ProfileFile = None, as_json: AsJson = False) -> None:
    """Have a data node take no new work, and leave once what runs has ended."""
    from flight_member.nodeprotocol import NodesRequest

    with reported_errors(), connect(find_profile(profile), at_home=True) as client:
        request = NodesRequest(action=NodesRequest.DRAIN, node=name.lower())
        show_nodes(client, request, as_json=as_json)


def _serve(
    directory: Annotated[
        Path, typer.Option("--dir", help="The node's own state directory; made when missing.")
    ],
    controller: Annotated[
        str | None, typer.Option(help="Where the controller answers; else as the token says.")
    ] = None,
    token_file: Annotated[
        Path | None,
        typer.Option(help="File with the join token, - for standard input; for the first time."),
    ] = None,
    config: Config = None,
    host: ListenHost = None,
    port: ListenPort = None,
    with_parent: WithParent = False,
) -> None:
    """Run a data node until Ctrl-C, SIGTERM, or until it was drained."""
    with collecting_nothing():
        from flight_member.nodestarting import serve_node
    with reported_errors():
        serve_node(
            directory,
            config,
            {"server.host": host, "server.port": port},
            controller=controller,
            token_file=token_file,
            with_parent=with_parent,
        )
