import pytest

from planner import CrossClusterReadOnlyError, PlannerError, StatementNotSupportedError
from tests.planner.federation import read

WORDS = (
    "insert", "insert into", "update", "delete", "delete from", "merge", "merge into", "copy",
    "truncate", "truncate table", "create", "create table", "drop", "drop table if exists",
    "alter", "alter table", "vacuum", "refresh", "comment", "comment on", "optimize", "replace",
)  # fmt: skip


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("end", ["", ";", " ", "\n-- and no more"])
def test_write_without_its_target_is_refused_with_a_code(word: str, end: str) -> None:
    with pytest.raises(PlannerError):
        read(word + end)


def test_write_names_the_cluster_that_it_would_write_to() -> None:
    with pytest.raises(CrossClusterReadOnlyError, match="hangzhou"):
        read("delete from aviation.nyc.flights@hangzhou where true")


def test_write_is_refused_before_its_syntax_is_read() -> None:
    with pytest.raises((CrossClusterReadOnlyError, StatementNotSupportedError)):
        read("update set set where where")
