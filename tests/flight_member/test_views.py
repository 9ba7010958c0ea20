"""Views at home: made, read with their owner's rights, replaced, broken and dropped."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flight_member.server import MemberServer
from flight_member.views import MAX_DEPTH
from flight_sql import Client, RemoteError
from storage.names import ObjectName
from tests.flight_member.factories import (
    PASSWORD,
    QUOTE,
    SHANGHAI,
    add_user,
    audited,
    load_quotes,
    make_home,
)

TRADE = "trading.stock.trade"
VIEW = "shared.desk.best"
AT = f"{VIEW}@{SHANGHAI}"
BROKEN = "is a view that cannot be read any more"


class Member:
    """A member with two tables of quotes; maker may read them and make things in shared.desk."""

    def __init__(self, directory: Path) -> None:
        home = make_home(directory)
        for name in (QUOTE, TRADE):
            load_quotes(home, name)
        add_user(home, "chief", readable=(), is_admin=True)
        add_user(home, "maker", readable=("trading",))
        add_user(home, "reader", readable=())
        self.server = MemberServer(home.settings)
        self.server.start()
        self.chief, self.maker, self.reader = map(self.sign_in, ("chief", "maker", "reader"))
        self.rows("CREATE CATALOG shared")
        self.rows("CREATE SCHEMA shared.desk")
        self.rows("GRANT SCHEMA_WRITE ON shared.desk TO maker")
        self.rows("GRANT SCHEMA_READ ON shared.desk TO reader, maker")

    def sign_in(self, user: str) -> Client:
        client = Client(self.server._flight.uri)
        client.sign_in(user, PASSWORD)
        return client

    def stop(self) -> None:
        for client in (self.chief, self.maker, self.reader):
            client.close()
        self.server.stop(1)

    def rows(self, sql: str, client: Client | None = None) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (client or self.chief).query(sql).read_all().to_pylist()
        return found

    def make(self, query: str, name: str = VIEW, how: str = "CREATE OR REPLACE VIEW") -> str:
        (row,) = self.rows(f"{how} {name} AS {query}", self.maker)
        return str(row["status"])

    def fault(self, sql: str, client: Client | None = None) -> RemoteError:
        with pytest.raises(RemoteError) as refusal:
            self.rows(sql, client)
        return refusal.value


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Member]:
    member = Member(tmp_path_factory.mktemp("views") / SHANGHAI)
    yield member
    member.stop()


@pytest.fixture
def member(kept: Member) -> Iterator[Member]:
    yield kept
    for table in kept.server._state.metastore().all_tables():
        if table.kind.value == "view":
            kept.rows(f"DROP VIEW {table.name}")


def test_view_shares_less_than_a_table_with_who_may_not_read_it(member: Member) -> None:
    assert member.make(f"SELECT symbol, bid * 2 AS twice FROM {QUOTE} WHERE bid < 3") == "created"
    rows = member.rows(f"SELECT * FROM {VIEW} ORDER BY twice", member.reader)
    assert rows == [{"symbol": f"S{n}", "twice": 2.0 * n} for n in range(3)]
    assert member.fault(f"SELECT * FROM {QUOTE}", member.reader).code == "not-found"
    record = next(one for one in audited(member.server._database)[::-1] if one.action == "create")
    assert (record.actor, record.object) == ("maker@shanghai", AT)


def test_view_holds_joins_views_and_names_of_the_sessions_schema(member: Member) -> None:
    with member.sign_in("maker") as maker:
        maker.set_session_options({"catalog": "trading", "schema": "stock"})
        member.rows(
            f"CREATE VIEW {VIEW} AS SELECT q.bid, t.symbol AS other FROM quote q "
            "JOIN trade AS t ON q.bid = t.bid",
            maker,
        )
    member.make(f"SELECT other, count(*) AS n FROM {VIEW} GROUP BY other", "shared.desk.counts")
    rows = member.rows("SELECT sum(n) AS n FROM shared.desk.counts", member.reader)
    assert rows == [{"n": 100}]


@pytest.mark.parametrize(
    "query, code",
    [
        (f"SELECT bid, bid FROM {QUOTE}", "sql-syntax"),
        (f'SELECT bid, symbol AS "BID" FROM {QUOTE}', "invalid-request"),
        ("SELECT NULL AS nothing", "invalid-request"),
        (f"SELECT * FROM {QUOTE} WHERE bid = $1", "invalid-request"),
        (f"SELECT nothing FROM {QUOTE}", "unknown-column"),
        ("SELECT * FROM trading.stock.nothing", "not-found"),
        ("SELECT * FROM a.b.c@hangzhou", "multi-cluster-query"),
    ],
)
def test_what_cannot_be_a_view_is_refused(member: Member, query: str, code: str) -> None:
    error = member.fault(f"CREATE VIEW {VIEW} AS {query}", member.maker)
    assert error.code == code
    assert not any(one.name.local == VIEW for one in member.server._state.metastore().all_tables())


def test_making_takes_the_schema_and_what_is_named(member: Member) -> None:
    sql = f"CREATE VIEW {VIEW} AS SELECT * FROM {QUOTE}"
    assert member.fault(sql, member.reader).code == "permission-denied"
    # An administrator may make it there, and reads by rules like everybody.
    assert member.fault(sql, member.chief).code == "not-found"
    member.make(f"SELECT bid FROM {QUOTE}")
    assert member.fault(sql, member.maker).code == "already-exists"
    assert (
        member.rows(f"CREATE VIEW IF NOT EXISTS {VIEW} AS SELECT 1 AS one", member.maker)[0][
            "status"
        ]
        == "exists already"
    )
    assert member.fault(
        f"CREATE OR REPLACE VIEW {QUOTE} AS SELECT 1 AS one", member.maker
    ).code in {
        "permission-denied",
        "invalid-request",
    }
    member.rows("GRANT SCHEMA_WRITE ON shared.desk TO reader")
    replaced = f"CREATE OR REPLACE VIEW {VIEW} AS SELECT * FROM {QUOTE}"
    assert member.fault(replaced, member.reader).code == "not-found"
    member.rows("REVOKE SCHEMA_WRITE ON shared.desk FROM reader")


def test_view_runs_with_its_owners_rights_as_they_are_today(member: Member) -> None:
    member.make(f"SELECT count(*) AS n FROM {QUOTE}")
    count = f"SELECT n FROM {VIEW}"
    member.rows(f"DENY TABLE_READ ON {QUOTE} TO reader")
    assert member.rows(count, member.reader) == [{"n": 100}]
    member.rows(f"DENY TABLE_READ ON {QUOTE} TO maker")
    for client in (member.reader, member.maker):
        error = member.fault(count, client)
        assert error.code == "unusable-table"
        assert BROKEN in error.text
        assert AT in error.text
        assert QUOTE not in error.text
    member.rows(f"REVOKE TABLE_READ ON {QUOTE} FROM maker, reader")
    assert member.rows(count, member.reader) == [{"n": 100}]


def test_view_of_a_removed_owner_is_read_by_nobody_and_given_away_by_administrators_alone(
    member: Member,
) -> None:
    member.make(f"SELECT count(*) AS n FROM {QUOTE}")
    error = member.fault(f"ALTER VIEW {VIEW} OWNER TO chief", member.maker)
    assert error.code == "permission-denied"
    assert "rights of its new owner" in error.text
    member.rows(f"ALTER VIEW {VIEW} OWNER TO reader")
    assert BROKEN in member.fault(f"SELECT * FROM {VIEW}", member.reader).text
    member.rows("CREATE USER passing PASSWORD 'x'")
    member.rows("GRANT CATALOG_READ ON trading TO passing")
    member.rows(f"ALTER VIEW {VIEW} OWNER TO passing")
    assert member.rows(f"SELECT * FROM {VIEW}", member.reader) == [{"n": 100}]
    member.rows("DROP USER passing")
    member.rows("CREATE USER passing PASSWORD 'x'")
    member.rows("GRANT CATALOG_READ ON trading TO passing")
    assert BROKEN in member.fault(f"SELECT * FROM {VIEW}", member.reader).text
    member.rows("DROP USER passing")


def test_who_replaces_a_view_lends_it_their_own_rights(member: Member) -> None:
    member.make(f"SELECT count(*) AS n FROM {QUOTE}")
    before = member.server._state.metastore().table(ObjectName.parse(AT))
    member.rows("GRANT SCHEMA_WRITE ON shared.desk TO reader")
    (row,) = member.rows(f"CREATE OR REPLACE VIEW {VIEW} AS SELECT 7 AS n", member.reader)
    assert row["status"] == "replaced"
    after = member.server._state.metastore().table(ObjectName.parse(AT))
    assert before is not None
    assert after is not None
    assert (after.id, after.owner) == (before.id, "reader@shanghai")
    assert after.snapshot != before.snapshot
    member.rows("REVOKE SCHEMA_WRITE ON shared.desk FROM reader")
    assert member.rows(f"SELECT * FROM {VIEW}", member.reader) == [{"n": 7}]


def test_another_table_of_the_name_does_not_stand_in_for_what_a_view_is_made_of(
    member: Member,
) -> None:
    member.make(f"SELECT count(*) AS n FROM {TRADE}")
    member.rows(f"ALTER TABLE {TRADE} RENAME TO trade_before")
    assert BROKEN in member.fault(f"SELECT * FROM {VIEW}", member.reader).text
    member.rows(f"ALTER TABLE {QUOTE} RENAME TO trade")
    assert BROKEN in member.fault(f"SELECT * FROM {VIEW}", member.reader).text
    member.rows(f"ALTER TABLE {TRADE} RENAME TO quote")
    member.rows(f"ALTER TABLE {TRADE}_before RENAME TO trade")
    assert member.rows(f"SELECT * FROM {VIEW}", member.reader) == [{"n": 100}]


def test_views_stand_on_each_other_up_to_a_limit_and_never_on_themselves(member: Member) -> None:
    below = QUOTE
    for number in range(MAX_DEPTH):
        name = f"shared.desk.v{number}"
        member.make(f"SELECT bid FROM {below}", name)
        below = name
    assert member.rows(f"SELECT count(*) AS n FROM {below}", member.reader) == [{"n": 100}]
    error = member.fault(f"CREATE VIEW {VIEW} AS SELECT * FROM {below}", member.maker)
    assert "would be the 9th view" in error.text
    error = member.fault(
        "CREATE OR REPLACE VIEW shared.desk.v0 AS SELECT * FROM shared.desk.v0", member.maker
    )
    assert "of itself" in error.text
    member.make("SELECT 1.0 AS bid", "shared.desk.v0")
    member.make("SELECT bid FROM shared.desk.v0", "shared.desk.v1")
    member.make("SELECT bid FROM shared.desk.v1", "shared.desk.v0")
    assert BROKEN in member.fault("SELECT * FROM shared.desk.v0", member.reader).text


def test_metadata_tells_views_from_tables(member: Member) -> None:
    member.make(f"SELECT bid, symbol FROM {QUOTE}")
    listed = {
        (row["table_name"], row["table_type"])
        for row in member.maker.tables().to_pylist()
        if row["table_name"] in {"best", "quote"}
    }
    assert listed == {("best", "VIEW"), ("quote", "TABLE")}
    types = "SELECT table_name, table_type, row_count FROM information_schema.tables"
    rows = {row["table_name"]: row for row in member.rows(types, member.maker)}
    assert (rows["best"]["table_type"], rows["best"]["row_count"]) == ("VIEW", None)
    assert (rows["quote"]["table_type"], rows["quote"]["row_count"]) == ("BASE TABLE", 100)
    shown = {row["table_name"]: row for row in member.rows("SHOW TABLES", member.maker)}
    assert shown["best"]["row_count"] is None
    described = member.rows(f"DESCRIBE {VIEW}", member.reader)
    assert [row["column_name"] for row in described] == ["bid", "symbol"]


@pytest.mark.parametrize("how", ["EXPLAIN", "EXPLAIN ANALYZE", "EXPLAIN ANALYZE VERBOSE"])
def test_explain_shows_a_view_as_one_leaf(member: Member, how: str) -> None:
    member.make(
        f"SELECT q.bid, t.symbol FROM {QUOTE} q JOIN {TRADE} t ON q.bid = t.bid WHERE q.bid < 50"
    )
    rows = member.rows(
        f"{how} SELECT bid, count(*) FROM {VIEW} WHERE bid < 7 GROUP BY bid", member.reader
    )
    told = "\n".join(f"{row['item']}: {row['value']}" for row in rows)
    plan = [row["value"].strip() for row in rows if row["item"] == "plan"]
    assert plan[-1].startswith(f"View: {AT}")
    assert f"table: {AT}" in told
    assert "view: what it is made of is its owner's" in told
    for hidden in (
        "quote",
        "trade",
        "Scan",
        "Join",
        "files",
        "view_",
        "named_struct",
        " 50",
        "100",
    ):
        assert hidden not in told, told


def test_dropping_takes_a_view_and_nothing_else(member: Member) -> None:
    member.make(f"SELECT bid FROM {QUOTE}")
    assert "write VIEW instead of TABLE" in member.fault(f"DROP TABLE {VIEW}", member.maker).text
    assert member.rows(f"DROP VIEW {VIEW}", member.maker)[0]["status"] == "dropped"
    assert member.rows(f"SELECT count(*) AS n FROM {QUOTE}", member.maker) == [{"n": 100}]
    member.make(f"SELECT bid FROM {QUOTE}")
    assert (
        member.rows(f"ALTER VIEW {VIEW} RENAME TO better", member.maker)[0]["status"] == "renamed"
    )
    assert len(member.rows("SELECT * FROM shared.desk.better", member.reader)) == 100


def test_views_are_read_by_writes_and_written_by_none(member: Member) -> None:
    member.make(f"SELECT symbol, bid FROM {QUOTE} WHERE bid < 10")
    with member.sign_in("maker") as maker:
        (row,) = member.rows(f"CREATE TABLE shared.desk.copied AS SELECT bid FROM {VIEW}", maker)
        assert row["row_count"] == 10
        (row,) = member.rows(f"INSERT INTO shared.desk.copied SELECT bid FROM {VIEW}", maker)
        assert row["row_count"] == 10
        for sql in (
            f"INSERT INTO {VIEW} VALUES ('S', 1.0)",
            f"TRUNCATE TABLE {VIEW}",
        ):
            error = member.fault(sql, maker)
            assert error.status in {"INVALID_ARGUMENT", "UNIMPLEMENTED"}, error
            assert "internal" not in str(error)
        assert len(member.rows(f"SELECT * FROM {VIEW}", maker)) == 10
        # Of a managed table each reading takes the version that there is by then.
        count = "SELECT n FROM shared.desk.counted"
        query = "SELECT count(*) AS n FROM shared.desk.copied WHERE bid > 5"
        member.make(query, "shared.desk.counted")
        assert member.rows(count, member.reader) == [{"n": 8}]
        member.rows("INSERT INTO shared.desk.copied VALUES (7.0)", maker)
        assert member.rows(count, member.reader) == [{"n": 9}]
        member.rows("DROP TABLE shared.desk.copied", maker)
