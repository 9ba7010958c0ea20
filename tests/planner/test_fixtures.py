"""Pairs of files: a statement, and the text that an engine gets or the refusal."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from planner import Defaults, PlannerError, SplittableError, parse_statement
from planner.rules import RULES, check_construct
from tests.planner.federation import DEFAULTS, answer, plan, query_of, read_query, run

FIXTURES = Path(__file__).parent / "fixtures"
STATEMENTS = sorted(FIXTURES.rglob("*.sql"))
ACCEPTED = [path for path in STATEMENTS if path.with_suffix(".accepted").exists()]
REFUSED = [path for path in STATEMENTS if path.with_suffix(".refused").exists()]


def name(path: Path) -> str:
    return f"{path.parent.name}-{path.stem}"


def defaults(path: Path) -> Defaults:
    return Defaults("shanghai") if path.parent.name == "without_defaults" else DEFAULTS


def outcome(path: Path) -> str:
    """Return what becomes of a statement that is accepted."""
    return answer(path.read_text(), home=home(path), defaults=defaults(path))


def home(path: Path) -> str | None:
    return DEFAULTS.cluster if path.parent.name.partition("_")[0] == "home" else None


def coded() -> Iterator[type[PlannerError]]:
    """Yield the refusals that the planner raises."""
    kinds = [*PlannerError.__subclasses__(), *SplittableError.__subclasses__()]
    yield from (kind for kind in kinds if kind is not SplittableError)


def test_every_statement_has_exactly_one_outcome() -> None:
    assert STATEMENTS
    assert sorted([*ACCEPTED, *REFUSED]) == STATEMENTS


@pytest.mark.parametrize("path", ACCEPTED, ids=name)
def test_accepted_statement_becomes_the_text_of_its_pair(path: Path) -> None:
    expected = path.with_suffix(".accepted").read_text()
    assert outcome(path) == expected


@pytest.mark.parametrize("path", REFUSED, ids=name)
def test_refused_statement_gets_the_refusal_of_its_pair(path: Path) -> None:
    with pytest.raises(PlannerError) as refusal:
        outcome(path)
    assert f"{refusal.value}\n" == path.with_suffix(".refused").read_text()


@pytest.mark.parametrize("path", ACCEPTED, ids=name)
def test_accepted_statement_runs_and_answers_the_planned_columns(path: Path) -> None:
    query = read_query(path.read_text(), home=home(path), defaults=defaults(path))
    planned = plan(path.read_text(), home=home(path), defaults=defaults(path))
    rows = run(query, planned.text)
    assert rows.schema.names == planned.arrow_schema.names
    assert rows.schema.types == planned.arrow_schema.types


@pytest.mark.parametrize("path", ACCEPTED, ids=name)
def test_planned_text_read_again_names_the_same_tables(path: Path) -> None:
    query = read_query(path.read_text(), home=home(path), defaults=defaults(path))
    text = plan(path.read_text(), home=home(path), defaults=defaults(path)).text
    same = Defaults(query.cluster, query.catalog, query.schema, DEFAULTS.mom)
    again = parse_statement(text, same, home=home(path))
    assert query_of(again).text == text
    assert query_of(again).tables == query.tables


RULE_FOLDERS = {rule.__module__.rpartition(".")[2]: rule for rule in (check_construct, *RULES)}
# A statement with parameters runs when values are bound: see test_parameters.py.
_NEVER_RUN_HERE = {"parameters"}


@pytest.mark.parametrize("rule", RULE_FOLDERS)
def test_every_rule_has_statements_that_it_refuses_and_some_that_it_lets_pass(rule: str) -> None:
    folder = {path.parent.name for path in REFUSED if refuser(path) == rule}
    assert rule in folder
    if rule not in _NEVER_RUN_HERE:
        assert [path for path in ACCEPTED if path.parent.name == rule]


def refuser(path: Path) -> str | None:
    """Return the module of the rule that refuses a statement."""
    with pytest.raises(PlannerError) as refusal:
        outcome(path)
    modules = [Path(str(entry.path)) for entry in refusal.traceback]
    named = [file.stem for file in modules if file.parent.name == "rules"]
    return next((name for name in named if name in RULE_FOLDERS), None)


@pytest.mark.parametrize("code", sorted(kind.code for kind in coded()))
def test_every_code_has_a_statement_that_is_refused_with_it(code: str) -> None:
    assert [path for path in REFUSED if path.with_suffix(".refused").read_text().startswith(code)]


@pytest.mark.parametrize("path", REFUSED, ids=name)
def test_every_refusal_says_what_to_do_instead(path: Path) -> None:
    refusal = path.with_suffix(".refused").read_text()
    assert re.search(r"; \w|: (?:expected|write) |, as in ", refusal)
