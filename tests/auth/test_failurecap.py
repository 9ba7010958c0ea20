from collections.abc import Iterator
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from auth import FailureCap
from tests.flight_member.factories import NOW

MINUTE = timedelta(minutes=1)
START = NOW.replace(second=0, microsecond=0)


def admitted(cap: FailureCap, source: str, count: int) -> int:
    return sum(cap.admit(source, START) for _ in range(count))


def test_each_source_gets_its_records_and_the_rest_is_a_number() -> None:
    cap = FailureCap(each=3, unknown=5, most=100)
    assert admitted(cap, "10.0.0.1", 10) == 3
    assert admitted(cap, "10.0.0.2", 2) == 2
    assert admitted(cap, "", 9) == 5
    assert cap.take_left_out(START) == {}
    assert cap.take_left_out(START + MINUTE) == {"10.0.0.1": 7, "": 4}
    assert cap.take_left_out(START + MINUTE) == {}


def test_a_new_minute_begins_anew() -> None:
    cap = FailureCap(each=1)
    assert cap.admit("10.0.0.1", START)
    assert not cap.admit("10.0.0.1", START)
    assert cap.admit("10.0.0.1", START + MINUTE)
    assert cap.take_left_out(START + MINUTE) == {"10.0.0.1": 1}


def test_a_flood_from_many_sources_leaves_neither_records_nor_memory_without_end() -> None:
    cap = FailureCap(each=2, unknown=1, most=50)
    assert sum(cap.admit(f"10.0.{n // 256}.{n % 256}", START) for n in range(60_000)) == 50
    assert len(cap._written) <= 50
    assert cap.take_left_out() == {"other sources": 59_950}


@given(st.lists(st.tuples(st.sampled_from(["", "a", "b", "c"]), st.integers(0, 240))))
def test_every_failure_is_either_written_or_counted(failures: list[tuple[str, int]]) -> None:
    cap = FailureCap(each=2, unknown=3, most=5)
    written = sum(
        cap.admit(source, START + timedelta(seconds=second)) for source, second in sorted_(failures)
    )
    assert written + sum(cap.take_left_out().values()) == len(failures)


def sorted_(failures: list[tuple[str, int]]) -> Iterator[tuple[str, int]]:
    return iter(sorted(failures, key=lambda one: one[1]))
