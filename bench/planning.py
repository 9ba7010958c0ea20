"""The planning benchmark: what a statement costs before it runs, at first sight and again.

Planned in this process, as the MoM does it, beside DataFusion's own planning of the same text on
the same empty tables; then asked of a running MoM, where authority, signing and a round trip come
on top. All take turns, statement by statement, so that whatever else the machine does hits them
alike.
"""

import time
from collections.abc import Callable, Mapping
from itertools import count
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq
from datafusion import SessionConfig, SessionContext
from datafusion.catalog import Catalog, Schema

from bench.errors import UnexpectedStatementError
from bench.lineitem import lineitem_schema
from bench.planresults import Timing
from bench.planstatements import LOWER, MIXED, PLANNED_STATEMENTS, PlannedStatement
from bench.scannedfederation import qualified, table_name
from flight_sql import Client
from planner import Defaults, Query, parse_statement, plan_query
from storage.names import ObjectName

DATAFUSION: Final = "datafusion alone"
PARSED: Final = "parsed, first sight"
FIRST: Final = "planned, first sight"
REPEATED: Final = "planned, repeated"
MOM_FIRST: Final = "GetFlightInfo, first sight"
MOM_REPEATED: Final = "GetFlightInfo, repeated"
PLAN_CONTENDERS = (DATAFUSION, PARSED, FIRST, REPEATED, MOM_FIRST, MOM_REPEATED)

_DEFAULTS = Defaults("shanghai")
_WARM_UPS = 5
_TARGETS_MS = {FIRST: 6.0, REPEATED: 0.2}


def prepare_tables(lineitem: Path, directory: Path) -> Mapping[str, Path]:
    """Return a table with columns in lower case, and one with the same columns capitalised."""
    mixed = directory / MIXED
    mixed.mkdir()
    rows = pq.read_table(next(lineitem.rglob("*.parquet")))
    capitalised = rows.rename_columns([name.title() for name in rows.column_names])
    pq.write_table(capitalised, mixed / "part-0.parquet")
    return {LOWER: lineitem, MIXED: mixed}


def measure_planning(
    layouts: Mapping[str, Path],
    client: Client,
    runs: int,
    progress: Callable[[str], None],
) -> list[Timing]:
    """Measure every statement by every contender.

    Args:
        layouts: The directory of each table of `prepare_tables`.
        client: The visitor's, at the MoM.
        runs: How often each contender is timed.
        progress: Told what has just been done, once for each run.
    """
    schemas = {case: lineitem_schema(directory) for case, directory in layouts.items()}
    numbers = count()
    seconds: dict[tuple[str, str], list[float]] = {}
    for run in range(_WARM_UPS + runs):
        for statement in PLANNED_STATEMENTS:
            contenders = _contenders(statement, schemas[statement.case], client, numbers)
            for name, plan in contenders.items():
                elapsed_s = _timed(plan)
                if run >= _WARM_UPS:
                    seconds.setdefault((statement.name, name), []).append(elapsed_s)
        progress(f"run {run + 1 - _WARM_UPS}" if run >= _WARM_UPS else "warming up")
    return [Timing.of(*key, found, _TARGETS_MS.get(key[1])) for key, found in seconds.items()]


def _timed(plan: Callable[[], object]) -> float:
    started = time.perf_counter()
    plan()
    return time.perf_counter() - started


def _contenders(
    statement: PlannedStatement, schema: pa.Schema, client: Client, numbers: "count[int]"
) -> Mapping[str, Callable[[], object]]:
    """Return what is timed in one run; what is seen for the first time has a number of its own."""
    name = qualified(statement.case)
    known = statement.over(name, 0)
    unseen = [statement.over(name, 1 + next(numbers)) for _ in range(3)]
    bare = statement.over(table_name(statement.case), 0)
    tables = {ObjectName.parse(name): schema}
    return {
        DATAFUSION: lambda: _plan_alone(bare, statement, schema),
        PARSED: lambda: parse_statement(unseen[0], _DEFAULTS),
        FIRST: lambda: _plan(unseen[1], tables),
        REPEATED: lambda: _plan(known, tables),
        MOM_FIRST: lambda: client.get_info(unseen[2]),
        MOM_REPEATED: lambda: client.get_info(known),
    }


def _plan(sql: str, tables: Mapping[ObjectName, pa.Schema]) -> None:
    query = parse_statement(sql, _DEFAULTS)
    if not isinstance(query, Query):
        raise UnexpectedStatementError("only queries are planned here")
    plan_query(query, tables)


def _plan_alone(sql: str, statement: PlannedStatement, schema: pa.Schema) -> None:
    """Plan with nothing but DataFusion; columns in mixed case need their capitals there."""
    names = schema.names if statement.case == LOWER else [name.lower() for name in schema.names]
    empty = pa.RecordBatch.from_pylist([], schema=pa.schema(zip(names, schema.types, strict=True)))
    catalog, of_catalog, table = table_name(statement.case).split(".")
    context = SessionContext(SessionConfig().with_create_default_catalog_and_schema(enabled=False))
    memory = Catalog.memory_catalog()
    context.register_catalog_provider(catalog, memory)
    memory.register_schema(of_catalog, Schema.memory_schema())
    context.register_record_batches(f"{catalog}.{of_catalog}.{table}", [[empty]])
    frame = context.sql(sql)
    frame.optimized_logical_plan()
    frame.schema()


def planning_steps(runs: int) -> int:
    """Return how often `measure_planning` reports progress."""
    return _WARM_UPS + runs
