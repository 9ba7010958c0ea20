"""A small Flight SQL client: for the command line, and for the servers among themselves."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import pyarrow as pa
from pyarrow import flight

from flight_sql.backend import Endpoint, Prepared, StatementInfo
from flight_sql.connection import Connection, Headers
from flight_sql.endpoints import (
    as_ticket,
    cancel_body,
    read_endpoint,
    read_endpoint_body,
    renew_body,
)
from flight_sql.messages import (
    CancelStatus,
    pack,
    read_flight_message,
    read_sql_message,
    sql_message,
    unpack,
)
from flight_sql.rows import Rows
from flight_sql.sessions import OptionError, read_answer, request_body

# Values by position, by name, or as the row itself.
Parameters: TypeAlias = Sequence[Any] | Mapping[str, Any] | pa.RecordBatch


class Client(Connection):
    """What is said to a Flight SQL server: statements, metadata, actions."""

    def sign_in(self, user: str, password: str) -> str:
        """Prove a user with a password, keep the token for further calls and return it."""
        _, answer = self._call(
            lambda options: self._client.authenticate_basic_token(user, password, options),
            None,
            (),
            authorize=False,
        )
        self.token = answer.decode().removeprefix("Bearer ")
        return self.token

    def get_info(
        self,
        sql: str,
        *,
        parameters: Parameters | None = None,
        token: str | None = None,
        headers: Headers = (),
    ) -> StatementInfo:
        """Ask for a statement and return its schema and endpoints, nothing fetched yet.

        Args:
            sql: The statement.
            parameters: What to bind to `?` or `$1`, by position; to `$name`, by name.
            token: The bearer of this call.
            headers: Headers of this call.
        """
        self._begin_session(sql, token, headers)
        command = sql_message("CommandStatementQuery", query=sql)
        if parameters is not None:
            prepared = self.prepare(sql, token=token, headers=headers)
            handle = self._bind(prepared.handle, _row(parameters), token, headers)
            command = sql_message("CommandPreparedStatementQuery", prepared_statement_handle=handle)
        return self._info(command, token, headers)

    def prepare(self, sql: str, *, token: str | None = None, headers: Headers = ()) -> Prepared:
        """Have a statement prepared: its handle, and the schemas of its rows and parameters."""
        request = pack(sql_message("ActionCreatePreparedStatementRequest", query=sql))
        answer = self.action("CreatePreparedStatement", request, token=token, headers=headers)
        made = unpack(answer)
        return Prepared(
            made.prepared_statement_handle,
            _read_schema(made.dataset_schema),
            made.is_update,
            _read_schema(made.parameter_schema),
        )

    def query(
        self,
        sql: str,
        *,
        parameters: Parameters | None = None,
        token: str | None = None,
        headers: Headers = (),
    ) -> Rows:
        """Ask for a statement and return its rows, of all endpoints in their order."""
        info = self.get_info(sql, parameters=parameters, token=token, headers=headers)
        readers = (self._endpoint_reader(endpoint, token, headers) for endpoint in info.endpoints)
        return Rows(readers, info.arrow_schema)

    def update(self, sql: str, *, token: str | None = None, headers: Headers = ()) -> int:
        """Run a writing statement and return its row count; -1 when the server does not know."""
        self._begin_session(sql, token, headers)
        command = sql_message("CommandStatementUpdate", query=sql)
        answer = self._put(command, None, token, headers)
        return int(read_sql_message("DoPutUpdateResult", answer).record_count)

    def action(
        self,
        kind: str,
        body: bytes = b"",
        *,
        token: str | None = None,
        headers: Headers = (),
        timeout_s: float | None = None,
    ) -> bytes:
        """Run an action and return the body of its only result; empty when it has none."""

        def act(options: Any) -> bytes:
            results = list(self._client.do_action(flight.Action(kind, body), options))
            return results[0].body.to_pybytes() if results else b""

        return self._call(act, token, headers, timeout_s=timeout_s)

    def session_options(self, *, token: str | None = None, headers: Headers = ()) -> dict[str, str]:
        """Return what completes names in this session: cluster, catalog, schema."""
        body = self.action("GetSessionOptions", token=token, headers=headers)
        answer = read_answer("GetSessionOptionsResult", body)
        return {entry.key: entry.value.string_value for entry in answer.session_options}

    def set_session_options(
        self,
        options: Mapping[str, str | None],
        *,
        token: str | None = None,
        headers: Headers = (),
    ) -> dict[str, OptionError]:
        """Set options of this session, erase those that are None; return those that failed."""
        self._begin_session("USE", token, headers)
        body = self.action("SetSessionOptions", request_body(options), token=token, headers=headers)
        answer = read_answer("SetSessionOptionsResult", body)
        return {entry.key: OptionError(entry.value.value) for entry in answer.errors}

    def cancel(
        self,
        endpoints: Iterable[Endpoint],
        *,
        token: str | None = None,
        headers: Headers = (),
        timeout_s: float | None = None,
    ) -> CancelStatus:
        """Stop the statement with these endpoints, whoever reads its rows."""
        body = cancel_body(endpoints)
        answer = self.action(
            "CancelFlightInfo", body, token=token, headers=headers, timeout_s=timeout_s
        )
        return CancelStatus(read_flight_message("CancelFlightInfoResult", answer).status)

    def renew(
        self, endpoint: Endpoint, *, token: str | None = None, headers: Headers = ()
    ) -> Endpoint:
        """Return an endpoint whose ticket counts for longer; the right to it is decided anew."""
        body = renew_body(endpoint)
        answer = self.action("RenewFlightEndpoint", body, token=token, headers=headers)
        return read_endpoint_body(answer)

    def open_ticket(
        self, ticket: bytes, *, token: str | None = None, headers: Headers = ()
    ) -> Rows:
        """Return the rows of a ticket, or of a statement handle, as this server has them."""
        return Rows(iter([self._reader(as_ticket(ticket), token, headers)]))

    def open_endpoint(
        self, endpoint: Endpoint, *, token: str | None = None, headers: Headers = ()
    ) -> Rows:
        """Return the rows of one endpoint, from the first of its locations that answers."""
        return Rows(iter([self._endpoint_reader(endpoint, token, headers)]))

    def catalogs(self, *, token: str | None = None, headers: Headers = ()) -> list[str]:
        """Return the catalogs that the caller may see."""
        command = sql_message("CommandGetCatalogs")
        names: list[str] = self._metadata(command, token, headers)["catalog_name"].to_pylist()
        return names

    def tables(
        self, *, include_schema: bool = False, token: str | None = None, headers: Headers = ()
    ) -> pa.Table:
        """Return the tables that the caller may see, as CommandGetTables answers them."""
        command = sql_message("CommandGetTables", include_schema=include_schema)
        return self._metadata(command, token, headers)

    # How calls are made

    def _bind(
        self, handle: bytes, row: pa.RecordBatch, token: str | None, headers: Headers
    ) -> bytes:
        """Bind a row to a prepared statement and return the handle that holds it."""
        command = sql_message("CommandPreparedStatementQuery", prepared_statement_handle=handle)
        answer = self._put(command, row, token, headers)
        bound = read_sql_message("DoPutPreparedStatementResult", answer)
        return bytes(bound.prepared_statement_handle) or handle

    def _put(
        self, command: Any, row: pa.RecordBatch | None, token: str | None, headers: Headers
    ) -> bytes:
        """Put a command with a row, or with nothing, and return what is answered."""
        descriptor = flight.FlightDescriptor.for_command(pack(command))
        schema = pa.schema([]) if row is None else row.schema

        def put(options: Any) -> bytes:
            writer, reader = self._client.do_put(descriptor, schema, options)
            with writer:
                if row is not None:
                    writer.write_batch(row)
                writer.done_writing()
                answer = reader.read()
            return answer.to_pybytes() if answer is not None else b""

        return self._call(put, token, headers)

    def _begin_session(self, sql: str, token: str | None, headers: Headers) -> None:
        """Have a session before a statement that changes it: servers begin one with any answer."""
        if sql.lstrip()[:3].upper() == "USE" and self._session and not self._session.is_begun:
            self.session_options(token=token, headers=headers)

    def _metadata(self, command: Any, token: str | None, headers: Headers) -> pa.Table:
        return Rows(iter([self._reader(pack(command), token, headers)])).read_all()

    def _info(self, command: Any, token: str | None, headers: Headers) -> StatementInfo:
        descriptor = flight.FlightDescriptor.for_command(pack(command))
        info = self._call(
            lambda options: self._client.get_flight_info(descriptor, options), token, headers
        )
        endpoints = tuple(read_endpoint(endpoint) for endpoint in info.endpoints)
        schema = info.schema if info.schema is not None else pa.schema([])
        return StatementInfo(schema, endpoints, info.total_records, info.app_metadata)


def _row(parameters: Parameters) -> pa.RecordBatch:
    """Return values as the one row that is bound, named by number or as they are named."""
    if isinstance(parameters, pa.RecordBatch):
        return parameters
    if isinstance(parameters, Mapping):
        named = dict(parameters)
    else:
        named = {str(number): value for number, value in enumerate(parameters, 1)}
    return pa.RecordBatch.from_arrays(
        [pa.array([value]) for value in named.values()], names=list(named)
    )


def _read_schema(data: bytes) -> pa.Schema | None:
    return pa.ipc.read_schema(pa.py_buffer(data)) if data else None
