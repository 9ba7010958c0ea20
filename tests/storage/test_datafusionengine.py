import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from storage.datafusionengine import DataFusionEngine
from storage.errors import (
    CancelledError,
    EngineFaultError,
    MemoryLimitError,
    StaleMetastoreError,
    StorageError,
    TypeMismatchError,
    UnknownTableError,
)
from storage.names import ObjectName
from storage.parquet import list_files, snapshot_of
from tests.storage.factories import ask, table_of, write_file, write_quotes

FOR_EVER = "select count(*) from generate_series(1, 1000000000000) a (x) where x * x % 1009 = 7"
CROSS_JOIN = """
    select sum(x * y) from generate_series(1, 1000000) a (x), generate_series(1, 1000000) b (y)
"""
SECRET = ObjectName("hangzhou", "trading", "stock", "secret")


def busy_share(period_s: float) -> float:
    """How many cores this process keeps busy."""
    before = time.process_time()
    time.sleep(period_s)
    return (time.process_time() - before) / period_s


def test_rows_of_all_partitions_are_answered(tmp_path: Path, engine: DataFusionEngine) -> None:
    table = table_of(write_quotes(tmp_path, days=2, row_count=2))

    answer = ask(engine, "select * from quote order by day, number", table)

    assert answer.schema == table.arrow_schema
    assert [tuple(map(str, row.values())) for row in answer.to_pylist()] == [
        ("0", "row 0", "2024-01-01"),
        ("1", "row 1", "2024-01-01"),
        ("0", "row 0", "2024-01-02"),
        ("1", "row 1", "2024-01-02"),
    ]


def test_text_is_streamed_plain_however_it_was_written(
    tmp_path: Path, engine: DataFusionEngine
) -> None:
    text = pa.array(["a", None, "c"])
    held = {"view": text.cast(pa.string_view()), "coded": text.dictionary_encode()}
    pq.write_table(pa.table(held), tmp_path / "a.parquet")

    answer = ask(engine, "select view, coded from quote", table_of(tmp_path))

    assert answer.schema.types == [pa.utf8(), pa.utf8()]
    assert answer["view"].to_pylist() == answer["coded"].to_pylist() == ["a", None, "c"]


def test_statement_without_tables_is_answered(engine: DataFusionEngine) -> None:
    execution = engine.execute([], "select 1 as one", catalog=None, schema=None)

    assert [batch.to_pydict() for batch in execution.batches()] == [{"one": [1]}]


@pytest.mark.parametrize(
    "name, catalog, schema",
    [
        ("trading.stock.quote", None, None),
        ("stock.quote", "trading", None),
        ("quote", "trading", "stock"),
        ("QUOTE", "trading", "stock"),
    ],
)
def test_missing_parts_of_a_name_are_filled_in(
    tmp_path: Path, engine: DataFusionEngine, name: str, catalog: str | None, schema: str | None
) -> None:
    table = table_of(write_quotes(tmp_path))

    execution = engine.execute([table], f"select * from {name}", catalog=catalog, schema=schema)

    assert sum(batch.num_rows for batch in execution.batches()) == 12


@pytest.mark.parametrize("name", ["quote", "stock.quote", "datafusion.public.quote"])
def test_missing_parts_find_nothing_without_defaults(
    tmp_path: Path, engine: DataFusionEngine, name: str
) -> None:
    table = table_of(write_quotes(tmp_path))

    with pytest.raises(UnknownTableError):
        engine.execute([table], f"select * from {name}", catalog=None, schema=None)


def test_session_knows_only_its_tables(tmp_path: Path, engine: DataFusionEngine) -> None:
    secret = table_of(write_quotes(tmp_path / "secret"), SECRET)
    quote = table_of(write_quotes(tmp_path / "quote"))
    assert ask(engine, "select * from secret", secret).num_rows == 12

    with pytest.raises(UnknownTableError) as caught:
        ask(engine, "select * from secret", quote)

    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "source",
    [
        "'{path}'",
        '"{path}"',
        "read_parquet('{path}')",
        "parquet_scan('{path}')",
        "read_csv('{path}')",
        "parquet_metadata('{path}')",
        "information_schema.tables",
        "information_schema.df_settings",
    ],
)
def test_no_file_and_no_setting_can_be_reached(
    tmp_path: Path, engine: DataFusionEngine, source: str
) -> None:
    path = write_file(tmp_path / "a.parquet", number=[1])

    with pytest.raises(StorageError) as caught:
        ask(engine, f"select * from {source.format(path=path)}")

    assert caught.value.code in {"not-found", "type-mismatch", "statement-not-supported"}
    assert str(tmp_path) not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "create table t as select 1",
        "create external table t stored as parquet location '{path}'",
        "create view v as select 1",
        "create schema s",
        "create database d",
        "create function f() returns int return 1",
        "drop table quote",
        "insert into quote values (1, 'a', '2024-01-01')",
        "update quote set number = 1",
        "delete from quote",
        "copy quote to '{path}/out.parquet'",
        "copy (select 1) to '{path}/out.csv'",
        "explain analyze copy quote to '{path}/out.parquet'",
        "set datafusion.execution.batch_size = 1",
        "reset datafusion.execution.batch_size",
        "show all",
        "show tables",
        "describe quote",
        "explain select * from quote",
        "explain analyze select * from quote",
        "prepare p as select 1",
        "execute p(1)",
        "deallocate p",
        "begin",
        "commit",
        "use trading",
        "select 1; select 2",
        "selec 1",
        "",
    ],
)
def test_anything_but_one_query_is_refused(
    tmp_path: Path, engine: DataFusionEngine, text: str
) -> None:
    table = table_of(write_quotes(tmp_path / "quote"))
    before = sorted(tmp_path.rglob("*"))

    with pytest.raises(StorageError) as caught:
        ask(engine, text.format(path=tmp_path), table)

    assert caught.value.code == "statement-not-supported"
    assert sorted(tmp_path.rglob("*")) == before


def test_setting_and_tables_of_one_statement_are_not_there_for_the_next(
    tmp_path: Path, engine: DataFusionEngine
) -> None:
    quote = table_of(write_quotes(tmp_path))
    ask(engine, "with secret as (select * from quote) select * from secret", quote)

    with pytest.raises(UnknownTableError):
        ask(engine, "select * from quote")


def test_other_partitions_are_not_touched(tmp_path: Path, engine: DataFusionEngine) -> None:
    table = table_of(write_quotes(tmp_path, days=3))
    damaged = tmp_path / "day=2024-01-02" / "part-0.parquet"
    damaged.write_bytes(b"no Parquet at all")
    table = replace(table, snapshot=snapshot_of(list_files(tmp_path)))

    one = ask(engine, "select count(*) as n from quote where day = '2024-01-03'", table)
    some = ask(engine, "select number from quote where day <> date '2024-01-02'", table)

    assert one.to_pylist() == [{"n": 4}]
    assert some.num_rows == 8


@pytest.mark.parametrize(
    "value, literal", [(7, "7"), (-3, "-3"), ("007", "'007'"), ("a b", "'a b'")]
)
def test_partition_is_found_by_its_value(
    tmp_path: Path, engine: DataFusionEngine, value: object, literal: str
) -> None:
    write_file(tmp_path / f"key={value}" / "a.parquet", number=[1])
    write_file(tmp_path / "key=12" / "a.parquet", number=[2])

    answer = ask(engine, f"select number, key from quote where key = {literal}", table_of(tmp_path))

    assert answer.to_pylist() == [{"number": 1, "key": value}]


def test_row_groups_are_pruned_by_statistics(tmp_path: Path, engine: DataFusionEngine) -> None:
    whole = pa.table({"number": range(100_000), "text": ["x" * 50] * 100_000})
    pq.write_table(whole, tmp_path / "a.parquet", row_group_size=1000, use_dictionary=False)
    table = table_of(tmp_path)
    # Only the row group that is asked for stays readable: its pages keep their bytes.
    footer = pq.read_metadata(tmp_path / "a.parquet")
    wanted = footer.row_group(42)
    first = min(wanted.column(at).data_page_offset for at in range(2))
    last = first + wanted.total_byte_size
    content = bytearray((tmp_path / "a.parquet").read_bytes())
    data_end = max(
        footer.row_group(99).column(at).data_page_offset
        + footer.row_group(99).column(at).total_compressed_size
        for at in range(2)
    )
    content[4:first] = bytes(first - 4)
    content[last:data_end] = bytes(data_end - last)
    (tmp_path / "a.parquet").write_bytes(bytes(content))
    table = replace(table, snapshot=snapshot_of(list_files(tmp_path)))

    answer = ask(engine, "select number, text from quote where number = 42042", table)

    assert answer["number"].to_pylist() == [42042]
    with pytest.raises(StorageError):
        ask(engine, "select sum(number), max(text) from quote where number < 42500", table)


def test_new_snapshot_is_read_anew(tmp_path: Path, engine: DataFusionEngine) -> None:
    before = table_of(write_quotes(tmp_path, days=1))
    assert ask(engine, "select * from quote", before).num_rows == 4
    write_quotes(tmp_path, days=2, row_count=3)
    after = table_of(tmp_path, id=before.id)

    assert ask(engine, "select * from quote", after).num_rows == 6
    assert ask(engine, "select count(*) as n from quote", after).to_pylist() == [{"n": 6}]


@pytest.mark.parametrize("way", ["gone", "another", "one more"])
def test_files_that_are_not_the_snapshots_are_a_stale_metastore(
    tmp_path: Path, engine: DataFusionEngine, way: str
) -> None:
    table = table_of(write_quotes(tmp_path))
    path = tmp_path / "day=2024-01-01" / "part-0.parquet"
    if way == "gone":
        path.unlink()
    else:
        name = path.name if way == "another" else "part-1.parquet"
        write_file(path.with_name(name), number=[1, 2, 3, 4, 5], text=["a"] * 5)

    with pytest.raises(StaleMetastoreError) as caught:
        ask(engine, "select * from quote", table)

    assert caught.value.retryable
    assert str(tmp_path) not in str(caught.value)


def test_file_that_vanishes_meanwhile_is_a_stale_metastore(
    tmp_path: Path, engine: DataFusionEngine
) -> None:
    for day in range(1, 40):
        path = tmp_path / f"day=2024-01-{day:02}" / "part-0.parquet"
        write_file(path, number=range(20_000), text=["a"] * 20_000)
    execution = engine.execute(
        [table_of(tmp_path)],
        "select number, text from quote",
        catalog="trading",
        schema="stock",
        batch_rows=1024,
    )
    batches = execution.batches()
    next(batches)
    for path in tmp_path.rglob("*.parquet"):
        path.unlink()

    with pytest.raises(StaleMetastoreError) as caught:
        list(batches)

    assert str(tmp_path) not in str(caught.value)


def test_vanished_directory_is_a_stale_metastore(tmp_path: Path, engine: DataFusionEngine) -> None:
    table = table_of(write_quotes(tmp_path / "quote"))
    (tmp_path / "quote").rename(tmp_path / "elsewhere")

    with pytest.raises(StaleMetastoreError):
        ask(engine, "select * from quote", table)


@pytest.mark.parametrize("zeroed", [slice(4, 60), slice(60, 120)])
def test_damaged_file_is_ours_to_explain(
    tmp_path: Path, engine: DataFusionEngine, zeroed: slice
) -> None:
    path = write_quotes(tmp_path) / "day=2024-01-01" / "part-0.parquet"
    content = bytearray(path.read_bytes())
    content[zeroed] = bytes(zeroed.stop - zeroed.start)
    path.write_bytes(bytes(content))

    with pytest.raises(EngineFaultError) as caught:
        ask(engine, "select * from quote", table_of(tmp_path))

    assert "arquet" not in str(caught.value)


def test_panic_of_the_engine_is_an_error_like_others(
    tmp_path: Path, engine: DataFusionEngine
) -> None:
    path = write_quotes(tmp_path) / "day=2024-01-01" / "part-0.parquet"
    table = table_of(tmp_path)
    path.write_bytes(b"PAR1 half written PAR1")

    with pytest.raises(StorageError) as caught:
        ask(
            engine,
            "select * from quote",
            replace(table, snapshot=snapshot_of(list_files(tmp_path))),
        )

    assert caught.value.code == "internal"


@pytest.mark.parametrize(
    "expression",
    [
        "number / (number - number)",
        "number % 0",
        "cast(text as bigint)",
        "cast(number + 3000000000 as int)",
        "to_timestamp(text)",
        "(select text from quote)",
        "sqrt(-1 - number)",
        "repeat(text, 10000000000)",
        "decode(text, 'base64')",
        "regexp_replace(text, '(', '')",
        "date_trunc(text, now())",
        "arrow_cast(number, 'Nonsense')",
        "abs('x', 'y')",
        "number + interval '1 day'",
    ],
)
def test_value_that_does_not_fit_is_a_type_mismatch_in_our_own_words(
    tmp_path: Path, engine: DataFusionEngine, expression: str
) -> None:
    write_file(tmp_path / "a.parquet", number=[1, 2], text=["private one", "private two"])
    table = table_of(tmp_path)

    with pytest.raises(TypeMismatchError) as caught:
        ask(engine, f"select {expression} as value from quote", table)

    told = str(caught.value)
    assert not any(word in told for word in ("private", "Arrow", "DataFusion", str(tmp_path)))
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    "expression, code, advice",
    [
        ("array_agg(number)[0]", "type-mismatch", "counted from 1"),
        ("percentile_cont(number, 2)", "type-mismatch", "between 0 and 1"),
        ("max(date_part('foo', now()))", "type-mismatch", "'month'"),
        ("array_agg(distinct number order by text)", "type-mismatch", "leave out ORDER BY"),
        ("max(cast(number > 1 as decimal(10, 2)))", "type-mismatch", "another type"),
        ("count(distinct number, text)", "statement-not-supported", "SELECT DISTINCT"),
    ],
)
def test_refusal_of_the_engine_says_what_to_write_instead(
    tmp_path: Path, engine: DataFusionEngine, expression: str, code: str, advice: str
) -> None:
    write_file(tmp_path / "a.parquet", number=[1, 2], text=["a", "b"])

    with pytest.raises(StorageError) as refused:
        ask(engine, f"select {expression} as value from quote", table_of(tmp_path))

    assert refused.value.code == code
    assert advice in refused.value.text


def test_words_of_the_engine_go_to_the_log_alone(
    tmp_path: Path, engine: DataFusionEngine, caplog: pytest.LogCaptureFixture
) -> None:
    table = table_of(write_quotes(tmp_path))

    with caplog.at_level(logging.INFO, "storage"), pytest.raises(TypeMismatchError):
        ask(engine, "select cast(text as bigint) from quote", table)

    logged = [record for record in caplog.records if record.message == "engine_refused"]
    assert "Cannot cast string" in vars(logged[0])["engine_text"]


def test_statement_over_the_memory_limit_is_refused(tmp_path: Path) -> None:
    small = DataFusionEngine(
        memory_limit_bytes=1_000_000, spill_directory=tmp_path, target_partitions=2
    )

    with pytest.raises(MemoryLimitError):
        ask(small, "select count(distinct value) from generate_series(1, 3000000)")


def test_sort_over_the_memory_limit_spills_and_clears_up(tmp_path: Path) -> None:
    spill = tmp_path / "spill"
    small = DataFusionEngine(
        memory_limit_bytes=24_000_000, spill_directory=spill, target_partitions=2
    )
    execution = small.execute(
        [],
        "select value from generate_series(1, 6000000) order by -value",
        catalog=None,
        schema=None,
    )

    batches = execution.batches()
    assert next(batches)["value"][0].as_py() == 6_000_000
    assert any(path.is_file() for path in spill.rglob("*"))
    batches.close()  # type: ignore[attr-defined]  # it is a generator
    deadline = time.monotonic() + 5
    while any(path.is_file() for path in spill.rglob("*")):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_statements_share_one_memory_limit(tmp_path: Path) -> None:
    engine = DataFusionEngine(
        memory_limit_bytes=40_000_000, spill_directory=tmp_path, target_partitions=1
    )
    holds_24_mb = "select x from generate_series(1, 3000000) a (x), generate_series(1, 9000) b (y)"
    first, second, third = (
        engine.execute([], holds_24_mb, catalog=None, schema=None).batches() for _ in range(3)
    )
    next(first)

    with pytest.raises(MemoryLimitError):
        next(second)

    first.close()  # type: ignore[attr-defined]  # it is a generator
    time.sleep(0.3)
    assert next(third).num_rows > 0
    third.close()  # type: ignore[attr-defined]  # it is a generator


def test_batches_have_about_as_many_rows_as_asked_for(
    tmp_path: Path, engine: DataFusionEngine
) -> None:
    pq.write_table(pa.table({"number": range(300_000)}), tmp_path / "a.parquet")
    table = table_of(tmp_path)

    for rows in (4096, 65_536, 100_000):
        execution = engine.execute(
            [table],
            "select number from quote",
            catalog="trading",
            schema="stock",
            batch_rows=rows,
        )
        largest = max(batch.num_rows for batch in execution.batches())
        assert rows / 2 < largest <= rows


@pytest.mark.parametrize("way", ["cancel", "close", "is_cancelled"])
def test_cancelled_statement_ends_the_work_at_once(engine: DataFusionEngine, way: str) -> None:
    asked = threading.Event()
    execution = engine.execute([], FOR_EVER, catalog=None, schema=None, is_cancelled=asked.is_set)
    stop = {"cancel": execution.cancel, "close": execution.close, "is_cancelled": asked.set}[way]
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(list, execution.batches())
        time.sleep(0.5)
        assert not waiting.done()
        stopped_at = time.monotonic()
        stop()
        with pytest.raises(CancelledError):
            waiting.result(5)
        took_s = time.monotonic() - stopped_at
        time.sleep(max(0.0, 0.2 - took_s))
        busy = busy_share(0.3)

    assert took_s < 0.2
    assert busy < 0.3


def test_cancelled_cross_join_leaves_the_engine_to_others(engine: DataFusionEngine) -> None:
    execution = engine.execute([], CROSS_JOIN, catalog=None, schema=None)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(list, execution.batches())
        time.sleep(0.5)
        execution.cancel()
        with pytest.raises(CancelledError):
            waiting.result(5)
    deadline = time.monotonic() + 20

    assert ask(engine, "select 1 as one").to_pylist() == [{"one": 1}]
    while busy_share(0.2) > 0.3:  # uninterrupted it would take hours
        assert time.monotonic() < deadline


def test_leaving_the_iteration_ends_the_work(engine: DataFusionEngine) -> None:
    execution = engine.execute(
        [],
        "select x from generate_series(1, 1000000000000) a (x) where x * x % 1009 = 7",
        catalog=None,
        schema=None,
    )
    batches = execution.batches()
    next(batches)
    batches.close()  # type: ignore[attr-defined]  # it is a generator
    # Left alone it would be busy for hours; how soon it ends is other tests' matter.
    deadline = time.monotonic() + 20
    while busy_share(0.3) >= 0.3:
        assert time.monotonic() < deadline


@pytest.mark.parametrize("condition", ["", "where number >= 0"], ids=["pulled", "pumped"])
def test_part_of_a_result_never_passes_for_all_of_it(
    tmp_path: Path, engine: DataFusionEngine, condition: str
) -> None:
    pq.write_table(pa.table({"number": range(200_000)}), tmp_path / "a.parquet")
    execution = engine.execute(
        [table_of(tmp_path)],
        f"select number from quote {condition}",
        catalog="trading",
        schema="stock",
        batch_rows=1024,
    )
    batches = execution.batches()
    next(batches)
    execution.cancel()

    with pytest.raises(CancelledError):
        list(batches)


@pytest.mark.parametrize("condition", ["", "where number >= 0"], ids=["pulled", "pumped"])
def test_slow_consumer_holds_the_engine_back(
    tmp_path: Path, engine: DataFusionEngine, condition: str
) -> None:
    whole = pa.table({"number": pa.array(range(4_000_000), pa.int64())})
    pq.write_table(whole, tmp_path / "a.parquet", row_group_size=65_536)
    execution = engine.execute(
        [table_of(tmp_path)],
        f"select number, number + 1, number + 2, number + 3 from quote {condition}",
        catalog="trading",
        schema="stock",
        batch_rows=16_384,
    )
    batches = execution.batches()
    next(batches)
    time.sleep(1)
    assert busy_share(0.3) < 0.3  # it waits, with most of the rows unread
    assert sum(batch.num_rows for batch in batches) > 3_900_000


def test_many_statements_run_at_once(tmp_path: Path, engine: DataFusionEngine) -> None:
    table = table_of(write_quotes(tmp_path))
    text = "select day, sum(number) as total from quote where number > 0 group by day order by day"

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: ask(engine, text, table), range(40)))

    assert all(answer == answers[0] for answer in answers)
    assert answers[0]["total"].to_pylist() == [6, 6, 6]


def test_what_a_killed_engine_spilled_is_removed_by_the_next(tmp_path: Path) -> None:
    left = tmp_path / "datafusion-left"
    left.mkdir()
    (left / "spilled.arrow").write_bytes(b"rows")
    (tmp_path / "kept").mkdir()
    DataFusionEngine(memory_limit_bytes=64 << 20, spill_directory=tmp_path).close()
    assert not left.exists()
    assert (tmp_path / "kept").exists()
