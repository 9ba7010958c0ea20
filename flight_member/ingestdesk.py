"""Carries out bulk ingestion: a client's rows into a managed table, all of them by one commit.

Rows are written as they come; until the last one nobody sees any. A table that is not there is made
of the columns that are sent.
"""

from collections.abc import Iterator

import pyarrow as pa

from flight_member.admission import Admission
from flight_member.asked import Asked
from flight_member.errors import BadRequestError, NotFoundError, NotSupportedError
from flight_member.fitting import fit_batches
from flight_member.homegate import Act
from flight_member.jobs import Job
from flight_member.memberstate import MemberState
from flight_member.rowsource import counted, given_a_place
from flight_member.settings import LimitsSection
from flight_member.tablemaking import TableMaker
from flight_member.writedesk import WriteDesk
from flight_sql import IfMissing, IfThere, Ingest
from planner import CrossClusterReadOnlyError, Defaults, TypeMismatchError, UnknownColumnError
from storage.delta import append_rows
from storage.errors import TableExistsError
from storage.metastore import Table
from storage.names import InvalidNameError, ObjectName, split_cluster

PARTITION_BY = "partition_by"
_OPTIONS = frozenset({PARTITION_BY})


class IngestDesk:
    """Takes in the rows of one member's own users."""

    def __init__(
        self,
        state: MemberState,
        making: TableMaker,
        writing: WriteDesk,
        admission: Admission,
        limits: LimitsSection,
    ) -> None:
        self._state = state
        self._making = making
        self._writing = writing
        self._admission = admission
        self._limits = limits

    def ingest(
        self,
        asked: Asked,
        name: ObjectName,
        ingest: Ingest,
        batches: Iterator[pa.RecordBatch],
        job: Job,
    ) -> int:
        """Write rows; returns how many they were.

        Args:
            asked: Who brings them.
            name: The table, of this member.
            ingest: What is to be done if it is there, and if it is not.
            batches: The rows, with the columns that the ingest says.
            job: The job of the ingest, queued.

        Raises:
            NotFoundError: When there is no such table and none is to be made, or no such schema.
            TableExistsError: When there is one and it is to be new.
            PermissionDeniedError: When the caller may not do this.
            UnknownColumnError: When a column is not one of the table's.
            TypeMismatchError: When a value does not fit its column, or is missing.
            StorageError: When the rows cannot be written.
            FlightMemberError: When there is no place, no time, or it was cancelled.
        """
        known = self._state.snapshot.table(name)
        partition_by = _partition_columns(ingest)
        if known is None and ingest.if_missing is IfMissing.FAIL:
            # Somebody who may not know of a table gets the same words.
            raise NotFoundError.of(name, privilege="TABLE_WRITE")
        if known is not None and ingest.if_there is IfThere.APPEND:
            return self._append(asked, name, ingest, batches, job)
        if known is not None and ingest.if_there is IfThere.FAIL:
            # Decided on first: whoever may make tables there may know which there are.
            self._making.require_maker(asked, name)
            raise TableExistsError(f"{name} exists already; append to it, or replace it")
        target = pa.schema([field.with_nullable(True) for field in ingest.arrow_schema])
        with given_a_place(job, self._admission, self._limits) as is_cancelled:
            _, row_count = self._making.make(
                asked,
                name,
                target,
                partition_by,
                counted(fit_batches(batches, list(target), target), job),
                replaces=known is not None,
                is_cancelled=is_cancelled,
            )
        return row_count

    def _append(
        self,
        asked: Asked,
        name: ObjectName,
        ingest: Ingest,
        batches: Iterator[pa.RecordBatch],
        job: Job,
    ) -> int:
        table = self._writing.require_managed(asked, Act.INSERT, name)
        fields = _columns_of(table, ingest.arrow_schema)
        with given_a_place(job, self._admission, self._limits) as is_cancelled:
            rows = counted(fit_batches(batches, fields, table.arrow_schema), job)
            row_count = append_rows(table, rows, is_cancelled=is_cancelled).row_count
        self._writing.note(table)
        return row_count


def ingested_table(ingest: Ingest, defaults: Defaults, home: str) -> ObjectName:
    """Return the table that an ingest names; what is left out is the session's.

    Raises:
        BadRequestError: When it is no table's name.
        NotFoundError: When it lacks its catalog or schema.
        CrossClusterReadOnlyError: When it is another cluster's.
    """
    written = [ingest.catalog or None, ingest.schema or None, ingest.table]
    parts = [None if part is None else split_cluster(part) for part in written]
    clusters = {part[1].lower() for part in parts if part is not None and part[1]}
    cluster = next(iter(clusters), defaults.cluster)
    names = [None if part is None else part[0] for part in parts]
    catalog, schema, table = names[0] or defaults.catalog, names[1] or defaults.schema, names[2]
    if len(clusters) > 1:
        raise BadRequestError("the ingest names two clusters for one table; name one")
    if cluster != home:
        raise CrossClusterReadOnlyError(
            f"the rows would be written to {cluster[:63]}, and nothing is written across clusters; "
            f"ingest them at {cluster[:63]} itself, as one of its users"
        )
    if catalog is None or schema is None:
        raise NotFoundError(
            f"{ingest.table[:63]} lacks its catalog or schema; give both with the ingest (ADBC: "
            "catalog_name and db_schema_name), or choose them for the session"
        )
    try:
        return ObjectName(home, catalog, schema, table)
    except InvalidNameError as error:
        fault = str(error)
    raise BadRequestError(fault)


def _partition_columns(ingest: Ingest) -> tuple[str, ...]:
    unknown = sorted(ingest.options.keys() - _OPTIONS)
    if unknown:
        raise NotSupportedError(
            f"an ingest has no option {unknown[0][:63]}; the only one is {PARTITION_BY}, columns "
            "with commas between them"
        )
    written = ingest.options.get(PARTITION_BY, "")
    return tuple(name.strip() for name in written.split(",") if name.strip())


def _columns_of(table: Table, arrow_schema: pa.Schema) -> list[pa.Field]:
    """Return the column of the table for each that is sent: by name, whatever its case.

    Raises:
        UnknownColumnError: When the table has none of that name.
        TypeMismatchError: When two are for one column, or one is missing that must have a value.
    """
    exact = {field.name: field for field in table.arrow_schema}
    folded = {field.name.lower(): field for field in table.arrow_schema}
    fields: list[pa.Field] = []
    for name in arrow_schema.names:
        field = exact.get(name) or folded.get(name.lower())
        if field is None:
            raise UnknownColumnError(
                f"{table.name} has no column {name[:63]}; it has "
                f"{', '.join(table.arrow_schema.names)[:400]}"
            )
        if field in fields:
            raise TypeMismatchError(f"two columns are sent for {field.name}; send one")
        fields.append(field)
    for field in table.arrow_schema:
        if not field.nullable and field not in fields:
            raise TypeMismatchError(
                f"the column {field.name} takes no NULL and is not sent; send a value for it"
            )
    return fields
