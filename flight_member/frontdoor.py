"""What the MoM and a member have in common as Flight SQL servers.

A front door reads statements and hands out three kinds of signed values, so that any replica can
answer for any other and nothing is kept in memory for a client:

- a *prepared handle* carries the statement's text and no authority: running it decides anew;
- a *query ticket* (made by the subclass) carries a decision: which tables, at which snapshots;
- an *answer ticket* stands for a small table that this server answers itself. Statements that only
  read are answered when it is fetched; of those that change something the answer is inside it,
  because they run exactly once, when they are executed.
"""

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from importlib.metadata import version

import pyarrow as pa

from auth import NO_PASSWORD, SigningKey, TokenKind, hash_password, kind_of
from flight_member.admission import Admission
from flight_member.answers import answer_schema
from flight_member.boundvalues import bound, changed_count, require_values
from flight_member.cancelling import Cancelling
from flight_member.clock import Moment
from flight_member.concealing import PASSWORD_PARAMETERS, conceal, takes_password
from flight_member.errors import BadRequestError, NotSupportedError, WrongCallerError
from flight_member.explaining import EXPLANATION_SCHEMA
from flight_member.gatekeeper import Authorised, Gatekeeper
from flight_member.handles import Answering, Handles
from flight_member.jobrows import JobKind
from flight_member.jobs import Job, Jobs, statement_digest
from flight_member.listing import describe_columns, describe_table
from flight_member.livequery import LiveRunner
from flight_member.livetables import LiveTable, LiveTables
from flight_member.namesdoor import NamesDoor
from flight_member.querytickets import QueryTickets
from flight_member.runner import text_limits
from flight_member.sessions import Sessions
from flight_member.settings import ServerSettings
from flight_sql import Call, Ingest, Prepared, ResultStream, StatementInfo
from planner import (
    Change,
    CountedWrite,
    CrossClusterReadOnlyError,
    Defaults,
    Definition,
    Describe,
    LiveQuery,
    Plan,
    Query,
    SplittableError,
    Statement,
    Use,
    Write,
    parameter_schema,
    parse_statement,
    plan_query,
    suggest_parts,
)


@dataclass(frozen=True, slots=True)
class Described:
    """What a statement will answer, and one column for each of its parameters, if it has any."""

    arrow_schema: pa.Schema
    parameter_schema: pa.Schema | None = None


class FrontDoor(NamesDoor):
    """The part of a Flight SQL backend that does not depend on who decides and who executes."""

    server_name: str
    server_version = version("flight-mom")
    open_actions: frozenset[str] = frozenset()

    def __init__(
        self,
        settings: ServerSettings,
        key: SigningKey,
        gatekeeper: Gatekeeper,
        *,
        home: str | None,
        jobs: Jobs,
        now: Moment,
        federation: Sequence[LiveTable] = (),
    ) -> None:
        """Keep what every statement needs.

        Args:
            settings: The server's settings.
            key: Signs what this server hands out.
            gatekeeper: Decides who may read what.
            home: The cluster whose tables may be joined here, or None.
            jobs: Where all that runs here is known as a job.
            now: The clock.
            federation: The tables of `system.federation`, where they are answered.
        """
        cluster = settings.cluster.name
        self.cluster = cluster
        life = timedelta(hours=settings.auth.session_max_h)
        super().__init__(Sessions(cluster, key, life, now))
        self._key = key
        self._handles = Handles(cluster, key, now, prepared_ttl_s=settings.auth.prepared_ttl_s)
        self.cancelling = Cancelling(now)
        self._limits = text_limits(settings.limits)
        self._timeouts_s = (settings.limits.visitor_timeout_s, settings.limits.statement_timeout_s)
        self.live_tables = LiveTables(federation)
        self.jobs = jobs
        self._planning = Admission.of_planning(settings.limits, cluster)
        self._live = LiveRunner(settings.limits, self.live_tables, cluster)
        self.query_tickets = QueryTickets(cluster, key, now, ttl_s=settings.auth.ticket_ttl_s)
        self.gatekeeper = gatekeeper
        self._home = home
        self._now = now

    # What a subclass decides.

    @abstractmethod
    def execute_query(self, call: Call, query: Query) -> StatementInfo:
        """Decide, plan and route a query."""

    @abstractmethod
    def describe_query(self, call: Call, query: Query) -> Described:
        """Return what a query's result and its parameters will be."""

    @abstractmethod
    def answer(self, call: Call, statement: Statement) -> pa.Table:
        """Answer a statement that has no data stream; a change is made exactly once."""

    def write(self, call: Call, statement: Definition | Write, sql: str, job: Job) -> pa.Table:
        """Carry out what defines or writes tables, where that is done; the job is queued."""
        del call, statement, sql, job
        raise NotSupportedError("tables are made and written at home, where they lie")

    def write_parameters(
        self, call: Call, statement: Definition | Write, sql: str
    ) -> pa.Schema | None:
        """Return one column for each parameter of such a statement; nothing is done."""
        del call, statement, sql
        raise NotSupportedError("tables are made and written at home, where they lie")

    @abstractmethod
    def is_answered_here(self, statement: Statement) -> bool:
        """Whether `answer` answers a statement; if not, `forward` executes it."""

    def is_carried_out_here(self, call: Call, statement: Statement) -> bool:
        """Whether `answer` answers a statement, where that may depend on more than its kind."""
        del call
        return self.is_answered_here(statement)

    @abstractmethod
    def forward(self, call: Call, statement: Statement, sql: str) -> StatementInfo:
        """Have a statement executed by the server that answers it."""

    @abstractmethod
    def open_query(self, call: Call, handle: bytes) -> ResultStream:
        """Open the rows that a query ticket stands for.

        Raises:
            WrongCallerError: When it was made for somebody else.
            NotFoundError: When a table of it may not be read any more.
            RevokedTicketError: When what it rests on was taken back.
        """

    @abstractmethod
    def actions(self) -> Mapping[str, Callable[[Call, bytes], bytes]]:
        """Return the federation's own actions that this server answers."""

    # Statements.

    def parse(self, call: Call, sql: str, values: pa.RecordBatch | None = None) -> Statement:
        """Read one statement for its caller, whose session fills in missing parts of names.

        Raises:
            PlannerError: When it is refused; a join of tables that the caller may all read is
                refused with the statements to send instead.
            BadRequestError: When another number of values is bound than it has parameters.
        """
        return self._read(call, sql, self.defaults(call), values)

    def _read(
        self, call: Call, sql: str, defaults: Defaults, values: pa.RecordBatch | None
    ) -> Statement:
        try:
            with self._planning.enter(self.caller(call).name, call.is_cancelled):
                statement = parse_statement(sql, defaults, home=self._home, limits=self._limits)
        except SplittableError as error:
            refusal = error
        else:
            return statement if values is None else bound(statement, values)
        raise self.advise(call, refusal, sql, defaults)

    def advise(
        self, call: Call, refusal: SplittableError, sql: str, defaults: Defaults
    ) -> Exception:
        """Return a refusal, with the statements to send instead if all tables may be read."""
        schemas = self.gatekeeper.readable_schemas(self.caller(call), refusal.tables)
        if schemas is None:
            return refusal
        return refusal.followed_by(suggest_parts(sql, defaults, schemas))

    def plan_readable(self, call: Call, query: Query, authorised: Authorised) -> Plan:
        """Plan a query over tables that the caller may read.

        Raises:
            PlannerError: When it cannot be planned; as for `parse`, a join comes with advice.
        """
        try:
            with self._planning.enter(self.caller(call).name, call.is_cancelled):
                return plan_query(query, authorised.schemas)
        except SplittableError as error:
            refusal = error
        raise self.advise(call, refusal, query.sql, self.defaults(call))

    def prepare(self, call: Call, sql: str) -> Prepared:
        """Promise a schema for a statement; nothing runs."""
        statement, sql, _ = self._conceal(call, self.parse(call, sql), sql)
        described = self._describe(call, statement, sql)
        is_update = isinstance(statement, CountedWrite)
        return Prepared(
            self._handles.seal_prepared(sql),
            None if is_update else described.arrow_schema,
            is_update=is_update,
            parameter_schema=described.parameter_schema,
        )

    def open_prepared(self, _call: Call, handle: bytes) -> tuple[str, pa.RecordBatch | None]:
        """Return the statement inside a prepared handle, and the rows that are bound to it."""
        return self._handles.open_prepared(handle)

    def bind(self, call: Call, handle: bytes, values: pa.RecordBatch) -> bytes:
        """Return a prepared handle that holds rows of values; like all, it has no authority.

        Raises:
            BadRequestError: When their number is not that of the parameters, or they are too large.
        """
        sql, _ = self._handles.open_prepared(handle)
        statement = self.parse(call, sql, values)
        _, sql, kept = self._conceal(call, statement, sql, values)
        return self._handles.seal_prepared(sql, kept)

    def describe(self, call: Call, sql: str, values: pa.RecordBatch | None = None) -> pa.Schema:
        """Return the schema of a statement's result; nothing runs."""
        return self._describe(call, self.parse(call, sql, values), sql).arrow_schema

    def execute(self, call: Call, sql: str, values: pa.RecordBatch | None = None) -> StatementInfo:
        """Execute a statement as far as its ticket; changes are made here, exactly once.

        Raises:
            BadRequestError: When it has parameters and no values are bound.
        """
        statement = self.parse(call, sql, values)
        statement, sql, values = self._conceal(call, statement, sql, values)
        require_values(statement, values)
        if isinstance(statement, Query):
            return self.execute_query(call, statement)
        if not isinstance(statement, Use) and not self.is_carried_out_here(call, statement):
            return self.forward(call, statement, sql)
        # Fetched with other headers, it must still be the statement that was executed.
        names = self.defaults(call)
        rows = None
        if isinstance(statement, Use | Change | Definition | Write):
            rows = self._carry_out(call, statement, sql)
        endpoint = self._handles.answer_endpoint(
            Answering(
                sql, self.caller(call).name, names, values, call.profile.wire, rows, call.query_id
            )
        )
        return StatementInfo(
            answer_schema(statement)
            if rows is not None
            else self._describe(call, statement, sql).arrow_schema,
            [endpoint],
            total_records=-1 if rows is None else changed_count(rows),
        )

    def update(self, call: Call, sql: str, values: pa.RecordBatch | None = None) -> int:
        """Run a statement whose rows nobody asks for; returns how many changes were made.

        Raises:
            BadRequestError: When values are bound to anything but a write: who executes a query
                for many rows of values wants what it answers to each.
        """
        statement = self.parse(call, sql, values)
        statement, sql, values = self._conceal(call, statement, sql, values)
        if isinstance(statement, Definition | Write) and self.is_answered_here(statement):
            require_values(statement, values)
            return changed_count(self._carry_out(call, statement, sql))
        if values is not None:
            raise BadRequestError(
                "rows of values were sent with a query as if it were an update, which answers no "
                "rows; bind them and execute it as a query, it answers the rows of each (ADBC: "
                "cursor.execute with a record batch, not executemany)"
            )
        if isinstance(statement, Change) and self.is_carried_out_here(call, statement):
            return int(self._carry_out(call, statement, sql).num_rows)
        info = self.execute(call, sql)
        return max(info.total_records, 0)

    def _conceal(
        self,
        call: Call,
        statement: Statement,
        sql: str,
        values: pa.RecordBatch | None = None,
    ) -> tuple[Statement, str, pa.RecordBatch | None]:
        """Return a statement, its text and its values without the password that it may hold.

        Whoever may not give passwords has none made a hash of, which takes a while.
        """
        is_asked = self.caller(call).administers(self.cluster)
        make = hash_password if is_asked else lambda _: NO_PASSWORD
        return conceal(statement, sql, values, make)

    def ingest(self, call: Call, ingest: Ingest, batches: Iterator[pa.RecordBatch]) -> int:
        """Refuse: rows are taken in at home alone.

        Raises:
            CrossClusterReadOnlyError: Saying where.
        """
        del batches
        home = self.caller(call).cluster
        raise CrossClusterReadOnlyError(
            f"{ingest.table[:63]} would be written from {self.cluster}, and tables are written at "
            f"home alone; connect to {home} itself to ingest into its tables"
        )

    def _carry_out(
        self, call: Call, statement: Change | Use | Definition | Write, sql: str
    ) -> pa.Table:
        """Make a change, exactly once, as a job."""
        is_write = isinstance(statement, Definition | Write)
        kind = JobKind.WRITE if is_write else JobKind.CHANGE
        with self.jobs.start(call, self.caller(call).name, sql, kind=kind) as job:
            if isinstance(statement, Definition | Write):
                return self.write(call, statement, sql, job)
            job.run()
            if isinstance(statement, Use):
                rows = self.use(call, statement)
            else:
                rows = self.answer(call, statement)
            job.add(rows.num_rows, rows.nbytes)
        return rows

    def open(self, call: Call, handle: bytes) -> ResultStream:
        """Open the rows that a ticket of either kind stands for."""
        if kind_of(handle) is TokenKind.ANSWER:
            return self._open_answer(call, handle)
        return self.open_query(call, handle)

    def _open_answer(self, call: Call, handle: bytes) -> ResultStream:
        answering = self._handles.open_answer(handle)
        if answering.caller != self.caller(call).name:
            raise WrongCallerError("this ticket was made for somebody else; execute it yourself")
        return self.cancelling.run(handle, call, lambda call: self._fetch(call, answering))

    def _fetch(self, call: Call, answering: Answering) -> ResultStream:
        table = answering.rows
        if table is None:
            statement = self._read(call, answering.sql, answering.names, answering.values)
            if isinstance(statement, LiveQuery):
                stream = self._run_live(call, statement, answering)
                return replace(stream, wire=answering.wire)
            with self._answering_job(call, answering, JobKind.SHOW) as job:
                job.run()
                table = self.answer(call, statement)
                job.check()
                job.add(table.num_rows, table.nbytes)
        return ResultStream(table.schema, iter(table.to_batches()), answering.wire)

    def _describe(self, call: Call, statement: Statement, sql: str) -> Described:
        if isinstance(statement, Query):
            described = self.describe_query(call, statement)
            if not statement.explain:
                return described
            return Described(EXPLANATION_SCHEMA, described.parameter_schema)
        if isinstance(statement, Definition | Write) and self.is_answered_here(statement):
            return Described(answer_schema(statement), self.write_parameters(call, statement, sql))
        if isinstance(statement, LiveQuery):
            if not self.is_answered_here(statement):
                return self.describe_query(call, statement.query)
            plan = self._live.plan(statement)
            return Described(plan.arrow_schema, parameter_schema(statement.query, plan.parameters))
        parameters = PASSWORD_PARAMETERS if takes_password(statement) else None
        return Described(answer_schema(statement), parameters)

    def _answering_job(self, call: Call, answering: Answering, kind: JobKind) -> Job:
        """Begin the job of an answer that is fetched, under the id that it was asked with."""
        return self.jobs.start(
            call,
            answering.caller,
            answering.sql,
            kind=kind,
            job_id=answering.query_id,
            received_at=answering.asked_at,
        )

    def _run_live(self, call: Call, statement: LiveQuery, answering: Answering) -> ResultStream:
        caller = self.caller(call)
        if statement.is_federations:
            digest = statement_digest(statement.query.sql)
            self.gatekeeper.note(call, caller, statement.query.tables, digest)
        return self._live.run(
            call,
            caller,
            statement,
            lambda scope: self.known_tables(call, scope),
            self._answering_job(call, answering, JobKind.QUERY),
            timeout_s=self._timeouts_s[caller.cluster == self.cluster],
        )

    # Queries.

    def authorise(self, call: Call, query: Query) -> Authorised:
        """Return the query's tables, all of which the caller may read."""
        digest = statement_digest(query.sql)
        return self.gatekeeper.authorise(call, self.caller(call), query.tables, digest)

    def plan(self, call: Call, query: Query) -> Described:
        """Decide on a query and plan it, without a ticket."""
        plan = self.plan_readable(call, query, self.authorise(call, query))
        return Described(plan.arrow_schema, parameter_schema(query, plan.parameters))

    def describe_readable(self, call: Call, statement: Describe) -> pa.Table:
        """Answer DESCRIBE of a table that the caller may read, or of a live one."""
        live = self.live_tables.find(statement.table)
        if live is not None:
            return describe_columns(live.arrow_schema, (), statement.like)
        digest = statement_digest(f"DESCRIBE {statement.table}")
        caller = self.caller(call)
        authorised = self.gatekeeper.authorise(call, caller, [statement.table], digest)
        return describe_table(authorised.tables[0], statement.like)
