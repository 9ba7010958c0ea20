"""A scan in parts from several nodes at once, beside the same scan from one of them.

One federation whose member has nodes beside its controller; the same client asks with
`x-route: direct` and with `x-route: parallel`, in turns. Every process is on this machine, so that
what is gained here is bounded by its cores; what is lost shows in the shortest statement.
"""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from bench.adbc import adbc_reader
from bench.errors import RowsDifferError
from bench.planresults import Timing
from bench.reading import time_reading
from bench.scannedfederation import MeasuredFederation, qualified
from bench.statements import FOUR_COLUMNS, STATEMENTS, Statement
from flight_member.errors import StartupError
from flight_member.nodeadding import add_node
from flight_sql import Client

DIRECT: Final = "direct"
PARALLEL: Final = "parallel"
ROUTES = (DIRECT, PARALLEL)
# Next to nothing of one file of several: what it costs to ask several nodes.
SHARED_STATEMENTS = (
    Statement("few rows", "select l_orderkey from {table} where l_orderkey < 100"),
    STATEMENTS[0],
    FOUR_COLUMNS,
)
_KNOWN_WITHIN_S = 60.0
_POLL_S = 0.2


def parallel_steps(runs: int) -> int:
    """Return how often `measure_parallel` reports progress."""
    return len(SHARED_STATEMENTS) * len(ROUTES) * (runs + 1)


def measure_parallel(
    layout: str,
    location: Path,
    directory: Path,
    node_count: int,
    runs: int,
    progress: Callable[[str], None],
) -> list[Timing]:
    """Measure every statement on both routes.

    Args:
        layout: What the table is called.
        location: Where it lies.
        directory: Where the federation is made.
        node_count: How many nodes there are beside the controller.
        runs: How often each route answers with a clock.
        progress: Told what has just been done, `parallel_steps` times.

    Raises:
        RowsDifferError: When the routes do not answer the same number of rows.
        StartupError: When a process does not start, or the MoM does not hear of all nodes.
    """
    federation = MeasuredFederation(directory / "federation", {layout: location})
    names = [f"n{number}" for number in range(1, node_count + 1)]
    with federation.running(), running_nodes(federation, directory, names):
        with federation.visitor_client() as client:
            _wait_for_parts(client, layout, node_count + 1)
        return [
            timing
            for statement in SHARED_STATEMENTS
            for timing in _measure(federation, statement, layout, runs, progress)
        ]


@contextmanager
def running_nodes(
    federation: MeasuredFederation, directory: Path, names: Sequence[str]
) -> Iterator[None]:
    """Run data nodes of the measured member for the time of a `with` block.

    Raises:
        StartupError: When one ends before it serves.
    """
    with ExitStack() as stack:
        for name in names:
            token, _ = add_node(federation.member_home, name, "127.0.0.1")
            token_file = directory / f"{name}.join"
            token_file.write_text(token.text)
            process = subprocess.Popen(  # noqa: S603  our own module
                [
                    *(sys.executable, "-m", "flight_member", "node", "serve", "--with-parent"),
                    *("--dir", str(directory / name), "--port", "0"),
                    *("--controller", federation.member_uri, "--token-file", str(token_file)),
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            stack.enter_context(process)
            # Before it is waited for: what it ends with is the end of its input.
            stack.callback(process.terminate)
            if process.stdout is None or not process.stdout.readline().startswith("serving "):
                raise StartupError(f"the node {name} did not start")
        yield


def _wait_for_parts(client: Client, layout: str, count: int) -> None:
    """Wait until the MoM hands results out in so many parts."""
    until = time.monotonic() + _KNOWN_WITHIN_S
    sql = SHARED_STATEMENTS[0].over(qualified(layout))
    while len(client.get_info(sql, headers=(("x-route", PARALLEL),)).endpoints) != count:
        if time.monotonic() > until:
            raise StartupError("the MoM did not hear of all nodes in time")
        time.sleep(_POLL_S)


def _measure(
    federation: MeasuredFederation,
    statement: Statement,
    layout: str,
    runs: int,
    progress: Callable[[str], None],
) -> Iterator[Timing]:
    sql = statement.over(qualified(layout))
    with ExitStack() as stack:
        readers = {
            route: stack.enter_context(adbc_reader(federation.visitor(route), sql))
            for route in ROUTES
        }
        seconds: Mapping[str, list[float]] = {route: [] for route in ROUTES}
        counts: set[int] = set()
        for run in range(runs + 1):
            for route, reader in readers.items():
                reading = time_reading(reader.batches)
                counts.add(reading.row_count)
                # The first run makes the nodes' folders, and warms everything up.
                if run:
                    seconds[route].append(reading.seconds)
                progress(f"{statement.name}, {route}")
        if len(counts) != 1:
            raise RowsDifferError(f"{statement.name}: the routes returned {sorted(counts)} rows")
    for route in ROUTES:
        yield Timing.of(statement.name, route, seconds[route])
