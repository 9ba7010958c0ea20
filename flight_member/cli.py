"""The command `flight-member`."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flight_member.auditcommands import audit_app
from flight_member.controllercommands import controller_commands, list_command
from flight_member.garbage import collecting_nothing
from flight_member.jobcommands import job_commands
from flight_member.keycommands import key_commands
from flight_member.loadcommand import load_command
from flight_member.nodecommands import drain, node_commands, nodes
from flight_member.options import (
    AsJson,
    Config,
    Format,
    ListenHost,
    ListenPort,
    Output,
    ProfileFile,
    StateDatabase,
    StatementFile,
    WithParent,
    print_settings,
    require_directory,
    settings_in,
)
from flight_member.querycommand import connect, find_profile, read_sql, run_query
from flight_member.tablecommands import place_commands, table_commands
from flight_member.terminal import console, print_rows, read_secret, reported_errors
from flight_member.usercommands import (
    Admin,
    Groups,
    Name,
    PasswordFile,
    add_user,
    user_commands,
)
from storage.names import Level

if TYPE_CHECKING:
    from flight_member.configuration import LoadedSettings
    from flight_member.memberhome import MemberHome
    from flight_member.settings import MemberSettings
    from flight_member.statestore import Database
    from flight_member.users import UserDesk

app = typer.Typer(
    name="flight-member",
    help="A member cluster: its tables, its users, its place in a federation.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
Directory = Annotated[Path, typer.Option("--dir", help="The member's state directory.")]
_HERE = Path(".flight-member")


def main() -> None:
    """Run the command."""
    app()


def _load(
    directory: Path, config: Path | None, flags: Mapping[str, object] | None = None
) -> "LoadedSettings[MemberSettings]":
    from flight_member.settings import SETTINGS_FILE, MemberSettings

    return settings_in(MemberSettings, directory, SETTINGS_FILE, config, flags)


def _home(directory: Path, config: Path | None = None) -> "MemberHome":
    from flight_member.memberhome import MemberHome

    require_directory(directory, "flight-member")
    home = MemberHome(_load(directory, config).settings)
    home.load_key()
    return home


def _user_desk(directory: Path) -> "UserDesk":
    from flight_member.users import UserDesk

    return UserDesk(_home(directory))


user_app = user_commands("flight-member", "shanghai", _HERE, _user_desk)
app.add_typer(user_app, name="user")
app.add_typer(table_commands(_HERE, _home), name="table")
for _level in (Level.SCHEMA, Level.CATALOG):
    app.add_typer(place_commands(_level, _HERE, _home), name=_level.value)
app.add_typer(key_commands("flight-member", "shanghai", _HERE, _home), name="keys")
app.add_typer(controller_commands(_HERE, _home), name="controller")
app.command("controllers", epilog="Example: flight-member controllers --dir hangzhou")(
    list_command(_HERE, _home)
)


def _open_database(directory: Path, config: Path | None) -> "Database":
    return _home(directory, config).open_database()


app.add_typer(node_commands(_HERE, _home), name="node")
app.command("nodes", epilog="Example: flight-member nodes --profile chief.json")(nodes)
app.command("drain", epilog="Example: flight-member drain n1 --profile chief.json")(drain)
app.add_typer(job_commands("flight-member", at_home=True), name="jobs")
app.add_typer(audit_app("flight-member", _HERE, _open_database), name="audit")


@app.command(epilog="Example: flight-member init --dir hangzhou --name hangzhou --port 32011")
def init(
    name: Annotated[str, typer.Option(help="The cluster's name in the federation.")],
    directory: Directory = _HERE,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.")] = 32011,
    database: StateDatabase = None,
    tables: Annotated[
        Path | None,
        typer.Option(help="Where managed tables lie, if not in --dir: what all servers share."),
    ] = None,
) -> None:
    """Make a member: its directory, its signing key, its database."""
    from flight_member.memberhome import MemberHome

    with reported_errors():
        flags = {
            "cluster.name": name,
            "server.host": host,
            "server.port": port,
            "state.database": database,
            "tables.directory": str(tables) if tables is not None else None,
        }
        home = MemberHome.create(_load(directory, None, flags).settings)
        console.print(f"{home.settings.cluster.name} is ready in {directory}", highlight=False)
        console.print(f"next: flight-member serve --dir {directory}", highlight=False)


@app.command(epilog="Example: flight-member join --dir hangzhou --token-file hangzhou.join")
def join(
    directory: Directory = _HERE,
    token_file: Annotated[
        Path | None, typer.Option(help="File with the join token; else standard input.")
    ] = None,
) -> None:
    """Join a federation with the one-time token that its administrator made."""
    from flight_member.joining import join_federation

    with reported_errors():
        token = read_secret(token_file, "join token")
        membership = join_federation(_home(directory), token)
        console.print(
            f"joined the federation of {membership.mom} at {membership.uri}", highlight=False
        )


@app.command(epilog="Example: flight-member serve --dir hangzhou")
def serve(
    directory: Directory = _HERE,
    config: Config = None,
    host: ListenHost = None,
    port: ListenPort = None,
    with_parent: WithParent = False,
) -> None:
    """Serve until Ctrl-C or SIGTERM."""
    with reported_errors():
        require_directory(directory, "flight-member")
        flags = {"server.host": host, "server.port": port}
        settings = _load(directory, config, flags).settings
        with collecting_nothing():
            from flight_member.starting import serve_member
        serve_member(settings, with_parent=with_parent)


@user_app.command(
    "add",
    epilog="Example: flight-member user add user1 --dir shanghai --read trading.stock",
)
def user_add(
    name: Name,
    directory: Directory = _HERE,
    password_file: PasswordFile = None,
    group: Groups = None,
    admin: Admin = False,
    read: Annotated[
        list[str] | None,
        typer.Option(help="What they may read here: a table, schema, catalog, or '*' for all."),
    ] = None,
) -> None:
    """Add a user; without --read they can sign in and read nothing here."""
    with reported_errors():
        desk = _user_desk(directory)
        add_user(desk, name, password_file, groups=group, is_admin=admin, readable=read)


app.command(
    "load",
    epilog="Example: flight-member load trading.stock.quote 'quotes-*.csv' --dir shanghai "
    "--partition-by trading_day",
)(load_command(_HERE, _home))


@app.command(
    epilog="Example: flight-member attach aviation.nyc.flights /data/flights --dir hangzhou"
)
def attach(
    table: Annotated[str, typer.Argument(help="catalog.schema.table to make.")],
    location: Annotated[
        str, typer.Argument(help="Directory of Hive-partitioned Parquet, or s3://bucket/prefix.")
    ],
    directory: Directory = _HERE,
) -> None:
    """Make a table of Parquet files that stay where they are; see the settings under tables."""
    from flight_member.tables import TableDesk

    with reported_errors():
        attached = TableDesk.open(_home(directory)).attach(table, location)
        console.print(
            f"attached {attached.name}: {attached.row_count:,} rows in "
            f"{attached.file_count} files, partitioned by "
            f"{', '.join(attached.partition_columns) or 'nothing'}",
            highlight=False,
        )


@app.command(epilog="Example: flight-member tables --dir hangzhou --json")
def tables(directory: Directory = _HERE, as_json: AsJson = False) -> None:
    """List the member's own tables."""
    from flight_member.tables import TableDesk

    with reported_errors():
        rows = [
            {
                "table": table.name.local,
                "rows": table.row_count,
                "bytes": table.byte_count,
                "files": table.file_count,
                "partitioned_by": ", ".join(table.partition_columns),
            }
            for table in TableDesk.open(_home(directory)).all()
        ]
        print_rows(rows, ["table", "rows", "bytes", "files", "partitioned_by"], as_json=as_json)


@app.command(
    epilog="Example: flight-member query --profile user1.json "
    "'select count(*) from trading.stock.quote'"
)
def query(
    statement: Annotated[str | None, typer.Argument(help="The statement.")] = None,
    file: StatementFile = None,
    profile: ProfileFile = None,
    kind: Format = "table",
    output: Output = None,
    as_json: AsJson = False,
) -> None:
    """Ask the home cluster of a profile."""
    with reported_errors():
        sql = read_sql(statement, file)
        with connect(find_profile(profile), at_home=True) as client:
            run_query(client, sql, "json" if as_json else kind, output)


@app.command("check-config", epilog="Example: flight-member check-config --dir hangzhou")
def check_config(
    directory: Directory = _HERE, config: Config = None, as_json: AsJson = False
) -> None:
    """Print every effective setting and where it comes from; list every fault."""
    with reported_errors():
        print_settings(_load(directory, config), as_json=as_json)
