"""What is told of a plan, against tables whose files and row groups are known."""

import random
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from storage.datafusionengine import DataFusionEngine
from storage.errors import CancelledError, StaleMetastoreError, TypeMismatchError
from storage.explanation import Explanation, OperatorExplanation, ScanExplanation
from storage.hive import join_segment
from storage.metastore import Table
from storage.names import ObjectName
from tests.storage.factories import table_of, write_quotes

DAYS, GROUPS, GROUP_ROWS = 6, 4, 250
ROWS = GROUPS * GROUP_ROWS
OTHER = ObjectName("hangzhou", "trading", "stock", "other")


def write_days(directory: Path, days: int = DAYS) -> Path:
    """Write a file of four row groups for each day: number 0 … 999, and what follows from it."""
    rows = pa.table(
        {
            "number": range(ROWS),
            "text": [f"row {number:04}" for number in range(ROWS)],
            "half": [number / 2 for number in range(ROWS)],
            "thin": [number if number < GROUP_ROWS else None for number in range(ROWS)],
        }
    )
    for day in range(1, days + 1):
        folder = directory / f"day=2024-01-{day:02}"
        folder.mkdir(parents=True)
        pq.write_table(rows, folder / "part-0.parquet", row_group_size=GROUP_ROWS)
    return directory


@pytest.fixture(scope="module")
def quote(tmp_path_factory: pytest.TempPathFactory) -> Table:
    return table_of(write_days(tmp_path_factory.mktemp("quote")))


def explain(
    engine: DataFusionEngine, text: str, *tables: Table, is_measured: bool = False
) -> Explanation:
    return engine.explain(
        tables, text, catalog="trading", schema="stock", is_measured=is_measured
    ).explain()


def only_scan(explanation: Explanation) -> ScanExplanation:
    (scan,) = explanation.scans
    return scan


def steps(step: OperatorExplanation) -> Iterator[OperatorExplanation]:
    yield step
    for child in step.children:
        yield from steps(child)


def names(explanation: Explanation) -> list[str]:
    return [step.name for step in steps(explanation.root)]


@pytest.mark.parametrize(
    "condition, files, row_groups",
    [
        ("true", 6, 24),
        ("day = '2024-01-02'", 1, 4),
        ("day in ('2024-01-01', '2024-01-05', '2030-01-01')", 2, 8),
        ("day between '2024-01-02' and '2024-01-04' and number < 300", 3, 6),
        ("number = 600", 6, 6),
        ("600 = number", 6, 6),
        ("number in (1, 700)", 6, 12),
        ("number in (1, 2, 3, 4, 5, 6, 999)", 6, 12),
        ("number > 249 and number <= 499", 6, 6),
        ("number < 10 or number > 990", 6, 12),
        ("half >= 374.5", 6, 12),
        ("text = 'row 0300'", 6, 6),
        ("thin is not null", 6, 6),
        ("number < 10 and sin(half) > 2", 6, 6),
        ("number < 0", 6, 0),
        ("day = '2024-01-01' or number < 250", 6, 4 + 5),
        ("day = '2030-01-01'", 0, 0),
    ],
)
def test_files_and_row_groups_are_counted_as_the_engine_reads_them(
    engine: DataFusionEngine, quote: Table, condition: str, files: int, row_groups: int
) -> None:
    sql = f"select text, half from quote where {condition}"

    planned = only_scan(explain(engine, sql, quote))
    run = only_scan(explain(engine, sql, quote, is_measured=True))

    assert (planned.file_count, planned.file_total) == (files, DAYS)
    assert (planned.row_group_count, planned.row_group_total) == (row_groups, DAYS * GROUPS)
    assert planned.byte_count * DAYS == quote.byte_count * files
    assert planned.byte_total == quote.byte_count
    assert planned.measure is None
    assert (run.measure.row_group_count if run.measure else 0) == row_groups


@pytest.mark.parametrize(
    "condition",
    [
        "number + 1 < 100",
        "cast(number as double) < half + 10",
        "thin is null",
        "text like 'row 00%'",
        "not (number > 10)",
        "number not in (1, 2, 3)",
        "number = (select min(number) + 700 from quote where half > 100)",
        "number <> 5 and coalesce(thin, 1) = 1",
        "number < 900.5",
    ],
)
def test_what_is_not_understood_rules_nothing_out(
    engine: DataFusionEngine, quote: Table, condition: str
) -> None:
    sql = f"select text from quote where {condition}"

    planned = explain(engine, sql, quote).scans
    run = explain(engine, sql, quote, is_measured=True).scans

    assert len(planned) == len(run)
    for before, after in zip(planned, run, strict=True):
        assert after.measure is not None
        assert before.row_group_count >= after.measure.row_group_count


def test_no_statement_reads_more_row_groups_than_were_told(
    engine: DataFusionEngine, quote: Table
) -> None:
    chance = random.Random(7)  # noqa: S311  not for secrets

    def condition(depth: int) -> str:
        if depth == 0:
            column = chance.choice(["number", "half", "thin", "2 * number", "day"])
            if column == "day":
                return f"day {chance.choice(['=', '<', '>='])} '2024-01-0{chance.randint(1, 6)}'"
            ending = chance.choice(["< {}", "= {}", ">= {}", "<> {}", "in ({}, 3)", "is null"])
            return f"{column} {ending.format(chance.randint(-50, 1050))}"
        glue = chance.choice([" and ", " or "])
        return f"({glue.join(condition(depth - 1) for _ in range(2))})"

    for _ in range(60):
        sql = f"select count(text) from quote where {condition(chance.randint(0, 3))}"
        before = only_scan(explain(engine, sql, quote))
        after = only_scan(explain(engine, sql, quote, is_measured=True))
        read = after.measure.row_group_count if after.measure else 0
        assert before.row_group_count >= read, sql


def test_conditions_and_columns_are_told_as_one_would_write_them(
    engine: DataFusionEngine, quote: Table
) -> None:
    scan = only_scan(
        explain(
            engine,
            "select half from trading.stock.quote where day > '2024-01-03' "
            "and (number = 1 or text = 'it''s') and thin is null",
            quote,
        )
    )

    assert scan.columns == ("number", "text", "half", "thin")
    assert scan.partition_filters == ("day > '2024-01-03'",)
    assert scan.filters == ("number = 1 OR text = 'it''s'", "thin IS NULL")


@pytest.mark.parametrize("name", ["quote", "stock.quote", "trading.stock.quote"])
def test_columns_of_an_only_table_are_told_without_its_name(
    engine: DataFusionEngine, quote: Table, name: str
) -> None:
    sql = f"select day, max(half) from {name} where cast(number as double) < 9 group by day"
    explanation = explain(engine, sql, quote)

    assert explanation.root.detail == "max(half), by day"
    assert only_scan(explanation).filters == ("CAST(number AS Float64) < 9.0",)


def test_values_of_parameters_are_told_and_prune(engine: DataFusionEngine, quote: Table) -> None:
    explaining = engine.explain(
        [quote],
        "select text from quote where day = $1 and number < $2",
        catalog="trading",
        schema="stock",
        parameters={"1": pa.scalar("2024-01-02"), "2": pa.scalar(300)},
    )
    scan = only_scan(explaining.explain())

    assert (scan.file_count, scan.row_group_count) == (1, 2)
    assert (scan.partition_filters, scan.filters) == (("day = '2024-01-02'",), ("number < 300",))


def test_every_reading_of_a_table_is_told(engine: DataFusionEngine, quote: Table) -> None:
    explanation = explain(
        engine,
        "select text from quote where number < 10 union all "
        "select text from quote where day = '2024-01-02' union all select 'x'",
        quote,
    )

    counts = [(scan.file_count, scan.row_group_count) for scan in explanation.scans]
    assert counts == [(6, 6), (1, 4)]
    assert names(explanation).count("Scan") == 2


def test_self_join_is_told_with_what_is_sure(engine: DataFusionEngine, quote: Table) -> None:
    sql = (
        "select a.text from quote a join quote b on a.number = b.number "
        "where a.half < 100 and b.half < 300"
    )
    planned, run = (explain(engine, sql, quote, is_measured=each) for each in (False, True))

    assert {"Join", "Scan"} <= set(names(planned))
    for before, after in zip(planned.scans, run.scans, strict=True):
        assert after.measure is not None
        assert before.row_group_count >= after.measure.row_group_count


def test_tables_of_one_name_are_told_apart(
    engine: DataFusionEngine, tmp_path: Path, quote: Table
) -> None:
    other = table_of(write_quotes(tmp_path, days=2), ObjectName("hangzhou", "a", "b", "quote"))

    explanation = explain(
        engine,
        "select q.text from trading.stock.quote q join a.b.quote o on q.number = o.number",
        quote,
        other,
    )

    assert {(scan.table, scan.file_total) for scan in explanation.scans} == {
        (quote.name, 6),
        (other.name, 2),
    }


def test_table_answered_from_its_counts_is_not_read(engine: DataFusionEngine, quote: Table) -> None:
    scan = only_scan(explain(engine, "select count(*) from quote", quote))

    assert (scan.file_count, scan.row_group_count, scan.byte_count) == (0, 0, 0)


def test_limit_reads_no_more_files_than_it_needs(engine: DataFusionEngine, quote: Table) -> None:
    assert only_scan(explain(engine, "select text from quote limit 3", quote)).file_count == 1


@pytest.mark.parametrize("value", ["a b", "ü", "x%2Fy", "q'z", "a+b", "#1", "50%", "a,b:c@d", "?"])
def test_files_of_every_partition_value_are_found(
    tmp_path: Path, engine: DataFusionEngine, value: str
) -> None:
    folder = tmp_path / join_segment("key", value)
    folder.mkdir()
    pq.write_table(pa.table({"n": [1, 2]}), folder / "part-0.parquet", row_group_size=1)
    table = table_of(tmp_path)

    scan = only_scan(explain(engine, "select n from quote where n > 1", table))

    assert (scan.file_count, scan.row_group_count, scan.row_group_total) == (1, 1, 2)


def test_statement_without_tables_is_explained(engine: DataFusionEngine) -> None:
    assert names(explain(engine, "select 1")) == ["Project", "One row"]


def test_measured_statement_tells_rows_and_times(engine: DataFusionEngine, quote: Table) -> None:
    sql = "select day, sum(number) from quote where number < 100 group by day order by day limit 2"
    explanation = explain(engine, sql, quote, is_measured=True)

    assert explanation.row_count == 2
    assert explanation.elapsed_s is not None
    assert explanation.root.row_count == 2
    (scan,) = (step for step in steps(explanation.root) if step.name == "Scan")
    assert scan.row_count == DAYS * 100
    assert scan.elapsed_s is not None
    assert {"Aggregate", "Sort", "Exchange"} <= set(names(explanation))
    assert only_scan(explanation).measure is not None


def test_measured_statement_can_be_cancelled(engine: DataFusionEngine) -> None:
    asked = iter([False] * 3)
    for_ever = "select count(*) from generate_series(1, 1000000000000) a (x) where x % 7 = 3"
    explaining = engine.explain(
        [],
        for_ever,
        catalog=None,
        schema=None,
        is_measured=True,
        is_cancelled=lambda: next(asked, True),
    )

    with pytest.raises(CancelledError):
        explaining.explain()


def test_explaining_stops_between_files(engine: DataFusionEngine, quote: Table) -> None:
    explaining = engine.explain(
        [quote], "select text from quote", catalog="trading", schema="stock"
    )
    explaining.close()

    with pytest.raises(CancelledError):
        explaining.explain()


def test_measured_statement_that_fails_is_our_error(engine: DataFusionEngine, quote: Table) -> None:
    with pytest.raises(TypeMismatchError):
        explain(engine, "select 1 / (number - number) from quote", quote, is_measured=True)


def test_files_that_changed_are_stale(engine: DataFusionEngine, tmp_path: Path) -> None:
    table = table_of(write_days(tmp_path, days=1))
    next(tmp_path.rglob("*.parquet")).unlink()

    with pytest.raises(StaleMetastoreError):
        explain(engine, "select * from quote", table)


STATEMENTS = [
    "select * from quote",
    "select text, row_number() over (partition by day order by half) from quote where half > 1",
    "select unnest([number, 2]) from quote limit 3 offset 2",
    "select distinct day from quote",
    "select day, text, count(*) from quote group by rollup (day, text) having count(*) > 1",
    "select text from quote where number > (select avg(number) from quote)",
    "with recursive t as (select 1 as a union all select a + 1 from t where a < 5) select * from t",
    "select a.text from quote a cross join quote b where a.number < 2 and b.number < 2",
    "select text from quote where number in (select number from quote where half < 3)",
    "select * from generate_series(1, 10)",
    "values (1), (2)",
    "select text from quote order by half desc limit 3",
    "select a.text from quote a join quote b on a.number < b.number and a.half = b.half limit 3",
]


@pytest.mark.parametrize("sql", STATEMENTS)
@pytest.mark.parametrize("is_measured", [False, True])
def test_no_path_and_none_of_the_engines_words_are_told(
    engine: DataFusionEngine, quote: Table, sql: str, is_measured: bool
) -> None:
    told = repr(explain(engine, sql, quote, is_measured=is_measured))

    assert quote.location is not None
    for secret in (quote.location, "part-0", ".parquet", "Exec", "file_groups", "DataSource"):
        assert secret.lower() not in told.lower()
    assert "datafusion" not in told.lower()
    assert "__" not in told
