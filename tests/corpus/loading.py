"""The corpus: statements that DataFusion accepts and the federation answers, one file per feature.

In the files, statements are separated by empty lines and name two tables, `flights` and `samples`,
by these bare words. An ORDER BY at the end of a statement leaves no two different rows tied.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from sqlglot import exp

from planner.dialect import read_tokens
from planner.parse import read_tree
from tests.corpus.samples import make_samples
from tests.e2e.factories import FLIGHTS, SAMPLES, make_flights

FOLDER = Path(__file__).parent
_NAMES = {"flights": FLIGHTS, "samples": SAMPLES}
_NAMED = re.compile(rf"\b({'|'.join(_NAMES)})\b")


@dataclass(frozen=True, slots=True)
class CorpusStatement:
    """One statement: where it stands (`aggregates-7`) and its text with the tables' bare words."""

    name: str
    text: str

    def over(self, cluster: str | None = None) -> str:
        """Return the text with the tables' full names, and their cluster if one is given."""
        suffix = f"@{cluster}" if cluster else ""
        return _NAMED.sub(lambda found: _NAMES[found[1]] + suffix, self.text)

    @property
    def is_ordered(self) -> bool:
        """Whether the statement ends with an ORDER BY."""
        return self.tree.args.get("order") is not None

    @property
    def tree(self) -> exp.Expr:
        """How the planner reads it."""
        tokens = (each for each in read_tokens(self.text) if each.text != ";")
        return read_tree(self.text, tuple(tokens))


def read_corpus() -> tuple[CorpusStatement, ...]:
    """Return all statements, by file and place."""
    return tuple(
        CorpusStatement(f"{path.stem}-{number}", text)
        for path in sorted((FOLDER / "statements").glob("*.sql"))
        for number, text in enumerate(re.split(r"\n\s*\n", path.read_text("utf-8").strip()), 1)
    )


def corpus_tables() -> dict[str, pa.Table]:
    """Return the rows of the tables by their full names."""
    return {FLIGHTS: make_flights(), SAMPLES: make_samples()}
