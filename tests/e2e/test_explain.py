"""EXPLAIN through the whole federation: what it tells, to whom, and what it never does."""

import re
from collections.abc import Iterator

import pytest

from flight_member import protocol
from flight_member.explaining import EXPLANATION_SCHEMA
from flight_mom.demo.federation import HANGZHOU, MOM, SHANGHAI, DemoFederation
from flight_mom.membercommands import change_member
from flight_sql import Client
from tests.e2e.factories import FLIGHTS, QUOTES
from tests.e2e.federation import (
    FLIGHTS_AT,
    READER,
    SALARIES_AT,
    count,
    environment,
    make_federation,
    refused_sql,
    stored_table,
)

LATE = f"select carrier, avg(arr_delay) from {FLIGHTS_AT} where month = 2 and flight < 9 group by 1"
FOR_EVER = "with recursive t as (select 1 as a union all select a + 1 from t) select * from t"
RULE = f"ALLOW TABLE_READ ON {FLIGHTS_AT} TO {READER}"
# The files' places and names, and the words of the libraries.
SECRET = re.compile(r"/|\.parquet|part-|origin=|month=|datafusion|file_group|Exec\b", re.IGNORECASE)


@pytest.fixture(scope="module")
def federation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoFederation]:
    """A federation of its own whose members run one statement at a time."""
    federation = make_federation(tmp_path_factory.mktemp("narrow"))
    with environment({"FLIGHT_MEMBER_LIMITS__MAX_RUNNING": "1"}), federation.running():
        yield federation


def explain(client: Client, sql: str, before: str = "explain") -> list[tuple[str, str]]:
    rows = client.query(f"{before} {sql}").read_all()
    assert rows.schema == EXPLANATION_SCHEMA
    told = [(row["item"], row["value"]) for row in rows.to_pylist()]
    assert not [value for _, value in told if SECRET.search(value)]
    return told


def all_of(told: list[tuple[str, str]], item: str) -> list[str]:
    return [value for name, value in told if name == item]


@pytest.fixture(params=["relay", "direct"])
def route(request: pytest.FixtureRequest, admin: Client) -> Iterator[str]:
    def change(route: str) -> None:
        change_member(admin, protocol.MembersRequest(action="set", cluster=HANGZHOU, route=route))

    change(request.param)
    yield request.param
    change("relay")


@pytest.mark.usefixtures("granted", "route")
def test_files_row_groups_decision_and_node_are_told(
    federation: DemoFederation, at_mom: Client
) -> None:
    told = explain(at_mom, LATE)

    size = stored_table(federation, HANGZHOU, FLIGHTS).byte_count
    assert size > 1024
    assert told[:5] == [
        ("node", HANGZHOU),
        ("table", FLIGHTS_AT),
        ("allowed by", RULE),
        ("files", "2 of 6"),
        ("row groups", "0 of 6"),
    ]
    assert all_of(told, "bytes")[0].endswith(f"of {size / 1024:.1f} KiB")
    assert all_of(told, "partitions") == ["month = 2"]
    assert all_of(told, "filter") == ["flight < 9"]
    assert all_of(told, "plan")[-1].strip() == f"Scan: {FLIGHTS_AT}"


@pytest.mark.usefixtures("granted")
def test_the_same_is_told_at_home_as_at_the_mom(at_mom: Client, at_home: Client) -> None:
    assert explain(at_home, LATE) == explain(at_mom, LATE)


@pytest.mark.usefixtures("granted")
@pytest.mark.parametrize("before", ["explain analyze", "EXPLAIN (ANALYZE, FORMAT TREE)"])
def test_analyze_runs_it_and_tells_rows_and_times(
    at_mom: Client, at_home: Client, before: str
) -> None:
    for client in (at_mom, at_home):
        told = explain(client, f"select flight from {FLIGHTS_AT} where month = 2", before)

        assert all_of(told, "rows") == ["1,333"]
        assert re.fullmatch(r"[\d.,]+ (µs|ms|s)", all_of(told, "time")[0])
        assert all_of(told, "read")[0].startswith("2 row groups, 1,333 rows, ")
        assert re.fullmatch(r"Scan: \S+ \(1,333 rows, [\d.,]+ (µs|ms|s)\)", told[-1][1])


@pytest.mark.usefixtures("granted")
def test_tree_is_drawn(at_mom: Client) -> None:
    assert any(
        value.lstrip().startswith("└─ ")
        for value in all_of(explain(at_mom, LATE, "explain format tree"), "plan")
    )


def test_joins_at_home_are_told(at_home: Client) -> None:
    told = explain(
        at_home, f"select a.bid from {QUOTES} a join {QUOTES} b on a.size = b.size limit 5"
    )

    assert any("Join: inner, on (size, size)" in value for value in all_of(told, "plan"))
    assert len(all_of(told, "table")) == 2
    assert all(f"*@{SHANGHAI}" in rule for rule in all_of(told, "allowed by"))


def test_statement_without_tables_is_explained(at_mom: Client, at_home: Client) -> None:
    for client in (at_mom, at_home):
        assert explain(client, "select 1") == [
            ("node", SHANGHAI),
            ("plan", "Project: 1"),
            ("plan", "  One row"),
        ]


@pytest.mark.usefixtures("granted")
def test_schema_is_promised_before_anything_runs(at_mom: Client, at_home: Client) -> None:
    for client in (at_mom, at_home):
        info = client.get_info(f"explain analyze {LATE}")  # nothing runs
        assert info.arrow_schema == EXPLANATION_SCHEMA
        assert client.query(f"explain analyze {LATE}").arrow_schema == EXPLANATION_SCHEMA


@pytest.mark.parametrize("before", ["explain", "explain analyze", "explain format tree"])
def test_what_may_not_be_read_is_not_there(at_mom: Client, at_home: Client, before: str) -> None:
    for client in (at_mom, at_home):
        unreadable = refused_sql(client, f"{before} select * from {SALARIES_AT}")
        missing = refused_sql(client, f"{before} select * from payroll.hr.nothing@{HANGZHOU}")
        assert unreadable.code == missing.code == "not-found"
        assert unreadable.text.replace("salaries", "nothing") == missing.text


@pytest.mark.usefixtures("granted")
def test_refusals_are_those_of_the_statement(at_mom: Client) -> None:
    for sql, code in {
        f"select carier from {FLIGHTS_AT}": "unknown-column",
        f"select * from {FLIGHTS_AT} a, {FLIGHTS_AT} b": "join-not-supported",
        f"explain select * from {FLIGHTS_AT}": "statement-not-supported",
        "show tables": "statement-not-supported",
        f"grant table_read on {FLIGHTS_AT} to {READER}": "statement-not-supported",
        f"insert into {FLIGHTS_AT} values (1)": "cross-cluster-read-only",
    }.items():
        assert refused_sql(at_mom, f"explain {sql}").code == code
        assert refused_sql(at_mom, f"explain analyze {sql}").code == code


@pytest.mark.parametrize("at", [MOM, SHANGHAI])
def test_analyze_ends_when_its_client_leaves(federation: DemoFederation, at: str) -> None:
    with federation.client("user1", SHANGHAI, at=at) as leaving:
        leaving.query(f"explain analyze {FOR_EVER}").close()
    # The one place is free again, or this waits for it in vain.
    with federation.client("user1", SHANGHAI, at=at) as client:
        assert count(client, "select 1 as n") == 1
