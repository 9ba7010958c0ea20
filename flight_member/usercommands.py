"""The commands `user …` of both programs."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flight_member.errors import ConfigurationError
from flight_member.options import AsJson
from flight_member.terminal import console, print_rows, read_secret, reported_errors

if TYPE_CHECKING:
    from flight_member.users import UserDesk

Name = Annotated[str, typer.Argument(help="The user's name, without the cluster.")]
PasswordFile = Annotated[
    Path | None, typer.Option(help="File with the password; else it is asked for.")
]
Groups = Annotated[list[str] | None, typer.Option("--group", help="A group; repeat for more.")]
Admin = Annotated[bool, typer.Option("--admin", help="An administrator here.")]
_COLUMNS = ["user", "groups", "admin", "locked", "changed_at"]


def user_commands(
    program: str, example_dir: str, here: Path, open_desk: Callable[[Path], "UserDesk"]
) -> typer.Typer:
    """Return the commands that change a cluster's own users.

    Args:
        program: The command's first word, for the examples.
        example_dir: A state directory, for the examples.
        here: The state directory where none is given.
        open_desk: Opens the desk of a state directory.
    """
    app = typer.Typer(help="The cluster's own users.", no_args_is_help=True)
    place = typer.Option(here, "--dir", help="The cluster's state directory.")

    def example(arguments: str) -> str:
        return f"Example: {program} user {arguments} --dir {example_dir}"

    @app.command("list", epilog=example("list"))
    def show(directory: Path = place, as_json: AsJson = False) -> None:
        """List the users; the passwords' hashes are shown to nobody."""
        with reported_errors():
            desk = open_desk(directory)
            rows = [
                {
                    "user": f"{user.name}@{desk.cluster}",
                    "groups": " ".join(sorted(user.groups)),
                    "admin": user.is_admin,
                    "locked": user.is_locked,
                    "changed_at": user.changed_at,
                }
                for user in desk.all()
            ]
            print_rows(rows, _COLUMNS, as_json=as_json)

    @app.command("remove", epilog=example("remove user1"))
    def remove(name: Name, directory: Path = place) -> None:
        """Remove a user, with everything that was allowed to them."""
        with reported_errors():
            _say("removed", open_desk(directory).remove(name))

    @app.command("password", epilog=example("password user1"))
    def password(name: Name, directory: Path = place, password_file: PasswordFile = None) -> None:
        """Give a user another password; they sign in again."""
        with reported_errors():
            desk = open_desk(directory)
            secret = read_secret(password_file, "new password")
            _say("new password for", desk.set_password(name, secret))

    @app.command("lock", epilog=example("lock user1"))
    def lock(name: Name, directory: Path = place) -> None:
        """Lock a user out; their tokens stop counting."""
        with reported_errors():
            _say("locked", open_desk(directory).set_locked(name, is_locked=True))

    @app.command("unlock", epilog=example("unlock user1"))
    def unlock(name: Name, directory: Path = place) -> None:
        """Let a locked user sign in again."""
        with reported_errors():
            _say("unlocked", open_desk(directory).set_locked(name, is_locked=False))

    @app.command("groups", epilog=example("groups user1 analysts traders"))
    def groups(
        name: Name,
        group: Annotated[list[str] | None, typer.Argument(help="All of their groups.")] = None,
        none: Annotated[bool, typer.Option("--none", help="Take them out of every group.")] = False,
        directory: Path = place,
    ) -> None:
        """Put a user into exactly these groups; they sign in again."""
        with reported_errors():
            if bool(group) == none:
                raise ConfigurationError(["name the groups, all of them, or give --none"])
            _say("changed the groups of", open_desk(directory).set_groups(name, group or ()))

    return app


def add_user(
    desk: "UserDesk",
    name: str,
    password_file: Path | None,
    *,
    groups: list[str] | None,
    is_admin: bool,
    readable: list[str] | None = None,
) -> None:
    """Add a user with a password from a file, a prompt or standard input."""
    password = read_secret(password_file, "password")
    added = desk.add(
        name, password, groups=groups or (), is_admin=is_admin, readable=readable or ()
    )
    _say("added", added)


def _say(done: str, user: object) -> None:
    console.print(f"{done} {user}", highlight=False)
