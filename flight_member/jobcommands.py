"""The command `jobs` of both programs: what runs and what ran, and how it is cancelled."""

import json
import sys
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flight_member.errors import ConfigurationError
from flight_member.jobrows import JobState
from flight_member.options import AsJson, ProfileFile
from flight_member.querycommand import connect, find_profile
from flight_member.terminal import console, json_value, print_arrow, print_rows, reported_errors

if TYPE_CHECKING:
    from flight_sql import Client

_SHOWN = (
    "job_id",
    "user_name",
    "cluster_name",
    "kind",
    "state",
    "received_at",
    "elapsed_s",
    "row_count",
    "byte_count",
    "parts",
    "error_code",
)
# So that an id can be read, and copied, in a terminal of 80 columns.
_SHOWN_IN_LITTLE_ROOM = ("job_id", "user_name", "state", "elapsed_s")
_MUCH_ROOM = 140
# Of a job that is followed, a change of one of these is news.
_NEWS = ("state", "row_count", "parts_done")
Row = Mapping[str, Any]

Follow = Annotated[bool, typer.Option("--follow", help="Go on: show what changes, until Ctrl-C.")]
EverySeconds = Annotated[float, typer.Option("--every", min=0.1, help="Seconds between looks.")]
OfUser = Annotated[str | None, typer.Option("--user", help="Only those of user@cluster.")]
OnCluster = Annotated[str | None, typer.Option("--cluster", help="Only those on this cluster.")]
InState = Annotated[
    list[str] | None, typer.Option("--state", help=f"Only those that are {', '.join(JobState)}.")
]
JobId = Annotated[str, typer.Argument(help="The id that `jobs` shows.")]


def job_commands(program: str, *, at_home: bool) -> typer.Typer:
    """Return the command `jobs` of a program.

    Args:
        program: What the program is called.
        at_home: Ask the home cluster of the profile, and not the MoM.
    """
    app = typer.Typer(invoke_without_command=True)

    @app.callback(epilog=f"Example: {program} jobs --state running --state queued --follow")
    def jobs(
        context: typer.Context,
        user: OfUser = None,
        cluster: OnCluster = None,
        state: InState = None,
        follow: Follow = False,
        every: EverySeconds = 2.0,
        profile: ProfileFile = None,
        as_json: AsJson = False,
    ) -> None:
        """Show what runs and what ran: your own; administrators see what they administer."""
        if context.invoked_subcommand is not None:
            return
        with reported_errors(), connect(find_profile(profile), at_home=at_home) as client:
            sql = "SHOW JOBS" + (f" FOR {_user(user)}" if user else "")
            states = _states(state or ())
            if not follow:
                _print(_asked(client, sql, cluster, states), as_json=as_json)
                return
            _follow(client, sql, cluster, states, every_s=every, as_json=as_json)

    @app.command("cancel", epilog=f"Example: {program} jobs cancel nightly-report-17")
    def cancel(job_id: JobId, profile: ProfileFile = None, as_json: AsJson = False) -> None:
        """End a statement that runs or is queued, wherever it does."""
        with reported_errors(), connect(find_profile(profile), at_home=at_home) as client:
            sql = f"CANCEL JOB '{_quotable(job_id)}'"
            print_arrow(client.query(sql).read_all(), as_json=as_json)

    return app


def _asked(
    client: "Client", sql: str, cluster: str | None, states: frozenset[str]
) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = client.query(sql).read_all().to_pylist()
    return [
        row
        for row in rows
        if cluster in {None, row["cluster_name"]} and (not states or row["state"] in states)
    ]


def _follow(
    client: "Client",
    sql: str,
    cluster: str | None,
    states: frozenset[str],
    *,
    every_s: float,
    as_json: bool,
) -> None:
    """Show jobs, and then again and again those of which there is news; ends with Ctrl-C."""
    known: dict[tuple[Any, ...], tuple[Any, ...]] = {}
    try:
        while True:
            news = []
            for row in reversed(_asked(client, sql, cluster, states)):
                key = (row["cluster_name"], row["job_id"], row["user_name"], row["received_at"])
                told = tuple(row[name] for name in _NEWS)
                if known.get(key) != told:
                    known[key] = told
                    news.append(row)
            if news and as_json:
                sys.stdout.writelines(json.dumps(row, default=json_value) + "\n" for row in news)
                sys.stdout.flush()
            elif news:
                _print(news, as_json=False)
            time.sleep(every_s)
    except KeyboardInterrupt:
        console.print("", end="")


def _print(rows: Sequence[Row], *, as_json: bool) -> None:
    if as_json:
        print_rows(rows, [], as_json=True)
        return
    shown = [{**row, "parts": _parts(row), "elapsed_s": round(row["elapsed_s"], 2)} for row in rows]
    has_room = console.width >= _MUCH_ROOM
    print_rows(shown, _SHOWN if has_room else _SHOWN_IN_LITTLE_ROOM, as_json=False)


def _parts(row: Row) -> str:
    return "" if row["parts_total"] is None else f"{row['parts_done']}/{row['parts_total']}"


def _states(written: Sequence[str]) -> frozenset[str]:
    unknown = [one for one in written if one not in set(JobState)]
    if unknown:
        raise ConfigurationError([f"--state: {unknown[0]!r} is none of {', '.join(JobState)}"])
    return frozenset(written)


def _user(written: str) -> str:
    return f"'{_quotable(written)}'"


def _quotable(written: str) -> str:
    """Return what may stand between quotes: it can name one thing and say nothing else."""
    if "'" in written or "\\" in written or not written.isprintable():
        raise ConfigurationError([f"{written[:64]!r} is no name and no id; leave quotes out"])
    return written
