import threading
import time

import pytest

from flight_member.admission import Admission
from flight_member.errors import CancelledStatementError, OverloadedError
from tests.flight_member.factories import make_limits


def make_admission(**limits: float) -> Admission:
    return Admission(make_limits(**({"max_running": 1, "max_queued": 1} | limits)))


def never() -> bool:
    return False


def test_place_is_counted_until_it_is_left() -> None:
    admission = make_admission(max_running=2)
    with admission.enter(never), admission.enter(never):
        assert admission.running == 2
    assert admission.running == 0


def test_leaving_twice_gives_one_place_back() -> None:
    admission = make_admission(max_running=2)
    first = admission.enter(never)
    admission.enter(never)
    first.leave()
    first.leave()
    assert admission.running == 1


def test_statement_waits_until_a_place_comes_free() -> None:
    admission = make_admission()
    place = admission.enter(never)
    entered = threading.Event()

    def wait() -> None:
        admission.enter(never).leave()
        entered.set()

    thread = threading.Thread(target=wait)
    thread.start()
    while admission.queued == 0:
        time.sleep(0.001)
    assert not entered.is_set()
    place.leave()
    assert entered.wait(5)
    thread.join()
    assert (admission.running, admission.queued) == (0, 0)


def test_full_queue_refuses_at_once() -> None:
    admission = make_admission(max_queued=0)
    admission.enter(never)
    with pytest.raises(OverloadedError, match="1 statements run and 0 wait"):
        admission.enter(never)


def test_wait_ends_with_its_time() -> None:
    admission = make_admission(queue_timeout_s=0.05)
    admission.enter(never)
    with pytest.raises(OverloadedError, match=r"within 0\.05 s"):
        admission.enter(never)
    assert admission.queued == 0


def test_caller_who_leaves_the_queue_takes_no_place() -> None:
    admission = make_admission()
    place = admission.enter(never)
    with pytest.raises(CancelledStatementError):
        admission.enter(lambda: True)
    assert (admission.running, admission.queued) == (1, 0)
    place.leave()
    assert admission.running == 0
