"""The 22 queries of TPC-H, and why a visitor may not ask twenty of them."""

import re

from tests.corpus.loading import FOLDER
from tests.corpus.tpchtables import TPCH_SCHEMA, TPCH_TABLES

_NAMED = re.compile(rf"\b({'|'.join(TPCH_TABLES)})\b")

QUERIES = {path.stem: path.read_text("utf-8") for path in (FOLDER / "tpch").glob("q*.sql")}
ANSWERED = frozenset({"q01", "q06"})
_COMMA = "a second table in FROM"
# What each of the others is refused for: the line, and the construct as the refusal names it.
REFUSED_FOR = {
    "q02": (2, _COMMA),
    "q03": (6, _COMMA),
    "q04": (6, "EXISTS over a query"),
    "q05": (2, _COMMA),
    "q07": (8, _COMMA),
    "q08": (9, _COMMA),
    "q09": (7, _COMMA),
    "q10": (10, _COMMA),
    "q11": (2, _COMMA),
    "q12": (5, _COMMA),
    "q13": (5, "LEFT OUTER JOIN"),
    "q14": (5, _COMMA),
    "q15": (10, _COMMA),
    "q16": (2, _COMMA),
    "q17": (2, _COMMA),
    "q18": (2, _COMMA),
    "q19": (2, _COMMA),
    "q20": (2, _COMMA),
    "q21": (2, _COMMA),
    "q22": (14, "NOT EXISTS over a query"),
}


def over(text: str, cluster: str | None = None) -> str:
    """Return a query with the tables' full names, and their cluster if one is given."""
    suffix = f"@{cluster}" if cluster else ""
    return _NAMED.sub(lambda found: f"{TPCH_SCHEMA}.{found[1]}{suffix}", text)


def require_refused_for(name: str, message: str) -> None:
    """Fail when a refusal is not that of this query."""
    line, construct = REFUSED_FOR[name]
    said = re.match(r"join-not-supported: line (\d+), column \d+: (.*?) (\(|is a join)", message)
    assert said is not None, message
    assert (int(said[1]), said[2]) == (line, construct)
