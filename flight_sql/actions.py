"""The actions of Flight SQL and core Flight that every server answers.

SQL actions travel in an `Any`, core actions bare. A backend's own actions, and those of the core
that it wants to answer itself, come from `Backend.actions` and win over these.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from flight_sql.backend import Backend, Call
from flight_sql.endpoints import (
    endpoint_body,
    read_cancel_body,
    read_info_handles,
    read_renew_body,
)
from flight_sql.errors import InvalidRequestError, RequestNotSupportedError
from flight_sql.messages import (
    CancelStatus,
    SessionStatus,
    flight_message,
    message_name,
    pack,
    sql_message,
    summary_of,
    unpack,
)
from flight_sql.sessions import EMPTY_SESSION, errors_body, options_body, read_options
from flight_sql.wiretypes import wire_schema

_Handler = Callable[[Backend, Call, bytes], bytes | None]


def _create_prepared_statement(backend: Backend, call: Call, body: bytes) -> bytes:
    request = _read(body, "ActionCreatePreparedStatementRequest")
    prepared = backend.prepare(call, request.query)
    # JDBC decides by these: a query has a dataset schema, an update has none.
    dataset = prepared.arrow_schema
    if dataset is not None:
        dataset = call.profile.schema(dataset)
    parameters = prepared.parameter_schema
    if parameters is not None:
        # Clients send values in the types of the wire, also those that read the engine's.
        parameters = wire_schema(parameters, call.profile.wire.plain)
    return pack(
        sql_message(
            "ActionCreatePreparedStatementResult",
            prepared_statement_handle=prepared.handle,
            dataset_schema=_schema_bytes(dataset if not prepared.is_update else None),
            parameter_schema=_schema_bytes(parameters),
            is_update=prepared.is_update,
        )
    )


def _close_prepared_statement(_backend: Backend, _call: Call, body: bytes) -> None:
    # Handles are self-contained: there is nothing to forget, however often it is closed.
    _read(body, "ActionClosePreparedStatementRequest")


def _cancel_query(backend: Backend, call: Call, body: bytes) -> bytes:
    request = _read(body, "ActionCancelQueryRequest")
    status = _cancel(backend, call, read_info_handles(request.info))
    return pack(sql_message("ActionCancelQueryResult", result=status))


def _cancel_flight_info(backend: Backend, call: Call, body: bytes) -> bytes:
    status = _cancel(backend, call, read_cancel_body(body))
    data: bytes = flight_message("CancelFlightInfoResult", status=status).SerializeToString()
    return data


def _cancel(backend: Backend, call: Call, handles: Sequence[bytes | None]) -> CancelStatus:
    """Cancel every part of a result: it is cancelled when all are that can be."""
    statuses = [backend.cancel(call, handle) for handle in handles if handle is not None]
    return summary_of(statuses)


def _renew_flight_endpoint(backend: Backend, call: Call, body: bytes) -> bytes:
    handle = read_renew_body(body)
    if handle is None:
        raise RequestNotSupportedError(
            "the ticket of a metadata command does not expire: there is nothing to renew"
        )
    return endpoint_body(backend.renew(call, handle))


def _close_session(_backend: Backend, call: Call, _body: bytes) -> bytes:
    if call.session is not None:
        call.keep_session(EMPTY_SESSION, 0)
    data: bytes = flight_message(
        "CloseSessionResult", status=SessionStatus.CLOSED
    ).SerializeToString()
    return data


def _get_session_options(backend: Backend, call: Call, _body: bytes) -> bytes:
    return options_body(backend.session_options(call))


def _set_session_options(backend: Backend, call: Call, body: bytes) -> bytes:
    return errors_body(backend.set_session_options(call, read_options(body)))


def _no_transactions(_backend: Backend, _call: Call, _body: bytes) -> bytes:
    raise RequestNotSupportedError(
        "there are no transactions here (SqlInfo 8 says so): every statement is one by itself"
    )


def _no_substrait(_backend: Backend, _call: Call, _body: bytes) -> bytes:
    raise RequestNotSupportedError("Substrait plans are not read here; send SQL")


_SUPPORTED: Mapping[str, tuple[_Handler, str]] = {
    "CreatePreparedStatement": (_create_prepared_statement, "prepare a statement"),
    "ClosePreparedStatement": (_close_prepared_statement, "forget a prepared statement"),
    "CancelFlightInfo": (_cancel_flight_info, "cancel a statement"),
    "CancelQuery": (_cancel_query, "cancel a statement (deprecated)"),
    "RenewFlightEndpoint": (_renew_flight_endpoint, "let a ticket count for longer"),
    "GetSessionOptions": (_get_session_options, "list the session's options"),
    "SetSessionOptions": (_set_session_options, "set the session's options"),
    "CloseSession": (_close_session, "end the session"),
}
_REFUSED: Mapping[str, _Handler] = {
    "BeginTransaction": _no_transactions,
    "EndTransaction": _no_transactions,
    "BeginSavepoint": _no_transactions,
    "EndSavepoint": _no_transactions,
    "CreatePreparedSubstraitPlan": _no_substrait,
}


def run_action(backend: Backend, call: Call, kind: str, body: bytes) -> list[bytes]:
    """Run one action and return its results.

    Raises:
        RequestNotSupportedError: When nobody answers this type of action.
        InvalidRequestError: When the body is not the message that the action takes.
    """
    own = backend.actions().get(kind)
    if own is not None:
        return [own(call, body)]
    if kind in _SUPPORTED:
        result = _SUPPORTED[kind][0](backend, call, body)
    elif kind in _REFUSED:
        result = _REFUSED[kind](backend, call, body)
    else:
        raise RequestNotSupportedError(f"there is no action {kind[:100]!r} here")
    return [] if result is None else [result]


def action_types(backend: Backend) -> list[tuple[str, str]]:
    """Return the supported action types with a word on each, ordered by type."""
    types = {kind: text for kind, (_, text) in _SUPPORTED.items()}
    return sorted({**dict.fromkeys(backend.actions(), ""), **types}.items())


def _read(body: bytes, name: str) -> Any:
    request = unpack(body)
    if message_name(request) != name:
        raise InvalidRequestError(f"the action takes {name}, not {message_name(request)}")
    return request


def _schema_bytes(arrow_schema: Any) -> bytes:
    if arrow_schema is None:
        return b""
    data: bytes = arrow_schema.serialize().to_pybytes()
    return data
