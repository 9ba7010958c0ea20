"""Rows are removed and changed as the engine understands the words, and no row is ever lost."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storage.datafusionengine import DataFusionEngine
from storage.delta import append_rows, read_state
from storage.errors import (
    CancelledError,
    StatementRefusedError,
    StorageError,
    TypeMismatchError,
    WriteConflictError,
)
from storage.metastore import Table
from storage.names import ObjectName
from storage.rowchanges import RowChanger, Wording
from storage.tidying import optimize
from tests.storage.factories import ask, entry_of, litter_of, managed_table, read_rows

SCHEMA = pa.schema(
    [
        ("number", pa.int64()),
        ("price", pa.decimal128(9, 2)),
        ("word", pa.utf8()),
        ("file_number", pa.int32()),
        pa.field("day", pa.int64(), nullable=False),
    ]
)
OTHER = ObjectName("hangzhou", "trading", "stock", "other")
CONDITIONS = [
    "number > 3",
    "number > 3 or word is null",
    "not (number > 3)",
    "word like 'a%' -- with a comment",
    "day = 1",
    "day = 1 and number % 2 = 0",
    "day in (0, 2)",
    "number between 2 and 5",
    "case when word = 'a' then number > 2 else price > 1.5 end",
    "coalesce(word, 'none') = 'none'",
    "number in (select number from other)",
    "number not in (select number from other where number is not null) and number is not null",
    "exists (select * from other where other.number = quote.number)",
    "number > (select avg(number) from other)",
    "number = (select max(number) from quote)",
    "number in (select q.number from trading.stock.quote as q where q.day = 0)",
    "trading.stock.quote.number = 1 or stock.quote.word = 'b'",
    "null",
    "true",
    "false",
    "file_number = 1",
]
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "number": st.none() | st.integers(0, 8),
            "price": st.none() | st.decimals(0, 3, places=2),
            "word": st.sampled_from([None, "a", "ab", "b", "'"]),
            "file_number": st.none() | st.integers(0, 2),
            "day": st.integers(0, 2),
        }
    ),
    max_size=12,
)


class Place:
    """A changing table, another, and what changes it."""

    def __init__(self, directory: Path) -> None:
        self.engine = DataFusionEngine(
            memory_limit_bytes=1 << 28, spill_directory=directory / "spill"
        )
        self.changer = RowChanger(self.engine)
        self._directory = directory
        self._count = 0
        other = pa.table({"number": pa.array([1, 3, 5, None], pa.int64())})
        self.other = replace(managed_table(directory / "other", other, name=OTHER), id="e" * 32)

    def table(self, *rows: list[dict[str, Any]]) -> Table:
        """Make a table with a commit for each list of rows."""
        self._count += 1
        directory = self._directory / f"t{self._count}"
        table = managed_table(directory, pa.Table.from_pylist([], SCHEMA), ["day"])
        for some in rows:
            append_rows(table, pa.Table.from_pylist(some, SCHEMA).to_batches())
        return self.newest(replace(table, id=f"{self._count:032}"))

    def newest(self, table: Table) -> Table:
        location = Path(str(table.location))
        return entry_of(location, read_state(location), table.id)

    def wording(self, table: Table, condition: str | None, **changes: Any) -> Wording:
        return Wording(
            condition, others=(table, self.other), catalog="trading", schema="stock", **changes
        )

    def asked(self, table: Table, columns: str, condition: str) -> list[tuple[object, ...]]:
        """Return the chosen rows as a query has them."""
        text = f"select {columns} from quote where {condition}"
        found = ask(self.engine, text, table, self.other)
        return [tuple(row.values()) for row in found.to_pylist()]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    made = Place(tmp_path_factory.mktemp("changes"))
    yield made
    made.engine.close()


def minus(rows: list[tuple[object, ...]], fewer: list[tuple[object, ...]]) -> list[Any]:
    left = sorted(rows, key=repr)
    for row in fewer:
        left.remove(row)
    return left


@pytest.mark.parametrize("condition", CONDITIONS)
@settings(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck))
@given(first=ROWS, second=ROWS)
def test_deleted_rows_are_those_that_a_query_finds(
    place: Place, condition: str, first: list[dict[str, Any]], second: list[dict[str, Any]]
) -> None:
    table = place.table(first, second)
    before, found = read_rows(table), place.asked(table, "*", condition)
    change = place.changer.delete(table, place.wording(table, condition))
    assert change.row_count == len(found)
    assert read_rows(table) == minus(before, found)
    assert change.state == read_state(Path(str(table.location)))


@pytest.mark.parametrize("condition", CONDITIONS)
@settings(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck))
@given(first=ROWS, second=ROWS)
def test_updated_rows_are_those_that_a_query_finds(
    place: Place, condition: str, first: list[dict[str, Any]], second: list[dict[str, Any]]
) -> None:
    table = place.table(first, second)
    before, found = read_rows(table), place.asked(table, "*", condition)
    columns = (
        "coalesce(number, 0) + 10, cast(price * 1.5 as decimal(9,2)), word, file_number, day + 1"
    )
    changed = place.asked(table, columns, condition)
    change = place.changer.update(
        table,
        {"number": "coalesce(number, 0) + 10", "price": "price * 1.5", "day": "quote.day + 1"},
        place.wording(table, condition),
    )
    assert change.row_count == len(found)
    assert read_rows(table) == sorted([*minus(before, found), *changed], key=repr)


def row(number: int, day: int = 0) -> dict[str, Any]:
    return {"number": number, "price": 1, "word": "w", "file_number": number, "day": day}


def test_only_files_with_chosen_rows_are_written_anew(place: Place) -> None:
    table = place.table([row(1)], [row(2), row(3)], [row(4)])
    before = {file.path for file in read_state(Path(str(table.location))).files}
    change = place.changer.delete(table, place.wording(table, "number in (1, 2)"))
    after = {file.path for file in change.state.files}
    assert len(before & after) == 1
    assert (len(after), change.row_count) == (2, 2)


def test_every_row_is_removed_without_reading_any(place: Place) -> None:
    table = place.table([row(1)], [row(2)])
    change = place.changer.delete(table, place.wording(table, None))
    assert (change.row_count, change.state.files) == (2, ())
    again = place.changer.delete(place.newest(table), place.wording(table, "number = 1"))
    assert again.row_count == 0


def test_alias_and_parameters_are_understood(place: Place) -> None:
    table = place.table([row(1), row(2)])
    wording = place.wording(
        table, "q.number = $1", alias="q", parameters={"1": pa.scalar(2, pa.int64())}
    )
    assert place.changer.update(table, {"word": "q.word || '!'"}, wording).row_count == 1
    assert [found[2] for found in read_rows(table)] == ["w", "w!"]


def test_condition_that_changes_with_every_look_is_looked_at_once_or_refused(place: Place) -> None:
    table = place.table([row(number) for number in range(200)], [row(1, 1)])
    change = place.changer.delete(table, place.wording(table, "random() < 0.5"))
    assert 0 < change.row_count < 201
    assert len(read_rows(table)) == 201 - change.row_count
    with pytest.raises(StatementRefusedError, match="the same rows"):
        place.changer.update(
            place.newest(table), {"word": "'x'"}, place.wording(table, "random() < 0.5")
        )
    change = place.changer.update(
        place.newest(table), {"number": "cast(random() * 0 as bigint)"}, place.wording(table, None)
    )
    assert {found[0] for found in read_rows(table)} == {0}


@pytest.mark.parametrize(
    "assignments, condition, error",
    [
        ({"number": "1 / (number - number)"}, "true", TypeMismatchError),
        ({"number": "'x'"}, "true", TypeMismatchError),
        ({"price": "99999999999"}, "true", StorageError),
        ({"day": "null"}, "true", StorageError),
        ({"number": "1"}, "nothing = 1", StorageError),
        ({"number": "1"}, "1 / (number - number) = 1", TypeMismatchError),
    ],
)
def test_fault_of_an_expression_changes_nothing(
    place: Place, assignments: dict[str, str], condition: str, error: type[StorageError]
) -> None:
    table = place.table([row(1), row(2)], [row(3)])
    before = read_rows(table)
    with pytest.raises(error):
        place.changer.update(table, assignments, place.wording(table, condition))
    assert (read_rows(table), litter_of(table)) == (before, [])


def test_cancelled_change_changes_nothing(place: Place) -> None:
    table = place.table([row(1), row(2)], [row(3)])
    before = read_rows(table)
    with pytest.raises(CancelledError):
        place.changer.delete(table, place.wording(table, "number = 1"), is_cancelled=lambda: True)
    assert (read_rows(table), litter_of(table)) == (before, [])


class Meanwhile:
    """Another writer that comes between the reading and the commit of a change."""

    def __init__(self, act: Any) -> None:
        self._act = act

    def __call__(self, _row_count: int) -> None:
        act, self._act = self._act, lambda: None
        act()


def test_of_two_changes_of_the_same_rows_one_is_refused(place: Place) -> None:
    table = place.table([row(1), row(2)], [row(3)])
    other = Meanwhile(
        lambda: place.changer.update(table, {"word": "'other'"}, place.wording(table, "number = 2"))
    )
    with pytest.raises(WriteConflictError, match="execute it again"):
        place.changer.delete(table, place.wording(table, "number = 1"), progress=other)
    assert sorted(str(found[2]) for found in read_rows(table)) == ["other", "w", "w"]
    assert WriteConflictError.retryable


def test_changes_of_different_files_and_additions_all_land(place: Place) -> None:
    table = place.table([row(1), row(2)], [row(3), row(4)])

    def others() -> None:
        append_rows(table, pa.Table.from_pylist([row(9)], SCHEMA).to_batches())
        place.changer.delete(table, place.wording(table, "number = 3"))

    place.changer.delete(table, place.wording(table, "number = 1"), progress=Meanwhile(others))
    assert [found[0] for found in read_rows(table)] == [2, 4, 9]


def test_joining_files_loses_against_a_change_and_not_against_additions(place: Place) -> None:
    table = place.table([row(1)], [row(2)])
    added = Meanwhile(
        lambda: append_rows(table, pa.Table.from_pylist([row(9)], SCHEMA).to_batches())
    )
    assert optimize(table, progress=added).state.row_count == 3
    changed = Meanwhile(lambda: place.changer.delete(table, place.wording(table, "number = 9")))
    with pytest.raises(WriteConflictError):
        optimize(place.newest(table), progress=changed)
    assert [found[0] for found in read_rows(table)] == [1, 2]
