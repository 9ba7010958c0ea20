"""Jobs as rows: what SHOW JOBS and `system.federation.jobs` answer, also between servers."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any

import pyarrow as pa

from flight_member.errors import BadRequestError
from flight_member.jobrows import JobKind, JobRow, JobState, Parts

_MOMENT = pa.timestamp("us", "UTC")
JOBS_SCHEMA = pa.schema(
    [
        pa.field("job_id", pa.utf8(), nullable=False),
        pa.field("user_name", pa.utf8(), nullable=False),
        pa.field("cluster_name", pa.utf8(), nullable=False),
        pa.field("node_name", pa.utf8(), nullable=False),
        pa.field("kind", pa.utf8(), nullable=False),
        pa.field("state", pa.utf8(), nullable=False),
        pa.field("received_at", _MOMENT, nullable=False),
        pa.field("started_at", _MOMENT),
        pa.field("ended_at", _MOMENT),
        pa.field("elapsed_s", pa.float64(), nullable=False),
        pa.field("row_count", pa.int64(), nullable=False),
        pa.field("byte_count", pa.int64(), nullable=False),
        pa.field("parts_done", pa.int64()),
        pa.field("parts_total", pa.int64()),
        pa.field("error_code", pa.utf8()),
        pa.field("statement_digest", pa.utf8(), nullable=False),
        pa.field("client", pa.utf8(), nullable=False),
    ]
)
_TEXTS = ("job_id", "user_name", "node_name", "statement_digest", "client", "error_code")
_LONGEST = 320


def jobs_table(rows: Iterable[JobRow], now: datetime) -> pa.Table:
    """Return jobs as rows of `JOBS_SCHEMA`, in their order; it may be empty.

    Args:
        rows: The jobs.
        now: Until when the time of what has not ended is counted.
    """
    told = [_values(row, now) for row in rows]
    columns: Sequence[Sequence[Any]] = list(zip(*told, strict=True)) or [()] * len(JOBS_SCHEMA)
    arrays = [
        pa.array(values, field.type) for values, field in zip(columns, JOBS_SCHEMA, strict=True)
    ]
    return pa.table(arrays, schema=JOBS_SCHEMA)


def _values(row: JobRow, now: datetime) -> tuple[object, ...]:
    until = row.ended_at or now
    return (
        row.id,
        row.user,
        row.cluster,
        row.node,
        str(row.kind),
        str(row.state),
        row.received_at,
        row.started_at,
        row.ended_at,
        max((until - row.received_at).total_seconds(), 0.0),
        row.row_count,
        row.byte_count,
        row.parts.done if row.parts else None,
        row.parts.total if row.parts else None,
        row.error_code,
        row.digest,
        row.client,
    )


def write_jobs(rows: Iterable[JobRow], now: datetime) -> bytes:
    """Return jobs as they travel between servers: an Arrow stream of `JOBS_SCHEMA`."""
    table = jobs_table(rows, now)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def read_jobs(data: bytes, *, is_shown: Callable[[JobRow], bool]) -> list[JobRow]:
    """Read what another server told of its jobs; columns that are not known are passed over.

    Args:
        data: As `write_jobs` made it.
        is_shown: Whether a job is to be told on; whoever wrote it is not believed in that.

    Raises:
        BadRequestError: When it is not well formed.
    """
    try:
        with pa.ipc.open_stream(data) as reader:
            told = reader.read_all().select(JOBS_SCHEMA.names).cast(JOBS_SCHEMA).to_pylist()
        rows = [_row(one) for one in told]
    except (pa.ArrowException, ValueError, TypeError, KeyError):
        rows = None
    if rows is None:
        raise BadRequestError("not well formed: jobs")
    return [row for row in rows if is_shown(row)]


def _row(told: dict[str, Any]) -> JobRow:
    if any(len(told[name] or "") > _LONGEST for name in _TEXTS):
        raise ValueError
    done, total = told["parts_done"], told["parts_total"]
    return JobRow(
        id=told["job_id"],
        serial=0,
        user=told["user_name"],
        cluster=told["cluster_name"],
        node=told["node_name"],
        kind=JobKind(told["kind"]),
        state=JobState(told["state"]),
        digest=told["statement_digest"],
        client=told["client"],
        received_at=told["received_at"],
        started_at=told["started_at"],
        ended_at=told["ended_at"],
        row_count=told["row_count"],
        byte_count=told["byte_count"],
        parts=None if done is None or total is None else Parts(done, total),
        error_code=told["error_code"],
    )
