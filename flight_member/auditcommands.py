"""The command group `audit` of both programs: the log of one server, from its state directory.

It is for whoever operates the server: the database is read directly, while the server runs or not.
"""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, fields
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flight_member.errors import ConfigurationError
from flight_member.options import AsJson, Config, Format, Output
from flight_member.terminal import FAILED, console, errors, print_rows, reported_errors

if TYPE_CHECKING:
    import pyarrow as pa

    from auth import AuditRecord
    from auth.auditstore import AuditStore
    from flight_member.statestore import Database

_SHOWN = ("at", "actor", "source", "action", "object", "allowed", "rule")
_BATCH_ROWS = 10_000

Opener = Callable[[Path, Path | None], "Database"]
Since = Annotated[str | None, typer.Option(help="Only from this time on, as 2027-01-01T00:00:00Z.")]


def audit_app(program: str, directory: Path, open_database: Opener) -> typer.Typer:
    """Return the command group.

    Args:
        program: What the command is called, for the examples.
        directory: The state directory when none is given.
        open_database: Opens the state of a directory, by its settings or other ones.
    """
    app = typer.Typer(help="Read and check the audit log of this server.", no_args_is_help=True)
    at = Annotated[Path, typer.Option("--dir", help="The state directory.")]
    example = f"Example: {program} audit"

    @app.command(epilog=f"{example} show --refused --limit 20")
    def show(
        directory: at = directory,
        config: Config = None,
        limit: Annotated[int, typer.Option(min=1, help="At most so many, the newest.")] = 50,
        actor: Annotated[str | None, typer.Option(help="Only what this user did.")] = None,
        since: Since = None,
        refused: Annotated[bool, typer.Option("--refused", help="Only refusals.")] = False,
        as_json: AsJson = False,
    ) -> None:
        """Show the newest records, the oldest of them first."""
        from auth import AuditRecord

        with reported_errors(), _opened(open_database, directory, config) as store:
            records = store.tail(
                limit, since=_moment(since), actor=actor, allowed=False if refused else None
            )
            names = [field.name for field in fields(AuditRecord)] if as_json else _SHOWN
            print_rows([asdict(record) for record in records], names, as_json=as_json)

    @app.command(epilog=f"{example} export --format parquet --output audit.parquet")
    def export(
        directory: at = directory,
        config: Config = None,
        since: Since = None,
        kind: Format = "csv",
        output: Output = None,
    ) -> None:
        """Write all records, oldest first."""
        from flight_member.auditrows import AUDIT_SCHEMA
        from flight_member.resultwriter import require_format, write_result

        with reported_errors(), _opened(open_database, directory, config) as store:
            require_format(kind, output)
            write_result(AUDIT_SCHEMA, _batches(store.all(since=_moment(since))), kind, output)

    @app.command(epilog=f"{example} verify --anchor 1042:9f86d081884c7d659a2f…")
    def verify(
        directory: at = directory,
        config: Config = None,
        anchor: Annotated[
            str | None,
            typer.Option(
                metavar="NUMBER:DIGEST",
                help="A row noted elsewhere, as the event audit_head of the server's log.",
            ),
        ] = None,
        as_json: AsJson = False,
    ) -> None:
        """Check that no record was changed, removed or put in; ends with 1 when one was."""
        from auth import Anchor

        with reported_errors(), _opened(open_database, directory, config) as store:
            noted = Anchor.parse(anchor) if anchor is not None else None
            with errors.status("walking along the log"):
                found = store.verify(noted)
            result = {
                "is_whole": not found.faults,
                "rows": found.row_count,
                "anchor": str(found.anchor),
                "faults": list(found.faults),
            }
            if as_json:
                print_rows([result], [], as_json=True)
            elif not found.faults:
                records = "record" if found.row_count == 1 else "records"
                console.print(f"whole: {found.row_count:,} {records}", highlight=False)
                console.print(f"anchor: {found.anchor}", highlight=False, soft_wrap=True)
            for fault in found.faults:
                errors.print(f"audit: {fault}", style="red", markup=False, highlight=False)
            if found.faults:
                raise typer.Exit(FAILED)

    return app


@contextmanager
def _opened(open_database: Opener, directory: Path, config: Path | None) -> Iterator["AuditStore"]:
    from auth.auditstore import AuditStore

    with closing(open_database(directory, config)) as database, database.read() as connection:
        yield AuditStore(connection)


def _batches(records: Iterator["AuditRecord"]) -> Iterator["pa.RecordBatch"]:
    import pyarrow as pa

    from flight_member.auditrows import AUDIT_SCHEMA

    while rows := [asdict(record) for record, _ in zip(records, range(_BATCH_ROWS), strict=False)]:
        yield pa.RecordBatch.from_pylist(rows, schema=AUDIT_SCHEMA)


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise ConfigurationError([f"--since {text}: write it as 2027-01-01T00:00:00Z"])
    return moment
