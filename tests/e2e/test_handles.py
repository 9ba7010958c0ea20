"""Prepared handles: they hold all that they stand for, so that any replica honours them."""

import datetime as dt
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
import pytest
from adbc_driver_flightsql import dbapi
from pyarrow import flight

from auth import SigningKey, TokenKind, seal
from flight_mom.demo.federation import MOM, SHANGHAI, DemoFederation
from flight_sql import Client
from flight_sql.messages import pack, read_sql_message, sql_message
from tests.e2e.federation import (
    COUNT_FLIGHTS,
    FLIGHTS_AT,
    STRANGER,
    bearer,
    member_key,
    mom_key,
    require_clean,
)

SELECT = f"select flight from {FLIGHTS_AT} where carrier = ? and flight < ? order by flight"

pytestmark = pytest.mark.usefixtures("granted")


@pytest.fixture
def raw(asked: Client) -> Iterator[Any]:
    with flight.connect(asked.uri) as raw:
        yield raw


def key_of(federation: DemoFederation, server: str) -> SigningKey:
    return mom_key(federation) if server == MOM else member_key(federation, server)


def sealed(
    federation: DemoFederation,
    server: str,
    *,
    kind: TokenKind = TokenKind.PREPARED,
    age_s: int = 0,
    ttl_s: int = 86_400,
) -> bytes:
    """Return a handle as a replica of a server makes it, some time ago."""
    return seal(
        kind,
        {"sql": COUNT_FLIGHTS},
        key_of(federation, server),
        issuer=server,
        audience=server,
        now=dt.datetime.now(dt.UTC) - dt.timedelta(seconds=age_s),
        ttl_s=ttl_s,
    ).encode()


def command(handle: bytes, kind: str = "Query") -> Any:
    name = f"CommandPreparedStatement{kind}"
    return flight.FlightDescriptor.for_command(
        pack(sql_message(name, prepared_statement_handle=handle))
    )


def run(raw: Any, client: Client, handle: bytes) -> list[dict[str, Any]]:
    """Execute a handle and fetch its rows, from where the server says."""
    assert client.token is not None
    info = raw.get_flight_info(command(handle), bearer(client.token))
    (endpoint,) = info.endpoints
    places = [place.uri.decode() for place in endpoint.locations]
    where = next((place for place in places if place.startswith("grpc")), client.uri)
    with flight.connect(where) as there:
        rows = there.do_get(endpoint.ticket, bearer(client.token)).read_all()
    return list(rows.to_pylist())


def put(raw: Any, token: str, descriptor: Any, row: pa.RecordBatch) -> Any:
    """Put a row and return what is answered."""
    writer, reader = raw.do_put(descriptor, row.schema, bearer(token))
    with writer:
        writer.write_batch(row)
        writer.done_writing()
        return reader.read()


def bind(raw: Any, client: Client, handle: bytes, row: pa.RecordBatch) -> bytes:
    assert client.token is not None
    answer = put(raw, client.token, command(handle), row)
    bound = read_sql_message("DoPutPreparedStatementResult", answer.to_pybytes())
    return bytes(bound.prepared_statement_handle)


def close(raw: Any, client: Client, handle: bytes) -> None:
    assert client.token is not None
    body = pack(
        sql_message("ActionClosePreparedStatementRequest", prepared_statement_handle=handle)
    )
    action = flight.Action("ClosePreparedStatement", body)
    assert list(raw.do_action(action, bearer(client.token))) == []


def test_handles_run_many_times_and_interleaved(raw: Any, asked: Client) -> None:
    counting, selecting = asked.prepare(COUNT_FLIGHTS).handle, asked.prepare(SELECT).handle
    few = bind(raw, asked, selecting, pa.record_batch({"0": ["UA"], "1": [8]}))
    other = bind(raw, asked, selecting, pa.record_batch({"0": ["AA"], "1": [1]}))
    assert len({counting, selecting, few, other}) == 4
    for _ in range(3):
        (counted,) = run(raw, asked, counting)
        assert counted["n"] > 0
        assert run(raw, asked, few) == [{"flight": 3}, {"flight": 7}]
        assert run(raw, asked, other) == [{"flight": 0}]
    # A bound handle is bound again, and forgets what it held.
    again = bind(raw, asked, few, pa.record_batch({"0": ["AA"], "1": [1]}))
    assert run(raw, asked, again) == [{"flight": 0}]


def test_closing_forgets_nothing_that_there_is(raw: Any, asked: Client) -> None:
    """A server keeps nothing of a handle: closing twice is fine, and so is using it then."""
    handle = asked.prepare(COUNT_FLIGHTS).handle
    for _ in range(2):
        close(raw, asked, handle)
    assert len(run(raw, asked, handle)) == 1


def test_handle_of_another_user_is_decided_for_who_executes_it(
    federation: DemoFederation, raw: Any, at: str, asked: Client
) -> None:
    handle = asked.prepare(COUNT_FLIGHTS).handle
    with federation.client(STRANGER, SHANGHAI, at=at) as stranger:
        assert stranger.token is not None
        with pytest.raises(pa.ArrowKeyError, match="not-found: ") as refused:
            raw.get_flight_info(command(handle), bearer(stranger.token))
    require_clean(str(refused.value))


def test_handle_of_another_replica_counts(
    federation: DemoFederation, raw: Any, at: str, asked: Client
) -> None:
    """No process has seen it before: the signature alone makes it good."""
    assert len(run(raw, asked, sealed(federation, at))) == 1


def test_expired_handle_says_so_and_what_to_do(
    federation: DemoFederation, raw: Any, at: str, asked: Client
) -> None:
    handle = sealed(federation, at, age_s=61, ttl_s=60)
    assert asked.token is not None
    token, row = asked.token, pa.record_batch({"0": [1]})
    asks: tuple[Callable[[], object], ...] = (
        lambda: raw.get_flight_info(command(handle), bearer(token)),
        lambda: put(raw, token, command(handle), row),
        lambda: put(raw, token, command(handle, "Update"), row),
    )
    for ask in asks:
        with pytest.raises(flight.FlightUnauthenticatedError) as refused:
            ask()
        said = str(refused.value)
        assert said.startswith(
            "expired-ticket: the prepared statement has expired; prepare it again"
        )
        require_clean(said)


@pytest.mark.parametrize(
    "kind", [kind for kind in TokenKind if kind is not TokenKind.PREPARED], ids=str
)
def test_no_other_kind_passes_for_a_handle(
    federation: DemoFederation, raw: Any, at: str, asked: Client, kind: TokenKind
) -> None:
    handle = sealed(federation, at, kind=kind, ttl_s=60)
    assert asked.token is not None
    with pytest.raises(
        flight.FlightUnauthenticatedError,
        match=r"invalid-ticket: this prepared statement cannot be used: .* prepare it again",
    ):
        raw.get_flight_info(command(handle), bearer(asked.token))


def test_handle_of_another_server_is_refused(
    federation: DemoFederation, raw: Any, at: str, asked: Client
) -> None:
    other = sealed(federation, MOM if at == SHANGHAI else SHANGHAI)
    assert asked.token is not None
    with pytest.raises(flight.FlightUnauthenticatedError, match="invalid-ticket: "):
        raw.get_flight_info(command(other), bearer(asked.token))


@pytest.mark.parametrize("mode", ["create", "append", "replace", "create_append"])
def test_ingest_into_another_cluster_is_refused_in_every_mode(
    federation: DemoFederation, at: str, asked: Client, mode: Any
) -> None:
    options = {"adbc.flight.sql.authorization_header": f"Bearer {asked.token}"}
    rows = pa.table({"a": list(range(500_000))})
    before = asked.tables().num_rows
    with (
        dbapi.connect(federation.uri(at), db_kwargs=options, autocommit=True) as connection,
        connection.cursor() as cursor,
    ):
        with pytest.raises(dbapi.NotSupportedError, match="cross-cluster-read-only: ") as refused:
            cursor.adbc_ingest(
                "quote", rows, mode=mode, catalog_name="aviation@hangzhou", db_schema_name="nyc"
            )
        require_clean(str(refused.value))
        with pytest.raises(dbapi.NotSupportedError, match="request-not-supported: "):
            cursor.adbc_ingest("quote", rows, mode=mode, temporary=True)
        # The connection is as good as before.
        cursor.execute(COUNT_FLIGHTS)
        assert len(cursor.fetchall()) == 1
    assert asked.tables().num_rows == before


@pytest.mark.parametrize("exists, missing", [(0, 1), (1, 0), (0, 0)])
def test_ingest_without_a_mode_is_invalid(
    raw: Any, asked: Client, exists: int, missing: int
) -> None:
    how = sql_message("TableDefinitionOptions", if_exists=exists, if_not_exist=missing)
    ingest = sql_message("CommandStatementIngest", table="t", table_definition_options=how)
    descriptor = flight.FlightDescriptor.for_command(pack(ingest))
    assert asked.token is not None
    with pytest.raises(pa.ArrowInvalid, match="invalid-request: an ingest must say"):
        put(raw, asked.token, descriptor, pa.record_batch({"a": [1]}))
