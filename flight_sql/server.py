"""The Flight SQL server that the MoM and the members are: a backend behind Flight's RPCs.

Every handler is translated (`errors.translated`), so that a client gets a code, a status and a
safe text, never a traceback. Commands are looked up by message name; nothing is kept between calls.
"""

import math
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import flight

from flight_sql.actions import action_types, run_action
from flight_sql.backend import Authenticator, Backend, Call
from flight_sql.calling import MIDDLEWARE, CallMiddlewareFactory, SilentAuthHandler
from flight_sql.draining import RunningCalls, shut_down_within
from flight_sql.endpoints import flight_info
from flight_sql.errors import (
    CancelledCallError,
    InvalidRequestError,
    RequestNotSupportedError,
    ServerStoppingError,
    is_cancellation,
    translated,
)
from flight_sql.ingesting import ingested_batches, read_ingest
from flight_sql.listing import list_tables_as_flights
from flight_sql.messages import (
    message_name,
    read_statement_ticket,
    sql_message,
    unpack,
)
from flight_sql.metadata import metadata_schema, metadata_table
from flight_sql.parameters import MAX_UPDATE_BYTES, read_values
from flight_sql.streams import flight_stream

_LOOPBACK_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # to name, not to bind

# What a stream needs to notice that its time is over, and to say so.
_LAST_WORDS_S = 1.0


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Where the server's certificate chain and private key are, both PEM. Read once, at start."""

    certificate: Path
    private_key: Path


class _State(Enum):
    STARTING = "the server is starting; try again in a moment"
    SERVING = "serving"
    DRAINING = "the server is stopping; try again, or ask another replica"


class FlightSqlServer(flight.FlightServerBase):  # type: ignore[misc]  # pyarrow ships no types
    """Serves one backend over Flight SQL.

    Args:
        backend: What knows statements and tables.
        authenticator: What knows tokens and passwords.
        host: The address to listen on.
        port: The port to listen on; 0 takes a free one (`port` tells which).
        tls: Certificate and key; None serves in plaintext.
        sql_info: SqlInfo values that differ from the defaults, by id.
        signed_agents: Words of the user agents that get signed types when they choose none.
        max_calls: How many calls are answered at once; one more is refused.
    """

    def __init__(
        self,
        backend: Backend,
        authenticator: Authenticator,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: TlsFiles | None = None,
        sql_info: Mapping[int, Any] | None = None,
        signed_agents: Sequence[str] = (),
        max_calls: int = 512,
    ) -> None:
        self._backend = backend
        self._authenticator = authenticator
        self._sql_info = dict(sql_info or {})
        self._state = _State.STARTING
        self._stop_at: float | None = None
        self._stopped = threading.Event()
        self._running = RunningCalls()
        self._host = host
        self._scheme = "grpc+tls" if tls else "grpc"
        certificates = None
        if tls:
            certificates = [(tls.certificate.read_bytes(), tls.private_key.read_bytes())]
        super().__init__(
            f"{self._scheme}://{_bracketed(host)}:{port}",
            auth_handler=SilentAuthHandler(),
            tls_certificates=certificates,
            middleware={
                MIDDLEWARE: CallMiddlewareFactory(
                    authenticator, self._check_open, self._running, signed_agents, max_calls
                )
            },
        )

    @property
    def host(self) -> str:
        """The host whose addresses it listens on."""
        return self._host

    @property
    def uri(self) -> str:
        """Where a client of this machine finds the server."""
        host = _LOOPBACK_ANY.get(self._host, self._host)
        return f"{self._scheme}://{_bracketed(host)}:{self.port}"

    def start(self) -> None:
        """Begin to answer; until then every call is UNAVAILABLE. Returns at once."""
        self._state = _State.SERVING

    def wait_until_stopped(self, timeout_s: float | None = None) -> bool:
        """Wait for `drain_and_stop` to end and return whether it did."""
        return self._stopped.wait(timeout_s)

    @property
    def running_count(self) -> int:
        """How many calls are being answered."""
        return self._running.count

    def end_within(self, deadline_s: float) -> None:
        """Let running streams go on until the deadline only. Returns at once."""
        self._stop_at = time.monotonic() + deadline_s

    def drain_and_stop(self, deadline_s: float = 30.0) -> bool:
        """Refuse new calls, let streams run until the deadline, then stop.

        Returns:
            Whether everything ended. False means that a handler hangs in native code and only
            the process's end will end it.
        """
        self._stop_at = time.monotonic() + deadline_s
        self._state = _State.DRAINING
        # From its shutdown on, gRPC cancels new calls instead of letting us refuse them.
        if not self._running.wait_for_none(self._remaining_s):
            # Streams are told to end, and tell their clients; who does not read is not told.
            over_at = time.monotonic() + _LAST_WORDS_S
            self._running.wait_for_none(lambda: over_at - time.monotonic())
        has_ended = shut_down_within(self.shutdown, self.port, max(0.0, self._remaining_s()))
        self._stopped.set()
        return has_ended

    # What the handlers share

    def _check_open(self) -> None:
        if self._state is not _State.SERVING:
            raise ServerStoppingError(self._state.value)

    def _remaining_s(self) -> float:
        """Return how much time running calls have; more than enough unless the server stops."""
        return math.inf if self._stop_at is None else self._stop_at - time.monotonic()

    def _is_out_of_time(self) -> bool:
        return self._remaining_s() <= 0

    def _check_time(self) -> None:
        if self._is_out_of_time():
            raise ServerStoppingError(_State.DRAINING.value)

    @contextmanager
    def _called(
        self, context: Any, *, flight_errors: bool = True, is_open: bool = False
    ) -> Iterator[Call]:
        """Give a handler its call, and clients nothing but coded errors.

        Args:
            context: pyarrow's, of this call.
            flight_errors: False where pyarrow does not translate Flight errors.
            is_open: Whether the handler judges credentials of its own, and takes note itself.
        """
        middleware = context.get_middleware(MIDDLEWARE)
        call: Call = middleware.bind(context, self._is_out_of_time)
        with translated(call.query_id, flight_errors=flight_errors):
            self._authenticator.confirm(call)
            try:
                middleware.require_identity()
                yield call
            except Exception as error:
                if is_cancellation(error):
                    self._check_time()
                if not is_open and getattr(error, "status", "") == "UNAUTHENTICATED":
                    self._authenticator.refused(call, error)
                raise

    # Flight's RPCs, in the order of the protocol

    def list_flights(self, context: Any, criteria: bytes) -> Iterator[Any]:
        """Return a flight for each table that the caller may read."""
        with self._called(context) as call:
            return iter(list_tables_as_flights(call, self._backend, criteria))

    def get_flight_info(self, context: Any, descriptor: Any) -> Any:
        """Accept a statement, or announce a metadata result."""
        with self._called(context) as call:
            command = _command(descriptor)
            schema = metadata_schema(command)
            if schema is not None:
                endpoints = [flight.FlightEndpoint(descriptor.command, [])]
                return flight.FlightInfo(schema, descriptor, endpoints, -1, -1)
            info = self._backend.execute(call, *self._statement(call, command))
            return flight_info(descriptor, info, call.profile)

    def get_schema(self, context: Any, descriptor: Any) -> Any:
        """Return a result's schema without running anything."""
        with self._called(context, flight_errors=False) as call:
            command = _command(descriptor)
            schema = metadata_schema(command)
            if schema is None:
                schema = self._backend.describe(call, *self._statement(call, command))
                schema = call.profile.schema(schema)
            return flight.SchemaResult(schema)

    def do_get(self, context: Any, ticket: Any) -> Any:
        """Stream the rows of a metadata command or of a statement's ticket."""
        with self._called(context) as call:
            command = _metadata_command(ticket.ticket)
            if command is not None:
                _require_identity(call)
                table = metadata_table(command, call, self._backend, self._sql_info)
                return flight.RecordBatchStream(table, call.profile.write_options())
            result = self._backend.open(call, read_statement_ticket(ticket.ticket))
            return flight_stream(result, call, self._check_time)

    def do_put(self, context: Any, descriptor: Any, reader: Any, writer: Any) -> None:
        """Run an update, ingest rows, or bind values to a prepared statement.

        Raises:
            RequestNotSupportedError: For every other command.
        """
        with self._called(context) as call:
            command = _command(descriptor)
            name = message_name(command)
            if name == "CommandStatementUpdate":
                # There may be no schema to read: the reader is left alone.
                row_count = self._backend.update(call, _no_transaction(command).query)
            elif name == "CommandPreparedStatementUpdate":
                row_count = self._update(call, command.prepared_statement_handle, reader)
            elif name == "CommandPreparedStatementQuery":
                handle = self._bind(call, command.prepared_statement_handle, reader)
                _write(writer, "DoPutPreparedStatementResult", prepared_statement_handle=handle)
                return
            elif name == "CommandStatementIngest":
                ingest = read_ingest(command, reader)
                rows = ingested_batches(reader, call, ingest.arrow_schema)
                row_count = self._backend.ingest(call, ingest, rows)
            else:
                raise RequestNotSupportedError(f"{name} cannot be put here")
            _write(writer, "DoPutUpdateResult", record_count=row_count)

    def do_exchange(self, context: Any, descriptor: Any, reader: Any, writer: Any) -> None:  # noqa: ARG002
        """Refuse: Flight SQL has no use for it."""
        with self._called(context):
            raise RequestNotSupportedError("Flight SQL exchanges nothing; use DoGet and DoPut")

    def do_action(self, context: Any, action: Any) -> Any:
        """Run an action. Its results are made before the first is sent, so that it can refuse."""
        is_open = action.type in self._backend.open_actions
        with self._called(context, is_open=is_open) as call:
            if not is_open:
                _require_identity(call)
            body = action.body.to_pybytes() if action.body is not None else b""
            return iter(
                [
                    flight.Result(pa.py_buffer(data))
                    for data in run_action(self._backend, call, action.type, body)
                ]
            )

    def list_actions(self, context: Any) -> Sequence[Any]:
        """Return the supported action types."""
        with self._called(context):
            return [flight.ActionType(*kind) for kind in action_types(self._backend)]

    def _update(self, call: Call, handle: bytes, reader: Any) -> int:
        """Run a prepared update for the rows of values, and count the changes.

        Without values it runs once; with columns and no rows, not at all.
        """
        sql, bound = self._backend.open_prepared(call, handle)
        sent = read_values(reader, MAX_UPDATE_BYTES)
        rows = bound if sent is None else sent
        if rows is not None and not rows.num_rows:
            return 0
        return self._backend.update(call, sql, rows)

    def _bind(self, call: Call, handle: bytes, reader: Any) -> bytes:
        """Return the handle of a query with the rows that were put; itself when none were."""
        self._backend.open_prepared(call, handle)
        rows = read_values(reader)
        return handle if rows is None else self._backend.bind(call, handle, rows)

    def _statement(self, call: Call, command: Any) -> tuple[str, pa.RecordBatch | None]:
        """Return the SQL text of a command that asks for a query, and the rows bound to it.

        Raises:
            RequestNotSupportedError: When it is another command.
        """
        name = message_name(command)
        if name == "CommandStatementQuery":
            return str(_no_transaction(command).query), None
        if name == "CommandPreparedStatementQuery":
            return self._backend.open_prepared(call, command.prepared_statement_handle)
        raise RequestNotSupportedError(f"{name} is not answered here; send SQL")


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host and not host.startswith("[") else host


def _command(descriptor: Any) -> Any:
    """Return the Flight SQL command of a descriptor.

    Raises:
        RequestNotSupportedError: When it is a path, or not a message of Flight SQL.
        InvalidRequestError: When its bytes cannot be read.
    """
    if descriptor.descriptor_type != flight.DescriptorType.CMD:
        raise RequestNotSupportedError("there are no flights by path here; send a command")
    return unpack(descriptor.command)


def _metadata_command(ticket: bytes) -> Any:
    """Return the metadata command that a ticket is; None for any other ticket."""
    try:
        command = unpack(ticket)
    except (InvalidRequestError, RequestNotSupportedError):
        return None
    return command if metadata_schema(command) is not None else None


def _require_identity(call: Call) -> None:
    if call.credentials_error is not None:
        raise call.credentials_error


def _no_transaction(command: Any) -> Any:
    if command.transaction_id:
        raise RequestNotSupportedError("there are no transactions here: send no transaction id")
    return command


def _write(writer: Any, name: str, **fields: Any) -> None:
    """Answer a put; the change is made, whether its caller still listens or not.

    Raises:
        CancelledCallError: When the caller has left.
    """
    with suppress(OSError, pa.ArrowException):
        writer.write(pa.py_buffer(sql_message(name, **fields).SerializeToString()))
        return
    raise CancelledCallError("the caller left before the answer; what was asked for was done")
