"""Pairs of files: a statement, and the text that an engine gets or the refusal."""

from pathlib import Path

import pytest

from planner import Defaults, PlannerError, parse_statement
from tests.planner.federation import DEFAULTS, answer, plan, query_of, read_query, run

FIXTURES = Path(__file__).parent / "fixtures"
STATEMENTS = sorted(FIXTURES.rglob("*.sql"))
ACCEPTED = [path for path in STATEMENTS if path.with_suffix(".accepted").exists()]
REFUSED = [path for path in STATEMENTS if path.with_suffix(".refused").exists()]


def name(path: Path) -> str:
    return f"{path.parent.name}-{path.stem}"


def home(path: Path) -> str | None:
    return DEFAULTS.cluster if path.parent.name == "home" else None


def test_every_statement_has_exactly_one_outcome() -> None:
    assert STATEMENTS
    assert sorted([*ACCEPTED, *REFUSED]) == STATEMENTS


@pytest.mark.parametrize("path", ACCEPTED, ids=name)
def test_accepted_statement_becomes_the_text_of_its_pair(path: Path) -> None:
    expected = path.with_suffix(".accepted").read_text()
    assert answer(path.read_text(), home=home(path)) == expected


@pytest.mark.parametrize("path", REFUSED, ids=name)
def test_refused_statement_gets_the_refusal_of_its_pair(path: Path) -> None:
    with pytest.raises(PlannerError) as refusal:
        answer(path.read_text(), home=home(path))
    assert f"{refusal.value}\n" == path.with_suffix(".refused").read_text()


@pytest.mark.parametrize("path", ACCEPTED, ids=name)
def test_accepted_statement_runs_and_answers_the_planned_columns(path: Path) -> None:
    query = read_query(path.read_text(), home=home(path))
    planned = plan(path.read_text(), home=home(path))
    rows = run(query, planned.text)
    assert rows.schema.names == planned.arrow_schema.names
    assert rows.schema.types == planned.arrow_schema.types


@pytest.mark.parametrize("path", ACCEPTED, ids=name)
def test_planned_text_read_again_names_the_same_tables(path: Path) -> None:
    query = read_query(path.read_text(), home=home(path))
    text = plan(path.read_text(), home=home(path)).text
    again = parse_statement(
        text, Defaults(query.cluster, query.catalog, query.schema), home=home(path)
    )
    assert query_of(again).text == text
    assert query_of(again).tables == query.tables
