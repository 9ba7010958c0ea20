"""A client that begins to ingest and goes on for ever, until it is killed.

Run as a process: URI, user and password, table and mode are its arguments.
"""

import sys
import time
from collections.abc import Iterator

import pyarrow as pa
from adbc_driver_flightsql import dbapi

_ROWS = pa.record_batch({"number": pa.array(range(10_000), pa.int64())})
# More than what waits on the way.
_AHEAD = 20


def batches() -> Iterator[pa.RecordBatch]:
    """Yield batches, then tell that some are sent, and more of them for ever."""
    for number in range(100_000):
        yield _ROWS
        if number == _AHEAD:
            sys.stdout.write("sent\n")
            sys.stdout.flush()
        if number > _AHEAD:
            time.sleep(0.05)


def main() -> None:
    """Ingest into a table until somebody kills this process."""
    uri, user, password, table, mode = sys.argv[1:]
    sign_in = {"username": user, "password": password}
    catalog, schema, name = table.split(".")
    reader = pa.RecordBatchReader.from_batches(_ROWS.schema, batches())
    with dbapi.connect(uri, db_kwargs=sign_in, autocommit=True) as connection:
        cursor = connection.cursor()
        cursor.adbc_ingest(
            name,
            reader,
            mode=mode,  # type: ignore[arg-type]  # one of the four
            catalog_name=catalog,
            db_schema_name=schema,
        )


if __name__ == "__main__":
    main()
