"""Tickets sealed with the MoM's real key whose statements the MoM would never have let pass.

A member does not rely on the MoM's having looked: whatever a genuine ticket says, it reaches no
table but its own, and what the member refuses it refuses with a code.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pyarrow import flight

from auth import SigningKey, Ticket, seal_ticket
from flight_mom.demo.federation import HANGZHOU, MOM, SHANGHAI, DemoFederation
from flight_sql import Client, RemoteError, statement_ticket
from storage.metastore import Table
from storage.names import ObjectName
from tests.e2e.factories import FLIGHTS, MARKER, QUOTES, SALARIES, make_ticket, ticket_table
from tests.e2e.federation import (
    COUNT_FLIGHTS,
    count,
    mom_key,
    refusal,
    refused_ticket,
    require_clean,
    stored_table,
)

MINE, SECRET = FLIGHTS, SALARIES
TERMS = 10_000

OTHER_TABLES = (
    f"select * from {SECRET}",
    f"select * from {SECRET.upper()}",
    'select * from "payroll"."hr"."salaries"',
    'select * from "payroll.hr.salaries"',
    'select * from "payroll@hangzhou".hr.salaries',
    f"select * from {SECRET}@hangzhou",
    "select * from payroll/**/./**/hr./* */salaries",
    f"table {SECRET}",
    f"from {SECRET}",
    f"from {SECRET} select *",
    f"select carrier from {MINE} union all select carrier from {SECRET}",
    f"select carrier from {MINE} intersect select carrier from {SECRET}",
    f"select carrier from {MINE} except select carrier from {SECRET}",
    f"with flights as (select * from {SECRET}) select * from flights",
    f"with recursive r as (select 1 as n union all select n + 1 from r, {SECRET}) select * from r",
    f"select (select max(name) from {SECRET}) from {MINE}",
    f"select * from {MINE} where exists (select 1 from {SECRET})",
    f"select * from {MINE} where carrier in (select carrier from {SECRET})",
    f"select * from {MINE} where carrier = any (select carrier from {SECRET})",
    f"select * from {MINE} f join {SECRET} s on true",
    f"select * from {MINE} natural join {SECRET}",
    f"select * from {MINE}, {SECRET}",
    f"select * from {MINE}, lateral (select * from {SECRET}) s",
    f"select * from {MINE} cross join {SECRET}",
    f"select * from (select * from (select * from {SECRET}) a) b",
    f"select * from {MINE} order by (select max(salary) from {SECRET})",
    f"select * from {MINE} limit (select max(salary) from {SECRET})",
    f"select sum(flight) over (order by (select max(salary) from {SECRET})) from {MINE}",
    f"select case when true then (select min(name) from {SECRET}) end from {MINE}",
    f"select array(select name from {SECRET})",
    f"select unnest((select array_agg(name) from {SECRET}))",
    f"values ((select max(name) from {SECRET}))",
    f"select * from {QUOTES}@shanghai",
    'select * from trading.stock."quote@shanghai"',
    f"select * from {MINE}@shanghai",
    f"select * from {MINE}@nowhere",
    f"select payroll.hr.salaries.name from {MINE}",
    "select U&'\\0070ayroll' from U&\"\\0070ayroll\".hr.salaries",
    f"select * from {MINE} pivot (max(salary) for carrier in ('AA')), {SECRET}",
)
STATEMENTS = (
    f"copy (select * from {MINE}) to '/tmp/stolen.parquet'",
    f"copy {MINE} to '/tmp/stolen.csv'",
    f"explain analyze copy (select * from {MINE}) to '/tmp/stolen.parquet'",
    f"explain select * from {MINE}",
    f"explain analyze select * from {MINE}",
    "set datafusion.catalog.information_schema = true",
    "reset all",
    "show all",
    "show tables",
    "show columns from aviation.nyc.flights",
    f"describe {SECRET}",
    f"describe {MINE}",
    "create external table aviation.nyc.x stored as csv location '/etc/passwd'",
    f"create table aviation.nyc.x as select * from {MINE}",
    f"create view aviation.nyc.x as select * from {MINE}",
    "create function f() returns int return 1",
    "create schema x",
    f"drop table {MINE}",
    f"truncate table {MINE}",
    f"alter table {MINE} rename to x",
    f"insert into {MINE} select * from {MINE}",
    f"update {MINE} set carrier = 'X'",
    f"delete from {MINE}",
    f"merge into {MINE} using {MINE} s on true when matched then delete",
    f"select * into aviation.nyc.x from {MINE}",
    f"prepare p as select * from {MINE}",
    "execute p",
    "deallocate p",
    "begin",
    "commit",
    "use aviation.nyc",
    "kill 1",
    "vacuum full",
    "load 'x'",
    "attach 'x'",
    "call x()",
    "do $$ begin end $$",
    f"GRANT TABLE_READ ON {SECRET}@hangzhou TO user1@shanghai",
    'grant("user1@shanghai", TABLE_READ, "payroll.hr.salaries@hangzhou")',
    "SHOW GRANTS",
    "EXPLAIN ACCESS OF user1@shanghai TO payroll.hr.salaries@hangzhou",
    f"select 1; select * from {SECRET}",
    f"select count(*) from {MINE}; drop table {MINE}",
    f"select 1;;select * from {SECRET}",
    f"/* */ select * from {SECRET} -- from {MINE}",
    f"select * from {MINE} for update",
    "",
    ";",
    "--",
    "/*",
    "select",
    "select '",
    'select "',
    "select $$",
    "\x00",
    "select 1\x00from payroll.hr.salaries",
    "\ufeffselect * from payroll.hr.salaries",
    "select * from pаyroll.hr.salaries",  # noqa: RUF001  a Cyrillic a
    "select\u00a0*\u00a0from\u00a0payroll.hr.salaries",
    "sel\u200bect 1",
)
FILES = (
    "select * from '/etc/passwd'",
    "select * from '/etc/passwd.csv'",
    "select * from 'file:///etc/passwd'",
    'select * from "/etc/passwd"',
    'select * from "file:///etc/passwd"',
    "select * from 'https://example.org/x.parquet'",
    "select * from read_csv('/etc/passwd')",
    "select * from read_parquet('/etc/passwd')",
    "select * from read_json('/etc/passwd')",
    "select * from parquet_metadata('/etc/passwd')",
    "select * from glob('/*')",
    "select * from metadata_cache()",
    "select pg_read_file('/etc/passwd')",
    "select read_text('/etc/passwd')",
    "select load_extension('x')",
    "select getenv('HOME')",
)
SYSTEM = (
    "select * from information_schema.tables",
    "select * from information_schema.columns",
    "select * from information_schema.df_settings",
    "select * from information_schema.routines",
    "select * from aviation.information_schema.tables",
    "select * from datafusion.public.flights",
    "select * from datafusion.information_schema.tables",
    "select * from pg_catalog.pg_tables",
    "select * from pg_tables",
    "select * from sqlite_master",
    "select * from system.federation.grants",
    "select current_setting('x')",
    "select pg_sleep(100)",
    "select pg_terminate_backend(1)",
    f"select * from {MINE}, generate_series(1, 1000000)",
    "select $1",
    f"select * from {MINE} where flight = ?",
    "select @@version",
)
DEEP = (
    " or ".join(["flight = 1"] * TERMS),
    " and ".join(["flight = 1"] * TERMS),
    " = '' or " + " || ".join(["carrier"] * TERMS) + " = ''",
    " + ".join(["flight"] * TERMS) + " = 1",
    "(" * TERMS + "1" + ")" * TERMS + " = 1",
    "not " * TERMS + "true",
    "- " * TERMS + "flight = 1",
    "abs(" * TERMS + "flight" + ")" * TERMS + " = 1",
    "case when true then " * TERMS + "true" + " end" * TERMS,
    "flight" + "::bigint" * TERMS + " = 1",
    "flight = " + "[" * TERMS + "1" + "]" * TERMS,
    "flight in (" + ",".join(map(str, range(100_000))) + ")",
    "(select " * 2_000 + "1" + ")" * 2_000 + " = 1",
    "carrier like '" + "%a" * 200_000 + "'",
)
DEEP_STATEMENTS = (
    *(f"select carrier from {MINE} where {text}" for text in DEEP),
    f"select * from {MINE} where flight between "
    + "1 and 2 or flight between " * TERMS
    + "1 and 2",
    "select * from (" * 5_000 + f"select * from {MINE}" + ")" * 5_000,
    " union all ".join([f"select carrier from {MINE}"] * 5_000),
    "with " + ", ".join(f"c{n} as (select 1)" for n in range(5_000)) + " select 1",
    "select " + ", ".join(f"flight as c{n}" for n in range(20_000)) + f" from {MINE}",
    f"select {'x' * 300_000} from {MINE}",
    "/*" * 100_000 + "*/" * 100_000,
    "'" * 100_001,
    "(" * 100_000,
    "select " + "[" * 50_000,
)


@pytest.fixture(scope="module")
def key(federation: DemoFederation) -> SigningKey:
    return mom_key(federation)


@pytest.fixture(scope="module")
def flights(federation: DemoFederation) -> Table:
    return stored_table(federation, HANGZHOU, FLIGHTS)


@pytest.fixture(scope="module")
def salaries(federation: DemoFederation) -> Table:
    return stored_table(federation, HANGZHOU, SALARIES)


@pytest.fixture(scope="module")
def member(federation: DemoFederation) -> Iterator[Client]:
    """A visitor at hangzhou who brings nothing but tickets."""
    with Client(federation.uri(HANGZHOU)) as client:
        yield client


@pytest.fixture(autouse=True)
def _alive(federation: DemoFederation) -> Iterator[None]:
    yield
    federation.check_alive()


def sealed(ticket: Ticket, key: SigningKey) -> bytes:
    return seal_ticket(ticket, key, issuer=MOM)


def test_a_genuine_ticket_is_all_that_it_takes(
    member: Client, key: SigningKey, flights: Table
) -> None:
    ticket = make_ticket(flights, f"select count(*) as n from {MINE}")
    assert member.open_ticket(sealed(ticket, key)).read_all().to_pydict() == {"n": [4_000]}


@pytest.mark.parametrize("sql", OTHER_TABLES)
def test_a_ticket_reaches_no_table_but_its_own(
    member: Client, key: SigningKey, flights: Table, sql: str
) -> None:
    error = refused_ticket(member, sealed(make_ticket(flights, sql), key))
    assert error.code not in {"internal", "unavailable", "unknown"}, error
    assert MARKER not in str(error)


@pytest.mark.parametrize("sql", OTHER_TABLES)
def test_nor_does_one_whose_missing_parts_would_name_another(
    member: Client, key: SigningKey, flights: Table, sql: str
) -> None:
    ticket = make_ticket(flights, sql.replace(SECRET, "salaries"), catalog="payroll", schema="hr")
    error = refused_ticket(member, sealed(ticket, key))
    assert error.code not in {"internal", "unavailable", "unknown"}, error


@pytest.mark.parametrize("sql", STATEMENTS + FILES + SYSTEM)
def test_a_ticket_runs_nothing_but_one_query_over_its_table(
    member: Client, key: SigningKey, flights: Table, sql: str
) -> None:
    error = refused_ticket(member, sealed(make_ticket(flights, sql), key))
    assert error.code not in {"internal", "unavailable", "unknown"}, error


@pytest.mark.parametrize("sql", DEEP_STATEMENTS, ids=range(len(DEEP_STATEMENTS)))
def test_a_deep_or_long_statement_is_refused_before_the_engine(
    member: Client, key: SigningKey, flights: Table, sql: str
) -> None:
    error = refused_ticket(member, sealed(make_ticket(flights, sql), key))
    assert error.code not in {"internal", "unavailable", "unknown"}, error
    assert len(str(error)) < 2_000


@pytest.mark.parametrize(
    "expression",
    [
        "1 / 0",
        "1 % 0",
        "cast(carrier as int)",
        "arrow_cast(carrier, 'Timestamp(Second, None)')",
        "date_trunc('x', now())",
        "to_timestamp('x')",
        "repeat('x', 9223372036854775807)",
        "lpad('x', 2147483647)",
        "9223372036854775807 + flight",
        "regexp_like(carrier, '(')",
        "regexp_like(carrier, '" + "(a*)*" * 200 + "')",
        "(select carrier from aviation.nyc.flights)",
        "decode('zz', 'hex')",
        "array_repeat(1, 9223372036854775807)",
        "factorial(-1)",
        "power(10, 400)",
        "chr(-1)",
        "make_date(1, 99, 99)",
        "substr(carrier, 1, -1)",
        "to_char(now(), '%Q')",
        "named_struct('a')",
        "arrow_cast(1, 'Nonsense')",
        "stack_overflow()",
    ],
)
def test_an_expression_that_fails_fails_with_a_code(
    member: Client, key: SigningKey, flights: Table, expression: str
) -> None:
    ticket = make_ticket(flights, f"select {expression} as x, flight from {MINE} limit 5")
    try:
        member.open_ticket(sealed(ticket, key)).read_all()
    except RemoteError as error:
        said = error
    else:
        return  # some of them do have a value
    require_clean(str(said))
    assert said.code not in {"internal", "unavailable", "unknown"}, said


def test_rows_without_end_end_when_their_reader_leaves(
    member: Client, key: SigningKey, flights: Table
) -> None:
    ticket = make_ticket(flights, "select * from range(0, 9223372036854775807)")
    with member.open_ticket(sealed(ticket, key)) as rows:
        assert next(iter(rows)).num_rows
    after = make_ticket(flights, f"select count(*) as n from {MINE}")
    assert member.open_ticket(sealed(after, key)).read_all().num_rows == 1


def test_an_unknown_column_names_columns_of_the_tickets_table_only(
    member: Client, key: SigningKey, flights: Table
) -> None:
    error = refused_ticket(member, sealed(make_ticket(flights, f"select salary from {MINE}"), key))
    assert error.code == "unknown-column"
    assert "name" not in str(error).split()


@pytest.mark.parametrize(
    "changes",
    [
        {"id": "0" * 32},
        {"snapshot": "0" * 64},
        {"snapshot": "1000000"},
        {"snapshot": "²"},
        # A folder is made for each version: here it would be that of all versions.
        {"snapshot": "0/../../.."},
        {"schema_version": 2},
        {"name": ObjectName.parse(f"{SALARIES}@{HANGZHOU}")},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_ticket_for_another_state_of_the_table_is_stale_or_covers_nothing(
    member: Client, key: SigningKey, flights: Table, changes: dict[str, Any]
) -> None:
    ticket = make_ticket(
        flights, f"select * from {MINE}", tables=(ticket_table(flights, **changes),)
    )
    code = refused_ticket(member, sealed(ticket, key)).code
    assert code == ("invalid-ticket" if "name" in changes else "stale-metastore")


def test_another_tables_identity_under_the_tickets_name_is_stale(
    member: Client, key: SigningKey, flights: Table, salaries: Table
) -> None:
    posing = ticket_table(salaries, name=flights.name)
    ticket = make_ticket(flights, f"select * from {MINE}", tables=(posing,))
    assert refused_ticket(member, sealed(ticket, key)).code == "stale-metastore"


def test_a_ticket_for_another_member_is_refused(
    member: Client, key: SigningKey, flights: Table
) -> None:
    ticket = make_ticket(flights, f"select * from {MINE}", member=SHANGHAI)
    assert refused_ticket(member, sealed(ticket, key)).code == "invalid-ticket"


def test_an_expired_ticket_is_refused(member: Client, key: SigningKey, flights: Table) -> None:
    earlier = datetime.now(UTC) - timedelta(seconds=60)
    ticket = make_ticket(
        flights,
        f"select * from {MINE}",
        issued_at=earlier,
        expires_at=earlier + timedelta(seconds=59),
    )
    assert refused_ticket(member, sealed(ticket, key)).code == "expired-ticket"


def test_a_ticket_from_the_future_is_refused(
    member: Client, key: SigningKey, flights: Table
) -> None:
    later = datetime.now(UTC) + timedelta(seconds=120)
    ticket = make_ticket(
        flights, f"select * from {MINE}", issued_at=later, expires_at=later + timedelta(seconds=60)
    )
    assert refused_ticket(member, sealed(ticket, key)).code == "invalid-ticket"


@pytest.mark.parametrize("issuer", [MOM, HANGZHOU, SHANGHAI])
def test_a_ticket_by_an_unknown_key_is_refused(member: Client, flights: Table, issuer: str) -> None:
    handle = seal_ticket(
        make_ticket(flights, f"select * from {MINE}"), SigningKey.generate(), issuer=issuer
    )
    assert refused_ticket(member, handle).code == "invalid-ticket"


@pytest.mark.parametrize("issuer", [MOM, HANGZHOU, SHANGHAI])
def test_a_ticket_by_another_members_key_is_refused(
    federation: DemoFederation, member: Client, flights: Table, issuer: str
) -> None:
    other = federation.member_home(SHANGHAI).load_key()
    handle = seal_ticket(make_ticket(flights, f"select * from {MINE}"), other, issuer=issuer)
    assert refused_ticket(member, handle).code == "invalid-ticket"


def test_a_home_user_coming_through_the_mom_is_judged_by_home_rules_again(
    federation: DemoFederation, key: SigningKey
) -> None:
    quotes = stored_table(federation, SHANGHAI, QUOTES)
    ticket = make_ticket(quotes, f"select count(*) as n from {QUOTES}")
    with Client(federation.uri(SHANGHAI)) as shanghai:
        assert shanghai.open_ticket(sealed(ticket, key)).read_all().num_rows == 1
        stranger = replace(ticket, user="stranger", id="f" * 32)
        assert refused_ticket(shanghai, sealed(stranger, key)).code == "not-found"


@pytest.mark.usefixtures("granted")
def test_every_changed_byte_of_a_real_ticket_is_refused(
    federation: DemoFederation, at_mom: Client, member: Client
) -> None:
    (endpoint,) = at_mom.get_info(COUNT_FLIGHTS).endpoints
    wire = statement_ticket(endpoint.handle)
    assert member.open_ticket(wire).read_all()["n"].to_pylist() == [4_000]
    with flight.FlightClient(federation.uri(HANGZHOU)) as raw:
        for position in range(len(wire)):
            changed = bytearray(wire)
            # Every bit is met at some byte; all eight at each would take minutes.
            changed[position] ^= 1 << position % 8
            with pytest.raises(flight.FlightUnauthenticatedError) as caught:
                raw.do_get(flight.Ticket(bytes(changed))).read_all()
            require_clean(str(caught.value))
    assert member.open_ticket(wire).read_all()["n"].to_pylist() == [4_000]


@pytest.mark.usefixtures("granted")
@pytest.mark.parametrize("cut", [0, 1, 10, -1, -2, -86])
def test_a_shortened_ticket_is_refused(at_mom: Client, member: Client, cut: int) -> None:
    (endpoint,) = at_mom.get_info(COUNT_FLIGHTS).endpoints
    handle = endpoint.handle[:cut]
    error = refusal(lambda: member.open_ticket(handle or b"x").read_all())
    assert error.code == "invalid-ticket"


@pytest.mark.usefixtures("granted")
def test_a_ticket_of_one_user_is_refused_to_another_at_the_mom(
    federation: DemoFederation, at_mom: Client
) -> None:
    (endpoint,) = at_mom.get_info(COUNT_FLIGHTS).endpoints
    with federation.client("user2", HANGZHOU, at=MOM) as other:
        assert refused_ticket(other, endpoint.handle).code == "invalid-ticket"
    with Client(federation.uri(MOM)) as nobody:
        assert refused_ticket(nobody, endpoint.handle).code == "invalid-token"
    assert at_mom.open_ticket(endpoint.handle).read_all()["n"].to_pylist() == [4_000]


def test_a_home_ticket_is_refused_to_another_user_and_to_nobody(
    federation: DemoFederation, at_home: Client
) -> None:
    (endpoint,) = at_home.get_info(f"select count(*) as n from {QUOTES}").endpoints
    with federation.client("stranger", SHANGHAI, at=SHANGHAI) as other:
        assert refused_ticket(other, endpoint.handle).code == "invalid-ticket"
    with Client(federation.uri(SHANGHAI)) as nobody:
        assert refused_ticket(nobody, endpoint.handle).code in {"invalid-token", "invalid-ticket"}


@pytest.mark.usefixtures("granted")
def test_the_member_still_answers_after_all_this(at_mom: Client) -> None:
    assert count(at_mom, COUNT_FLIGHTS) == 4_000
