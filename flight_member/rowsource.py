"""The rows that a write reads, and the time and place that it has for that.

What is read is a query over home tables, which its writer may read; it is executed as any other is,
with the tables at the versions that the metastore had when it was decided on. So a statement that
reads what it writes sees one version from start to end.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import pyarrow as pa

from flight_member.admission import Admission
from flight_member.jobs import Job
from flight_member.rowbyrow import one_after_another
from flight_member.running import BatchSource, admit, until
from flight_member.settings import LimitsSection
from flight_sql import batch_rows_for, wire_schema
from planner import Plan, WritePlan, plan_query
from storage.engine import Engine
from storage.errors import CancelledError
from storage.metastore import Table
from storage.names import ObjectName


@contextmanager
def given_a_place(
    job: Job, admission: Admission, limits: LimitsSection
) -> Iterator[Callable[[], bool]]:
    """Hold a place for a write and give what says whether it is to stop.

    Raises:
        OverloadedError: When there is no place for it.
        StatementTimeoutError: When its time is over; nothing is written.
        CancelledStatementError: When its job was cancelled; nothing is written.
        CancelledError: When its caller left; nothing is written.
    """
    reason = until(
        limits.statement_timeout_s,
        job,
        "nothing was written; write less at once",
        lambda: None,
    )
    with admit(job, admission):
        try:
            yield lambda: job.is_cancelled() or reason() is not None
        except CancelledError as error:
            failure: Exception = reason() or error
        else:
            return
    raise failure


@contextmanager
def opened(
    engine: Engine,
    planned: WritePlan,
    tables: Sequence[Table],
    schemas: Mapping[ObjectName, pa.Schema],
    is_cancelled: Callable[[], bool],
) -> Iterator[Iterator[pa.RecordBatch]]:
    """Run what a write reads, and give its batches; what works for them ends with the block.

    Args:
        engine: Executes.
        planned: What is read.
        tables: Those that it reads.
        schemas: Their columns.
        is_cancelled: Asked between batches, and while waiting for one.
    """
    query = planned.query

    def start(plan: Plan) -> BatchSource:
        return engine.execute(
            tables,
            plan.text,
            catalog=query.catalog,
            schema=query.schema,
            parameters=plan.values,
            batch_rows=batch_rows_for(wire_schema(planned.plan.arrow_schema)),
            is_cancelled=is_cancelled,
        )

    source = one_after_another(query, planned.plan, lambda one: plan_query(one, schemas), start)
    try:
        yield source.batches()
    finally:
        source.close()


def counted(batches: Iterable[pa.RecordBatch], job: Job) -> Iterator[pa.RecordBatch]:
    """Yield rows that are about to be written, and have their job count them."""
    for batch in batches:
        job.add(batch.num_rows, batch.nbytes)
        yield batch
