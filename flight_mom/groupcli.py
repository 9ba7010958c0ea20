"""The commands `flight-mom group …`: the federation's own groups."""

from typing import Annotated

import typer

from flight_member.options import AsJson, ProfileFile
from flight_member.terminal import reported_errors
from flight_mom.asking import ask

app = typer.Typer(help="Groups of users of any cluster (administrators).", no_args_is_help=True)

Group = Annotated[str, typer.Argument(help="The group's name.")]
Users = Annotated[list[str], typer.Argument(help="user@cluster; several may be named.")]


@app.command("create", epilog="Example: flight-mom group create traders")
def create(group: Group, profile: ProfileFile = None, as_json: AsJson = False) -> None:
    """Make an empty group, which can hold grants."""
    from flight_mom.grantcommands import group_statement

    with reported_errors():
        sql = group_statement("CREATE", group)
    ask(sql, profile, as_json=as_json)


@app.command("add", epilog="Example: flight-mom group add traders user1@shanghai user2@hangzhou")
def add(group: Group, users: Users, profile: ProfileFile = None, as_json: AsJson = False) -> None:
    """Put users into a group."""
    from flight_mom.grantcommands import group_statement

    with reported_errors():
        sql = group_statement("ADD", group, users)
    ask(sql, profile, as_json=as_json)


@app.command("remove", epilog="Example: flight-mom group remove traders user1@shanghai")
def remove(
    group: Group, users: Users, profile: ProfileFile = None, as_json: AsJson = False
) -> None:
    """Take users out of a group; what it allows them ends within one heartbeat."""
    from flight_mom.grantcommands import group_statement

    with reported_errors():
        sql = group_statement("REMOVE", group, users)
    ask(sql, profile, as_json=as_json)


@app.command("drop", epilog="Example: flight-mom group drop traders")
def drop(group: Group, profile: ProfileFile = None, as_json: AsJson = False) -> None:
    """Forget a group with what it was granted; denials to it stay."""
    from flight_mom.grantcommands import group_statement

    with reported_errors():
        sql = group_statement("DROP", group)
    ask(sql, profile, as_json=as_json)


@app.command("list", epilog="Example: flight-mom group list --json")
def list_groups(profile: ProfileFile = None, as_json: AsJson = False) -> None:
    """List the groups with their members; to others than administrators, the ones they are in."""
    ask("SHOW GROUPS", profile, as_json=as_json)
