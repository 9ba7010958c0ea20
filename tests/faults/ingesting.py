"""Rows ingested through ADBC while something fails: all of them or none."""

from collections.abc import Iterator

import adbc_driver_manager
import pyarrow as pa
from adbc_driver_flightsql import DatabaseOptions, dbapi

from flight_sql import RemoteError
from tests.faults.federation import CHIEF, HANGZHOU, LOADED, Federation
from tests.faults.oracle import Oracle

ROWS = 200_000
_BATCH = 10_000
_TIMEOUT_S = "10"


def ingest(federation: Federation, oracle: Oracle) -> None:
    """Ingest rows once, and note whether that was confirmed.

    Raises:
        RemoteError: When it was not.
    """
    options = {
        "username": f"{CHIEF}@{HANGZHOU}",
        "password": federation.password(CHIEF),
        DatabaseOptions.TIMEOUT_UPDATE.value: _TIMEOUT_S,
        DatabaseOptions.TIMEOUT_QUERY.value: _TIMEOUT_S,
        DatabaseOptions.TIMEOUT_FETCH.value: _TIMEOUT_S,
    }
    uri = federation.network.uri(HANGZHOU)
    if uri.startswith("grpc+tls"):
        options[DatabaseOptions.TLS_ROOT_CERTS.value] = federation.certificates.decode()
    catalog, schema, name = LOADED.split(".")
    reader = pa.RecordBatchReader.from_batches(pa.schema([("n", pa.int64())]), _batches())
    oracle.loading += ROWS
    failure: Exception
    try:
        with (
            dbapi.connect(uri, db_kwargs=options, autocommit=True) as connection,
            connection.cursor() as cursor,
        ):
            cursor.adbc_ingest(
                name, reader, mode="append", catalog_name=catalog, db_schema_name=schema
            )
    except adbc_driver_manager.Error as error:
        failure = error
    else:
        oracle.loaded += ROWS
        oracle.loading -= ROWS
        return
    raise RemoteError("cluster-unavailable", "UNAVAILABLE", f"ingest: {failure.status_code.name}")


def _batches() -> Iterator[pa.RecordBatch]:
    for start in range(0, ROWS, _BATCH):
        numbers = pa.array(range(start, start + _BATCH), pa.int64())
        yield pa.record_batch({"n": numbers})
