"""Contender: Flight with nothing behind it; batches that are in memory already go to the wire.

As a program it is the server: it computes the result of one statement once, cut as a member would
cut it, prints `serving URI` and answers every statement with it until standard input ends.
"""

import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import flight

from bench.datafusion_alone import PlainDataFusion
from flight_sql.wire import wire_batches


class ResidentServer(flight.FlightServerBase):  # type: ignore[misc]  # pyarrow ships no types
    """Serves one table, whatever the statement."""

    def __init__(self, table: pa.Table) -> None:
        super().__init__("grpc://127.0.0.1:0")
        self._table = table

    def get_flight_info(self, context: Any, descriptor: Any) -> Any:
        """Answer any statement with one endpoint at this server; it has no metadata."""
        if b"CommandStatementQuery" not in descriptor.command:
            return super().get_flight_info(context, descriptor)
        endpoint = flight.FlightEndpoint(flight.Ticket(b"all"), [])
        return flight.FlightInfo(self._table.schema, descriptor, [endpoint], -1, -1)

    def do_get(self, context: Any, ticket: Any) -> Any:
        """Send the batches, in native code."""
        del context, ticket
        return flight.RecordBatchStream(self._table)


def serve(directory: Path, sql: str) -> None:
    """Compute, then serve until standard input ends."""
    engine = PlainDataFusion(directory, sql)
    schema = engine.arrow_schema
    pieces = [piece for batch in engine.batches() for piece in wire_batches(batch, schema)]
    server = ResidentServer(pa.Table.from_batches(pieces, schema))
    print(f"serving grpc://127.0.0.1:{server.port}", flush=True)
    sys.stdin.read()
    server.shutdown()


if __name__ == "__main__":
    serve(Path(sys.argv[1]), sys.argv[2])
