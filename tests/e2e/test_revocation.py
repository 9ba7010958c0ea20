"""What is taken back dies with its tickets and streams, within one heartbeat."""

import time
from collections.abc import Iterator

import pytest

from flight_member.tables import TableDesk
from flight_mom.demo.federation import HANGZHOU, MOM, SHANGHAI, DemoFederation
from flight_sql import Client, Endpoint, RemoteError, Rows
from tests.e2e.commands import try_member
from tests.e2e.factories import FLIGHTS, batches_of, make_flights
from tests.e2e.federation import (
    CHIEF,
    COUNT_FLIGHTS,
    FLIGHTS_AT,
    QUOTES_AT,
    READER,
    count,
    refused_sql,
    refused_ticket,
)
from tests.waiting import wait_until

# A gigabyte; what the engine makes ahead of a client that does not read is a few megabytes.
LONG = f"select carrier, unnest(range(1, 20000)) as n from {FLIGHTS_AT}"
MORE_THAN_AHEAD_BYTES = 48 * 2**20
# A few heartbeats of a federation that beats every second, on a machine that does much else.
SOON_S = 20.0


def sealed(client: Client, sql: str) -> Endpoint:
    return client.get_info(sql).endpoints[0]


def code_of(at_member: Client, handle: bytes) -> str:
    """Return what a member refuses a ticket with, "" when it honours it."""
    try:
        with at_member.open_ticket(handle) as rows:
            next(rows)
    except RemoteError as error:
        return error.code
    return ""


def wait_until_dead(at_member: Client, witness: Endpoint, code: str = "revoked-ticket") -> None:
    """Wait until a member has heard of what ends a ticket, and all that rests on the same."""
    wait_until(lambda: code_of(at_member, witness.handle) == code, SOON_S)


@pytest.fixture
def reader(federation: DemoFederation, admin: Client) -> Iterator[Client]:
    admin.update(f"GRANT TABLE_READ ON {FLIGHTS_AT} TO {READER}")
    with federation.client("user1", SHANGHAI, at=MOM) as client:
        yield client


@pytest.mark.parametrize(
    "statement",
    [
        f"REVOKE TABLE_READ ON {FLIGHTS_AT} FROM {READER}",
        f"DENY CATALOG_READ ON aviation@hangzhou TO {READER}",
    ],
)
def test_ticket_dies_of_a_later_revocation(
    federation: DemoFederation, admin: Client, reader: Client, statement: str
) -> None:
    endpoint = sealed(reader, COUNT_FLIGHTS)
    admin.update(statement)
    # Where the MoM relays, at once; at the member, with its next heartbeat.
    assert refused_ticket(reader, endpoint.handle).code == "revoked-ticket"
    with Client(federation.uri(HANGZHOU)) as at_member:
        wait_until_dead(at_member, endpoint)
        assert refused_ticket(at_member, endpoint.handle).code == "revoked-ticket"


def test_running_stream_ends_when_its_right_is_taken_back(
    federation: DemoFederation, admin: Client, reader: Client
) -> None:
    witness = sealed(reader, COUNT_FLIGHTS)
    with Client(federation.uri(HANGZHOU)) as at_member:
        rows = at_member.open_ticket(sealed(reader, LONG).handle)
        next(rows)
        admin.update(f"REVOKE TABLE_READ ON {FLIGHTS_AT} FROM {READER}")
        wait_until_dead(at_member, witness)
        assert ended_with(rows) == "revoked-ticket"


def test_others_streams_live_on(federation: DemoFederation, admin: Client, reader: Client) -> None:
    endpoint = sealed(reader, f"select count(*) as n from ({LONG}) t")
    admin.update(f"GRANT TABLE_READ ON {FLIGHTS_AT} TO stranger@shanghai")
    with (
        federation.client("stranger", SHANGHAI, at=MOM) as other,
        Client(federation.uri(HANGZHOU)) as at_member,
    ):
        witness = sealed(other, COUNT_FLIGHTS)
        admin.update(f"DENY TABLE_READ ON {FLIGHTS_AT} TO stranger@shanghai")
        wait_until_dead(at_member, witness)
        assert at_member.open_ticket(endpoint.handle).read_all()["n"][0].as_py() == 4_000 * 19_999


@pytest.fixture
def traders(admin: Client) -> Iterator[None]:
    """The group traders, with user1 and the stranger, may read hangzhou's flights."""
    admin.update("CREATE GROUP traders")
    admin.update(f"ALTER GROUP traders ADD {READER}, stranger@shanghai")
    admin.update(f"GRANT TABLE_READ ON {FLIGHTS_AT} TO GROUP traders")
    yield
    if admin.query("SHOW GROUPS").read_all().num_rows:
        admin.update("DROP GROUP traders")


@pytest.mark.parametrize(
    "statement, survives",
    [
        (f"ALTER GROUP traders REMOVE {READER}", True),
        ("DROP GROUP traders", False),
        (f"REVOKE TABLE_READ ON {FLIGHTS_AT} FROM GROUP traders", False),
    ],
)
@pytest.mark.usefixtures("traders")
def test_running_stream_ends_with_the_membership_that_allowed_it(
    federation: DemoFederation, admin: Client, statement: str, survives: bool
) -> None:
    with (
        federation.client("user1", SHANGHAI, at=MOM) as reader,
        federation.client("stranger", SHANGHAI, at=MOM) as other,
        Client(federation.uri(HANGZHOU)) as at_member,
    ):
        rows = at_member.open_ticket(sealed(reader, LONG).handle)
        others = at_member.open_ticket(sealed(other, LONG).handle)
        witness = sealed(reader, COUNT_FLIGHTS)
        next(rows)
        next(others)
        admin.update(statement)
        assert refused_sql(reader, COUNT_FLIGHTS).code == "not-found"
        wait_until_dead(at_member, witness)
        assert ended_with(rows) == "revoked-ticket"
        if survives:
            require_alive(others)
        else:
            assert ended_with(others) == "revoked-ticket"


def test_owner_ends_what_a_visitor_reads_whatever_the_mom_granted(
    federation: DemoFederation, admin: Client, reader: Client
) -> None:
    veto = f"TABLE_READ ON {FLIGHTS}"
    admin.update(f"GRANT TABLE_READ ON {FLIGHTS_AT} TO stranger@shanghai")
    with (
        federation.client(CHIEF, HANGZHOU, at=HANGZHOU) as chief,
        federation.client("stranger", SHANGHAI, at=MOM) as other,
        Client(federation.uri(HANGZHOU)) as at_member,
    ):
        ticket = sealed(reader, COUNT_FLIGHTS).handle
        rows = at_member.open_ticket(sealed(reader, LONG).handle)
        others = at_member.open_ticket(sealed(other, LONG).handle)
        next(rows)
        next(others)
        unknown = refused_sql(reader, COUNT_FLIGHTS.replace("flights", "nothing"))
        chief.update(f"DENY {veto} TO {READER}")
        try:
            # At the member at once, with the words that the MoM has for what is not there.
            assert refused_ticket(at_member, ticket).code == "not-found"
            assert ended_with(rows) == "revoked-ticket"
            require_alive(others)
            # At the MoM with the report, a moment later.
            wait_until(lambda: FLIGHTS_AT not in tables(reader), SOON_S)
            assert FLIGHTS_AT in tables(other)
            refused = refused_sql(reader, COUNT_FLIGHTS)
            assert refused.text.replace("flights", "nothing") == unknown.text
            assert refused_ticket(reader, ticket).code == "revoked-ticket"
            (row,) = (
                admin.query(f"EXPLAIN ACCESS OF {READER} TO {FLIGHTS_AT}").read_all().to_pylist()
            )
            assert row["rule"] == f"the owner's DENY TABLE_READ ON {FLIGHTS_AT} TO {READER}"
            chief.update(f"DENY {veto} TO VISITORS")
            wait_until(lambda: FLIGHTS_AT not in tables(other), SOON_S)
        finally:
            chief.update(f"REVOKE {veto} FROM {READER}, VISITORS")
        wait_until(lambda: FLIGHTS_AT in tables(reader), SOON_S)
        assert count(reader, COUNT_FLIGHTS) == 4_000


def test_running_stream_ends_when_its_grant_does(
    federation: DemoFederation, admin: Client, reader: Client
) -> None:
    soon = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 6))
    admin.update(f"GRANT TABLE_READ ON {FLIGHTS_AT} TO {READER} UNTIL '{soon}'")
    admin.update(f"GRANT TABLE_READ ON {FLIGHTS_AT} TO stranger@shanghai")
    with (
        federation.client("stranger", SHANGHAI, at=MOM) as other,
        Client(federation.uri(HANGZHOU)) as at_member,
    ):
        rows = at_member.open_ticket(sealed(reader, LONG).handle)
        others = at_member.open_ticket(sealed(other, LONG).handle)
        witness = sealed(reader, COUNT_FLIGHTS)
        next(rows)
        next(others)
        wait_until_dead(at_member, witness, "expired-ticket")
        assert ended_with(rows) == "revoked-ticket"
        require_alive(others)
        assert refused_sql(reader, COUNT_FLIGHTS).code == "not-found"


def test_running_stream_ends_with_its_table_and_denials_outlive_it(
    federation: DemoFederation, admin: Client, reader: Client
) -> None:
    doomed, doomed_at = "aviation.nyc.doomed", f"aviation.nyc.doomed@{HANGZHOU}"
    desk = TableDesk.open(federation.member_home(HANGZHOU))

    def make() -> None:
        rows = batches_of(make_flights())
        desk.load_batches(doomed, rows, partition_by=(), progress=lambda _: None)
        wait_until(lambda: is_listed(admin, doomed_at), SOON_S)

    make()
    admin.update(f"GRANT TABLE_READ ON {doomed_at} TO {READER}")
    admin.update(f"DENY TABLE_READ ON {doomed_at} TO stranger@shanghai")
    with Client(federation.uri(HANGZHOU)) as at_member:
        rows = at_member.open_ticket(sealed(reader, LONG.replace(FLIGHTS_AT, doomed_at)).handle)
        others = at_member.open_ticket(sealed(reader, LONG).handle)
        witness = sealed(reader, f"select 1 from {doomed_at} limit 1")
        next(rows)
        next(others)
        desk.drop(doomed)
        wait_until_dead(at_member, witness)
        assert ended_with(rows) == "revoked-ticket"
        require_alive(others)
    held = admin.query(f"SHOW GRANTS ON {doomed_at}").read_all().to_pylist()
    assert [row["effect"] for row in held] == ["DENY"]
    make()
    assert refused_sql(reader, f"select 1 from {doomed_at}").code == "not-found"
    held = admin.query(f"SHOW GRANTS ON {doomed_at}").read_all().to_pylist()
    assert [row["effect"] for row in held] == ["DENY"]
    desk.drop(doomed)


@pytest.mark.parametrize("change", ["drop", "rename"])
def test_running_stream_ends_with_its_schema_and_denials_outlive_it(
    federation: DemoFederation, admin: Client, reader: Client, change: str
) -> None:
    schema, home = f"aviation.doomed_{change}", federation.member_home(HANGZHOU)
    table = f"{schema}.flights"

    def make() -> None:
        rows = batches_of(make_flights())
        TableDesk.open(home).load_batches(table, rows, partition_by=(), progress=lambda _: None)
        wait_until(lambda: is_listed(admin, f"{table}@{HANGZHOU}"), SOON_S)

    make()
    admin.update(f"GRANT SCHEMA_READ ON {schema}@{HANGZHOU} TO {READER}")
    admin.update(f"DENY TABLE_READ ON {table}@{HANGZHOU} TO stranger@shanghai")
    sql = LONG.replace(FLIGHTS_AT, f"{table}@{HANGZHOU}")
    with Client(federation.uri(HANGZHOU)) as at_member:
        rows = at_member.open_ticket(sealed(reader, sql).handle)
        witness = sealed(reader, f"select 1 from {table}@{HANGZHOU} limit 1")
        next(rows)
        to = ["elsewhere"] if change == "rename" else []
        done = try_member("schema", change, schema, *to, "--dir", str(home.directory))
        assert done.returncode == 0, done.stderr
        wait_until_dead(at_member, witness)
        assert ended_with(rows) == "revoked-ticket"
    assert refused_sql(reader, f"select 1 from {table}@{HANGZHOU}").code == "not-found"
    new_name = f"select 1 as one from aviation.elsewhere.flights@{HANGZHOU} limit 1"
    if change == "rename":
        assert reader.query(new_name).read_all().to_pylist() == [{"one": 1}]
    else:
        assert refused_sql(reader, new_name).code == "not-found"
    make()
    held = admin.query(f"SHOW GRANTS ON {schema}@{HANGZHOU}").read_all().to_pylist()
    assert [row["effect"] for row in held] == ["DENY"]
    assert refused_sql(reader, f"select 1 from {table}@{HANGZHOU}").code == "not-found"
    for name in {schema, "aviation.elsewhere" if change == "rename" else schema}:
        assert try_member("schema", "drop", name, "--dir", str(home.directory)).returncode == 0


def is_listed(admin: Client, table: str) -> bool:
    """Whether the MoM knows a table: its administrators may ask who reads it."""
    try:
        admin.query(f"SHOW READERS OF {table}").read_all()
    except RemoteError as error:
        if error.code == "not-found":
            return False
        raise
    return True


def test_nobody_but_the_owner_denies_visitors(
    federation: DemoFederation, admin: Client, at_home: Client
) -> None:
    veto = f"DENY TABLE_READ ON {QUOTES_AT} TO VISITORS"
    assert refused_sql(at_home, veto).code == "permission-denied"
    assert refused_sql(admin, veto).code == "statement-not-supported"
    with federation.client(CHIEF, HANGZHOU, at=HANGZHOU) as chief:
        assert refused_sql(chief, veto).code == "permission-denied"


def tables(client: Client) -> set[str]:
    rows = client.query("SHOW TABLES").read_all().to_pylist()
    return {
        f"{catalog}.{row['schema_name']}.{row['table_name']}@{cluster}"
        for row in rows
        for catalog, _, cluster in [row["catalog_name"].partition("@")]
    }


def ended_with(rows: Rows) -> str | None:
    """Read a stream to its end; return the code that it ends with, None when it was whole."""
    try:
        for _ in rows:
            pass
    except RemoteError as error:
        return error.code
    return None


def require_alive(rows: Rows) -> None:
    """Read past all that was made before, so that what comes was made after; stop reading."""
    with rows:
        read_bytes = 0
        while read_bytes < MORE_THAN_AHEAD_BYTES:
            read_bytes += next(rows).nbytes


def test_ticket_ends_no_later_than_its_grant(admin: Client, reader: Client) -> None:
    admin.update(f"REVOKE TABLE_READ ON {FLIGHTS_AT} FROM {READER}")
    admin.update(f"GRANT TABLE_READ ON {FLIGHTS_AT} TO {READER} UNTIL '2999-01-01T00:00:00Z'")
    far = sealed(reader, COUNT_FLIGHTS).expires_at
    soon = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 60))
    admin.update(f"GRANT TABLE_READ ON {FLIGHTS_AT} TO {READER} UNTIL '{soon}'")
    near = sealed(reader, COUNT_FLIGHTS).expires_at
    assert near is not None
    assert far is not None
    assert near.strftime("%Y-%m-%dT%H:%M:%SZ") == soon
    assert (far - near).total_seconds() > 60


def test_grants_are_shown_at_home_with_the_rules_of_home(
    federation: DemoFederation, admin: Client
) -> None:
    admin.update(f"GRANT TABLE_READ ON {FLIGHTS_AT} TO {READER}")
    with (
        federation.client("user1", SHANGHAI, at=SHANGHAI) as at_home,
        federation.client(CHIEF, HANGZHOU, at=HANGZHOU) as chief,
    ):
        sql = "SHOW GRANTS"
        assert at_home.prepare(sql).arrow_schema == at_home.get_info(sql).arrow_schema
        for client, securable in ((at_home, f"*@{SHANGHAI}"), (chief, f"*@{HANGZHOU}")):
            rows = client.query(sql).read_all().to_pylist()
            shown = {(row["securable"], row["authority"]) for row in rows}
            assert {(securable, "home"), (FLIGHTS_AT, "federation")} <= shown
        # Asked of another cluster's objects, it is the MoM that answers.
        rows = at_home.query(f"SHOW GRANTS ON {FLIGHTS_AT}").read_all().to_pylist()
        assert {row["authority"] for row in rows} == {"federation"}
