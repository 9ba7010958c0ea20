"""What the forms cost in which rows can travel: types and compression, from a member and relayed.

One federation, one client per form and route; they take turns, run by run, as in `scan`.
"""

import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import pyarrow as pa
from pyarrow import ipc

from bench.adbc import Account, AdbcReader, adbc_reader
from bench.errors import RowsDifferError
from bench.machine import described_machine, measured_now
from bench.reading import time_reading
from bench.scannedfederation import MeasuredFederation, qualified
from bench.statements import FOUR_COLUMNS, Statement

_TEXTS = ("l_returnflag", "l_linestatus", "l_shipinstruct", "l_shipmode")
_ENCODED = ", ".join(f"arrow_cast({name}, 'Dictionary(Int32, Utf8)') as {name}" for name in _TEXTS)
FORM_STATEMENTS = (
    FOUR_COLUMNS,
    Statement("5 texts", f"select {', '.join(_TEXTS)}, l_comment from {{table}}"),
    Statement("4 dictionaries", f"select {_ENCODED} from {{table}}"),
)
SAFE = "safe"
FORMS: Mapping[str, Mapping[str, str]] = {
    SAFE: {},
    "native": {"x-wire": "native"},
    "safe, lz4": {"x-compression": "lz4"},
    "safe, zstd": {"x-compression": "zstd"},
    "native, zstd": {"x-wire": "native", "x-compression": "zstd"},
}
ROUTES = ("member", "relay")


@dataclass(frozen=True, slots=True)
class FormMeasurement:
    """One statement in one form by one route: the median of some runs.

    `byte_count` is what its batches and dictionaries take on the wire, compressed as they are.
    """

    statement: str
    route: str
    form: str
    seconds: float
    byte_count: int
    row_count: int
    run_seconds: tuple[float, ...]


def form_steps(runs: int) -> int:
    """Return how often `measure_forms` reports progress."""
    return len(FORM_STATEMENTS) * len(FORMS) * len(ROUTES) * (runs + 1)


def measure_forms(
    layout: str, location: Path, runs: int, progress: Callable[[str], None]
) -> list[FormMeasurement]:
    """Measure every statement in every form by both routes.

    Raises:
        RowsDifferError: When forms do not return the same number of rows.
        StartupError: When a process does not start.
    """
    found: list[FormMeasurement] = []
    with tempfile.TemporaryDirectory(prefix="flight-mom-bench-") as directory:
        federation = MeasuredFederation(Path(directory), {layout: location})
        with federation.running():
            for statement in FORM_STATEMENTS:
                found += _measure(federation, statement, layout, runs, progress)
    return found


def _measure(
    federation: MeasuredFederation,
    statement: Statement,
    layout: str,
    runs: int,
    progress: Callable[[str], None],
) -> list[FormMeasurement]:
    sql = statement.over(qualified(layout))
    accounts = {"member": federation.owner(), "relay": federation.visitor("relay")}
    cells: dict[tuple[str, str], tuple[AdbcReader, int, list[float]]] = {}
    row_counts: set[int] = set()
    with ExitStack() as stack:
        for route, account in accounts.items():
            for form, headers in FORMS.items():
                asking = _with_headers(account, headers)
                reader = stack.enter_context(adbc_reader(asking, sql))
                cells[route, form] = (reader, _bytes_sent(reader, headers), [])
                progress(f"{statement.name}, {route}, {form}")
        for _ in range(runs):
            for (route, form), (reader, _, seconds) in cells.items():
                reading = time_reading(reader.batches)
                seconds.append(reading.seconds)
                row_counts.add(reading.row_count)
                progress(f"{statement.name}, {route}, {form}")
    if len(row_counts) > 1:
        raise RowsDifferError(f"{statement.name}: forms returned {sorted(row_counts)} rows")
    return [
        FormMeasurement(
            statement=statement.name,
            route=route,
            form=form,
            seconds=median(seconds),
            byte_count=byte_count,
            row_count=max(row_counts),
            run_seconds=tuple(seconds),
        )
        for (route, form), (_, byte_count, seconds) in cells.items()
    ]


def _with_headers(account: Account, headers: Mapping[str, str]) -> Account:
    return replace(account, headers={**account.headers, **headers})


def _bytes_sent(reader: AdbcReader, headers: Mapping[str, str]) -> int:
    """Read all rows once and return what they take, written as the server writes them."""
    options = ipc.IpcWriteOptions(compression=headers.get("x-compression"))
    byte_count = 0
    for batch in reader.batches():
        sink = pa.MockOutputStream()
        with ipc.new_stream(sink, batch.schema, options=options) as writer:
            writer.write_batch(batch)
        byte_count += sink.size()
    return byte_count


def forms_json(found: list[FormMeasurement], *, scale: float, runs: int) -> dict[str, Any]:
    """Return the results with where and when they were measured."""
    return {
        "measured_at": measured_now(),
        "machine": described_machine(),
        "scale": scale,
        "runs": runs,
        "measurements": [asdict(one) for one in found],
    }
