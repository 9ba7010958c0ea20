"""The examples of the page on SQL: which statements of the planner's tests it shows, and how.

What is shown is what the planner answers, so the page cannot say anything else. Markers in the page
say where each list goes: `<!-- examples: names -->` up to `<!-- end of examples -->`.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from planner import Defaults, PlannerError, Query, SplittableError, parse_statement, suggest_parts
from tests.planner.federation import DEFAULTS, answer, schemas_of

FIXTURES = Path(__file__).parents[1] / "planner" / "fixtures"

_LISTS = re.compile(r"<!-- examples: (?P<name>\w+) -->\n.*?<!-- end of examples -->", re.DOTALL)
_NAMES = (
    "names/schema_and_table",
    "names/bare_name_with_cluster",
    "names/quoted_catalog_with_cluster",
    "names/all_parts_quoted_as_bi_tools_do",
    "names/quoted_table_with_cluster",
    "names/upper_case_is_folded",
    "names/qualifier_with_cluster",
    "names/star_with_cluster",
)
_REFUSALS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "wrong_names": (
        (
            "A name without its catalog, in a session that has none",
            "without_defaults/lacks_catalog",
        ),
        ("A space before the @", "names/space_inside_a_name"),
        ("A cluster after a column", "names/at_sign_on_a_column"),
        ("A letter that only looks like one", "names/homoglyph"),
    ),
    "joins": (
        ("A join", "joins/left"),
        ("A second table in FROM", "joins/comma"),
        ("`IN` over a query", "subqueries/in"),
        ("A subquery that uses a column of the query around it", "subqueries/correlated_by_alias"),
        ("`INTERSECT` and `EXCEPT`", "joins/intersect"),
        ("Tables of two clusters", "one_cluster/union_over_two"),
    ),
    "columns": (
        ("A column that is not there", "columns/near_name"),
        ("A text in double quotes", "columns/text_in_double_quotes"),
        ("A table called by a name that it does not go by", "columns/qualified_by_another_name"),
        ("A name of the SELECT list in WHERE", "columns/alias_in_where"),
        ("Columns that differ in case only", "columns/two_cases_of_one_name"),
    ),
    "laws": (
        ("A column that is neither grouped nor aggregated", "types/not_grouped"),
        ("An aggregate in WHERE", "laws/aggregate_in_where"),
        ("A window function in WHERE", "windows/in_where"),
        ("Parts of a UNION that differ in width", "types/union_of_unequal_width"),
        ("Types that do not fit", "types/text_plus_number"),
        ("A function that is called otherwise elsewhere", "calls/another_engines_name"),
        ("A function misspelt", "calls/near_name"),
        ("A window function without OVER", "calls/window_without_over"),
    ),
    "syntax": (
        ("A word that cannot stand there", "syntax/missing_word"),
        ("`TOP`", "syntax/top"),
        ("An apostrophe inside a text", "syntax/apostrophe"),
        ("Two statements", "queries/two_statements"),
    ),
    "home_writes": (
        ("A column that is not there", "home_writes/insert_unknown_column"),
        ("Values for fewer columns than there are", "home_writes/insert_too_few_values"),
        ("Text for a date, out of a query", "home_writes/insert_text_into_date"),
        ("Rows of another cluster", "home_writes/insert_from_another_cluster"),
        ("A key", "home_writes/create_primary_key"),
        ("An aggregate in SET", "home_writes/update_of_an_aggregate"),
        ("A second table in UPDATE", "home_writes/update_from"),
    ),
    "others": (
        ("A write to another cluster", "writes/insert"),
        ("A function that would reach files", "functions/read_csv"),
        ("`SET`", "writes/set"),
    ),
}


def with_examples(page: str) -> str:
    """Return a page with every marked list of examples made anew."""
    return _LISTS.sub(lambda found: _marked(found["name"]), page)


def shown() -> tuple[str, ...]:
    """Return every example of the page."""
    return (*_NAMES, *(path for examples in _REFUSALS.values() for _, path in examples))


def refusal_of(path: str) -> str:
    """Return the refusal of an example as a caller gets it who may read all of its tables."""
    sql = (FIXTURES / f"{path}.sql").read_text("utf-8")
    defaults = Defaults("shanghai") if path.startswith("without_defaults/") else DEFAULTS
    # What writes is shown as it is answered at home.
    home = DEFAULTS.cluster if path.startswith("home_") else None
    try:
        answer(sql, home=home, defaults=defaults)
    except SplittableError as refusal:
        advice = suggest_parts(sql, defaults, schemas_of(refusal.tables))
        return str(refusal.followed_by(advice))
    except PlannerError as refusal:
        return str(refusal)
    raise AssertionError(path)


def _marked(name: str) -> str:
    make = _MAKERS.get(name, lambda: _refusals(name))
    return f"<!-- examples: {name} -->\n{make()}\n<!-- end of examples -->"


def _refusals(name: str) -> str:
    pieces = []
    for title, path in _REFUSALS[name]:
        sql = (FIXTURES / f"{path}.sql").read_text("utf-8").strip("\n")
        pieces.append(f"{title}:\n\n```sql\n{sql}\n```\n\n```text\n{refusal_of(path)}\n```")
    return "\n" + "\n\n".join(pieces) + "\n"


def _names() -> str:
    rows = ["", "| written | the table |", "|---|---|"]
    for path in _NAMES:
        sql = (FIXTURES / f"{path}.sql").read_text("utf-8").strip()
        query = parse_statement(sql, DEFAULTS)
        assert isinstance(query, Query)
        rows.append(f"| `{sql}` | `{', '.join(map(str, query.tables))}` |")
    return "\n".join([*rows, ""])


_MAKERS: Mapping[str, Callable[[], str]] = {"names": _names}
