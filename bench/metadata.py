"""The benchmark of metadata: what BI tools ask when they connect, of a MoM with very many tables.

The MoM is a process of its own; every command goes over the wire as clients send it, GetFlightInfo
and DoGet. Callers and commands take turns, so that whatever else the machine does hits them alike.
"""

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any, Final

import pyarrow as pa
from adbc_driver_flightsql import DatabaseOptions, dbapi
from pyarrow import flight

from bench.errors import RowsDifferError
from bench.metadatastate import FEW, OWNER, READER, MetadataState
from bench.planresults import Timing
from flight_sql.messages import pack, sql_message
from storage.names import SYSTEM_CATALOG, ObjectName

TABLES: Final = "GetTables"
SCHEMAS: Final = "GetTables, with schemas"
ONE: Final = "GetTables, one by name"
CATALOGS: Final = "GetCatalogs"
DB_SCHEMAS: Final = "GetDbSchemas"
OBJECTS: Final = "adbc_get_objects, all"
COMMANDS = (TABLES, SCHEMAS, ONE, CATALOGS, DB_SCHEMAS, OBJECTS)
# Of a hundred thousand tables, schemas are a gigabyte.
COMMANDS_OF_ALL = (TABLES, ONE, CATALOGS, DB_SCHEMAS)
SEES_FEW: Final = f"sees {FEW} tables"
SEES_ALL: Final = "sees all tables"
TARGET_MS: Final = 30.0
_WARM_UPS: Final = 3
_AUTHORIZATION = DatabaseOptions.AUTHORIZATION_HEADER.value


def measure_metadata(
    state: MetadataState, uri: str, runs: int, progress: Callable[[str], None]
) -> list[Timing]:
    """Time every command for both callers.

    Args:
        state: What there is.
        uri: Where the MoM answers.
        runs: How often each command of the caller who sees few is timed; of the other a tenth.
        progress: Told what has just been done, once for each run.
    """
    seconds: dict[tuple[str, str], list[float]] = {}
    with ExitStack() as stack:
        asked = {
            (caller, name): ask
            for caller, user in ((SEES_FEW, READER), (SEES_ALL, OWNER))
            for name, ask in _commands(stack, state, uri, user).items()
            if caller == SEES_FEW or name in COMMANDS_OF_ALL
        }
        for run in range(_WARM_UPS + runs):
            for (caller, name), ask in asked.items():
                if caller == SEES_ALL and run % 10 != _WARM_UPS:
                    continue
                started = time.perf_counter()
                ask()
                if run >= _WARM_UPS:
                    seconds.setdefault((caller, name), []).append(time.perf_counter() - started)
            progress(f"run {run + 1 - _WARM_UPS}" if run >= _WARM_UPS else "warming up")
    return [
        Timing.of(caller, name, found, _target(caller, name))
        for (caller, name), found in sorted(seconds.items(), key=_order)
    ]


def _order(item: tuple[tuple[str, str], Any]) -> tuple[bool, int]:
    (caller, name), _ = item
    return caller == SEES_ALL, COMMANDS.index(name)


def _target(caller: str, name: str) -> float | None:
    return TARGET_MS if caller == SEES_FEW and name in {TABLES, SCHEMAS} else None


def metadata_steps(runs: int) -> int:
    """Return how often `measure_metadata` reports progress."""
    return _WARM_UPS + runs


def _commands(
    stack: ExitStack, state: MetadataState, uri: str, user: str
) -> Mapping[str, Callable[[], object]]:
    """Return what one caller asks, over connections of their own."""
    token = state.token(user)
    asker = _Asker(stack.enter_context(flight.FlightClient(uri)), token)
    options = {_AUTHORIZATION: f"Bearer {token}"}
    connection = stack.enter_context(dbapi.connect(uri, db_kwargs=options, autocommit=True))
    count = FEW if user == READER else state.tables
    one = state.few[FEW // 2]
    return {
        TABLES: lambda: asker.ask_tables(count),
        SCHEMAS: lambda: asker.ask_tables(count, include_schema=True),
        ONE: lambda: asker.ask_tables(1, **_by_name(one)),
        CATALOGS: lambda: asker.ask("CommandGetCatalogs"),
        DB_SCHEMAS: lambda: asker.ask("CommandGetDbSchemas"),
        OBJECTS: lambda: connection.adbc_get_objects(depth="all").read_all(),
    }


class _Asker:
    """Asks metadata commands as drivers do: GetFlightInfo, then DoGet."""

    def __init__(self, client: Any, token: str) -> None:
        self._client = client
        header = (b"authorization", f"Bearer {token}".encode())
        self._options = flight.FlightCallOptions(headers=[header])

    def ask(self, name: str, **fields: Any) -> pa.Table:
        """Return what one command answers."""
        descriptor = flight.FlightDescriptor.for_command(pack(sql_message(name, **fields)))
        info = self._client.get_flight_info(descriptor, self._options)
        return self._client.do_get(info.endpoints[0].ticket, self._options).read_all()

    def ask_tables(self, wanted: int, **fields: Any) -> None:
        """Ask GetTables, and count what it answers.

        Raises:
            RowsDifferError: When it is another number of tables.
        """
        catalogs = self.ask("CommandGetTables", **fields)["catalog_name"].to_pylist()
        # The tables of the federation itself are everybody's.
        found = len(catalogs) - catalogs.count(SYSTEM_CATALOG)
        if found != wanted:
            raise RowsDifferError(f"{found:,} tables were answered and {wanted:,} are there")


def _by_name(table: ObjectName) -> dict[str, Any]:
    """Return the filters with which drivers ask for the columns of one table."""
    return {
        "catalog": f"{table.catalog}@{table.cluster}",
        "db_schema_filter_pattern": table.schema,
        "table_name_filter_pattern": table.table,
        "include_schema": True,
    }
