"""The command `python -m bench`."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from bench.lineitem import count_rows, prepare_lineitem
from bench.plot import write_plot
from bench.report import check_table, measurement_table
from bench.results import checks, to_json
from bench.scan import measure_scans, step_count
from flight_member.terminal import console, errors, reported_errors

app = typer.Typer(
    name="python -m bench",
    help="How fast: contenders side by side, in one run, with the same client.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

_HERE = Path(__file__).parent


def main() -> None:
    """Run the command."""
    app()


@app.callback()
def _bench() -> None:
    """How fast: contenders side by side, in one run, with the same client."""


@app.command(epilog="Example: python -m bench scan --scale 2 --runs 5")
def scan(
    scale: Annotated[float, typer.Option(min=0.001, help="TPC-H's scale; 1: 6 M rows.")] = 2,
    runs: Annotated[int, typer.Option(min=1, help="Timed runs of each contender.")] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
    data: Annotated[Path, typer.Option(help="Where the generated data is kept.")] = _HERE / "data",
    results: Annotated[Path, typer.Option(help="Where the results go.")] = _HERE / "results",
) -> None:
    """Read lineitem in four ways from two layouts: alone, from a member, through the MoM."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with reported_errors():
        with Progress(*columns, console=errors) as progress:
            task = progress.add_task("preparing", total=None)
            layouts = prepare_lineitem(
                data, scale, lambda text: progress.update(task, description=text)
            )
            progress.update(task, total=step_count(len(layouts), runs))
            measurements = measure_scans(
                layouts, runs, lambda text: progress.update(task, description=text, advance=1)
            )
        row_count = count_rows(next(iter(layouts.values())))
        answer = to_json(measurements, scale=scale, runs=runs, row_count=row_count)
        results.mkdir(parents=True, exist_ok=True)
        (results / "scan.json").write_text(json.dumps(answer, indent=2) + "\n", "utf-8")
        title = f"TPC-H lineitem, {row_count:,} rows: median of {runs} runs"
        write_plot(measurements, results / "scan.png", title)
        if as_json:
            sys.stdout.write(json.dumps(answer, indent=2) + "\n")
            return
        console.print(measurement_table(measurements), check_table(checks(measurements)))
        console.print(f"written: {results / 'scan.json'} and scan.png", highlight=False)
