"""What a member's own users make, change and write at home, handed to who carries it out."""

import pyarrow as pa

from auth import Identity
from flight_member.definingdesk import DefiningDesk
from flight_member.errors import NotSupportedError
from flight_member.jobs import Job, statement_digest
from flight_sql import Call
from planner import Definition, Write


class HomeWrites:
    """The statements that change tables at home."""

    def __init__(self, defining: DefiningDesk) -> None:
        self._defining = defining

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
        if isinstance(statement, Definition):
            job.run()
            return self._defining.define(call, caller, statement, statement_digest(sql))
        raise NotSupportedError(f"{type(statement).__name__} is not carried out yet")

    def parameters(self, call: Call, caller: Identity, statement: Write) -> pa.Schema | None:
        """Return one column for each parameter of a statement, None when it has none."""
        del call, caller, statement
        return None
