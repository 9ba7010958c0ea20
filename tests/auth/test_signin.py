from concurrent.futures import ThreadPoolExecutor

import pytest

from auth import LockedError, SignInLimiter
from tests.auth.factories import NOW, later


def fail(limiter: SignInLimiter, times: list[float], source: str = "10.0.0.1") -> None:
    for seconds in times:
        limiter.check("user1", source, later(seconds))
        limiter.fail("user1", source, later(seconds))


def test_five_failures_within_a_minute_lock_for_ten_minutes() -> None:
    limiter = SignInLimiter()
    fail(limiter, [0, 10, 20, 30, 59])
    for seconds in (59, 60, 300, 658):
        with pytest.raises(LockedError, match="try again in"):
            limiter.check("user1", "10.0.0.1", later(seconds))
    limiter.check("user1", "10.0.0.1", later(659))


def test_four_failures_or_five_in_more_than_a_minute_do_not_lock() -> None:
    limiter = SignInLimiter()
    fail(limiter, [0, 1, 2, 3])
    limiter.check("user1", "10.0.0.1", later(4))
    limiter = SignInLimiter()
    fail(limiter, [0, 20, 40, 50, 60, 80, 101])
    limiter.check("user1", "10.0.0.1", later(101))


def test_the_window_slides() -> None:
    limiter = SignInLimiter()
    fail(limiter, [0, 50, 61, 70, 80])
    limiter.check("user1", "10.0.0.1", later(81))
    fail(limiter, [90])
    with pytest.raises(LockedError):
        limiter.check("user1", "10.0.0.1", later(91))


def test_a_lock_binds_one_user_from_one_source() -> None:
    limiter = SignInLimiter()
    fail(limiter, [0, 1, 2, 3, 4])
    limiter.check("user1", "10.0.0.2", later(5))
    limiter.check("user2", "10.0.0.1", later(5))


def test_a_right_password_forgets_the_failures_before_it() -> None:
    limiter = SignInLimiter()
    fail(limiter, [0, 1, 2, 3])
    limiter.succeed("user1", "10.0.0.1")
    fail(limiter, [4, 5, 6, 7])
    limiter.check("user1", "10.0.0.1", later(8))


def test_after_the_lock_counting_starts_anew() -> None:
    limiter = SignInLimiter()
    fail(limiter, [0, 1, 2, 3, 4])
    fail(limiter, [700, 701, 702, 703])
    limiter.check("user1", "10.0.0.1", later(704))


def test_a_right_guess_that_ends_after_the_lock_fell_is_refused() -> None:
    limiter = SignInLimiter()
    for _ in range(6):
        limiter.check("user1", "10.0.0.1", NOW)
    for _ in range(5):
        limiter.fail("user1", "10.0.0.1", NOW)
    with pytest.raises(LockedError):
        limiter.succeed("user1", "10.0.0.1")


def test_a_clock_that_is_set_back_makes_no_lock_longer() -> None:
    limiter = SignInLimiter()
    fail(limiter, [3600, 3601, 3602, 3603, 3604])
    with pytest.raises(LockedError, match="in 10 minutes"):
        limiter.check("user1", "10.0.0.1", later(5))
    limiter.check("user1", "10.0.0.1", later(605))


def test_failures_during_a_lock_do_not_prolong_it() -> None:
    limiter = SignInLimiter()
    fail(limiter, [0, 1, 2, 3, 4])
    limiter.fail("user1", "10.0.0.1", later(500))
    limiter.check("user1", "10.0.0.1", later(604))


def test_parallel_failures_are_all_counted() -> None:
    limiter = SignInLimiter()
    with ThreadPoolExecutor(5) as pool:
        list(pool.map(lambda _: limiter.fail("user1", "10.0.0.1", NOW), range(5)))
    with pytest.raises(LockedError):
        limiter.check("user1", "10.0.0.1", NOW)


def test_memory_is_bounded_and_old_failures_are_dropped() -> None:
    limiter = SignInLimiter(max_entries=10)
    for number in range(100):
        limiter.fail(f"user{number}", "10.0.0.1", NOW)
    assert len(limiter._attempts) == 10
    limiter.fail("user1", "10.0.0.1", later(61))
    assert len(limiter._attempts) == 1
