"""Reads a result to its end, drops the rows and says how long it took."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import pyarrow as pa
from pyarrow import ipc


@dataclass(frozen=True, slots=True)
class Reading:
    """One result, read once. Times count from just before the statement was sent."""

    seconds: float
    first_batch_s: float
    row_count: int


@dataclass(frozen=True, slots=True)
class Sizes:
    """What one result weighs on the wire."""

    row_count: int
    batch_count: int
    byte_count: int
    max_batch_bytes: int


def time_reading(execute: Callable[[], Iterable[pa.RecordBatch]]) -> Reading:
    """Execute a statement and drop its batches as they come."""
    row_count = 0
    first_batch_s = None
    started = time.perf_counter()
    for batch in execute():
        if first_batch_s is None:
            first_batch_s = time.perf_counter() - started
        row_count += batch.num_rows
    seconds = time.perf_counter() - started
    return Reading(seconds, seconds if first_batch_s is None else first_batch_s, row_count)


def weigh(execute: Callable[[], Iterable[pa.RecordBatch]]) -> Sizes:
    """Execute a statement and weigh its batches; never part of a timed reading."""
    row_count = batch_count = byte_count = max_batch_bytes = 0
    for batch in execute():
        size = ipc.get_record_batch_size(batch)
        row_count += batch.num_rows
        batch_count += 1
        byte_count += size
        max_batch_bytes = max(max_batch_bytes, size)
    return Sizes(row_count, batch_count, byte_count, max_batch_bytes)
