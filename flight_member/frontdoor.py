"""What the MoM and a member have in common as Flight SQL servers.

A front door reads statements and hands out three kinds of signed values, so that any replica can
answer for any other and nothing is kept in memory for a client:

- a *prepared handle* carries the statement's text and no authority: running it decides anew;
- a *query ticket* (made by the subclass) carries a decision: which tables, at which snapshots;
- an *answer ticket* stands for a small table that this server answers itself. Statements that only
  read are answered when it is fetched; of those that change something the answer is inside it,
  because they run exactly once, when they are executed.
"""

import base64
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from typing import Any
from uuid import uuid4

import pyarrow as pa

from auth import (
    Identity,
    SigningKey,
    Ticket,
    TicketExplain,
    TicketTable,
    TokenKind,
    kind_of,
    open_sealed,
    seal,
    seal_ticket,
)
from flight_member.answers import answer, answer_schema
from flight_member.errors import (
    BadRequestError,
    RevokedTokenError,
    WrongCallerError,
)
from flight_member.explaining import EXPLANATION_SCHEMA
from flight_member.gatekeeper import Authorised, Gatekeeper
from flight_member.information_schema import SHAPES
from flight_member.informationquery import InformationSchema
from flight_member.listing import (
    ListedTable,
    describe_columns,
    describe_table,
    not_found,
    show_catalogs,
    show_schemas,
    show_tables,
)
from flight_member.runner import statement_digest, text_limits
from flight_member.sessions import (
    OPTIONS,
    Sessions,
    header_names,
    names_of_options,
    names_of_use,
)
from flight_member.settings import ServerSettings
from flight_sql import (
    Call,
    Endpoint,
    OptionError,
    OptionValue,
    Prepared,
    ResultStream,
    StatementInfo,
    TableEntry,
)
from planner import (
    Change,
    Defaults,
    Describe,
    InformationSchemaQuery,
    Plan,
    Query,
    ShowCatalogs,
    ShowSchemas,
    ShowTables,
    SplittableError,
    Statement,
    Use,
    Values,
    count_fault,
    parameter_schema,
    parse_statement,
    plan_query,
    suggest_parts,
)
from storage.names import INFORMATION_SCHEMA, Level, ObjectName

_PREPARED_TTL_S = 24 * 3600
_ANSWER_TTL_S = 300
_TABLE_TYPE = "TABLE"
# They travel inside handles and tickets, which are at most 1 MiB.
_MAX_VALUES_BYTES = 65_536

Moment = Callable[[], datetime]


def utc_now() -> datetime:
    """Return the time, aware, in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Described:
    """What a statement will answer, and one column for each of its parameters, if it has any."""

    arrow_schema: pa.Schema
    parameter_schema: pa.Schema | None = None


class FrontDoor(ABC):
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
        now: Moment,
    ) -> None:
        """Keep what every statement needs.

        Args:
            settings: The server's settings.
            key: Signs what this server hands out.
            gatekeeper: Decides who may read what.
            home: The cluster whose tables may be joined here, or None.
            now: The clock.
        """
        cluster = settings.cluster.name
        self.cluster = cluster
        self._key = key
        self._limits = text_limits(settings.limits)
        self._timeouts_s = (settings.limits.visitor_timeout_s, settings.limits.statement_timeout_s)
        self._information = InformationSchema(settings.limits)
        self._ticket_life = timedelta(seconds=settings.auth.ticket_ttl_s)
        self.gatekeeper = gatekeeper
        self._home = home
        life = timedelta(hours=settings.auth.session_max_h)
        self.sessions = Sessions(cluster, key, life, now)
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

    @abstractmethod
    def is_answered_here(self, statement: Statement) -> bool:
        """Whether `answer` answers a statement; if not, `forward` executes it."""

    @abstractmethod
    def forward(self, call: Call, statement: Statement, sql: str) -> StatementInfo:
        """Have a statement executed by the server that answers it."""

    @abstractmethod
    def open_query(self, call: Call, handle: bytes) -> ResultStream:
        """Open the rows that a query ticket stands for."""

    @abstractmethod
    def listed_tables(self, call: Call, parent: ObjectName | None = None) -> Iterable[ListedTable]:
        """Return what the caller may read, at or below a place or everywhere, in any order."""

    @abstractmethod
    def knows_cluster(self, call: Call, cluster: str) -> bool:
        """Whether the caller knows of a cluster, even if they may read nothing of it."""

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
            statement = parse_statement(sql, defaults, home=self._home, limits=self._limits)
        except SplittableError as error:
            refusal = error
        else:
            return statement if values is None else _bound(statement, values)
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
            return plan_query(query, authorised.schemas)
        except SplittableError as error:
            refusal = error
        raise self.advise(call, refusal, query.sql, self.defaults(call))

    def defaults(self, call: Call) -> Defaults:
        """Return what fills in missing parts of names: headers, the session, the home cluster."""
        caller = self.caller(call)
        sent, kept = header_names(call), self.sessions.names(call, caller)
        return Defaults(
            sent.cluster or kept.cluster or caller.cluster,
            sent.catalog or kept.catalog,
            sent.schema or kept.schema,
        )

    def caller(self, call: Call) -> Identity:
        """Return who is asking.

        Raises:
            RevokedTokenError: When the credential is no user's.
        """
        if call.credentials_error is not None:
            raise call.credentials_error
        if not isinstance(call.identity, Identity):
            raise RevokedTokenError("sign in as a user: this token is not a user's")
        return call.identity

    def prepare(self, call: Call, sql: str) -> Prepared:
        """Promise a schema for a statement; nothing runs."""
        statement = self.parse(call, sql)
        described = self._describe(call, statement)
        handle = self._seal(TokenKind.PREPARED, {"sql": sql}, _PREPARED_TTL_S)
        return Prepared(handle, described.arrow_schema, parameter_schema=described.parameter_schema)

    def open_prepared(self, _call: Call, handle: bytes) -> tuple[str, pa.RecordBatch | None]:
        """Return the statement inside a prepared handle, and the row that is bound to it."""
        claims = self._open(TokenKind.PREPARED, handle)
        return str(claims["sql"]), _bound_row(claims)

    def bind(self, call: Call, handle: bytes, values: pa.RecordBatch) -> bytes:
        """Return a prepared handle that holds a row of values; like all, it has no authority.

        Raises:
            BadRequestError: When their number is not that of the parameters, or they are too large.
        """
        sql, _ = self.open_prepared(call, handle)
        self.parse(call, sql, values)
        data = Values.of(values).data
        if len(data) > _MAX_VALUES_BYTES:
            raise BadRequestError(
                f"the values of one statement take at most {_MAX_VALUES_BYTES:,} bytes and these "
                f"take {len(data):,}; bind less, and read long lists in several statements"
            )
        claims = {"sql": sql, "values": base64.b64encode(data).decode()}
        return self._seal(TokenKind.PREPARED, claims, _PREPARED_TTL_S)

    def describe(self, call: Call, sql: str, values: pa.RecordBatch | None = None) -> pa.Schema:
        """Return the schema of a statement's result; nothing runs."""
        return self._describe(call, self.parse(call, sql, values)).arrow_schema

    def execute(self, call: Call, sql: str, values: pa.RecordBatch | None = None) -> StatementInfo:
        """Execute a statement as far as its ticket; changes are made here, exactly once."""
        statement = self.parse(call, sql, values)
        query = _query_of(statement)
        if query is not None and query.parameters and values is None:
            raise BadRequestError(count_fault(query.parameters, 0))
        if isinstance(statement, Query):
            return self.execute_query(call, statement)
        if not isinstance(statement, Use) and not self.is_answered_here(statement):
            return self.forward(call, statement, sql)
        # Fetched with other headers, it must still be the statement that was executed.
        names = self.defaults(call)
        claims: dict[str, Any] = {
            "sql": sql,
            "sub": self.caller(call).name,
            "names": [names.cluster, names.catalog, names.schema],
        }
        if values is not None:
            claims["values"] = base64.b64encode(Values.of(values).data).decode()
        total = -1
        if isinstance(statement, Change | Use):
            table = (
                self.use(call, statement)
                if isinstance(statement, Use)
                else self.answer(call, statement)
            )
            claims["rows"] = base64.b64encode(_to_ipc(table)).decode()
            total = table.num_rows
        handle = self._seal(TokenKind.ANSWER, claims, _ANSWER_TTL_S)
        return StatementInfo(
            self._describe(call, statement).arrow_schema,
            [Endpoint(handle, (), None)],
            total_records=total,
        )

    def update(self, call: Call, sql: str, values: pa.RecordBatch | None = None) -> int:
        """Run a statement whose rows nobody asks for; returns how many changes were made.

        Raises:
            BadRequestError: When values are bound: what changes something has no parameters, and
                who executes a query many times wants the rows of each.
        """
        statement = self.parse(call, sql, values)
        if values is not None:
            raise BadRequestError(
                "rows of values were sent with a query; execute it once for each row, with that "
                "row bound to it"
            )
        if isinstance(statement, Change) and self.is_answered_here(statement):
            return int(self.answer(call, statement).num_rows)
        info = self.execute(call, sql)
        return max(info.total_records, 0)

    def open(self, call: Call, handle: bytes) -> ResultStream:
        """Open the rows that a ticket of either kind stands for."""
        if kind_of(handle) is TokenKind.ANSWER:
            return self._open_answer(call, handle)
        return self.open_query(call, handle)

    def _open_answer(self, call: Call, handle: bytes) -> ResultStream:
        claims = self._open(TokenKind.ANSWER, handle)
        if claims["sub"] != self.caller(call).name:
            raise WrongCallerError("this ticket was made for somebody else; execute it yourself")
        if "rows" in claims:
            table = _from_ipc(base64.b64decode(claims["rows"]))
        else:
            names = Defaults(*claims["names"])
            statement = self._read(call, claims["sql"], names, _bound_row(claims))
            if isinstance(statement, InformationSchemaQuery):
                return self._run_information(call, statement)
            table = self.answer(call, statement)
        return ResultStream(table.schema, iter(table.to_batches()))

    def _describe(self, call: Call, statement: Statement) -> Described:
        if isinstance(statement, Query):
            described = self.describe_query(call, statement)
            if not statement.explain:
                return described
            return Described(EXPLANATION_SCHEMA, described.parameter_schema)
        if isinstance(statement, InformationSchemaQuery):
            plan = self._information.plan(statement)
            return Described(plan.arrow_schema, parameter_schema(statement.query, plan.parameters))
        return Described(answer_schema(statement))

    def _seal(self, kind: TokenKind, claims: Mapping[str, Any], ttl_s: float) -> bytes:
        """Return a value that this server, or a replica of it, will open again."""
        sealed = seal(
            kind,
            claims,
            self._key,
            issuer=self.cluster,
            audience=self.cluster,
            now=self._now(),
            ttl_s=ttl_s,
        )
        return sealed.encode()

    def _run_information(self, call: Call, statement: InformationSchemaQuery) -> ResultStream:
        return self._information.run(
            call,
            statement,
            lambda scope: self.known_tables(call, scope),
            timeout_s=self._timeouts_s[self.caller(call).cluster == self.cluster],
        )

    def _open(self, kind: TokenKind, handle: bytes) -> dict[str, Any]:
        return open_sealed(
            kind, handle, self._key.ring(self.cluster), audience=self.cluster, now=self._now()
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

    def seal_query(
        self, call: Call, query: Query, plan: Plan, authorised: Authorised, member: str
    ) -> Ticket:
        """Return a ticket for one caller, one statement, its tables as they are, one member."""
        caller, now = self.caller(call), self._now()
        expires_at = now + self._ticket_life
        return Ticket(
            id=uuid4().hex,
            member=member,
            user=caller.user,
            cluster=caller.cluster,
            groups=caller.groups,
            mom_groups=authorised.mom_groups,
            sql=plan.text,
            catalog=query.catalog,
            schema=query.schema,
            tables=tuple(
                TicketTable(table.name, table.id, table.schema_version, table.snapshot)
                for table in authorised.tables
            ),
            epoch=authorised.epoch,
            issued_at=now,
            expires_at=min(expires_at, authorised.until or expires_at),
            query_id=call.query_id,
            parameters=query.values.data if query.values is not None else None,
            explain=_explain_of(query, authorised),
        )

    def info(self, ticket: Ticket, plan: Plan, locations: Sequence[str]) -> StatementInfo:
        """Return a ticket as the one endpoint of a result."""
        handle = seal_ticket(ticket, self._key, issuer=self.cluster)
        arrow_schema = EXPLANATION_SCHEMA if ticket.explain else plan.arrow_schema
        return StatementInfo(arrow_schema, [Endpoint(handle, locations, ticket.expires_at)])

    def describe_readable(self, call: Call, statement: Describe) -> pa.Table:
        """Answer DESCRIBE of a table that the caller may read, or of `information_schema`."""
        if statement.table.schema == INFORMATION_SCHEMA:
            return describe_columns(SHAPES[str(statement.table.table)], (), statement.like)
        digest = statement_digest(f"DESCRIBE {statement.table}")
        caller = self.caller(call)
        authorised = self.gatekeeper.authorise(call, caller, [statement.table], digest)
        return describe_table(authorised.tables[0], statement.like)

    # Sessions.

    def use(self, call: Call, statement: Use) -> pa.Table:
        """Choose what completes names from now on, and answer what is in effect then."""
        self.sessions.check(call)
        caller = self.caller(call)
        names = names_of_use(statement, self._knows(call))
        if isinstance(names, ObjectName):
            raise not_found(names, self.listed_tables(call))
        self.sessions.keep(call, caller, names)
        return answer(Use, [(names.cluster or caller.cluster, names.catalog, names.schema)])

    def session_options(self, call: Call) -> Mapping[str, str]:
        """Return what completes names now, wherever it was chosen."""
        defaults = self.defaults(call)
        named = {part: getattr(defaults, part) for part in OPTIONS}
        return {part: name for part, name in named.items() if name is not None}

    def set_session_options(
        self, call: Call, options: Mapping[str, OptionValue]
    ) -> Mapping[str, OptionError]:
        """Choose what completes names from now on, part by part."""
        caller = self.caller(call)
        self.sessions.check(call)
        names, errors = names_of_options(
            self.sessions.names(call, caller), caller.cluster, options, self._knows(call)
        )
        self.sessions.keep(call, caller, names)
        return errors

    def _knows(self, call: Call) -> Callable[[ObjectName], bool]:
        """Return what tells whether the caller may know of a cluster, catalog or schema.

        All that they may read is looked through, so that what is hidden takes the time of what is
        missing.
        """
        readable = [one.table.name for one in self.listed_tables(call)]

        def is_known(name: ObjectName) -> bool:
            covers = [table for table in readable if name.covers(table)]
            is_cluster = name.level is Level.CLUSTER
            return bool(covers) or (is_cluster and self.knows_cluster(call, name.cluster))

        return is_known

    # Metadata.

    def list_tables(self, call: Call, *, include_schema: bool) -> Iterator[TableEntry]:
        """Yield what the caller may read."""
        del include_schema  # the schemas are at hand
        for one in self.listed_tables(call):
            yield TableEntry(one.catalog, one.schema, one.name, _TABLE_TYPE, one.table.arrow_schema)

    def catalogs(self, call: Call) -> set[str]:
        """Return the catalogs that hold something the caller may read."""
        return {one.catalog for one in self.listed_tables(call)}

    def schemas(self, call: Call) -> set[tuple[str, str]]:
        """Return the (catalog, schema) pairs that hold something the caller may read."""
        return {(one.catalog, one.schema) for one in self.listed_tables(call)}

    def answer_listing(
        self, call: Call, statement: ShowCatalogs | ShowSchemas | ShowTables
    ) -> pa.Table:
        """Answer the three statements that list what there is."""
        listed = self.known_tables(call, statement.parent)
        match statement:
            case ShowCatalogs():
                return show_catalogs(listed, statement.like)
            case ShowSchemas():
                return show_schemas(listed, statement.like)
            case ShowTables():
                return show_tables(listed, statement.like)

    def known_tables(self, call: Call, parent: ObjectName | None) -> list[ListedTable]:
        """Return what the caller may read at or below a place that they know of.

        Raises:
            NotFoundError: When the place is not there, or holds nothing that they may read; their
                own cluster is one that they know of in any case.
        """
        listed = list(self.listed_tables(call, parent))
        if parent is None or listed:
            return listed
        if parent.level is Level.CLUSTER and self.knows_cluster(call, parent.cluster):
            return []
        raise not_found(parent, self.listed_tables(call))


def _explain_of(query: Query, authorised: Authorised) -> TicketExplain | None:
    """Return what a ticket says about EXPLAIN: only here is known which rules decided."""
    how = query.explain
    if how is None:
        return None
    return TicketExplain(how.analyze, how.verbose, how.is_tree, authorised.rules)


def _query_of(statement: Statement) -> Query | None:
    """Return what an engine would run of a statement, if it is a query."""
    if isinstance(statement, InformationSchemaQuery):
        return statement.query
    return statement if isinstance(statement, Query) else None


def _bound(statement: Statement, values: pa.RecordBatch) -> Statement:
    query = _query_of(statement)
    parameters = query.parameters if query is not None else ()
    if query is None or values.num_columns != len(parameters):
        raise BadRequestError(count_fault(parameters, values.num_columns))
    bound = replace(query, values=Values.of(values))
    if isinstance(statement, InformationSchemaQuery):
        return replace(statement, query=bound)
    return bound


def _bound_row(claims: Mapping[str, Any]) -> pa.RecordBatch | None:
    values = claims.get("values")
    return None if values is None else Values(base64.b64decode(values)).row()


def _to_ipc(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def _from_ipc(data: bytes) -> pa.Table:
    with pa.ipc.open_stream(data) as reader:
        return reader.read_all()
