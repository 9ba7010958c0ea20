import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from auth import TicketShard, seal_ticket
from flight_member.cancelling import Cancelling
from flight_member.errors import CancelledStatementError, OverloadedError
from flight_sql import Call, CancelStatus, ResultStream
from tests.auth.factories import MOM, MOM_KEY, NOW, later, make_ticket

HANDLE = b"a handle"
BATCH = pa.record_batch({"n": [1]})


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def after(self, seconds: float) -> datetime:
        return self.now + timedelta(seconds=seconds)


class Rows:
    """Batches that end when they are closed, as an engine's do, unless they are stubborn."""

    def __init__(self, *, is_stubborn: bool = False) -> None:
        self.is_closed = False
        self.is_stubborn = is_stubborn

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        return self

    def __next__(self) -> pa.RecordBatch:
        if self.is_closed and not self.is_stubborn:
            raise StopIteration
        return BATCH

    def close(self) -> None:
        self.is_closed = True


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def cancelling(clock: Clock) -> Cancelling:
    return Cancelling(clock, max_marks=2)


def opened(rows: Rows) -> Callable[[Call], ResultStream]:
    return lambda _call: ResultStream(BATCH.schema, rows)


@pytest.mark.parametrize("is_stubborn", [False, True])
def test_rows_of_a_cancelled_handle_end_with_the_reason(
    cancelling: Cancelling, clock: Clock, is_stubborn: bool
) -> None:
    rows = Rows(is_stubborn=is_stubborn)
    stream = cancelling.run(HANDLE, Call(), opened(rows))
    assert next(stream.batches).num_rows == 1
    assert cancelling.cancel(HANDLE, clock.after(60)) is CancelStatus.CANCELLED
    assert rows.is_closed
    with pytest.raises(CancelledStatementError, match="cancelled: the statement was cancelled"):
        next(stream.batches)


def test_cancelled_handle_runs_no_more(cancelling: Cancelling, clock: Clock) -> None:
    assert cancelling.cancel(HANDLE, clock.after(60)) is CancelStatus.CANCELLED
    for ask in (cancelling.check, lambda handle: cancelling.run(handle, Call(), opened(Rows()))):
        with pytest.raises(CancelledStatementError):
            ask(HANDLE)
    cancelling.check(b"another handle")
    assert cancelling.cancel(HANDLE, clock.after(60)) is CancelStatus.CANCELLED


def test_what_waits_to_run_is_told_by_its_call(cancelling: Cancelling, clock: Clock) -> None:
    waiting = threading.Event()

    def start(call: Call) -> ResultStream:
        waiting.set()
        while not call.is_cancelled():
            time.sleep(0.005)
        raise OverloadedError("what is raised then does not count")

    found: list[Exception] = []

    def fetch() -> None:
        try:
            cancelling.run(HANDLE, Call(), start)
        except CancelledStatementError as error:
            found.append(error)

    thread = threading.Thread(target=fetch)
    thread.start()
    assert waiting.wait(5)
    assert cancelling.cancel(HANDLE, clock.after(60)) is CancelStatus.CANCELLED
    thread.join(5)
    assert len(found) == 1


def test_what_does_not_end_is_being_cancelled(cancelling: Cancelling, clock: Clock) -> None:
    leave = threading.Event()

    def start(_call: Call) -> ResultStream:
        assert leave.wait(10)
        return ResultStream(BATCH.schema, Rows())

    def fetch() -> None:
        stream = cancelling.run(HANDLE, Call(), start)
        with pytest.raises(CancelledStatementError):
            next(stream.batches)

    thread = threading.Thread(target=fetch)
    thread.start()
    while not cancelling._running:
        time.sleep(0.005)
    assert cancelling.cancel(HANDLE, clock.after(60)) is CancelStatus.CANCELLING
    leave.set()
    thread.join(5)
    assert cancelling.cancel(HANDLE, clock.after(60)) is CancelStatus.CANCELLED


def test_expired_handle_is_cancellable_while_something_runs_on_it(
    cancelling: Cancelling, clock: Clock
) -> None:
    stream = cancelling.run(HANDLE, Call(), opened(Rows()))
    expired_at = clock.after(-1)
    assert cancelling.cancel(HANDLE, expired_at) is CancelStatus.CANCELLED
    with pytest.raises(CancelledStatementError):
        next(stream.batches)
    assert cancelling.cancel(HANDLE, expired_at) is CancelStatus.NOT_CANCELLABLE
    assert cancelling.mark_count == 0


def test_nothing_is_kept_of_what_ended_or_expired(cancelling: Cancelling, clock: Clock) -> None:
    for closed in (True, False):
        stream = cancelling.run(HANDLE, Call(), opened(Rows()))
        next(stream.batches)
        if closed:
            stream.batches.close()  # type: ignore[attr-defined]  # ours can be closed
        else:
            cancelling.cancel(HANDLE, clock.after(60))
        assert not cancelling._running
    assert cancelling.mark_count == 1
    clock.now = clock.after(120)
    cancelling.cancel(b"another", clock.after(60))
    assert cancelling.mark_count == 1


def test_marks_are_bounded(cancelling: Cancelling, clock: Clock) -> None:
    for number in range(2):
        cancelling.cancel(b"handle %d" % number, clock.after(60))
    with pytest.raises(OverloadedError, match="too many"):
        cancelling.cancel(b"one more", clock.after(60))
    clock.now = clock.after(61)
    assert cancelling.cancel(b"one more", clock.after(60)) is CancelStatus.CANCELLED


def test_parts_of_one_result_are_cancelled_together(cancelling: Cancelling, clock: Clock) -> None:
    clock.now = NOW
    parts = [TicketShard(part, ("a", "b", "c"), "r1") for part in range(3)]
    handles = [seal_ticket(make_ticket(shard=one), MOM_KEY, issuer=MOM) for one in parts]
    other = TicketShard(0, ("a", "b", "c"), "r2")
    another = seal_ticket(make_ticket(shard=other), MOM_KEY, issuer=MOM)
    rows = [cancelling.run(one, Call(), opened(Rows())).batches for one in (*handles, another)]

    assert cancelling.cancel(handles[1], make_ticket().expires_at) is CancelStatus.CANCELLED

    for each in rows[:3]:
        with pytest.raises(CancelledStatementError):
            next(each)
    assert next(rows[3]).num_rows == 1
    for handle in handles:
        with pytest.raises(CancelledStatementError):
            cancelling.check(handle)
    cancelling.check(another)


def test_part_that_was_renewed_is_cancelled_for_as_long_as_it_counts(
    cancelling: Cancelling, clock: Clock
) -> None:
    first, second = (TicketShard(part, ("a", "b"), "r1") for part in range(2))
    clock.now = later(200)
    renewed = make_ticket(shard=second, issued_at=clock.now, expires_at=later(500))
    cancelling.cancel(
        seal_ticket(make_ticket(shard=first), MOM_KEY, issuer=MOM), make_ticket().expires_at
    )
    clock.now = later(490)
    cancelling.cancel(b"another", later(600))  # forgets what is over
    with pytest.raises(CancelledStatementError):
        cancelling.check(seal_ticket(renewed, MOM_KEY, issuer=MOM))
