from collections.abc import Callable

import pytest

from flight_member.errors import ConfigurationError
from flight_mom.grantcommands import (
    change_statement,
    explain_access_statement,
    group_statement,
    show_grants_statement,
    show_readable_statement,
    show_readers_statement,
)
from planner import Defaults, parse_statement

FLIGHTS = "aviation.nyc.flights@hangzhou"


@pytest.mark.parametrize(
    "made, written",
    [
        (
            change_statement("GRANT", "table_read", FLIGHTS, "User1@shanghai"),
            f"GRANT TABLE_READ ON {FLIGHTS} TO user1@shanghai",
        ),
        (
            change_statement("DENY", "CATALOG_READ", "*@hangzhou", "group a-b.c@shanghai"),
            "DENY CATALOG_READ ON *@hangzhou TO GROUP a-b.c@shanghai",
        ),
        (
            change_statement("REVOKE", "SCHEMA_READ", '"aviation@hangzhou".nyc', "u@shanghai"),
            "REVOKE SCHEMA_READ ON aviation.nyc@hangzhou FROM u@shanghai",
        ),
        (
            change_statement("GRANT", "TABLE_READ", FLIGHTS, "u@s", "2027-01-01T00:00:00Z"),
            f"GRANT TABLE_READ ON {FLIGHTS} TO u@s UNTIL '2027-01-01T00:00:00+00:00'",
        ),
        (show_grants_statement(None, None), "SHOW GRANTS"),
        (show_grants_statement("u@s", None), "SHOW GRANTS FOR u@s"),
        (show_grants_statement(None, FLIGHTS), f"SHOW GRANTS ON {FLIGHTS}"),
        (explain_access_statement("u@s", FLIGHTS), f"EXPLAIN ACCESS OF u@s TO {FLIGHTS}"),
        (show_readers_statement(FLIGHTS), f"SHOW READERS OF {FLIGHTS}"),
        (show_readable_statement("U@s"), "SHOW TABLES FOR u@s"),
        (group_statement("CREATE", "Traders"), "CREATE GROUP traders"),
        (group_statement("DROP", "traders"), "DROP GROUP traders"),
        (
            group_statement("REMOVE", "traders", ["u@s", "V@t"]),
            "ALTER GROUP traders REMOVE u@s, v@t",
        ),
    ],
)
def test_arguments_become_one_statement(made: str, written: str) -> None:
    assert made == written
    parse_statement(made, Defaults("headquarters", mom="headquarters"))


HOSTILE = (
    "user1@shanghai, GROUP analysts@shanghai",
    "user1@shanghai UNTIL '2099-01-01T00:00:00Z'",
    "user1@shanghai; DROP TABLE x",
    "user1@shanghai -- ",
    "user1@shanghai'",
    'user1@shanghai" TO x',
    "",
    "*",
    "a.b.c",
)


@pytest.mark.parametrize("text", HOSTILE)
def test_argument_that_says_more_than_one_thing_is_refused(text: str) -> None:
    statements: list[Callable[[], str]] = [
        lambda: change_statement("GRANT", "TABLE_READ", FLIGHTS, text),
        lambda: change_statement("GRANT", "TABLE_READ", text, "u@s"),
        lambda: change_statement("GRANT", text, FLIGHTS, "u@s"),
        lambda: explain_access_statement(text, FLIGHTS),
        lambda: explain_access_statement("u@s", text),
    ]
    for make in statements:
        with pytest.raises(ConfigurationError):
            make()
    if text:
        with pytest.raises(ConfigurationError):
            show_grants_statement(text, None)
        with pytest.raises(ConfigurationError):
            show_grants_statement(None, text)


@pytest.mark.parametrize("text", ["tomorrow", "2027-01-01", "2027-01-01T00:00:00", "' OR '"])
def test_end_without_a_time_zone_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="--until"):
        change_statement("GRANT", "TABLE_READ", FLIGHTS, "u@s", text)


def test_quote_between_date_and_time_never_reaches_the_statement() -> None:
    made = change_statement("GRANT", "TABLE_READ", FLIGHTS, "u@s", "2027-01-01'00:00:00Z")
    assert made.endswith("UNTIL '2027-01-01T00:00:00+00:00'")
