import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from flight_member.admission import Admission, Place
from flight_member.errors import CancelledStatementError, OverloadedError
from tests.flight_member.factories import make_limits
from tests.waiting import wait_until

HERE = "hangzhou"
USER, OTHER, THIRD = "user1@hangzhou", "user2@hangzhou", "user3@hangzhou"
VISITOR = "user1@shanghai"


def make_admission(**limits: float) -> Admission:
    return Admission(make_limits(**({"max_running": 1, "max_queued": 1} | limits)), HERE)


def never() -> bool:
    return False


class Waiter:
    """A statement that asks for a place in a thread of its own."""

    def __init__(self, admission: Admission, user: str = USER) -> None:
        self.place: Place | None = None
        self.refusal: Exception | None = None
        self.is_cancelled = False
        self._admission = admission
        self._user = user
        self._thread = threading.Thread(target=self._enter)
        self._thread.start()

    def _enter(self) -> None:
        try:
            self.place = self._admission.enter(self._user, lambda: self.is_cancelled)
        except (OverloadedError, CancelledStatementError) as error:
            self.refusal = error

    def join(self) -> None:
        self._thread.join(20)
        assert not self._thread.is_alive()


@contextmanager
def queued(admission: Admission, *users: str) -> Iterator[list[Waiter]]:
    """Let one statement of each user wait, in this order."""
    waiters: list[Waiter] = []
    try:
        for user in users:
            count = admission.queued
            waiters.append(Waiter(admission, user))
            wait_until(lambda count=count: admission.queued == count + 1)  # type: ignore[misc]
        yield waiters
    finally:
        for waiter in waiters:
            waiter.is_cancelled = True
            waiter.join()


def test_place_is_counted_until_it_is_left() -> None:
    admission = make_admission(max_running=2)
    with admission.enter(USER, never), admission.enter(USER, never):
        assert admission.running == 2
    assert admission.running == 0


def test_leaving_twice_gives_one_place_back() -> None:
    admission = make_admission(max_running=2)
    first = admission.enter(USER, never)
    admission.enter(USER, never)
    first.leave()
    first.leave()
    assert admission.running == 1


def test_statement_waits_until_a_place_comes_free() -> None:
    admission = make_admission()
    place = admission.enter(USER, never)
    with queued(admission, USER) as (waiter,):
        assert waiter.place is None
        place.leave()
        waiter.join()
        assert waiter.place is not None
    assert (admission.running, admission.queued) == (1, 0)


def test_full_queue_refuses_at_once() -> None:
    admission = make_admission(max_queued=0)
    admission.enter(USER, never)
    with pytest.raises(OverloadedError, match="1 statements run here and 0 wait"):
        admission.enter(USER, never)


def test_wait_ends_with_its_time() -> None:
    admission = make_admission(queue_timeout_s=0.05)
    admission.enter(USER, never)
    with pytest.raises(OverloadedError, match=r"within 0\.05 s"):
        admission.enter(USER, never)
    assert admission.queued == 0


def test_caller_who_leaves_the_queue_takes_no_place() -> None:
    admission = make_admission()
    place = admission.enter(USER, never)
    with pytest.raises(CancelledStatementError):
        admission.enter(USER, lambda: True)
    assert (admission.running, admission.queued) == (1, 0)
    place.leave()
    assert admission.running == 0


def test_user_has_no_more_than_their_share_of_the_places() -> None:
    admission = make_admission(max_running=3, max_running_per_user=2, max_queued=0)
    admission.enter(USER, never)
    admission.enter(USER, never)
    with pytest.raises(OverloadedError, match="2 of your statements run here"):
        admission.enter(USER, never)
    with admission.enter(OTHER, never):
        assert admission.running == 3


def test_all_users_of_another_cluster_share_its_part() -> None:
    admission = make_admission(max_running=3, max_running_per_cluster=1, max_queued=0)
    admission.enter(VISITOR, never)
    with pytest.raises(OverloadedError, match="1 statements of shanghai run here"):
        admission.enter("user2@shanghai", never)
    # The server's own users may have all places.
    admission.enter(USER, never)
    assert admission.enter(OTHER, never)


def test_free_place_goes_to_the_user_who_holds_the_fewest() -> None:
    admission = make_admission(max_running=2, max_queued=4)
    first = admission.enter(USER, never)
    admission.enter(USER, never)
    with queued(admission, USER, OTHER) as (greedy, modest):
        first.leave()
        modest.join()
        assert modest.place is not None
        assert greedy.place is None


def test_statement_at_its_users_limit_holds_up_nobody_behind_it() -> None:
    admission = make_admission(max_running=2, max_running_per_user=1, max_queued=4)
    admission.enter(USER, never)
    with queued(admission, USER) as (greedy,):
        assert admission.enter(OTHER, never)
        assert greedy.place is None


def test_full_queue_makes_room_for_who_has_fewer_in_it() -> None:
    admission = make_admission(max_queued=3)
    admission.enter(USER, never)
    with queued(admission, USER, USER, USER) as burst, queued(admission) as _:
        late = Waiter(admission, OTHER)
        burst[2].join()
        assert "you have the most statements waiting" in str(burst[2].refusal)
        assert (burst[0].refusal, burst[1].refusal, late.refusal) == (None, None, None)
        late.is_cancelled = True
        late.join()
    assert admission.queued == 0


def test_users_with_equal_parts_of_a_full_queue_displace_nobody() -> None:
    admission = make_admission(max_queued=2)
    admission.enter(USER, never)
    with (
        queued(admission, USER, OTHER),
        pytest.raises(OverloadedError, match="1 statements run here and 2 wait"),
    ):
        admission.enter(THIRD, never)


def test_place_of_a_slow_reader_is_lent() -> None:
    admission = make_admission(max_queued=0, slow_reader_s=0)
    slow = admission.enter(USER, never)
    slow.rest()
    other = admission.enter(OTHER, never)
    assert (admission.running, admission.lent) == (1, 1)
    slow.leave()
    other.leave()
    assert (admission.running, admission.lent) == (0, 0)


def test_waiting_statement_gets_a_place_that_is_lent_later() -> None:
    admission = make_admission(slow_reader_s=0.2)
    slow = admission.enter(USER, never)
    slow.rest()
    with queued(admission, OTHER) as (waiter,):
        waiter.join()
        assert waiter.place is not None
    assert admission.lent == 1


def test_reader_who_goes_on_gets_a_place_before_those_who_wait() -> None:
    admission = make_admission(max_queued=2, slow_reader_s=0)
    slow = admission.enter(USER, never)
    slow.rest()
    other = admission.enter(OTHER, never)
    with queued(admission, THIRD) as (third,):
        went_on: list[bool] = []
        reader = threading.Thread(target=lambda: went_on.append(slow.go_on(never)))
        reader.start()
        wait_until(lambda: len(admission._queue) == 2)
        other.leave()
        reader.join(20)
        assert went_on == [True]
        assert third.place is None
        assert (admission.running, admission.lent) == (1, 0)


def test_reader_who_goes_on_after_the_end_gets_no_place() -> None:
    admission = make_admission(slow_reader_s=0)
    slow = admission.enter(USER, never)
    slow.rest()
    admission.enter(OTHER, never)
    assert not slow.go_on(lambda: True)
    slow.leave()
    assert (admission.running, admission.lent) == (1, 0)


def test_only_so_many_places_are_lent() -> None:
    admission = make_admission(max_queued=0, slow_reader_s=0, max_slow_readers=1)
    for _ in range(2):
        admission.enter(USER, never).rest()
    with pytest.raises(OverloadedError):
        admission.enter(OTHER, never)
    assert admission.lent == 1


def test_what_holds_a_place_is_looked_after() -> None:
    admission = make_admission()
    looked = threading.Event()
    with admission.enter(USER, never) as place:
        place.look = looked.set
        assert looked.wait(20)
