"""A statement that changes something runs once, whichever way it is asked; the audit counts it."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from typing import Any

import adbc_driver_manager
import pyarrow as pa
import pytest
from adbc_driver_flightsql import dbapi
from pyarrow import flight

from flight_mom.demo.federation import HANGZHOU, MOM, DemoFederation
from flight_sql import Client
from flight_sql.messages import pack, read_sql_message, sql_message
from tests.e2e.federation import ADMIN, CHIEF, READER, SALARIES_AT, bearer

GRANT = f"GRANT TABLE_READ ON {SALARIES_AT} TO {READER}"
HOME_DENY = f"DENY TABLE_READ ON {SALARIES_AT.partition('@')[0]} TO VISITORS"

Way = Callable[[Any, str], object]


def _execute(connection: Any, sql: str) -> object:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        assert cursor.rowcount == 1
        return None


def _execute_and_fetch(connection: Any, sql: str) -> object:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        (row,) = cursor.fetchall()
        assert row[1] is None
        return row


def _executemany(connection: Any, sql: str) -> object:
    with connection.cursor() as cursor:
        cursor.executemany(sql, None)
        assert cursor.rowcount == 1
        return None


def _executescript(connection: Any, sql: str) -> object:
    with connection.cursor() as cursor:
        return cursor.executescript(sql)


def _statement(connection: Any, sql: str, *, is_prepared: bool, is_update: bool) -> object:
    with adbc_driver_manager.AdbcStatement(connection.adbc_connection) as statement:
        statement.set_sql_query(sql)
        if is_prepared:
            statement.prepare()
        if is_update:
            assert statement.execute_update() == 1
            return None
        stream, _ = statement.execute_query()
        return pa.RecordBatchReader._import_from_c(stream.address).read_all()


WAYS: dict[str, Way] = {
    "execute": _execute,
    "execute and fetch": _execute_and_fetch,
    "executemany": _executemany,
    "executescript": _executescript,
    "prepared update": partial(_statement, is_prepared=True, is_update=True),
    "prepared query": partial(_statement, is_prepared=True, is_update=False),
    "plain update": partial(_statement, is_prepared=False, is_update=True),
    "plain query": partial(_statement, is_prepared=False, is_update=False),
}


def _audited(federation: DemoFederation, server: str, *, allowed: bool = True) -> int:
    """Return how many records there are of administrative acts on the table."""
    file = federation.directory / server / "state.db"
    name = SALARIES_AT.partition("@")[0]
    with closing(sqlite3.connect(file, timeout=30)) as database:
        sql = (
            "select count(*) from audit where allowed = ? and object like ? "
            "and action in ('allow', 'deny', 'revoke')"
        )
        (count,) = database.execute(sql, (allowed, f"%{name}%")).fetchone()
        return int(count)


@pytest.fixture
def connect(federation: DemoFederation) -> Iterator[Callable[[str, str, str], Any]]:
    opened: list[Any] = []

    def connect(user: str, cluster: str, at: str) -> Any:
        with federation.client(user, cluster, at=at) as client:
            token = client.token
        options = {"adbc.flight.sql.authorization_header": f"Bearer {token}"}
        opened.append(dbapi.connect(federation.uri(at), db_kwargs=options, autocommit=True))
        return opened[-1]

    yield connect
    for connection in opened:
        connection.close()


@pytest.mark.usefixtures("admin")
@pytest.mark.parametrize("way", WAYS)
def test_grant_at_the_mom_runs_once(
    federation: DemoFederation, connect: Callable[..., Any], way: str
) -> None:
    connection = connect(ADMIN, MOM, MOM)
    before = _audited(federation, MOM)
    WAYS[way](connection, GRANT)
    assert _audited(federation, MOM) == before + 1


@pytest.mark.usefixtures("admin")
@pytest.mark.parametrize("way", WAYS)
def test_owners_rule_at_the_member_runs_once(
    federation: DemoFederation, connect: Callable[..., Any], way: str
) -> None:
    connection = connect(CHIEF, HANGZHOU, HANGZHOU)
    before = _audited(federation, HANGZHOU)
    WAYS[way](connection, HOME_DENY)
    assert _audited(federation, HANGZHOU) == before + 1
    _executescript(connection, HOME_DENY.replace("DENY", "REVOKE", 1).replace(" TO ", " FROM "))


@pytest.mark.usefixtures("admin")
@pytest.mark.parametrize("way", WAYS)
def test_grant_that_a_member_passes_on_is_refused_once(
    federation: DemoFederation, connect: Callable[..., Any], way: str
) -> None:
    """Of a member's users none administers the federation; what they try is on record."""
    connection = connect(CHIEF, HANGZHOU, HANGZHOU)
    before = _audited(federation, MOM, allowed=False)
    with pytest.raises(dbapi.Error, match="permission-denied: "):
        WAYS[way](connection, GRANT)
    assert _audited(federation, MOM, allowed=False) == before + 1


def test_answer_is_fetched_again_without_running_again(
    federation: DemoFederation, admin: Client
) -> None:
    before = _audited(federation, MOM)
    info = admin.get_info(GRANT)
    rows = [admin.open_ticket(info.endpoints[0].handle).read_all() for _ in range(3)]
    assert all(again.equals(rows[0]) for again in rows)
    assert _audited(federation, MOM) == before + 1


def test_preparing_and_describing_run_nothing(federation: DemoFederation, admin: Client) -> None:
    before = _audited(federation, MOM)
    prepared = admin.prepare(GRANT)
    assert not prepared.is_update
    assert prepared.arrow_schema is not None
    assert prepared.arrow_schema.names == ["status", "warning"]
    command = pack(sql_message("CommandStatementQuery", query=GRANT))
    assert admin.token is not None
    with flight.connect(admin.uri) as raw:
        raw.get_schema(flight.FlightDescriptor.for_command(command), bearer(admin.token))
    assert _audited(federation, MOM) == before


@pytest.mark.parametrize("count, runs", [(0, 0), (None, 1)])
def test_prepared_handle_runs_once_for_each_put(
    federation: DemoFederation, admin: Client, count: int | None, runs: int
) -> None:
    """Columns without rows are no rows; no columns are one run."""
    before = _audited(federation, MOM)
    handle = admin.prepare(GRANT).handle
    command = pack(sql_message("CommandPreparedStatementUpdate", prepared_statement_handle=handle))
    schema = pa.schema([] if count is None else [("0", pa.int64())])
    assert admin.token is not None
    with flight.connect(admin.uri) as raw:
        descriptor = flight.FlightDescriptor.for_command(command)
        writer, reader = raw.do_put(descriptor, schema, bearer(admin.token))
        with writer:
            writer.done_writing()
            answer = reader.read()
    assert answer is not None
    counted = read_sql_message("DoPutUpdateResult", answer.to_pybytes()).record_count
    assert counted == runs
    assert _audited(federation, MOM) == before + runs


def test_warning_reaches_who_executes_through_adbc(
    admin: Client, connect: Callable[..., Any]
) -> None:
    """Why a grant is not announced as an update: ADBC would answer no row."""
    admin.update(GRANT.replace("GRANT", "DENY", 1))
    connection = connect(ADMIN, MOM, MOM)
    with connection.cursor() as cursor:
        cursor.execute(GRANT)
        ((status, warning),) = cursor.fetchall()
    assert status == "granted"
    assert "DENY" in warning
