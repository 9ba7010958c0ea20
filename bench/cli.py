"""The command `python -m bench`."""

import json
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from bench.federation import PHASES, measure_federation
from bench.federationreport import mark_table, write_mark_plot
from bench.federationresults import federation_json
from bench.federationstate import Sizes
from bench.formreport import form_table, write_form_plot
from bench.forms import form_steps, forms_json, measure_forms
from bench.granting import measure_grants
from bench.grantreport import figure_table, write_figure_plot
from bench.grantresults import grants_json
from bench.grantstate import CLUSTER, GrantState
from bench.limitreport import edge_table, write_edge_plot
from bench.limits import limits_json, measure_limits
from bench.limitstatements import LIMIT_STATEMENTS, LIMIT_TABLES
from bench.lineitem import PLAIN, count_rows, prepare_lineitem
from bench.load import STEPS, TARGETS, measure_load
from bench.loadreport import load_table, write_load_plot
from bench.loadresults import Sizes as LoadSizes
from bench.loadresults import load_json
from bench.metadata import measure_metadata, metadata_steps
from bench.metadatastate import MEMBERS, MetadataState, running_mom
from bench.parallel import measure_parallel, parallel_steps
from bench.planning import measure_planning, planning_steps, prepare_tables
from bench.planreport import timing_table, write_timing_plot
from bench.planresults import timings_json
from bench.plot import write_plot
from bench.progress import shown_steps
from bench.promptness import WORKS, measure_promptness, prompt_steps
from bench.promptstate import PromptFederation
from bench.report import check_table, measurement_table
from bench.results import checks, to_json
from bench.scan import measure_scans, step_count
from bench.scannedfederation import MeasuredFederation
from flight_member.terminal import console, reported_errors

app = typer.Typer(
    name="python -m bench",
    help="How fast: contenders side by side, in one run, with the same client.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

_HERE = Path(__file__).parent
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
DataDirectory = Annotated[Path, typer.Option(help="Where the generated data is kept.")]
ResultsDirectory = Annotated[Path, typer.Option(help="Where the results go.")]
_PLAN_SCALE = 0.01


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
    as_json: AsJson = False,
    data: DataDirectory = _HERE / "data",
    results: ResultsDirectory = _HERE / "results",
) -> None:
    """Read lineitem in four ways from two layouts: alone, from a member, through the MoM."""
    with reported_errors():
        with shown_steps() as steps:
            layouts = prepare_lineitem(data, scale, steps.describe)
            steps.expect(step_count(len(layouts), runs))
            measurements = measure_scans(layouts, runs, steps.advance)
        row_count = count_rows(next(iter(layouts.values())))
        answer = to_json(measurements, scale=scale, runs=runs, row_count=row_count)
        title = f"TPC-H lineitem, {row_count:,} rows: median of {runs} runs"
        plot = partial(write_plot, measurements, title=title)
        _tell(
            results / "scan",
            answer,
            plot,
            measurement_table(measurements),
            check_table(checks(measurements)),
            as_json=as_json,
        )


@app.command(epilog="Example: python -m bench forms --scale 1 --runs 5")
def forms(
    scale: Annotated[float, typer.Option(min=0.001, help="TPC-H's scale; 1: 6 M rows.")] = 1,
    runs: Annotated[int, typer.Option(min=1, help="Timed runs of each form.")] = 5,
    as_json: AsJson = False,
    data: DataDirectory = _HERE / "data",
    results: ResultsDirectory = _HERE / "results",
) -> None:
    """Read lineitem in the forms that clients may choose: safe or native types, compressed."""
    with reported_errors():
        with shown_steps() as steps:
            layouts = prepare_lineitem(data, scale, steps.describe)
            steps.expect(form_steps(runs))
            found = measure_forms(PLAIN, layouts[PLAIN], runs, steps.advance)
        answer = forms_json(found, scale=scale, runs=runs)
        title = f"TPC-H lineitem, {found[0].row_count:,} rows: median of {runs} runs"
        plot = partial(write_form_plot, found, title=title)
        _tell(results / "forms", answer, plot, form_table(found), as_json=as_json)


@app.command(epilog="Example: python -m bench parallel --nodes 2 --scale 1 --runs 5")
def parallel(
    nodes: Annotated[int, typer.Option(min=1, help="Nodes beside the controller.")] = 2,
    scale: Annotated[float, typer.Option(min=0.001, help="TPC-H's scale; 1: 6 M rows.")] = 1,
    runs: Annotated[int, typer.Option(min=2, help="Timed runs of each route.")] = 5,
    as_json: AsJson = False,
    data: DataDirectory = _HERE / "data",
    results: ResultsDirectory = _HERE / "results",
) -> None:
    """Read lineitem from one node, and in parts from all of them at once."""
    with reported_errors(), tempfile.TemporaryDirectory(prefix="flight-mom-bench-") as directory:
        with shown_steps() as steps:
            location = prepare_lineitem(data, scale, steps.describe)[PLAIN]
            steps.expect(parallel_steps(runs))
            timings = measure_parallel(PLAIN, location, Path(directory), nodes, runs, steps.advance)
        rows = count_rows(location)
        answer = timings_json("parallel", timings, runs=runs, rows=rows, nodes=nodes + 1)
        title = f"TPC-H lineitem, {rows:,} rows, from one of {nodes + 1} nodes or all: {runs} runs"
        plot = partial(write_timing_plot, timings, title=title)
        _tell(results / "parallel", answer, plot, timing_table(timings), as_json=as_json)


@app.command(epilog="Example: python -m bench plan --runs 300")
def plan(
    runs: Annotated[int, typer.Option(min=2, help="Timed runs of each contender.")] = 300,
    as_json: AsJson = False,
    data: DataDirectory = _HERE / "data",
    results: ResultsDirectory = _HERE / "results",
) -> None:
    """Plan statements of 1 KiB at first sight and again: in this process, and asked of a MoM."""
    with reported_errors(), tempfile.TemporaryDirectory(prefix="flight-mom-bench-") as directory:
        with shown_steps(planning_steps(runs)) as steps:
            at = Path(directory)
            tables = prepare_tables(prepare_lineitem(data, _PLAN_SCALE)[PLAIN], at)
            federation = MeasuredFederation(at / "federation", tables)
            with federation.running(), federation.visitor_client() as client:
                timings = measure_planning(tables, client, runs, steps.advance)
        answer = timings_json("plan", timings, runs=runs)
        title = f"planning a statement of about 1 KiB: {runs} runs"
        plot = partial(write_timing_plot, timings, title=title)
        _tell(results / "plan", answer, plot, timing_table(timings), as_json=as_json)


@app.command(epilog="Example: python -m bench grants --grants 1000000 --clusters 1000")
def grants(
    grants: Annotated[int, typer.Option(min=100, help="Grants in all.")] = 1_000_000,
    clusters: Annotated[int, typer.Option(min=10, help="Members, of 50 users each.")] = 1_000,
    decisions: Annotated[int, typer.Option(min=2, help="Timed decisions.")] = 100_000,
    changes: Annotated[int, typer.Option(min=2, help="Timed statements.")] = 200,
    as_json: AsJson = False,
    results: ResultsDirectory = _HERE / "results",
) -> None:
    """Start, decide and change with very many grants, at a MoM with its database on the disk."""
    with reported_errors(), tempfile.TemporaryDirectory(prefix="flight-mom-bench-") as directory:
        state = GrantState(clusters, grants)
        with shown_steps(state.steps + 3) as steps:
            figures = measure_grants(
                state, Path(directory) / CLUSTER, decisions, changes, steps.advance
            )
        answer = grants_json(figures, clusters=clusters, grants=grants)
        title = f"{grants:,} grants over {clusters:,} clusters"
        plot = partial(write_figure_plot, figures, title=title)
        _tell(results / "grants", answer, plot, figure_table(figures), as_json=as_json)


@app.command(epilog="Example: python -m bench metadata --tables 100000 --runs 200")
def metadata(
    tables: Annotated[int, typer.Option(min=1000, help="Tables in all.")] = 100_000,
    runs: Annotated[int, typer.Option(min=20, help="Timed runs of each command.")] = 200,
    as_json: AsJson = False,
    results: ResultsDirectory = _HERE / "results",
) -> None:
    """Ask a MoM for metadata as BI tools do, seeing a few of very many tables, or all."""
    with reported_errors(), tempfile.TemporaryDirectory(prefix="flight-mom-bench-") as directory:
        state, at = MetadataState.of(tables), Path(directory) / "mom"
        with shown_steps(MEMBERS + metadata_steps(runs)) as steps:
            state.make(at, steps.advance)
            with running_mom(at) as uri:
                timings = measure_metadata(state, uri, runs, steps.advance)
        answer = timings_json("metadata", timings, runs=runs, tables=tables)
        title = f"metadata of {tables:,} tables, asked of a MoM: {runs} runs"
        plot = partial(write_timing_plot, timings, title=title)
        _tell(results / "metadata", answer, plot, timing_table(timings), as_json=as_json)


@app.command(epilog="Example: python -m bench federation --members 1000 --tables 1000")
def federation(
    members: Annotated[int, typer.Option(min=1, help="Simulated members.")] = 1_000,
    nodes: Annotated[int, typer.Option(min=1, help="Nodes of each.")] = 10,
    tables: Annotated[int, typer.Option(min=1, help="Tables of each.")] = 1_000,
    changes: Annotated[
        int, typer.Option(min=0, help="Members that report a changed table in each interval.")
    ] = 10,
    interval: Annotated[float, typer.Option(min=0.5, help="Seconds between two beats.")] = 5,
    seconds: Annotated[int, typer.Option(min=2, help="How long beats are watched.")] = 60,
    runs: Annotated[int, typer.Option(min=2, help="Timed statements and listings.")] = 200,
    away: Annotated[
        float, typer.Option(min=0, help="Seconds that the MoM is away before all come back.")
    ] = 20,
    as_json: AsJson = False,
    results: ResultsDirectory = _HERE / "results",
) -> None:
    """Run a MoM with very many members that beat and report, and ask it statements meanwhile."""
    sizes = Sizes(members, nodes, tables, changes, interval)
    with reported_errors(), tempfile.TemporaryDirectory(prefix="flight-mom-bench-") as directory:
        with shown_steps(PHASES) as steps:
            marks = measure_federation(
                Path(directory), sizes, seconds, runs, away, steps.describe, steps.advance
            )
        answer = federation_json(marks, sizes, seconds=seconds, runs=runs)
        title = f"{members:,} members with {nodes:,} nodes and {tables:,} tables each"
        plot = partial(write_mark_plot, marks, title=title)
        _tell(results / "federation", answer, plot, mark_table(marks), as_json=as_json)


@app.command(epilog="Example: python -m bench promptness --runs 20")
def promptness(
    work: Annotated[
        list[str] | None, typer.Option(help="A work to cancel; without it, all of them.")
    ] = None,
    runs: Annotated[int, typer.Option(min=2, help="How often each is timed.")] = 20,
    as_json: AsJson = False,
    results: ResultsDirectory = _HERE / "results",
) -> None:
    """Cancel statements until their engine is idle, and change tables until the MoM knows."""
    unknown = [each for each in work or () if each not in WORKS]
    if unknown:
        raise typer.BadParameter(f"{unknown[0]!r} is none of: {', '.join(WORKS)}")
    with reported_errors(), tempfile.TemporaryDirectory(prefix="flight-mom-bench-") as directory:
        with shown_steps(prompt_steps(runs)) as steps:
            federation = PromptFederation(Path(directory) / "federation")
            with federation.running():
                timings = measure_promptness(federation, work or list(WORKS), runs, steps.advance)
        answer = timings_json("promptness", timings, runs=runs)
        title = f"what is promised within a time: {runs} runs"
        plot = partial(write_timing_plot, timings, title=title)
        _tell(results / "promptness", answer, plot, timing_table(timings), as_json=as_json)


@app.command(epilog="Example: python -m bench load --burst 1000")
def load(
    idle: Annotated[int, typer.Option(min=1, help="Idle connections.")] = 500,
    slow: Annotated[int, typer.Option(min=1, help="Streams of which one batch is read.")] = 64,
    burst: Annotated[int, typer.Option(min=4, help="Statements at once, of one user.")] = 1_000,
    runs: Annotated[int, typer.Option(min=2, help="Small statements in each phase.")] = 200,
    server: Annotated[
        list[str] | None, typer.Option(help="The server to measure; without it, both.")
    ] = None,
    as_json: AsJson = False,
    results: ResultsDirectory = _HERE / "results",
) -> None:
    """Put a member and a MoM under load, and time what they answer and what they refuse."""
    targets = server or TARGETS
    unknown = [each for each in targets if each not in TARGETS]
    if unknown:
        raise typer.BadParameter(f"{unknown[0]!r} is none of: {', '.join(TARGETS)}")
    sizes = LoadSizes(idle, slow, burst, runs)
    with reported_errors(), tempfile.TemporaryDirectory(prefix="flight-mom-bench-") as directory:
        with shown_steps(STEPS * len(targets)) as steps:
            loaded = measure_load(Path(directory), targets, sizes, steps.describe, steps.advance)
        answer = load_json(loaded, sizes)
        title = f"{idle:,} idle connections, {slow:,} slow readers, {burst:,} statements at once"
        plot = partial(write_load_plot, loaded, title=title)
        _tell(results / "load", answer, plot, load_table(loaded, sizes), as_json=as_json)


@app.command(epilog="Example: python -m bench limits --kind windows --kind 'IN numbers'")
def limits(
    kind: Annotated[
        list[str] | None, typer.Option(help="A kind of statement; without it, all of them.")
    ] = None,
    as_json: AsJson = False,
    results: ResultsDirectory = _HERE / "results",
) -> None:
    """Plan the largest statements that the limits let through, and those just beyond them."""
    unknown = [each for each in kind or () if each not in LIMIT_STATEMENTS]
    if unknown:
        raise typer.BadParameter(f"{unknown[0]!r} is none of: {', '.join(LIMIT_STATEMENTS)}")
    with reported_errors():
        with shown_steps(len(kind or LIMIT_STATEMENTS) * len(LIMIT_TABLES)) as steps:
            edges = measure_limits(kind or (), steps.advance)
        answer = limits_json(edges)
        plot = partial(write_edge_plot, edges, title="statements at the limits")
        _tell(results / "limits", answer, plot, edge_table(edges), as_json=as_json)


def _tell(
    named: Path,
    answer: dict[str, Any],
    write: Callable[[Path], None],
    *tables: Table,
    as_json: bool,
) -> None:
    """Keep what was measured, and its plot, in files of one name, and print it."""
    named.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(answer, indent=2) + "\n"
    file = named.with_suffix(".json")
    file.write_text(text, "utf-8")
    write(named.with_suffix(".png"))
    if as_json:
        sys.stdout.write(text)
        return
    console.print(*tables)
    console.print(f"written: {file} and {named.name}.png", highlight=False)
