"""The commands on grants, and on who may read what: `flight-mom grant`, `readers` and others."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from flight_member.options import AsJson, ProfileFile
from flight_member.querycommand import connect, find_profile
from flight_member.terminal import print_rows, reported_errors, working
from flight_mom.asking import ask

app = typer.Typer()
grants_app = typer.Typer(invoke_without_command=True)
app.add_typer(grants_app, name="grants")

Until = Annotated[str | None, typer.Option(help="When it ends by itself, as 2027-01-01T00:00:00Z.")]


@app.command(
    epilog="Example: flight-mom grant TABLE_READ aviation.nyc.flights@hangzhou user1@shanghai"
)
def grant(
    privilege: Annotated[str, typer.Argument(help="TABLE_READ, SCHEMA_READ or CATALOG_READ")],
    securable: Annotated[str, typer.Argument(help="What: catalog.schema.table@cluster")],
    principal: Annotated[str, typer.Argument(help="user@cluster or 'GROUP group@cluster'")],
    until: Until = None,
    profile: ProfileFile = None,
    as_json: AsJson = False,
) -> None:
    """Allow a user or group to read."""
    from flight_mom.grantcommands import change_statement

    with reported_errors():
        sql = change_statement("GRANT", privilege, securable, principal, until)
    ask(sql, profile, as_json=as_json)


@app.command(epilog="Example: flight-mom deny SCHEMA_READ aviation.nyc@hangzhou user1@shanghai")
def deny(
    privilege: Annotated[str, typer.Argument(help="TABLE_READ, SCHEMA_READ or CATALOG_READ")],
    securable: Annotated[str, typer.Argument(help="What: catalog.schema.table@cluster")],
    principal: Annotated[str, typer.Argument(help="user@cluster or 'GROUP group@cluster'")],
    until: Until = None,
    profile: ProfileFile = None,
    as_json: AsJson = False,
) -> None:
    """Forbid a user or group to read, whatever else allows it."""
    from flight_mom.grantcommands import change_statement

    with reported_errors():
        sql = change_statement("DENY", privilege, securable, principal, until)
    ask(sql, profile, as_json=as_json)


@app.command(epilog="Example: flight-mom revoke SCHEMA_READ aviation.nyc@hangzhou user1@shanghai")
def revoke(
    privilege: Annotated[str, typer.Argument(help="TABLE_READ, SCHEMA_READ or CATALOG_READ")],
    securable: Annotated[str, typer.Argument(help="What: catalog.schema.table@cluster")],
    principal: Annotated[str, typer.Argument(help="user@cluster or 'GROUP group@cluster'")],
    profile: ProfileFile = None,
    as_json: AsJson = False,
) -> None:
    """Take a grant or a denial back."""
    from flight_mom.grantcommands import change_statement

    with reported_errors():
        sql = change_statement("REVOKE", privilege, securable, principal)
    ask(sql, profile, as_json=as_json)


@grants_app.callback(epilog="Example: flight-mom grants --for user1@shanghai")
def grants(
    context: typer.Context,
    principal: Annotated[str | None, typer.Option("--for", help="user@cluster")] = None,
    securable: Annotated[
        str | None, typer.Option("--on", help="A table, schema or catalog")
    ] = None,
    profile: ProfileFile = None,
    as_json: AsJson = False,
) -> None:
    """List grants and denials; or apply and export them as a file."""
    from flight_mom.grantcommands import show_grants_statement

    if context.invoked_subcommand is not None:
        return
    with reported_errors():
        sql = show_grants_statement(principal, securable)
    ask(sql, profile, as_json=as_json)


@grants_app.command("apply", epilog="Example: flight-mom grants apply grants.toml --dry-run")
def apply(
    file: Annotated[Path, typer.Argument(help="TOML with [groups] and [[grant]].")],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would change, and change nothing.")
    ] = False,
    prune: Annotated[
        bool, typer.Option("--prune", help="Take away what is not declared as well.")
    ] = False,
    profile: ProfileFile = None,
    as_json: AsJson = False,
) -> None:
    """Make grants and groups what a file declares: all of it in one transaction, or nothing."""
    from flight_mom.declaration import APPLY, ApplyReply, ApplyRequest, read_declaration

    with reported_errors():
        with working(f"reading {file}"):
            declaration = read_declaration(file)
        request = ApplyRequest(declaration=declaration, prune=prune, is_dry_run=dry_run)
        doing = "comparing" if dry_run else "applying"
        with (
            working(f"{doing} {len(declaration.grants):,} grants, in one transaction"),
            connect(find_profile(profile)) as client,
        ):
            reply = ApplyReply.read(client.action(APPLY, request.write()))
        rows = [{"change": one.change, "what": one.what} for one in reply.differences]
        print_rows(rows, ["change", "what"], as_json=as_json)


@grants_app.command("export", epilog="Example: flight-mom grants export --output grants.toml")
def export(
    output: Annotated[
        Path | None, typer.Option(help="File to write; else standard output.")
    ] = None,
    profile: ProfileFile = None,
) -> None:
    """Write all grants and groups as the file that apply reads."""
    from flight_mom.declaration import EXPORT, Declaration, write_declaration

    with reported_errors():
        with connect(find_profile(profile)) as client:
            declaration = Declaration.read(client.action(EXPORT, b""))
        text = write_declaration(declaration)
        if output is None:
            sys.stdout.write(text)
        else:
            output.write_text(text, "utf-8")


@app.command(
    "explain-access",
    epilog="Example: flight-mom explain-access user1@shanghai aviation.nyc.flights@hangzhou",
)
def explain_access(
    principal: Annotated[str, typer.Argument(help="user@cluster")],
    table: Annotated[str, typer.Argument(help="catalog.schema.table@cluster")],
    profile: ProfileFile = None,
    as_json: AsJson = False,
) -> None:
    """Say whether a user may read a table, and which rule decides it."""
    from flight_mom.grantcommands import explain_access_statement

    with reported_errors():
        sql = explain_access_statement(principal, table)
    ask(sql, profile, as_json=as_json)


@app.command(epilog="Example: flight-mom readers aviation.nyc.flights@hangzhou --json")
def readers(
    table: Annotated[str, typer.Argument(help="catalog.schema.table@cluster")],
    profile: ProfileFile = None,
    as_json: AsJson = False,
) -> None:
    """List the users who may read a table, and the rule that lets each."""
    from flight_mom.grantcommands import show_readers_statement

    with reported_errors():
        sql = show_readers_statement(table)
    ask(sql, profile, as_json=as_json)


@app.command(epilog="Example: flight-mom readable user1@shanghai")
def readable(
    user: Annotated[str, typer.Argument(help="user@cluster")],
    profile: ProfileFile = None,
    as_json: AsJson = False,
) -> None:
    """List the tables that a user may read, and the rule that allows each."""
    from flight_mom.grantcommands import show_readable_statement

    with reported_errors():
        sql = show_readable_statement(user)
    ask(sql, profile, as_json=as_json)
