from datetime import UTC, datetime

import pytest

from auth import Effect, Grant, Principal, Privilege
from flight_member.answers import answer, answer_schema
from flight_member.grantlisting import Authority, show_grants
from planner import Defaults, parse_statement
from storage.names import ObjectName
from tests.flight_member.factories import NOW


@pytest.mark.parametrize(
    "sql",
    [
        "SHOW CLUSTERS",
        "SHOW CATALOGS",
        "SHOW SCHEMAS",
        "SHOW TABLES",
        "SHOW GRANTS",
        "DESCRIBE a.b.c",
        "EXPLAIN ACCESS OF u@c TO a.b.c",
        "GRANT TABLE_READ ON a.b.c TO u@d",
    ],
)
def test_empty_answer_has_the_schema_that_was_promised(sql: str) -> None:
    statement = parse_statement(sql, Defaults("shanghai"))
    empty = answer(type(statement), [])
    assert empty.num_rows == 0
    assert empty.schema == answer_schema(statement)


def test_grants_are_ordered_by_what_they_are_on() -> None:
    def make(number: int, on: str, effect: Effect, until: datetime | None = None) -> Grant:
        return Grant(
            id=number,
            principal=Principal.parse("user1@shanghai"),
            effect=effect,
            privilege=Privilege.TABLE_READ,
            securable=ObjectName.parse(on),
            granted_by="admin@mom",
            granted_at=NOW,
            until=until,
        )

    until = datetime(2027, 1, 1, tzinfo=UTC)
    rules = [
        (make(2, "b.b.b@hangzhou", Effect.DENY), Authority.OWNER),
        (make(3, "a.b.c@hangzhou", Effect.DENY), Authority.HOME),
    ]
    elsewhere = show_grants(
        [(make(1, "a.b.c@hangzhou", Effect.ALLOW, until), Authority.FEDERATION)]
    )
    shown = show_grants(rules, elsewhere).to_pylist()
    assert [row["authority"] for row in shown] == ["federation", "home", "owner"]
    assert [(row["securable"], row["effect"]) for row in shown] == [
        ("a.b.c@hangzhou", "ALLOW"),
        ("a.b.c@hangzhou", "DENY"),
        ("b.b.b@hangzhou", "DENY"),
    ]
    assert shown[0]["until"] == until
