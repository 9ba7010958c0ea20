"""Cancelling and renewing through real servers: whose it is, and what becomes of the work."""

import time
from datetime import UTC, datetime
from functools import partial

import pytest

from flight_mom.demo.federation import HANGZHOU, MOM, SHANGHAI, DemoFederation
from flight_sql import (
    REUSE_CONNECTION,
    CancelStatus,
    Client,
    Endpoint,
    StatementInfo,
)
from tests.e2e.federation import (
    ADMIN,
    COUNT_FLIGHTS,
    COUNT_QUOTES,
    FLIGHTS_AT,
    READER,
    STRANGER,
    refusal,
    refused_sql,
    refused_ticket,
)
from tests.e2e.fetching import AT_HANGZHOU, AT_SHANGHAI, Fetching, ended
from tests.waiting import wait_until


def fetch(
    federation: DemoFederation, client: Client, info: StatementInfo, *, is_direct: bool = False
) -> Fetching:
    (endpoint,) = info.endpoints
    if not is_direct:
        return Fetching(lambda: client.open_ticket(endpoint.handle))
    return Fetching(lambda: Client(federation.uri(HANGZHOU)).open_ticket(endpoint.handle))


@pytest.mark.usefixtures("granted")
@pytest.mark.parametrize("route", ["relay", "direct"])
def test_running_statement_of_another_cluster_is_cancelled_at_its_member(
    federation: DemoFederation, at_mom: Client, query_id: str, route: str
) -> None:
    headers = (("x-route", route), ("x-query-id", query_id))
    info = at_mom.get_info(AT_HANGZHOU, headers=headers)
    fetching = fetch(federation, at_mom, info, is_direct=route == "direct")
    time.sleep(0.3)
    assert ended(federation, HANGZHOU, query_id) == []
    assert at_mom.cancel(info.endpoints) is CancelStatus.CANCELLED
    # When it is said to be cancelled, it is.
    wait_until(lambda: ended(federation, HANGZHOU, query_id) == ["cancelled"], 5)
    error = fetching.refusal()
    assert (error.code, error.status, error.retryable) == ("cancelled", "CANCELLED", False)
    assert "on request" in error.text
    for again in (at_mom, Client(federation.uri(HANGZHOU))):
        assert refused_ticket(again, info.endpoints[0].handle).code == "cancelled"
    assert at_mom.cancel(info.endpoints) is CancelStatus.CANCELLED


@pytest.mark.usefixtures("granted")
def test_statement_asked_at_home_is_cancelled_there_wherever_it_runs(
    federation: DemoFederation, at_home: Client, query_id: str
) -> None:
    for sql, cluster in ((AT_HANGZHOU, HANGZHOU), (AT_SHANGHAI, SHANGHAI)):
        own_id = f"{query_id}-{cluster}"
        info = at_home.get_info(sql, headers=(("x-query-id", own_id),))
        (endpoint,) = info.endpoints
        fetching = Fetching(partial(at_home.open_endpoint, endpoint))
        time.sleep(0.3)
        assert at_home.cancel(info.endpoints) is CancelStatus.CANCELLED
        assert fetching.refusal().code == "cancelled"
        assert ended(federation, cluster, own_id) == ["cancelled"]


@pytest.mark.usefixtures("granted")
def test_statement_is_cancelled_before_it_was_fetched(at_mom: Client, at_home: Client) -> None:
    for client, sql in (
        (at_mom, COUNT_FLIGHTS),
        (at_home, COUNT_QUOTES),
        (at_mom, "SHOW TABLES"),
        (at_home, "select count(*) as n from information_schema.tables"),
    ):
        info = client.get_info(sql)
        assert client.cancel(info.endpoints) is CancelStatus.CANCELLED
        error = refused_ticket(client, info.endpoints[0].handle)
        assert (error.code, error.status) == ("cancelled", "CANCELLED")


def test_what_was_carried_out_is_not_cancellable(admin: Client) -> None:
    info = admin.get_info(f"GRANT TABLE_READ ON {FLIGHTS_AT} TO {READER}")
    assert admin.cancel(info.endpoints) is CancelStatus.NOT_CANCELLABLE
    assert admin.open_ticket(info.endpoints[0].handle).read_all().num_rows == 1


@pytest.mark.usefixtures("granted")
def test_ticket_of_somebody_else_is_refused_as_one_that_nobody_made(
    federation: DemoFederation, at_mom: Client, at_home: Client
) -> None:
    at_work = at_mom.get_info(COUNT_FLIGHTS), at_home.get_info(COUNT_QUOTES)
    texts = set()
    for place, info in zip((MOM, SHANGHAI), at_work, strict=True):
        (endpoint,) = info.endpoints
        forged = Endpoint(endpoint.handle[:-2] + b"AA")
        with federation.client(STRANGER, SHANGHAI, at=place) as stranger:
            for ask in (lambda one: stranger.cancel([one]), stranger.renew):
                for one in (endpoint, forged):
                    error = refusal(ask, one)
                    assert (error.code, error.status) == ("invalid-ticket", "UNAUTHENTICATED")
                    texts.add(error.text)
    assert len(texts) == 2  # one for cancelling, one for renewing
    # Nothing came of it.
    assert at_mom.open_ticket(at_work[0].endpoints[0].handle).read_all().num_rows == 1
    assert at_home.open_ticket(at_work[1].endpoints[0].handle).read_all().num_rows == 1


@pytest.mark.usefixtures("granted")
def test_administrators_cancel_for_others_and_renew_for_nobody(
    admin: Client, at_mom: Client
) -> None:
    info = at_mom.get_info(COUNT_FLIGHTS)
    assert refusal(admin.renew, info.endpoints[0]).code == "invalid-ticket"
    assert admin.cancel(info.endpoints) is CancelStatus.CANCELLED
    assert refused_ticket(at_mom, info.endpoints[0].handle).code == "cancelled"


@pytest.mark.usefixtures("granted")
def test_visitor_cancels_where_they_asked_and_not_at_the_member(
    federation: DemoFederation, at_mom: Client
) -> None:
    info = at_mom.get_info(COUNT_FLIGHTS)
    with Client(federation.uri(HANGZHOU), token=at_mom.token) as visitor:
        error = refusal(visitor.cancel, info.endpoints)
    assert error.status == "UNAUTHENTICATED"
    assert at_mom.open_ticket(info.endpoints[0].handle).read_all().num_rows == 1


@pytest.mark.usefixtures("granted")
def test_renewed_ticket_is_later_and_answers_the_same(at_mom: Client, at_home: Client) -> None:
    asked = [(at_mom, COUNT_FLIGHTS), (at_home, COUNT_FLIGHTS), (at_home, COUNT_QUOTES)]
    for client, sql in asked:
        (endpoint,) = client.get_info(sql).endpoints
        renewed = client.renew(endpoint)
        assert renewed.expires_at is not None
        assert endpoint.expires_at is not None
        assert renewed.expires_at > endpoint.expires_at > datetime.now(UTC)
        assert renewed.locations == endpoint.locations
        assert renewed.handle != endpoint.handle
        rows = [client.open_endpoint(one).read_all() for one in (endpoint, renewed, renewed)]
        assert rows[0] == rows[1] == rows[2]


def test_answers_are_renewed_for_their_caller(at_mom: Client, at_home: Client) -> None:
    for client in (at_mom, at_home):
        (endpoint,) = client.get_info("SHOW TABLES").endpoints
        renewed = client.renew(endpoint)
        assert renewed.expires_at is not None
        assert client.open_endpoint(renewed).read_all() == client.query("SHOW TABLES").read_all()


@pytest.mark.usefixtures("granted")
def test_renewal_is_refused_when_the_right_is_gone(admin: Client, at_mom: Client) -> None:
    (endpoint,) = at_mom.get_info(COUNT_FLIGHTS).endpoints
    admin.update(f"REVOKE TABLE_READ ON {FLIGHTS_AT} FROM {READER}")
    error = refusal(at_mom.renew, endpoint)
    assert (error.code, error.status) == ("not-found", "NOT_FOUND")
    assert error.text == refused_sql(at_mom, COUNT_FLIGHTS).text


@pytest.mark.usefixtures("granted")
def test_cancelled_ticket_is_not_renewed(at_mom: Client) -> None:
    info = at_mom.get_info(COUNT_FLIGHTS)
    at_mom.cancel(info.endpoints)
    assert refusal(at_mom.renew, info.endpoints[0]).code == "cancelled"


@pytest.mark.usefixtures("granted")
def test_unknown_route_is_refused_and_parallel_is_direct_from_one_node(
    federation: DemoFederation, at_mom: Client, at_home: Client
) -> None:
    for client, sql in ((at_mom, COUNT_FLIGHTS), (at_home, COUNT_FLIGHTS), (at_home, COUNT_QUOTES)):
        error = refusal(lambda: client.get_info(sql, headers=(("x-route", "fast"),)))  # noqa: B023  called at once
        assert (error.code, error.status) == ("invalid-request", "INVALID_ARGUMENT")
        assert "relay, direct or parallel" in error.text
    through_mom = federation.uri(MOM)
    for route, locations in (
        ("Relay", ()),
        ("direct", (federation.uri(HANGZHOU), REUSE_CONNECTION)),
        ("parallel", (federation.uri(HANGZHOU), REUSE_CONNECTION)),
    ):
        headers = (("x-route", route),)
        (endpoint,) = at_mom.get_info(COUNT_FLIGHTS, headers=headers).endpoints
        assert endpoint.locations == locations
        # Asked at home, "the same connection" is the MoM's, and never home.
        (endpoint,) = at_home.get_info(COUNT_FLIGHTS, headers=headers).endpoints
        assert endpoint.locations == (*locations[:1], through_mom)


@pytest.mark.usefixtures("granted")
def test_ticket_answers_the_same_rows_again_until_it_expires(
    federation: DemoFederation, at_mom: Client
) -> None:
    (endpoint,) = at_mom.get_info(f"select flight from {FLIGHTS_AT} order by flight").endpoints
    with Client(federation.uri(HANGZHOU)) as direct:
        rows = [one.open_ticket(endpoint.handle).read_all() for one in (at_mom, at_mom, direct)]
    assert rows[0] == rows[1] == rows[2]
    assert rows[0].num_rows == 4_000


def test_every_endpoint_of_a_statement_says_when_it_expires(
    federation: DemoFederation, at_mom: Client, at_home: Client
) -> None:
    with federation.client(ADMIN, MOM, at=MOM) as admin:
        for client, sql in (
            (at_mom, "select 1 as one"),
            (at_mom, "SHOW CLUSTERS"),
            (at_home, COUNT_QUOTES),
            (at_home, f"EXPLAIN {COUNT_QUOTES}"),
            (at_home, "USE trading.stock"),
            (admin, "SHOW GRANTS"),
        ):
            for endpoint in client.get_info(sql).endpoints:
                assert endpoint.expires_at is not None
                assert 0 < (endpoint.expires_at - datetime.now(UTC)).total_seconds() <= 301
