"""The wire: Flight SQL messages, metadata, errors as statuses, the calling identity, a client.

Servers implement `Backend` and `Authenticator` and hand them to `FlightSqlServer`; whoever asks
another server uses `Client`. This package alone knows pyarrow.flight and protobuf.
"""

from flight_sql.agents import has_agent
from flight_sql.backend import (
    REUSE_CONNECTION,
    Authenticator,
    Backend,
    Call,
    Endpoint,
    IfMissing,
    IfThere,
    Ingest,
    Judge,
    Prepared,
    ResultStream,
    StatementInfo,
    TableEntry,
    TableFilter,
)
from flight_sql.casting import cast_batch
from flight_sql.client import Client
from flight_sql.columns import type_name
from flight_sql.errors import (
    CodedError,
    FlightSqlError,
    InvalidRequestError,
    InvalidTicketError,
    InvalidTokenError,
    RemoteError,
    RequestNotSupportedError,
    RowTooLargeError,
    ServerStoppingError,
)
from flight_sql.messages import (
    CancelStatus,
    read_statement_ticket,
    statement_ticket,
    summary_of,
)
from flight_sql.metadata import like_pattern
from flight_sql.profile import WireProfile
from flight_sql.replacing import ReplaceableServer
from flight_sql.rows import Rows
from flight_sql.server import FlightSqlServer, TlsFiles
from flight_sql.sessions import EMPTY_SESSION, OptionError, OptionValue
from flight_sql.typeinfo import numeric_size
from flight_sql.wire import batch_rows_for, recut
from flight_sql.wiretypes import WireTypes, wire_schema

__all__ = [
    "EMPTY_SESSION",
    "REUSE_CONNECTION",
    "Authenticator",
    "Backend",
    "Call",
    "CancelStatus",
    "Client",
    "CodedError",
    "Endpoint",
    "FlightSqlError",
    "FlightSqlServer",
    "IfMissing",
    "IfThere",
    "Ingest",
    "InvalidRequestError",
    "InvalidTicketError",
    "InvalidTokenError",
    "Judge",
    "OptionError",
    "OptionValue",
    "Prepared",
    "RemoteError",
    "ReplaceableServer",
    "RequestNotSupportedError",
    "ResultStream",
    "RowTooLargeError",
    "Rows",
    "ServerStoppingError",
    "StatementInfo",
    "TableEntry",
    "TableFilter",
    "TlsFiles",
    "WireProfile",
    "WireTypes",
    "batch_rows_for",
    "cast_batch",
    "has_agent",
    "like_pattern",
    "numeric_size",
    "read_statement_ticket",
    "recut",
    "statement_ticket",
    "summary_of",
    "type_name",
    "wire_schema",
]
