"""The barrier of views: whatever reads a view, the same is done below it, on the same rows."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from storage.datafusionengine import DataFusionEngine
from storage.errors import (
    StaleMetastoreError,
    StorageError,
    TypeMismatchError,
    UnusableTableError,
)
from storage.metastore import Table, TableKind
from storage.names import ObjectName
from storage.parquet import scan_partitioned
from storage.views import Source, View, base_tables, shown_tables, struct_of

ROWS = pa.table(
    {
        "x": pa.array(range(-50, 50), pa.int64()),
        "s": [str(n) if n >= 5 else f"hidden {n}" for n in range(-50, 50)],
        "bid": [float(n) for n in range(-50, 50)],
        "tags": [[n, n + 1] for n in range(-50, 50)],
        "day": pa.array([n % 3 for n in range(-50, 50)], pa.int64()),
    }
)
BODIES = {
    "filter": "SELECT x, s, bid, tags FROM a.b.t WHERE x > 5",
    "expressions": "SELECT x, s, bid * 2 AS bid, tags FROM a.b.t WHERE bid > 5 AND s <> 'x'",
    "partitions": "SELECT x, s, bid, tags FROM a.b.t WHERE day = 1 AND x > 5",
    "join": "SELECT l.x, r.s, l.bid, l.tags FROM a.b.t l JOIN a.b.t r ON l.x = r.x WHERE r.bid > 5",
    "aggregate": (
        "SELECT x, max(s) AS s, sum(bid) AS bid, max(tags) AS tags FROM a.b.t GROUP BY x "
        "HAVING sum(bid) > 5"
    ),
    "union": (
        "SELECT x, s, bid, tags FROM a.b.t WHERE x > 5 UNION ALL "
        "SELECT x, s, bid, tags FROM a.b.t WHERE x = 7"
    ),
    "first rows": "SELECT x, s, bid, tags FROM a.b.t WHERE x > 5 ORDER BY bid LIMIT 20",
    "window": (
        "SELECT x, s, bid, tags FROM (SELECT *, row_number() OVER (ORDER BY bid DESC) AS n "
        "FROM a.b.t) WHERE n < 20"
    ),
    "subquery": "SELECT x, s, bid, tags FROM a.b.t WHERE x > (SELECT max(x) - 20 FROM a.b.t)",
}
# Each fails, prints or takes long on rows that the views hide, and does neither on those they show.
READERS = [
    "SELECT x, 1 / (x - 5) AS y FROM a.b.v",
    "SELECT 1 / (x - 5) + bid AS y FROM a.b.v",
    "SELECT * FROM a.b.v WHERE 1 / (x - 5) >= 0",
    "SELECT * FROM a.b.v WHERE CASE WHEN x < 6 THEN 1 / (x - x) > 0 ELSE true END",
    "SELECT x FROM a.b.v WHERE s::bigint > 3",
    "SELECT x FROM a.b.v WHERE arrow_cast(s, 'Int8') > 3 AND x > 7 LIMIT 2",
    "SELECT s::bigint AS n FROM a.b.v ORDER BY s::bigint LIMIT 5",
    "SELECT x FROM a.b.v ORDER BY 1 / (x - 5) DESC LIMIT 5",
    "SELECT x FROM a.b.v ORDER BY x LIMIT 5",
    "SELECT sum(1 / (x - 5)) AS n, max(s::bigint) AS m FROM a.b.v",
    "SELECT count(*) AS n, min(x) AS low, max(x) AS high FROM a.b.v",
    "SELECT count(*) AS n FROM a.b.v WHERE x < 0",
    "SELECT s::bigint % 3 AS k, count(*) AS n FROM a.b.v GROUP BY s::bigint % 3",
    "SELECT DISTINCT 1 / (x - 5) AS y FROM a.b.v LIMIT 3",
    "SELECT x, row_number() OVER (ORDER BY s::bigint) AS n FROM a.b.v",
    "SELECT unnest(tags) AS tag, 1 / (x - 5) AS y FROM a.b.v",
    "SELECT x FROM a.b.v LIMIT 3",
    "SELECT x FROM a.b.v OFFSET 2",
    "SELECT * FROM a.b.v WHERE x IN (7, 8, 9) AND s = '8'",
    "SELECT 1 AS one FROM a.b.v",
    "SELECT x FROM a.b.v WHERE x > 6 UNION ALL SELECT s::bigint FROM a.b.v WHERE x > 7",
    "SELECT x FROM a.b.v WHERE bid > (SELECT avg(s::bigint) FROM a.b.v)",
    "SELECT v.x, t.x AS y FROM a.b.v JOIN a.b.t ON v.s = t.s AND 1 / (v.x - 5) >= 0",
    "SELECT repeat(s, x::bigint * 1000) AS long FROM a.b.v WHERE length(repeat(s, x * 9)) > 3",
]


def named(name: str) -> ObjectName:
    return ObjectName("hangzhou", "a", "b", name)


class Tables:
    """Table t, in files by day, and views of it."""

    def __init__(self, directory: Path) -> None:
        for day in (0, 1, 2):
            folder = directory / f"day={day}"
            folder.mkdir(parents=True)
            rows = ROWS.filter(pa.compute.equal(ROWS["day"], day)).drop(["day"])
            pq.write_table(rows, folder / "part.parquet", row_group_size=10)
        found = scan_partitioned(directory)
        self.table = Table(
            id="a" * 32,
            name=named("t"),
            arrow_schema=found.arrow_schema,
            partition_columns=found.partition_columns,
            schema_version=1,
            snapshot=found.snapshot,
            row_count=found.row_count,
            byte_count=found.byte_count,
            file_count=found.file_count,
            location=str(directory),
        )

    def view(self, text: str, reads: tuple[Source, ...] = (), name: str = "v") -> View:
        columns = ROWS.schema.remove(4) if "AS two" not in text else pa.schema({"two": pa.int64()})
        table = Table(
            id=name.rjust(32, "b").replace("v", "f").replace("w", "e"),
            name=named(name),
            arrow_schema=columns,
            partition_columns=(),
            schema_version=1,
            snapshot="",
            row_count=0,
            byte_count=0,
            file_count=0,
            kind=TableKind.VIEW,
            definition="",
        )
        return View(table, text, None, None, reads or (self.table,))


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Tables:
    return Tables(tmp_path_factory.mktemp("tables"))


@pytest.fixture(scope="module", params=[1, 2, 4])
def engine(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[DataFusionEngine]:
    made = DataFusionEngine(
        memory_limit_bytes=1 << 28,
        spill_directory=tmp_path_factory.mktemp("spill"),
        target_partitions=request.param,
    )
    yield made
    made.close()


def physical(engine: DataFusionEngine, sources: list[Source], text: str) -> Any:
    with engine._leasing.opened(sources) as opened:
        planned = engine._plan(opened, text, (None, None), None, 1024)
        return planned.frame.execution_plan()


def columns_read(
    engine: DataFusionEngine, sources: list[Source], text: str
) -> Mapping[ObjectName, tuple[str, ...]]:
    return engine._providers._columns_read(sources, text, (None, None), None)


def below_barriers(node: Any) -> list[str]:
    """Return what is done below each barrier of a physical plan."""
    if struct_of(node) is not None:
        return ["\n".join(child.display_indent() for child in node.children())]
    return [found for child in node.children() for found in below_barriers(child)]


def rows_of(engine: DataFusionEngine, sources: list[Source], text: str) -> list[dict[str, Any]]:
    started = engine.execute(sources, text, catalog=None, schema=None)
    found = [row for batch in started.batches() for row in batch.to_pylist()]
    return sorted(found, key=str)


@pytest.mark.parametrize("body", list(BODIES))
def test_the_same_is_done_below_a_view_whatever_reads_it(
    engine: DataFusionEngine, tables: Tables, body: str
) -> None:
    view = tables.view(BODIES[body])
    for text in READERS:
        sources: list[Source] = [view, tables.table]
        found = below_barriers(physical(engine, sources, text))
        assert found, text
        read = columns_read(engine, sources, text)[view.name]
        columns = ", ".join(read)
        (alone,) = below_barriers(physical(engine, [view], f"SELECT {columns} FROM a.b.v"))
        assert set(found) == {alone}, text


@pytest.mark.parametrize(
    "text, columns",
    [
        ("SELECT x FROM a.b.v", ["x"]),
        ("SELECT count(*) AS n FROM a.b.v", ["x"]),
        ("SELECT bid FROM (SELECT * FROM a.b.v) WHERE s <> 'y'", ["s", "bid"]),
        ("SELECT v.x FROM a.b.v ORDER BY tags LIMIT 3", ["x", "tags"]),
        ("SELECT sum(bid) AS n FROM a.b.v GROUP BY s", ["s", "bid"]),
        # What a subquery reads is not seen: all of it is.
        (
            "SELECT 1 AS one FROM a.b.v WHERE bid > (SELECT min(x) FROM a.b.v)",
            ["x", "s", "bid", "tags"],
        ),
    ],
)
def test_columns_that_nobody_asks_for_are_not_read(
    engine: DataFusionEngine, tables: Tables, text: str, columns: list[str]
) -> None:
    view = tables.view("SELECT x, s, bid, tags FROM a.b.t")
    assert list(columns_read(engine, [view], text)[view.name]) == columns
    for below in below_barriers(physical(engine, [view], text)):
        assert all(f"'{name}'" not in below for name in ("s", "tags") if name not in columns)
        scanned = {name for name in ("x", "s", "bid", "tags") if f"({name}, {name}@" in below}
        assert scanned <= set(columns)
    assert rows_of(engine, [view], text)


def test_column_that_is_never_null_is_none_that_nobody_asks_for(
    engine: DataFusionEngine, tables: Tables
) -> None:
    view = tables.view("SELECT count(*) AS two FROM a.b.t")
    columns = pa.schema([pa.field("two", pa.int64(), nullable=False)])
    never = replace(view, table=replace(view.table, arrow_schema=columns))
    for text, count in (("two IS NULL", 0), ("two IS NOT NULL", 1), ("coalesce(two, 1) > 1", 1)):
        rows = rows_of(engine, [never], f"SELECT 1 AS one FROM a.b.v WHERE {text}")
        assert len(rows) == count, text


@pytest.mark.parametrize("body", list(BODIES))
def test_a_view_answers_what_a_table_of_its_rows_answers(
    engine: DataFusionEngine, tables: Tables, body: str, tmp_path: Path
) -> None:
    view = tables.view(BODIES[body])
    rows = rows_of(engine, [tables.table], BODIES[body])
    assert rows
    folder = tmp_path / "same"
    folder.mkdir()
    pq.write_table(pa.Table.from_pylist(rows, schema=view.table.arrow_schema), folder / "0.parquet")
    found = scan_partitioned(folder)
    same = Table(
        id="c" * 32,
        name=named("v"),
        arrow_schema=found.arrow_schema,
        partition_columns=(),
        schema_version=1,
        snapshot=found.snapshot,
        row_count=found.row_count,
        byte_count=found.byte_count,
        file_count=found.file_count,
        location=str(folder),
    )
    for text in READERS:
        wanted = rows_of(engine, [same, tables.table], text)
        if "LIMIT" in text or "OFFSET" in text:
            assert len(rows_of(engine, [view, tables.table], text)) == len(wanted)
        else:
            assert rows_of(engine, [view, tables.table], text) == wanted, text


def test_without_the_barrier_hidden_rows_would_fail(
    engine: DataFusionEngine, tables: Tables
) -> None:
    text = f"SELECT 1 / (x - 5) AS y FROM ({BODIES['filter']}) WHERE s::bigint > 3 AND x > 5"
    naked = "SELECT s::bigint AS n FROM a.b.t"
    with pytest.raises(TypeMismatchError):
        rows_of(engine, [tables.table], naked)
    view = tables.view(BODIES["filter"])
    assert rows_of(engine, [view], text.replace(f"({BODIES['filter']})", "a.b.v"))


def test_views_stand_on_views_each_behind_its_barrier(
    engine: DataFusionEngine, tables: Tables
) -> None:
    inner = tables.view(BODIES["filter"], name="w")
    outer = tables.view("SELECT x, s, bid, tags FROM a.b.w WHERE x > 20", (inner,))
    rows = rows_of(engine, [outer], "SELECT s::bigint AS n FROM a.b.v WHERE 1 / (x - 20) >= 0")
    assert [row["n"] for row in rows] == sorted(range(21, 50), key=str)[: len(rows)] or rows
    assert len(rows) == 29
    assert list(base_tables([outer])) == [tables.table]
    assert shown_tables([outer, tables.table]) == [outer.table, tables.table]


def test_progress_tells_nothing_of_the_files_below(
    engine: DataFusionEngine, tables: Tables
) -> None:
    view = tables.view(BODIES["filter"])
    cases: list[tuple[list[Source], str]] = [
        ([view], "SELECT * FROM a.b.v"),
        ([tables.table], "SELECT * FROM a.b.t"),
        ([view, tables.table], "SELECT v.x FROM a.b.v JOIN a.b.t ON v.x = t.x"),
    ]
    totals = []
    for sources, text in cases:
        execution = engine.execute(sources, text, catalog=None, schema=None)
        parts = execution.parts()
        totals.append(0 if parts is None else parts[1])
        execution.close()
    # The table beside the view is told of, once.
    assert totals[0] == 0
    assert totals[1] == totals[2] > 0


def test_statement_sees_the_view_and_nothing_below(
    engine: DataFusionEngine, tables: Tables
) -> None:
    view = tables.view(BODIES["filter"])
    for text in ("SELECT * FROM a.b.t", "SELECT t.x FROM a.b.v", "SELECT view FROM a.b.v"):
        with pytest.raises(StorageError) as refusal:
            rows_of(engine, [view], text)
        assert "hidden" not in str(refusal.value)


def test_what_is_wrong_below_is_told_of_the_view_alone(
    engine: DataFusionEngine, tables: Tables
) -> None:
    broken = tables.view("SELECT nothing FROM a.b.t")
    with pytest.raises(UnusableTableError, match=r"^unusable-table: a\.b\.v@hangzhou is a view"):
        rows_of(engine, [broken], "SELECT * FROM a.b.v")
    changed = tables.view("SELECT x AS y, s, bid, tags FROM a.b.t")
    with pytest.raises(UnusableTableError):
        rows_of(engine, [changed], "SELECT * FROM a.b.v")
    stale = replace(tables.table, snapshot="another")
    with pytest.raises(StaleMetastoreError) as refusal:
        rows_of(engine, [tables.view(BODIES["filter"], (stale,))], "SELECT * FROM a.b.v")
    assert "a.b.v@hangzhou" in str(refusal.value)
    assert "a.b.t" not in str(refusal.value)
    for text in ("DROP TABLE a.b.t", "COPY (SELECT 1) TO 'x.csv'", "SET x = 1"):
        with pytest.raises(UnusableTableError):
            rows_of(engine, [tables.view(text)], "SELECT * FROM a.b.v")


def test_view_of_no_table_is_a_view(engine: DataFusionEngine, tables: Tables) -> None:
    view = tables.view("SELECT 1 + 1 AS two")
    assert rows_of(
        engine, [View(view.table, view.text, None, None, ())], "SELECT * FROM a.b.v"
    ) == [{"two": 2}]
