"""Statements that define and write tables at home, as pairs of files; and what they make run."""

import re
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pytest

from planner import (
    CountedWrite,
    CrossClusterReadOnlyError,
    Defaults,
    PlannerError,
    StatementNotSupportedError,
    parse_statement,
)
from planner.columntypes import UnknownTypeError, read_type, type_name
from tests.planner.federation import DEFAULTS, answer, plan_write, read, run

WRITTEN = sorted((Path(__file__).parent / "written").glob("*.sql"))
HOME = DEFAULTS.cluster
COUNTED = [path for path in WRITTEN if isinstance(read(path.read_text(), home=HOME), CountedWrite)]


def name(path: Path) -> str:
    return path.stem


@pytest.mark.parametrize("path", WRITTEN, ids=name)
def test_statement_at_home_is_read_as_its_pair_says(path: Path) -> None:
    assert answer(path.read_text(), home=HOME) == path.with_suffix(".accepted").read_text()


@pytest.mark.parametrize("path", WRITTEN, ids=name)
def test_same_statement_is_refused_away_from_home(path: Path) -> None:
    with pytest.raises(CrossClusterReadOnlyError):
        read(path.read_text())


@pytest.mark.parametrize("path", COUNTED, ids=name)
def test_what_a_write_reads_runs_and_answers_the_planned_columns(path: Path) -> None:
    statement = read(path.read_text(), home=HOME)
    assert isinstance(statement, CountedWrite)
    planned = plan_write(statement)
    if statement.query.parameters:
        assert len(planned.parameters) == len(statement.query.parameters)
        return
    rows = run(statement.query, planned.plan.text)
    assert rows.schema.types == planned.plan.arrow_schema.types


@pytest.mark.parametrize("path", WRITTEN, ids=name)
def test_beginning_of_a_statement_is_read_or_refused(path: Path) -> None:
    words = re.split(r"(?<=\W)", path.read_text().strip(" ;\n"))
    for end in range(len(words)):
        # Nothing but a coded refusal, wherever it breaks off.
        with suppress(PlannerError):
            read("".join(words[:end]), home=HOME)


def test_names_without_cluster_are_those_of_the_session_not_of_home() -> None:
    elsewhere = Defaults("hangzhou", "trading", "stock")
    with pytest.raises(CrossClusterReadOnlyError, match="hangzhou"):
        parse_statement("DELETE FROM quote", elsewhere, home=HOME)


@pytest.mark.parametrize("space", [" ", "  ", "\n", "\t", " -- and\n", " /* and */ "])
def test_space_between_words_does_not_matter(space: str) -> None:
    words = "CREATE TABLE IF NOT EXISTS fresh ( a INT NOT NULL ) PARTITIONED BY ( day DATE )"
    assert read(words.replace(" ", space), home=HOME) == read(words, home=HOME)


@pytest.mark.parametrize(
    "text, kind",
    [
        ("int", pa.int32()),
        ("INTEGER", pa.int32()),
        ("bigint", pa.int64()),
        ("double precision", pa.float64()),
        ("numeric", pa.decimal128(38, 10)),
        ("DECIMAL(5)", pa.decimal128(5, 0)),
        ("varchar(3)", pa.utf8()),
        ("character varying(3)", pa.utf8()),
        ("timestamp", pa.timestamp("us")),
        ("TIMESTAMP(6) WITHOUT TIME ZONE", pa.timestamp("us")),
        ("timestamptz", pa.timestamp("us", "UTC")),
        ("bytea", pa.binary()),
        ("int[][]", pa.list_(pa.list_(pa.int32()))),
        ("map<varchar, date>", pa.map_(pa.utf8(), pa.date32())),
        ('struct<a: int, "B" text>', pa.struct([("a", pa.int32()), ("B", pa.utf8())])),
    ],
)
def test_type_is_read_in_its_common_names(text: str, kind: pa.DataType) -> None:
    assert read_type(text) == kind
    assert not pa.types.is_primitive(kind) or read_type(type_name(kind)) == kind


@pytest.mark.parametrize(
    "text",
    ["", "(", "int int", "decimal(0)", "decimal(39)", "decimal(3, 4)", "array<int", "map<int>",
     "struct<>", "struct<a>", "int]", "int[3]", "time", "interval", "uuid", "varchar(x)"],
)  # fmt: skip
def test_what_is_no_type_says_what_to_write_instead(text: str) -> None:
    with pytest.raises(UnknownTypeError, match=r"write|keep|types are|digits"):
        read_type(text)


def test_explaining_a_write_points_to_its_query() -> None:
    with pytest.raises(StatementNotSupportedError, match="EXPLAIN before the SELECT"):
        read("EXPLAIN DELETE FROM quote", home=HOME)


@pytest.mark.parametrize("word", ["MERGE INTO quote", "COPY quote", "REFRESH quote", "COMMENT ON"])
def test_write_that_is_not_done_at_home_names_those_that_are(word: str) -> None:
    with pytest.raises(StatementNotSupportedError, match="INSERT, UPDATE and DELETE"):
        read(f"{word} x", home=HOME)
