"""An oracle: whatever is asked, nobody sees a row or a column of a table they may not read.

Every row of the hidden table carries a marker. Statements of the planner's grammar, half of them
broken and all of them full of the hidden table's name, go to the MoM, to the reader's home and, in
genuine tickets, to the member itself.
"""

import re
from collections.abc import Callable, Iterator
from functools import partial
from random import Random

import pytest

from auth import SigningKey, seal_ticket
from flight_mom.demo.federation import HANGZHOU, MOM, SHANGHAI, DemoFederation
from flight_sql import Client, RemoteError, Rows
from storage.metastore import Table
from tests.e2e.factories import FLIGHTS, MARKER, SALARIES, make_ticket
from tests.e2e.federation import SALARIES_AT, mom_key, require_clean, stored_table
from tests.planner.examples import IS_THOROUGH
from tests.planner.grammar import Writer

STATEMENTS = 4_000 if IS_THOROUGH else 200
MOST_BATCHES = 20
_LATE = 1_000_000  # after all that other tests revoke
_CATALOG, _SCHEMA, _TABLE = SALARIES.split(".")
_COLUMNS = (("carrier", "text"), ("Tail", "text"), ("origin", "text"), ("flight", "number"),
            ("arr_delay", "number"), ("name", "text"), ("salary", "number"))  # fmt: skip
# The hidden table's own columns, where they are not what the statement itself says.
_HIDDEN = re.compile(r"\bsalary\b")
HAND_WRITTEN = (
    f"select * from {SALARIES_AT}",
    f'select * from "payroll@{HANGZHOU}".hr.salaries',
    f"select carrier from {FLIGHTS}@{HANGZHOU} union all select name from {SALARIES_AT}",
    f"with flights as (select * from {SALARIES_AT}) select * from flights",
    f'with salaries as (select 1 as x) select * from "Salaries@{HANGZHOU}"',
    f"select nam from {SALARIES_AT}",
    f"select (select max(nam) from {SALARIES_AT})",
    f"select carrier from {FLIGHTS}@{HANGZHOU} where carrier in (select name from {SALARIES_AT})",
    f"explain select * from {SALARIES_AT}",
    f"explain analyze select * from {SALARIES_AT}",
    f"describe {SALARIES_AT}",
    f"show tables from payroll.hr@{HANGZHOU}",
    f"select * from {FLIGHTS}@{HANGZHOU} f join {SALARIES_AT} s on f.carrier = s.carrier",
    f"select salaries.* from {FLIGHTS}@{HANGZHOU} as salaries limit 1",
    f"from {SALARIES_AT}",
    f"select bid from from {SALARIES_AT}",
    f"with recursive a as (select name from {SALARIES_AT}), salaries as (select 1) select * from a",
)


def statements(seed: int, *, cluster: str) -> Iterator[str]:
    """Yield statements over flights and, about as often, over the hidden table."""
    for number in range(seed, seed + STATEMENTS):
        chance = Random(number)  # noqa: S311  chance, not secrets
        parts = FLIGHTS.split(".")
        writer = Writer(
            chance,
            schema=parts[:2] if chance.random() < 0.7 else (_CATALOG, _SCHEMA),
            tables=(parts[2], parts[2], _TABLE),
            columns=_COLUMNS,
            clusters=(cluster,),
            has_defaults=chance.random() < 0.1,
        )
        yield writer.broken() if chance.random() < 0.4 else writer.statement()


def require_nothing_seen(client: Client, sql: str) -> bool:
    """Ask, and look for the marker in every answer and every refusal; say whether it answered."""
    try:
        sql.encode()
    except UnicodeEncodeError:
        return False  # no message can hold it
    return _require_hidden(lambda: client.query(sql), sql)


def _require_hidden(ask: Callable[[], Rows], sql: str) -> bool:
    seen: list[str] = []
    refusal = None
    try:
        with ask() as rows:
            seen.append(str(rows.arrow_schema))
            for batch, _ in zip(rows, range(MOST_BATCHES), strict=False):
                seen.append(str(batch.to_pylist()))
    except RemoteError as error:
        refusal = error
    if refusal is not None:
        require_clean(str(refusal))
        assert refusal.code not in {"internal", "unknown"}, (sql, refusal)
        seen = [str(refusal)]
    for text in seen:
        assert MARKER not in text, sql
        assert not (_HIDDEN.search(text) and not _HIDDEN.search(sql.lower())), (sql, text)
    return refusal is None


@pytest.fixture
def readers(federation: DemoFederation, granted: None) -> Iterator[dict[str, Client]]:
    """user1@shanghai, who may read flights and nothing else of hangzhou, at the MoM and at home."""
    del granted
    with (
        federation.client("user1", SHANGHAI, at=MOM) as at_mom,
        federation.client("user1", SHANGHAI, at=SHANGHAI) as at_home,
    ):
        yield {MOM: at_mom, SHANGHAI: at_home}


@pytest.mark.timeout(0 if IS_THOROUGH else 120)
@pytest.mark.parametrize("server", [MOM, SHANGHAI])
def test_no_generated_statement_shows_the_hidden_table(
    federation: DemoFederation, readers: dict[str, Client], server: str
) -> None:
    answered = [
        require_nothing_seen(readers[server], sql) for sql in statements(10_000, cluster=HANGZHOU)
    ]
    assert sum(answered) > STATEMENTS // 20
    federation.check_alive()


@pytest.mark.parametrize("server", [MOM, SHANGHAI])
@pytest.mark.parametrize("sql", HAND_WRITTEN)
def test_no_written_statement_shows_the_hidden_table(
    readers: dict[str, Client], server: str, sql: str
) -> None:
    require_nothing_seen(readers[server], sql)


@pytest.mark.timeout(0 if IS_THOROUGH else 120)
def test_no_genuine_ticket_shows_the_hidden_table(federation: DemoFederation) -> None:
    """The member relies on nobody: the MoM's key under any text opens the ticket's table alone."""
    key: SigningKey = mom_key(federation)
    flights: Table = stored_table(federation, HANGZHOU, FLIGHTS)
    answered = 0
    with Client(federation.uri(HANGZHOU)) as member:
        for sql in statements(50_000, cluster=HANGZHOU):
            try:
                ticket = make_ticket(flights, sql, catalog=_CATALOG, schema=_SCHEMA, epoch=_LATE)
                handle = seal_ticket(ticket, key, issuer=MOM)
            except UnicodeEncodeError:
                continue
            answered += _require_hidden(partial(member.open_ticket, handle), sql)
    assert answered
    federation.check_alive()
