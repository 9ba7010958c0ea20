"""The command `flight-mom`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flight_member.auditcommands import audit_app
from flight_member.garbage import collecting_nothing
from flight_member.jobcommands import job_commands
from flight_member.keycommands import key_commands
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
from flight_member.terminal import (
    console,
    print_rows,
    read_secret,
    reported_errors,
)
from flight_member.usercommands import (
    Admin,
    Groups,
    Name,
    PasswordFile,
    add_user,
    user_commands,
)
from flight_mom.asking import ask
from flight_mom.grantcli import app as grant_app
from flight_mom.groupcli import app as group_app
from flight_mom.replicacli import app as replica_app
from flight_mom.replicacli import replicas

if TYPE_CHECKING:
    from flight_member.configuration import LoadedSettings
    from flight_member.statestore import Database
    from flight_member.users import UserDesk
    from flight_mom.momhome import MomHome
    from flight_mom.settings import MomSettings

app = typer.Typer(
    name="flight-mom",
    help="The Master of Masters: who is in the federation, and who may read what.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
member_app = typer.Typer(help="Change the membership (administrators).", no_args_is_help=True)
app.add_typer(grant_app)
app.add_typer(group_app, name="group")
app.add_typer(member_app, name="member")
app.add_typer(replica_app, name="replica")
app.command(epilog="Example: flight-mom replicas --profile admin.json")(replicas)

Directory = Annotated[Path, typer.Option("--dir", help="The MoM's state directory.")]
_HERE = Path(".flight-mom")
_LOCAL = "grpc://127.0.0.1:32010"


def main() -> None:
    """Run the command."""
    app()


def _load(
    directory: Path, config: Path | None, flags: Mapping[str, object] | None = None
) -> "LoadedSettings[MomSettings]":
    from flight_mom.settings import SETTINGS_FILE, MomSettings

    return settings_in(MomSettings, directory, SETTINGS_FILE, config, flags)


def _open_database(directory: Path, config: Path | None) -> "Database":
    return _home(directory, config).open_database()


app.add_typer(job_commands("flight-mom", at_home=False), name="jobs")
app.add_typer(audit_app("flight-mom", _HERE, _open_database), name="audit")


def _home(directory: Path, config: Path | None = None) -> "MomHome":
    from flight_mom.momhome import MomHome

    require_directory(directory, "flight-mom")
    home = MomHome(_load(directory, config).settings)
    home.load_key()
    return home


def _user_desk(directory: Path) -> "UserDesk":
    from flight_mom.users import MomUserDesk

    return MomUserDesk(_home(directory))


user_app = user_commands("flight-mom", "headquarters", _HERE, _user_desk)
app.add_typer(user_app, name="user")
app.add_typer(key_commands("flight-mom", "headquarters", _HERE, _home), name="keys")


@app.command(epilog="Example: flight-mom init --dir headquarters --name headquarters")
def init(
    directory: Directory = _HERE,
    name: Annotated[str, typer.Option(help="The MoM's own cluster name.")] = "headquarters",
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.")] = 32010,
    database: StateDatabase = None,
) -> None:
    """Make a federation: its id, CA, MoM key and administrator."""
    from flight_mom.momhome import MomHome

    with reported_errors():
        flags = {
            "cluster.name": name,
            "server.host": host,
            "server.port": port,
            "state.database": database,
        }
        home = MomHome.create(_load(directory, None, flags).settings)
        console.print(f"the federation of {name} is ready in {directory}", highlight=False)
        console.print(f"password of admin@{name}: in {home.password_file}", highlight=False)
        console.print(f"next: flight-mom serve --dir {directory}", highlight=False)


@app.command(epilog="Example: flight-mom serve --dir headquarters")
def serve(
    directory: Directory = _HERE,
    config: Config = None,
    host: ListenHost = None,
    port: ListenPort = None,
    with_parent: WithParent = False,
) -> None:
    """Serve until Ctrl-C or SIGTERM."""
    with reported_errors():
        require_directory(directory, "flight-mom")
        flags = {"server.host": host, "server.port": port}
        loaded = _load(directory, config, flags)
        with collecting_nothing():
            from flight_mom.starting import serve_mom
        serve_mom(loaded, with_parent=with_parent)


@app.command(epilog="Example: flight-mom demo --once")
def demo(
    directory: Annotated[Path, typer.Option("--dir", help="Where everything is kept.")] = Path(
        ".demo"
    ),
    port: Annotated[int, typer.Option(help="The MoM's port; 0 takes a free one.")] = 32010,
    once: Annotated[
        bool, typer.Option("--once", help="Play, check every step, stop everything.")
    ] = False,
    attach: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CLUSTER:CATALOG.SCHEMA.TABLE=PARQUET_DIR",
            help="Add an external table of Hive-partitioned Parquet; repeat for more.",
        ),
    ] = None,
    with_parent: WithParent = False,
) -> None:
    """Run a whole federation here, on real data, and play its story."""
    from flight_mom.demo.command import AttachedTable, run_demo

    with reported_errors():
        tables = [AttachedTable.parse(text) for text in attach or ()]
        code = run_demo(directory, port, once=once, attached=tables, with_parent=with_parent)
        raise typer.Exit(code)


@app.command(epilog="Example: flight-mom query --profile user1.json 'show tables'")
def query(
    statement: Annotated[str | None, typer.Argument(help="The statement.")] = None,
    file: StatementFile = None,
    profile: ProfileFile = None,
    kind: Format = "table",
    output: Output = None,
    as_json: AsJson = False,
) -> None:
    """Ask the MoM a statement."""
    with reported_errors():
        sql = read_sql(statement, file)
        with connect(find_profile(profile)) as client:
            run_query(client, sql, "json" if as_json else kind, output)


@app.command(epilog="Example: flight-mom login user1@shanghai --output user1.json")
def login(
    user: Annotated[str, typer.Argument(help="user@cluster")],
    output: Annotated[Path, typer.Option(help="Profile to write, readable by you alone.")],
    uri: Annotated[
        list[str] | None,
        typer.Option(help="The MoM's address; repeat for each replica.  [default: a local one]"),
    ] = None,
    home_uri: Annotated[
        str | None, typer.Option(help="Your own cluster's address; else the MoM's.")
    ] = None,
    tls_root_certs: Annotated[
        Path | None, typer.Option(help="The federation's CA certificate (PEM).")
    ] = None,
    password_file: Annotated[
        Path | None, typer.Option(help="File with the password; else it is asked for.")
    ] = None,
) -> None:
    """Sign in once and keep the session token, not the password, in a profile."""
    from flight_member.profiles import write_profile
    from flight_mom.membercommands import sign_in_profile

    with reported_errors():
        password = read_secret(password_file, "password")
        profile = sign_in_profile(user, password, uri or [_LOCAL], home_uri, tls_root_certs)
        write_profile(output, profile)
        console.print(f"signed in as {user}; profile in {output}", highlight=False)


@app.command(epilog="Example: flight-mom clusters --profile admin.json --json")
def clusters(profile: ProfileFile = None, as_json: AsJson = False) -> None:
    """List the clusters and how they are doing."""
    ask("SHOW CLUSTERS", profile, as_json=as_json)


@app.command(epilog="Example: flight-mom tables --profile user1.json")
def tables(profile: ProfileFile = None, as_json: AsJson = False) -> None:
    """List the tables that you may read."""
    ask("SHOW TABLES", profile, as_json=as_json)


@user_app.command("add", epilog="Example: flight-mom user add auditor --dir headquarters")
def user_add(
    name: Name,
    directory: Directory = _HERE,
    password_file: PasswordFile = None,
    group: Groups = None,
    admin: Admin = False,
) -> None:
    """Add a user of the MoM itself; what they may read is granted as to anybody."""
    with reported_errors():
        desk = _user_desk(directory)
        add_user(desk, name, password_file, groups=group, is_admin=admin)


@member_app.command("add", epilog="Example: flight-mom member add shanghai --host 10.0.0.7")
def member_add(
    cluster: Annotated[str, typer.Argument(help="The member's name.")],
    host: Annotated[
        list[str] | None, typer.Option(help="A host it may answer at; repeat for more.")
    ] = None,
    route: Annotated[str | None, typer.Option(help="relay or direct")] = None,
    token_file: Annotated[
        Path | None, typer.Option(help="File to write the join token to; else it is printed.")
    ] = None,
    profile: ProfileFile = None,
    as_json: AsJson = False,
) -> None:
    """Name a member and make its one-time join token."""
    from flight_member.protocol import MembersRequest
    from flight_mom.membercommands import add_member

    request = MembersRequest(
        action=MembersRequest.ADD, cluster=cluster, hosts=tuple(host or ()), route=route
    )
    with reported_errors(), connect(find_profile(profile)) as client:
        add_member(client, request, token_file, as_json=as_json)


@member_app.command("set", epilog="Example: flight-mom member set hangzhou --route direct")
def member_set(
    cluster: Annotated[str, typer.Argument(help="The member's name.")],
    route: Annotated[str | None, typer.Option(help="relay or direct")] = None,
    host: Annotated[
        list[str] | None, typer.Option(help="Hosts it may answer at; replaces the old ones.")
    ] = None,
    profile: ProfileFile = None,
    as_json: AsJson = False,
) -> None:
    """Change how results travel, or where a member may answer."""
    _change_member("set", cluster, profile, as_json=as_json, route=route, hosts=host or ())


@member_app.command("suspend", epilog="Example: flight-mom member suspend hangzhou")
def member_suspend(
    cluster: Annotated[str, typer.Argument(help="The member's name.")],
    profile: ProfileFile = None,
    as_json: AsJson = False,
) -> None:
    """Make no more tickets for a member."""
    _change_member("suspend", cluster, profile, as_json=as_json)


@member_app.command("resume", epilog="Example: flight-mom member resume hangzhou")
def member_resume(
    cluster: Annotated[str, typer.Argument(help="The member's name.")],
    profile: ProfileFile = None,
    as_json: AsJson = False,
) -> None:
    """Let a suspended member work again."""
    _change_member("resume", cluster, profile, as_json=as_json)


@member_app.command("remove", epilog="Example: flight-mom member remove hangzhou")
def member_remove(
    cluster: Annotated[str, typer.Argument(help="The member's name.")],
    profile: ProfileFile = None,
    as_json: AsJson = False,
) -> None:
    """Take a member out of the federation."""
    _change_member("remove", cluster, profile, as_json=as_json)


@app.command("check-config", epilog="Example: flight-mom check-config --dir headquarters")
def check_config(
    directory: Directory = _HERE, config: Config = None, as_json: AsJson = False
) -> None:
    """Print every effective setting and where it comes from; list every fault."""
    from flight_mom.handlerloading import check_heartbeats

    with reported_errors():
        loaded = _load(directory, config)
        check_heartbeats(loaded)
        print_settings(loaded, as_json=as_json)


def _change_member(
    action: str,
    cluster: str,
    profile: Path | None,
    *,
    as_json: bool,
    route: str | None = None,
    hosts: Sequence[str] = (),
) -> None:
    from flight_member.protocol import MembersRequest
    from flight_mom.membercommands import change_member

    request = MembersRequest(action=action, cluster=cluster, route=route, hosts=tuple(hosts))
    with reported_errors(), connect(find_profile(profile)) as client:
        reply = change_member(client, request)
        rows = [{"cluster": reply.cluster, "state": reply.state}]
        print_rows(rows, ["cluster", "state"], as_json=as_json)
