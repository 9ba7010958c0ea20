import pytest

from flight_member.metering import Meter, Metered


def test_rate_is_what_came_since_the_measurement_before() -> None:
    meter = Meter()
    assert meter.measure(100, {"sent": 1_000}) == {"sent": Metered()}
    assert meter.measure(105, {"sent": 2_000}) == {"sent": Metered(200.0, 1_000)}
    assert meter.measure(107, {"sent": 2_000}) == {"sent": Metered(0.0, 1_000)}


def test_volume_is_that_of_the_last_minute_alone() -> None:
    meter = Meter()
    counts = {at: at * 10 for at in range(0, 200, 5)}
    volumes = [
        meter.measure(at, {"sent": count})["sent"].last_minute for at, count in counts.items()
    ]
    assert volumes[:3] == [None, 50, 100]
    assert set(volumes[12:]) == {600}


@pytest.mark.parametrize("reset_to", [0, 7, 999])
def test_counter_that_was_reset_gives_no_negative_rate_and_no_volume(reset_to: int) -> None:
    meter = Meter()
    meter.measure(0, {"sent": 1_000, "read": 0})
    meter.measure(5, {"sent": 1_500, "read": 10})
    fallen = meter.measure(10, {"sent": reset_to, "read": 20})
    assert fallen == {"sent": Metered(None, 500), "read": Metered(2.0, 20)}
    after = meter.measure(15, {"sent": reset_to + 50, "read": 20})
    assert after["sent"] == Metered(10.0, 550)


def test_counter_that_a_host_does_not_have_is_not_known() -> None:
    meter = Meter()
    meter.measure(0, {"sent": None})
    assert meter.measure(5, {"sent": None}) == {"sent": Metered()}
    # One that appears later begins then.
    assert meter.measure(10, {"sent": 5})["sent"] == Metered()
    assert meter.measure(15, {"sent": 10})["sent"] == Metered(1.0, 5)


def test_moments_that_are_very_near_share_their_rates() -> None:
    meter = Meter()
    meter.measure(0, {"sent": 0})
    first = meter.measure(5, {"sent": 500})
    assert meter.measure(5.001, {"sent": 700}) == first
    assert meter.measure(10, {"sent": 1_000})["sent"] == Metered(100.0, 1_000)
