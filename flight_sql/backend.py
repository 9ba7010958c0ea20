"""What a server plugs into Flight SQL: the protocol `Backend` and the values that it answers with.

`flight_sql` knows the wire, the backend knows statements and tables. A backend refuses by raising
a coded error (`errors.CodedError`); anything else that it raises reaches a client as `internal`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any, Protocol

import pyarrow as pa

from flight_sql.messages import CancelStatus
from flight_sql.profile import SAFE_PROFILE, WireProfile
from flight_sql.sessions import OptionError, OptionValue, session_cookie
from flight_sql.wiretypes import WireTypes

# A location that says: on the connection over which you asked.
REUSE_CONNECTION = "arrow-flight-reuse-connection://?"


@dataclass(slots=True)
class Call:
    """One RPC as a backend sees it.

    Attributes:
        identity: What the authenticator made of the bearer; None for an anonymous DoGet or open
            action.
        credentials_error: Why there is no identity, when credentials are missing or refused.
        bearer: The token as it was presented; for calls on the caller's behalf.
        peer: The caller's address as gRPC writes it, e.g. "ipv4:127.0.0.1:40000".
        query_id: The caller's `x-query-id` or `x-request-id`, else a new one; in every log line.
        headers: The request's text headers but `authorization`, names in lower case, the first
            value of each.
        profile: In what form the client wants its results.
        session: What the client sent back as its session's cookie; None when it sent none.
        add_header: Puts a header before the answer's first message.
        is_cancelled: Whether the caller left or the server is out of time; to be polled by
            whoever waits. Safe to call at any time, also after the call ended (True then).
    """

    identity: Any = None
    credentials_error: Exception | None = None
    bearer: str | None = None
    peer: str = ""
    query_id: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    profile: WireProfile = SAFE_PROFILE
    session: str | None = None
    add_header: Callable[[str, str], None] = lambda _name, _value: None
    is_cancelled: Callable[[], bool] = bool

    def keep_session(self, value: str, max_age_s: int | None = None) -> None:
        """Have the client send this back with its next calls, if it keeps cookies at all."""
        self.add_header("set-cookie", session_cookie(value, max_age_s))


@dataclass(frozen=True, slots=True)
class Prepared:
    """A prepared statement: an opaque handle, and what is promised of it.

    Attributes:
        handle: What stands for the statement, whoever is asked.
        arrow_schema: The result's schema; None for an update.
        is_update: Whether it changes something and answers no rows.
        parameter_schema: One column per parameter, in their order; None when there are none.
    """

    handle: bytes
    arrow_schema: pa.Schema | None = None
    is_update: bool = False
    parameter_schema: pa.Schema | None = None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a part of a result can be fetched, with which statement handle.

    No locations mean: on the connection over which the statement was asked.
    """

    handle: bytes
    locations: Sequence[str] = ()
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class StatementInfo:
    """A statement that was accepted: its schema and endpoints; none of them when it is done."""

    arrow_schema: pa.Schema
    endpoints: Sequence[Endpoint] = ()
    total_records: int = -1
    app_metadata: bytes = b""


@dataclass(frozen=True, slots=True)
class ResultStream:
    """The rows of a handle. The iterator's `close`, if it has one, is called in every case.

    `wire` is what the handle's call promised, not what the fetching call asks for.
    """

    arrow_schema: pa.Schema
    batches: Iterator[pa.RecordBatch]
    wire: WireTypes = WireTypes.SAFE


@dataclass(frozen=True, slots=True)
class TableEntry:
    """One table as metadata shows it.

    Attributes:
        catalog: As listed.
        schema: As listed.
        table: As listed.
        table_type: "TABLE" or "VIEW".
        arrow_schema: Its columns; counts only where it was asked for.
        row_count: How many rows it has; -1 when that is not known.
    """

    catalog: str
    schema: str
    table: str
    table_type: str = "TABLE"
    arrow_schema: pa.Schema = field(default_factory=lambda: pa.schema([]))
    row_count: int = -1


def _any_name(_name: str) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class TableFilter:
    """Which schemas or tables a metadata command asks for; a backend lists no others.

    Attributes:
        catalog: The one catalog, exactly; None for all.
        schema: The one schema, where the pattern fits no other; a hint where to look.
        table: The one table, likewise.
        has_schema: Whether the pattern for schemas fits a name.
        has_table: Whether the pattern for tables fits a name.
        table_types: The types that are wanted; all when empty.
    """

    catalog: str | None = None
    schema: str | None = None
    table: str | None = None
    has_schema: Callable[[str], bool] = _any_name
    has_table: Callable[[str], bool] = _any_name
    table_types: frozenset[str] = frozenset()

    def takes_schema(self, catalog: str, schema: str) -> bool:
        """Whether a schema is wanted."""
        return (self.catalog is None or self.catalog == catalog) and self.has_schema(schema)

    def takes(self, catalog: str, schema: str, table: str, table_type: str) -> bool:
        """Whether a table is wanted."""
        return (
            self.takes_schema(catalog, schema)
            and self.has_table(table)
            and (not self.table_types or table_type in self.table_types)
        )


class IfMissing(Enum):
    """What is done when there is no such table."""

    CREATE = 1
    FAIL = 2


class IfThere(Enum):
    """What is done when there is such a table."""

    FAIL = 1
    APPEND = 2
    REPLACE = 3


@dataclass(frozen=True, slots=True)
class Ingest:
    """Rows for one table.

    Attributes:
        table: Its name, as the client gives it.
        catalog: The catalog, as the client gives it; None for the session's.
        schema: The schema, likewise.
        if_missing: What to do when there is no such table.
        if_there: What to do when there is.
        options: Further options by name.
        arrow_schema: The columns of the rows, in plain types.
    """

    table: str
    catalog: str | None
    schema: str | None
    if_missing: IfMissing
    if_there: IfThere
    options: Mapping[str, str] = field(default_factory=dict)
    arrow_schema: pa.Schema = field(default_factory=lambda: pa.schema([]))


class Backend(Protocol):
    """What a server of the federation knows. Methods are called from many threads at once."""

    server_name: str
    server_version: str
    # The action types that need no identity: the action judges for itself.
    open_actions: frozenset[str]

    def prepare(self, call: Call, sql: str) -> Prepared:
        """Return a handle that any replica understands, and what the statement will answer."""
        ...

    def open_prepared(self, call: Call, handle: bytes) -> tuple[str, pa.RecordBatch | None]:
        """Return the statement's text that a handle stands for, and the rows bound to it."""
        ...

    def bind(self, call: Call, handle: bytes, values: pa.RecordBatch) -> bytes:
        """Return a handle for the same statement with rows of values bound to it.

        It runs once for each row, and answers their results one after the other.
        """
        ...

    def execute(self, call: Call, sql: str, values: pa.RecordBatch | None = None) -> StatementInfo:
        """Accept a statement, with rows of values. What writes is done here, exactly once."""
        ...

    def describe(self, call: Call, sql: str, values: pa.RecordBatch | None = None) -> pa.Schema:
        """Return the result's schema without running the statement."""
        ...

    def update(self, call: Call, sql: str, values: pa.RecordBatch | None = None) -> int:
        """Run a writing statement exactly once, for all rows of values that are bound to it.

        Returns:
            How many rows it changed for all of them; -1 when unknown.
        """
        ...

    def ingest(self, call: Call, ingest: Ingest, batches: Iterator[pa.RecordBatch]) -> int:
        """Write the rows of an ingest, all of them or none.

        Args:
            call: The call that brings them.
            ingest: Where they go.
            batches: The rows, read as they come; they raise when the client leaves.

        Returns:
            How many rows were written.
        """
        ...

    def open(self, call: Call, handle: bytes) -> ResultStream:
        """Open the rows of a statement handle. The call may be anonymous."""
        ...

    def cancel(self, call: Call, handle: bytes) -> CancelStatus:
        """Stop what runs on a statement handle, and let nothing run on it any more."""
        ...

    def renew(self, call: Call, handle: bytes) -> Endpoint:
        """Decide anew on a handle's statement and return it with a later expiry."""
        ...

    def session_options(self, call: Call) -> Mapping[str, str]:
        """Return the options that are in effect for the caller's session."""
        ...

    def set_session_options(
        self, call: Call, options: Mapping[str, OptionValue]
    ) -> Mapping[str, OptionError]:
        """Set options of the caller's session, erase those without a value; return what failed."""
        ...

    def catalogs(self, call: Call) -> Iterable[str]:
        """Return the catalogs that the caller may see."""
        ...

    def schemas(self, call: Call, wanted: TableFilter) -> Iterable[tuple[str, str]]:
        """Return the (catalog, schema) pairs that are wanted and that the caller may see."""
        ...

    def list_tables(
        self, call: Call, wanted: TableFilter, *, include_schema: bool
    ) -> Iterable[TableEntry]:
        """Return the tables that are wanted and that the caller may see."""
        ...

    def actions(self) -> Mapping[str, Callable[[Call, bytes], bytes]]:
        """Return the further actions by type: body in, body out."""
        ...


class Judge(Protocol):
    """Who says who is calling. Called for every RPC: what is costly is to be cached.

    gRPC's address of the caller is not known yet when these are called (`peer` is empty): what
    depends on it is judged by `confirm`, which every handler calls first.
    """

    def sign_in(self, user: str, password: str, call: Call) -> str:
        """Return the bearer token for a name and password given in a Handshake."""
        ...

    def authenticate(self, token: str, peer: str) -> Any:
        """Return the identity that a bearer token proves."""
        ...

    def confirm(self, call: Call) -> None:
        """Judge again now that the caller's address is known; may replace identity and bearer."""
        ...

    def exchange(self, token: str, call: Call) -> str:
        """Return the bearer token for a Handshake with a token; it may be the same."""
        ...

    def renew(self, token: str, identity: Any) -> str | None:
        """Return a fresh token for the response's header, or None while this one will do."""
        ...


class Authenticator(Judge, Protocol):
    """A judge who takes note."""

    def refused(self, call: Call, error: Exception) -> None:
        """Take note that a call was refused for its credentials, or for having none.

        Not told of names and passwords, which `sign_in` judges, nor of open actions, nor of what
        `confirm` refuses. It must not raise.
        """
        ...
