import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from auth import AuditRecord, AuditUnavailableError, AuditWriter
from tests.auth.factories import NOW
from tests.waiting import wait_until


def make_record(number: int = 0) -> AuditRecord:
    return AuditRecord(
        at=NOW, actor="user1@shanghai", source="-", action="read", allowed=True, epoch=number
    )


class Sink:
    """A place to write to that can be broken and mended."""

    def __init__(self) -> None:
        self.batches: list[list[AuditRecord]] = []
        self.is_broken = False
        self.was_tried = threading.Event()

    def write(self, batch: list[AuditRecord]) -> None:
        self.was_tried.set()
        if self.is_broken:
            raise sqlite3.OperationalError("disk I/O error")
        self.batches.append(list(batch))

    @property
    def numbers(self) -> list[int]:
        return [record.epoch for batch in self.batches for record in batch]


@contextmanager
def writing(
    sink: Sink, *, is_required: bool = True, interval_s: float = 0.02, max_pending: int = 100_000
) -> Iterator[AuditWriter]:
    writer = AuditWriter(
        sink.write, is_required=is_required, interval_s=interval_s, max_pending=max_pending
    )
    try:
        yield writer
    finally:
        sink.is_broken = False
        writer.close()


def test_records_are_written_within_a_second_without_asking() -> None:
    sink = Sink()
    writer = AuditWriter(sink.write)
    start = time.monotonic()
    writer.append(make_record(1))
    assert sink.was_tried.wait(1.0)
    assert time.monotonic() - start < 1.0
    writer.close()
    assert sink.numbers == [1]


def test_records_are_written_once_in_their_order_and_in_batches() -> None:
    sink = Sink()
    with writing(sink) as writer:
        for number in range(12_000):
            writer.append(make_record(number))
    assert sink.numbers == list(range(12_000))
    assert len(sink.batches) < 100


def test_closing_writes_what_waits_and_closing_again_is_fine() -> None:
    sink = Sink()
    writer = AuditWriter(sink.write, interval_s=60)
    writer.append(make_record(7))
    writer.close()
    assert sink.numbers == [7]
    writer.close()
    assert sink.numbers == [7]
    with pytest.raises(AuditUnavailableError):
        writer.append(make_record(8))


def test_flushing_writes_what_waits_before_it_returns() -> None:
    sink = Sink()
    with writing(sink, interval_s=60) as writer:
        writer.append(make_record(1))
        writer.flush()
        assert sink.numbers == [1]
        writer.flush()
        assert sink.numbers == [1]


def test_reads_are_refused_while_the_audit_cannot_be_written_and_allowed_when_it_can() -> None:
    sink = Sink()
    sink.is_broken = True
    with writing(sink) as writer:
        writer.append(make_record(1))
        wait_until(lambda: writer.is_failing)
        with pytest.raises(AuditUnavailableError) as refusal:
            writer.append(make_record(2))
        assert refusal.value.retryable
        with pytest.raises(AuditUnavailableError):
            writer.flush()
        sink.is_broken = False
        writer.flush()
        writer.append(make_record(3))
        writer.flush()
        assert sink.numbers == [1, 3]


def test_where_the_audit_is_not_required_reads_go_on_and_losses_are_counted() -> None:
    sink = Sink()
    sink.is_broken = True
    with writing(sink, is_required=False, max_pending=3) as writer:
        writer.append(make_record(0))
        wait_until(lambda: writer.is_failing)
        for number in range(1, 5):
            writer.append(make_record(number))
        assert writer.dropped_count == 2
    assert sink.numbers == [0, 1, 2]


def test_too_many_waiting_records_refuse_further_reads() -> None:
    sink = Sink()
    with writing(sink, interval_s=60, max_pending=2) as writer:
        writer.append(make_record(1))
        writer.append(make_record(2))
        with pytest.raises(AuditUnavailableError):
            writer.append(make_record(3))
    assert sink.numbers == [1, 2]


def test_records_that_cannot_be_written_at_the_end_are_reported() -> None:
    sink = Sink()
    writer = AuditWriter(sink.write, interval_s=60)
    writer.append(make_record(1))
    sink.is_broken = True
    with pytest.raises(AuditUnavailableError):
        writer.close()
    sink.is_broken = False
    writer.close()
    assert sink.numbers == [1]


def test_many_threads_append_and_nothing_is_lost() -> None:
    sink = Sink()

    def append(writer: AuditWriter, offset: int) -> None:
        for number in range(500):
            writer.append(make_record(offset + number))

    with writing(sink) as writer:
        threads = [
            threading.Thread(target=append, args=(writer, offset)) for offset in range(0, 2000, 500)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(sink.numbers) == list(range(2000))
