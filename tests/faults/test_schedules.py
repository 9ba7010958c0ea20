"""Schedules are drawn from their seeds alone, and everything is drawn at some time."""

from tests.faults.federation import NAMES
from tests.faults.schedules import CLOCKS, PHASES, Fault, draw, sample


def test_seed_draws_the_same_schedule_again() -> None:
    for seed in range(50):
        assert draw(seed, can_stall=True, can_jump=True) == draw(
            seed, can_stall=True, can_jump=True
        )


def test_every_fault_victim_and_phase_is_drawn() -> None:
    steps = [
        step for seed in range(300) for step in draw(seed, can_stall=True, can_jump=True).steps
    ]
    assert {step.fault for step in steps} == set(Fault)
    assert {step.victim for step in steps} == set(NAMES)
    assert {step.phase for step in steps} == set(PHASES)


def test_what_the_machine_cannot_do_is_not_drawn() -> None:
    cannot = CLOCKS | {Fault.STALLED_DISK}
    drawn = [draw(seed, can_stall=False, can_jump=False) for seed in range(300)]
    sampled = sample(is_isolated=False, can_jump=False)
    for schedule in (*drawn, *sampled):
        assert not cannot & {step.fault for step in schedule.steps}


def test_sample_has_every_fault() -> None:
    steps = [
        step for schedule in sample(is_isolated=True, can_jump=True) for step in schedule.steps
    ]
    assert {step.fault for step in steps} == set(Fault)
