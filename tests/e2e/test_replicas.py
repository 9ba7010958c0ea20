"""Two MoMs over one state: what one of them handed out, the other honours, also after a restart."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

import pyarrow as pa
import pytest
from pyarrow import flight

from auth import seal_session_token
from flight_mom.demo.federation import HANGZHOU, MOM, SHANGHAI, DemoFederation
from flight_sql import CancelStatus, Client, RemoteError
from tests.e2e.commands import served
from tests.e2e.federation import (
    ADMIN,
    COUNT_FLIGHTS,
    COUNT_QUOTES,
    FLIGHTS_AT,
    READER,
    count,
    environment,
    kill,
    make_federation,
    mom_key,
    refused_sql,
    refused_ticket,
    restart,
)
from tests.e2e.fetching import AT_HANGZHOU, Fetching, ended
from tests.e2e.flightcalls import renewed_token
from tests.e2e.test_handles import bind, run
from tests.flight_member.factories import make_identity
from tests.waiting import wait_until

TIMEOUT_S = 5.0
RELAY = (("x-route", "relay"),)
GRANT = f"GRANT TABLE_READ ON {FLIGHTS_AT} TO {READER}"
SELECT = f"select flight from {FLIGHTS_AT} where carrier = ? and flight < ? order by flight"
FEW = pa.record_batch({"0": ["UA"], "1": [8]})
# Replicas look for each other's changes twice a second.
NOTICE_S = 10.0


@dataclass(frozen=True)
class Twins:
    """One federation and the addresses of its two MoMs; members report to the first."""

    federation: DemoFederation
    uris: tuple[str, str]

    def sign_in(self, user: str, cluster: str, number: int) -> Client:
        client = Client(self.uris[number])
        client.sign_in(f"{user}@{cluster}", self.federation.password(user))
        return client


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Twins]:
    federation = make_federation(tmp_path_factory.mktemp("twins"))
    settings = {"FLIGHT_MOM_HEARTBEAT__TIMEOUT_S": str(TIMEOUT_S)}
    second = {"FLIGHT_MOM_HEARTBEAT__INTERVAL_S": "1"}
    with (
        environment(settings),
        federation.running(),
        served("flight_mom", federation.directory / MOM, second) as uri,
    ):
        with federation.client(ADMIN, MOM, at=MOM) as admin:
            admin.update(GRANT)
        yield Twins(federation, (federation.uri(MOM), uri))


@pytest.fixture(params=[0, 1], ids=["first", "second"])
def pair(twins: Twins, request: pytest.FixtureRequest) -> Iterator[tuple[Client, Client]]:
    """user1@shanghai at one and, with the same session, at the other."""
    one = twins.sign_in("user1", SHANGHAI, request.param)
    with one, Client(twins.uris[1 - request.param], token=one.token) as other:
        wait_until(partial(answers, one), NOTICE_S)
        wait_until(partial(answers, other), NOTICE_S)
        yield one, other


@pytest.fixture
def query_id() -> str:
    return f"replica-{time.monotonic_ns()}"


def answers(client: Client) -> bool:
    try:
        return count(client, COUNT_FLIGHTS) == 4_000
    except RemoteError:
        return False


def test_handle_is_bound_and_executed_at_the_other(pair: tuple[Client, Client]) -> None:
    one, other = pair
    handle = one.prepare(SELECT).handle
    with flight.connect(one.uri) as here, flight.connect(other.uri) as there:
        for bound in (bind(here, one, handle, FEW), bind(there, other, handle, FEW)):
            for raw, client in ((here, one), (there, other)):
                assert run(raw, client, bound) == [{"flight": 3}, {"flight": 7}]


@pytest.mark.parametrize("sql", [COUNT_FLIGHTS, "SHOW TABLES", f"EXPLAIN {COUNT_FLIGHTS}"])
def test_ticket_is_fetched_and_renewed_at_the_other(pair: tuple[Client, Client], sql: str) -> None:
    one, other = pair
    (endpoint,) = one.get_info(sql, headers=RELAY).endpoints
    renewed = other.renew(endpoint, headers=RELAY)
    rows = [client.open_ticket(endpoint.handle).read_all() for client in pair]
    rows += [client.open_ticket(renewed.handle).read_all() for client in pair]
    assert rows[0].num_rows
    assert all(table.equals(rows[0]) for table in rows)


def test_cookie_of_one_names_tables_at_the_other(pair: tuple[Client, Client]) -> None:
    one, other = pair
    one.query("USE aviation.nyc@hangzhou").read_all()
    assert one._session is not None
    cookie = tuple(one._session.headers().items())
    with Client(other.uri, token=other.token, headers=cookie, keeps_session=False) as there:
        assert there.session_options() == {
            "cluster": HANGZHOU,
            "catalog": "aviation@hangzhou",
            "schema": "nyc",
        }
        assert count(there, "select count(*) as n from flights") == 4_000


def test_renewed_session_counts_at_the_other(twins: Twins) -> None:
    issued_at = datetime.now(UTC) - timedelta(seconds=20)
    half_spent = seal_session_token(
        make_identity(READER),
        mom_key(twins.federation),
        issuer=MOM,
        now=issued_at,
        ttl_s=35,
        proved_at=issued_at + timedelta(seconds=18),
    )
    for number in (0, 1):
        renewed = renewed_token(twins.uris[number], half_spent)
        assert renewed not in {None, half_spent}
        with Client(twins.uris[1 - number], token=renewed) as other:
            assert answers(other)


def test_grant_and_revocation_at_one_count_at_the_other(twins: Twins, query_id: str) -> None:
    for number in (1, 0):
        with (
            twins.sign_in("user1", SHANGHAI, 1 - number) as reader,
            twins.sign_in(ADMIN, MOM, number) as changing,
        ):
            own_id = f"{query_id}-{number}"
            info = reader.get_info(AT_HANGZHOU, headers=(*RELAY, ("x-query-id", own_id)))
            fetching = Fetching(partial(reader.open_ticket, info.endpoints[0].handle))
            changing.update(GRANT.replace("GRANT", "REVOKE").replace(" TO ", " FROM "))
            assert fetching.refusal().code == "revoked-ticket"
            wait_until(lambda: ended(twins.federation, HANGZHOU, own_id) != [], NOTICE_S)  # noqa: B023  called at once
            # Until this replica has noticed, the member refuses what it hands out.
            while (code := refused_sql(reader, COUNT_FLIGHTS).code) != "not-found":
                assert code == "revoked-ticket"
            changing.update(GRANT)
            wait_until(partial(answers, reader), NOTICE_S)


@pytest.mark.parametrize("route", ["relay", "direct"])
def test_statement_is_cancelled_at_the_other(
    twins: Twins, pair: tuple[Client, Client], query_id: str, route: str
) -> None:
    one, other = pair
    info = one.get_info(AT_HANGZHOU, headers=(("x-route", route), ("x-query-id", query_id)))
    (endpoint,) = info.endpoints
    fetching = Fetching(partial(one.open_endpoint, endpoint))
    time.sleep(0.3)
    assert other.cancel(info.endpoints) is CancelStatus.CANCELLED
    assert fetching.refusal().code == "cancelled"
    assert ended(twins.federation, HANGZHOU, query_id) == ["cancelled"]
    for client in pair:
        assert refused_ticket(client, endpoint.handle).code == "cancelled"


def test_second_knows_who_is_alive_though_members_report_to_the_first(twins: Twins) -> None:
    with twins.sign_in(ADMIN, MOM, 1) as admin:
        until = datetime.now(UTC) + timedelta(seconds=TIMEOUT_S + 1)
        wait_until(lambda: all(at is not None and at > until for at in heard_at(admin)), 30)
    with twins.sign_in("user1", SHANGHAI, 1) as reader:
        assert answers(reader)


def heard_at(admin: Client) -> list[datetime | None]:
    rows = admin.query("SHOW CLUSTERS").read_all().to_pylist()
    return [row["last_heartbeat_at"] for row in rows]


@pytest.mark.parametrize("name", [MOM, HANGZHOU, SHANGHAI])
def test_handles_and_tickets_outlive_a_restart(twins: Twins, name: str) -> None:
    """Of the MoM, of the member with the rows, and of the home where they were asked for."""
    federation = twins.federation
    at = SHANGHAI if name == SHANGHAI else MOM
    sql = COUNT_QUOTES if name == SHANGHAI else COUNT_FLIGHTS
    with federation.client("user1", SHANGHAI, at=at) as before:
        wait_until(lambda: refuses_nothing(before, sql), NOTICE_S)
        expected = before.query(sql).read_all()
        handle, (endpoint,) = before.prepare(sql).handle, before.get_info(sql).endpoints
        token = before.token
    kill(federation, name)
    if name == MOM:
        # One is away, the other answers.
        with Client(twins.uris[1], token=token) as other, flight.connect(other.uri) as raw:
            assert other.open_ticket(endpoint.handle).read_all() == expected
            assert run(raw, other, handle) == expected.to_pylist()
    restart(federation, name)
    with Client(federation.uri(at), token=token) as after, flight.connect(after.uri) as raw:
        wait_until(lambda: refuses_nothing(after, sql), 30)
        assert after.open_ticket(endpoint.handle).read_all() == expected
        assert run(raw, after, handle) == expected.to_pylist()


def refuses_nothing(client: Client, sql: str) -> bool:
    try:
        client.query(sql).read_all()
    except RemoteError:
        return False
    return True
