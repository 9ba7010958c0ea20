import pytest

from flight_member.statementtimes import StatementTimes, TimesOfLast


def test_there_are_no_times_before_the_first_statement() -> None:
    times = StatementTimes()
    assert times.last_10 == times.last_100 == TimesOfLast(0.0, 0.0)


@pytest.mark.parametrize("count", [1, 2, 9, 10, 11, 99, 100, 101, 250])
def test_medians_and_maxima_are_of_the_last_ten_and_hundred(count: int) -> None:
    times = StatementTimes()
    # The longest comes first, so that it drops out of the ten and then of the hundred.
    elapsed = [float(count - number) for number in range(count)]
    for one in elapsed:
        times.add(one)
    for kept, told in ((10, times.last_10), (100, times.last_100)):
        last = sorted(elapsed[-kept:])
        middle = len(last) // 2
        median = last[middle] if len(last) % 2 else (last[middle - 1] + last[middle]) / 2
        assert (told.median_s, told.max_s) == (median, last[-1])
