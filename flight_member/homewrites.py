"""What a member's own users make, change and write at home, handed to who carries it out."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pyarrow as pa

from auth import Identity
from flight_member.asked import Asked
from flight_member.attaching import Attacher
from flight_member.definingdesk import DefiningDesk
from flight_member.errors import NotSupportedError
from flight_member.ingestdesk import IngestDesk
from flight_member.jobs import Job, statement_digest
from flight_member.tablemaking import TableMaker
from flight_member.viewdesk import ViewDesk
from flight_member.writedesk import WriteDesk
from flight_sql import Call, Ingest
from planner import (
    CreateExternalTable,
    CreateTable,
    CreateTableAs,
    CreateView,
    Definition,
    Delete,
    Insert,
    Optimize,
    Truncate,
    Update,
    Vacuum,
    Write,
    parameter_schema,
)
from storage.names import ObjectName


class HomeWrites:
    """The statements that change tables at home."""

    def __init__(
        self,
        defining: DefiningDesk,
        making: TableMaker,
        writing: WriteDesk,
        ingesting: IngestDesk,
        attaching: Attacher,
        views: ViewDesk,
    ) -> None:
        self._defining = defining
        self._making = making
        self._writing = writing
        self._ingesting = ingesting
        self._carriers: Mapping[type, Callable[[Asked, Any, Job], pa.Table]] = {
            CreateExternalTable: attaching.create,
            CreateTable: making.create,
            CreateTableAs: making.create_as,
            CreateView: views.create,
            Insert: writing.insert,
            Update: writing.update,
            Delete: writing.delete,
            Truncate: writing.truncate,
            Optimize: writing.optimize,
            Vacuum: writing.vacuum,
        }

    def carry_out(
        self, call: Call, caller: Identity, statement: Definition | Write, sql: str, job: Job
    ) -> pa.Table:
        """Carry out a statement, exactly once; durable when this returns.

        Args:
            call: The call that executes it.
            caller: A user of this member.
            statement: What was asked, with the values bound to it.
            sql: Its text, of which the audit gets the digest.
            job: The statement's job, queued.

        Returns:
            One row: {status: utf8, row_count: int64, warning: utf8}.
        """
        asked = Asked(call, caller, statement_digest(sql))
        carry_out = self._carriers.get(type(statement))
        if carry_out is not None:
            return carry_out(asked, statement, job)
        if isinstance(statement, Definition):
            job.run()
            return self._defining.define(call, caller, statement, asked.digest)
        raise NotSupportedError(f"{type(statement).__name__} is not carried out here")

    def ingest(
        self,
        call: Call,
        caller: Identity,
        table: ObjectName,
        ingest: Ingest,
        batches: Iterator[pa.RecordBatch],
        text: str,
        job: Job,
    ) -> int:
        """Write a client's rows into a table; returns how many they were.

        Args:
            call: The call that brings them.
            caller: A user of this member.
            table: Where they go.
            ingest: What is to be done if it is there, and if it is not.
            batches: The rows, read as they come.
            text: What stands for the statement, of which the audit gets the digest.
            job: The job of the ingest, queued.
        """
        asked = Asked(call, caller, statement_digest(text))
        return self._ingesting.ingest(asked, table, ingest, batches, job)

    def parameters(
        self, call: Call, caller: Identity, statement: Write, sql: str
    ) -> pa.Schema | None:
        """Plan a statement that is being prepared, and decide on it; nothing is written.

        Returns:
            One column for each of its parameters, None when it has none.
        """
        asked = Asked(call, caller, statement_digest(sql))
        match statement:
            case Insert() | Update() | Delete():
                planned = self._writing.describe(asked, statement)
            case CreateTableAs():
                planned = self._making.describe(asked, statement)
            case _:
                return None
        return parameter_schema(statement.query, planned.parameters)
