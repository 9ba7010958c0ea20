"""Laws that hold for every text, tried on statements that a grammar makes and on broken ones.

`make hostile` tries many more of them, new ones each time.
"""

import re
from random import Random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from planner import Defaults, PlannerError, Query, Statement, parse_statement, plan_query
from tests.planner.examples import examples
from tests.planner.federation import DEFAULTS, schemas_of
from tests.planner.grammar import Writer
from tests.planner.lookups import look_up, names_of

HOMES = (None, DEFAULTS.cluster)
STATEMENTS = st.randoms(use_true_random=False).map(lambda chance: Writer(chance).statement())
BROKEN = st.randoms(use_true_random=False).map(lambda chance: Writer(chance).broken())
CHARACTERS = st.text(st.characters(exclude_categories=()), max_size=200)

_LONGEST_REFUSAL = 2_000
# Words of the libraries below, and of a place in this program.
_INSIDE = re.compile(
    r"Traceback|File \"|\.py\b|site-packages|DataFusion error|datafusion::|sqlglot"
    r"|[A-Z][a-z]+Error\b|Schema error|Internal error|Execution error|panicked|object at 0x"
)


def read(sql: str, home: str | None) -> Statement | PlannerError:
    """Return what a text is read as, or the refusal; whatever else is raised escapes."""
    try:
        return parse_statement(sql, DEFAULTS, home=home)
    except PlannerError as refusal:
        require_clean(refusal, sql)
        return refusal


def plan(query: Query) -> str | None:
    """Return the text that an engine would run, None when it is refused."""
    try:
        return plan_query(query, schemas_of(query.tables)).text
    except PlannerError as refusal:
        require_clean(refusal, query.sql)
        return None


def require_clean(refusal: PlannerError, sql: str) -> None:
    text = str(refusal)
    assert text.startswith(f"{refusal.code}: ")
    assert refusal.code != "internal"
    assert text.isprintable()
    assert len(text) < _LONGEST_REFUSAL
    found = _INSIDE.search(text)
    assert found is None or found.group() in sql, text  # a statement may hold such words itself


def require_laws(sql: str, home: str | None) -> None:
    query = read(sql, home)
    if not isinstance(query, Query):
        return
    text = plan(query)
    require_same_tables(query, query.text if text is None else text)
    if text is None:
        return
    again = read_at_member(query, text)
    assert isinstance(again, Query), again
    assert (again.tables, again.text) == (query.tables, text)


def read_at_member(query: Query, text: str) -> Statement:
    """Read a planned text as the member does that gets it in a ticket."""
    defaults = Defaults(query.cluster, query.catalog, query.schema)
    return parse_statement(text, defaults, home=query.cluster if query.is_home else None)


def require_same_tables(query: Query, text: str) -> None:
    """What an engine looks for and reads is what was decided on."""
    lookups = look_up(query, text)
    tables = names_of(query)
    assert lookups.scanned <= tables
    # The name of a WITH part in other quotes or case is looked for as well, and then not used.
    parts = {name for name in lookups.looked_up - tables if is_with_part(name[2], text)}
    assert lookups.looked_up - parts <= tables
    if not re.search("ParserError|TokenizerError|not implemented", lookups.fault):
        assert tables <= lookups.looked_up


def is_with_part(name: str, text: str) -> bool:
    return bool(re.search(rf'(?is)\bWITH\b.*["`]?\b{re.escape(name)}\b["`]?.*\bAS\b', text))


@examples(200)
@given(STATEMENTS, st.sampled_from(HOMES))
def test_laws_hold_for_statements(sql: str, home: str | None) -> None:
    require_laws(sql, home)


@examples(300)
@given(BROKEN, st.sampled_from(HOMES))
@example('SELECT bid FROM FROM "quote"', None)
@example('WITH RECURSIVE a AS (SELECT bid FROM "Trade"), trade AS (SELECT 1) SELECT 1', None)
@example('WITH quote AS (SELECT 1 AS bid) SELECT bid FROM "Quote"', None)
def test_laws_hold_for_broken_statements(sql: str, home: str | None) -> None:
    require_laws(sql, home)


@examples(100)
@given(CHARACTERS)
def test_laws_hold_for_any_characters(text: str) -> None:
    for sql in (text, f"SELECT {text}", f"SELECT bid FROM {text}", f'SELECT "{text}" FROM quote'):
        require_laws(sql, None)


def test_most_statements_are_planned() -> None:
    """The grammar is worth something as long as engines have plans for what it makes."""
    statements = (
        Writer(Random(seed)).statement()  # noqa: S311  chance, not secrets
        for seed in range(100)
    )
    queries = [query for sql in statements if isinstance(query := read(sql, None), Query)]
    assert sum(plan(query) is not None for query in queries) > 50


@pytest.mark.parametrize(
    "sql, tables",
    [
        ("WITH quote AS (SELECT bid FROM trade) SELECT bid FROM quote", {"trade"}),
        ("WITH quote AS (SELECT bid FROM quote) SELECT bid FROM quote", {"quote"}),
        ('WITH quote AS (SELECT bid FROM trade) SELECT bid FROM "Quote"', {"quote", "trade"}),
        ("WITH q AS (SELECT bid FROM trade) SELECT bid FROM stock.q", {"q", "trade"}),
        ("WITH a AS (SELECT bid FROM b), b AS (SELECT 1 AS bid) SELECT bid FROM a", {"b"}),
        ("SELECT bid, (WITH quote AS (SELECT 1 AS x) SELECT x FROM quote) AS x FROM quote",
         {"quote"}),
        ("(WITH q AS (SELECT 1 AS bid) SELECT bid FROM q) UNION ALL SELECT bid FROM q", {"q"}),
        ("WITH unused AS (SELECT bid FROM trade) SELECT 1", {"trade"}),
        ("SELECT 1 FROM quote WHERE 1 = (SELECT max(bid) FROM (SELECT bid FROM trade) t)",
         {"quote", "trade"}),
        ("FROM trade SELECT (SELECT max(bid) FROM quote)", {"quote", "trade"}),
    ],
)  # fmt: skip
def test_engine_looks_for_the_tables_that_are_named(sql: str, tables: set[str]) -> None:
    query = read(sql, None)
    assert isinstance(query, Query)
    expected = {("trading", "stock", table) for table in tables}
    assert names_of(query) == expected
    assert look_up(query, query.text).looked_up == expected
