"""A table that may not be read and one that is not there: the same words, the same work."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import flight

from auth.auditstore import AuditStore
from flight_member.memberhome import MemberHome
from flight_sql import Client, RemoteError
from flight_sql.messages import pack, sql_message
from tests.flight_member.factories import HANGZHOU, SHANGHAI, load_quotes, make_settings
from tests.flight_mom.test_server import QUOTES, Servers
from tests.waiting import wait_until

TRADES = f"trading.stock.trade@{HANGZHOU}"
HIDDEN = f"trading.unseen.trade@{HANGZHOU}"
# Of the same length as the hidden one, each missing at another level.
MISSING = (
    f"trading.unseen.trads@{HANGZHOU}",
    f"trading.unseem.trade@{HANGZHOU}",
    f"tradinh.unseen.trade@{HANGZHOU}",
    "trading.unseen.trade@hangzhov",
)
# What pyarrow makes of INVALID_ARGUMENT, NOT_FOUND and UNIMPLEMENTED, and of all others.
_BARE = (pa.ArrowException, KeyError, flight.FlightError)
_PART = re.compile(r"^\w+: (select .*)$", re.MULTILINE)


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """hangzhou with quotes and trades for user1, and a table that nobody has been given."""
    directory = tmp_path_factory.mktemp("federation")
    servers = Servers(directory)
    for cluster, name in (
        (HANGZHOU, TRADES),
        (HANGZHOU, HIDDEN),
        (SHANGHAI, "trading.stock.trade@x"),
    ):
        home = MemberHome(make_settings(directory / cluster, cluster__name=cluster))
        load_quotes(home, name.partition("@")[0])
    wait_until(lambda: len(servers.member(HANGZHOU).metastore.all_tables()) == 3)
    wait_until(lambda: len(servers.member(SHANGHAI).metastore.all_tables()) == 1)
    for table in (QUOTES, TRADES):
        servers.admin.update(f"GRANT TABLE_READ ON {table} TO user1@shanghai")
    yield servers
    servers.stop()


@pytest.fixture(scope="module")
def at_home(servers: Servers) -> Iterator[Client]:
    with Client(servers.members[SHANGHAI]._flight.uri) as client:
        client.sign_in("user1", "correct horse battery")
        yield client


@pytest.fixture(params=["at the MoM", "at home"])
def client(request: pytest.FixtureRequest, servers: Servers, at_home: Client) -> Client:
    return servers.user if request.param == "at the MoM" else at_home


def refusal(ask: Callable[[], object]) -> RemoteError:
    with pytest.raises(RemoteError) as caught:
        ask()
    return caught.value


def refused(client: Client, sql: str) -> RemoteError:
    return refusal(lambda: client.query(sql).read_all())


def ask_schema(client: Client, sql: str) -> str:
    """Return what a bare GetSchema is refused with."""
    descriptor = flight.FlightDescriptor.for_command(
        pack(sql_message("CommandStatementQuery", query=sql))
    )
    return said(client, lambda bare, options: bare.get_schema(descriptor, options))


def prepare(client: Client, sql: str) -> str:
    """Return what a bare CreatePreparedStatement is refused with."""
    body = pack(sql_message("ActionCreatePreparedStatementRequest", query=sql))
    action = flight.Action("CreatePreparedStatement", body)
    return said(client, lambda bare, options: list(bare.do_action(action, options)))


def said(client: Client, ask: Callable[[flight.FlightClient, Any], object]) -> str:
    options = flight.FlightCallOptions(
        timeout=30, headers=[(b"authorization", f"Bearer {client.token}".encode())]
    )
    with flight.FlightClient(client.uri) as bare, pytest.raises(_BARE) as caught:
        ask(bare, options)
    return str(caught.value).partition("not-found: ")[2].partition(". Detail:")[0]


def audit_count(servers: Servers) -> int:
    servers.mom._audit._writer.flush()
    with servers.mom._database.read() as connection:
        return len(AuditStore(connection).tail(100_000))


def missing_for(statement: str) -> tuple[str, ...]:
    """Return what is missing where the hidden table could be; of one cluster beside another."""
    return tuple(name for name in MISSING if name.endswith(HANGZHOU) or "union" not in statement)


STATEMENTS = (
    "select * from {0}",
    "select bid from {0} where nothing = 1",
    "select nothing_of_that_kind(bid) from {0}",
    f"select bid from {TRADES} union all select bid from {{0}}",
    "explain select * from {0}",
    "explain analyze select * from {0}",
    "describe {0}",
    "explain access of user1@shanghai to {0}",
)


@pytest.mark.parametrize("statement", STATEMENTS)
def test_hidden_and_missing_are_refused_in_the_same_words(client: Client, statement: str) -> None:
    hidden = refused(client, statement.format(HIDDEN))
    assert hidden.code == "not-found"
    for missing in missing_for(statement):
        error = refused(client, statement.format(missing))
        assert (error.code, error.status) == (hidden.code, hidden.status)
        assert error.text.replace(missing, HIDDEN) == hidden.text


@pytest.mark.parametrize("ask", [ask_schema, prepare])
def test_hidden_and_missing_are_refused_alike_before_anything_is_executed(
    client: Client, ask: Callable[[Client, str], str]
) -> None:
    hidden = ask(client, STATEMENTS[0].format(HIDDEN))
    assert hidden.startswith(f"{HIDDEN} does not exist, or you may not read it; ")
    for missing in MISSING:
        assert ask(client, STATEMENTS[0].format(missing)).replace(missing, HIDDEN) == hidden


@pytest.mark.parametrize("statement", STATEMENTS)
def test_hidden_and_missing_leave_as_many_audit_records(servers: Servers, statement: str) -> None:
    def written(name: str) -> int:
        before = audit_count(servers)
        refused(servers.user, statement.format(name))
        return audit_count(servers) - before

    assert {written(name) for name in missing_for(statement)} == {written(HIDDEN)}


def test_join_with_a_hidden_table_is_refused_as_with_a_missing_one(client: Client) -> None:
    statement = f"select q.bid from {QUOTES} q join {{0}} t on q.symbol = t.symbol"
    hidden = refused(client, statement.format(HIDDEN))
    assert hidden.code == "join-not-supported"
    assert "send" not in hidden.text
    for missing in MISSING[:3]:
        text = refused(client, statement.format(missing)).text
        assert text.replace(missing, HIDDEN) == hidden.text


def test_join_of_readable_tables_is_refused_with_statements_that_run(client: Client) -> None:
    error = refused(
        client,
        f"select q.bid, t.bid from {QUOTES} q left join {TRADES} t on q.symbol = t.symbol "
        "where q.bid < 5",
    )
    parts = _PART.findall(error.text)
    assert [client.query(part).read_all().num_rows for part in parts] == [5, 100]
    assert 'q.join(t, on="symbol", how="left")' in error.text


def test_join_that_only_the_plan_shows_is_refused_with_statements_that_run(
    client: Client,
) -> None:
    error = refused(
        client,
        f"select bid from {QUOTES} where bid > (select avg(b) from (select bid as b, symbol as s "
        f"from {TRADES}) as t where s = symbol)",
    )
    parts = re.findall(r"^\w+: (select .*)$", error.text, re.MULTILINE)
    assert [client.query(part).read_all().num_rows for part in parts] == [100, 100]


def test_tables_of_two_clusters_are_refused_with_statements_that_run(client: Client) -> None:
    mine = "trading.stock.trade@shanghai"
    error = refused(client, f"select bid from {mine} union all select bid from {QUOTES}")
    assert error.code == "multi-cluster-query"
    parts = _PART.findall(error.text)
    assert [client.query(part).read_all().num_rows for part in parts] == [100, 100]
    texts = {
        refused(client, f"select bid from {mine} union all select bid from {name}").text.replace(
            name, HIDDEN
        )
        for name in (HIDDEN, *MISSING[:3])
    }
    assert len(texts) == 1
    assert "send\n" not in texts.pop()


def test_advice_on_a_join_is_not_audited(servers: Servers) -> None:
    for table in (TRADES, HIDDEN, MISSING[0]):
        before = audit_count(servers)
        refused(servers.user, f"select 1 from {QUOTES} q, {table} t")
        assert audit_count(servers) == before


def test_listings_leave_hidden_tables_out(client: Client) -> None:
    said = set()
    for name in (HIDDEN, *MISSING):
        schema, _, cluster = name.rpartition("@")
        parent = f"{schema.rpartition('.')[0]}@{cluster}"
        said.add(refused(client, f"show tables from {parent}").text.replace(parent, "PARENT"))
        assert client.query(f"show grants on {name}").read_all().num_rows == 0
    assert len(said) == 1


def test_a_table_of_the_same_name_is_suggested_where_it_may_be_read(servers: Servers) -> None:
    text = refused(servers.user, "select * from trading.stock.quote@shanghai").text
    assert f"did you mean {QUOTES}?" in text
    assert "did you mean" not in refused(servers.user, "select * from trading.unseen.trade").text
