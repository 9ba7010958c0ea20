"""One running statement: its batches, and how it is stopped.

Two ways of pulling, chosen by the plan. Where the engine yields a batch for every batch it reads,
the consumer's own thread pulls: nothing is faster, and the next look at `is_cancelled` is one batch
away. Where it may work for long before the next batch (filters, sorts, aggregates, joins), one
event loop per process pulls instead, a few batches ahead: only there can the engine be interrupted
while it works.

Either way a slow consumer holds the engine back: no more than a few batches wait.
"""

import asyncio
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from typing import Any, Final

import pyarrow as pa

from storage.enginefaults import to_storage_error
from storage.errors import CancelledError
from storage.metastore import Table
from storage.objectstore import DISK_ALONE, ObjectStores
from storage.progress import ScanProgress

_POLL_S: Final = 0.05
_AHEAD: Final = 2
_END: Final = object()


class PulledExecution:
    """A statement that is running. One thread iterates; any thread may cancel."""

    def __init__(
        self,
        stream: Any,
        arrow_schema: pa.Schema,
        tables: Sequence[Table],
        *,
        is_steady: bool,
        is_cancelled: Callable[[], bool] = bool,
        held: ExitStack | None = None,
        progress: ScanProgress | None = None,
        stores: ObjectStores = DISK_ALONE,
    ) -> None:
        """Take over a stream of the engine.

        Args:
            stream: DataFusion's stream of batches, not yet read from.
            arrow_schema: The schema of its batches.
            tables: What it reads; faults are judged by whether these changed.
            is_steady: Whether a batch is never far away, so that the consumer may pull itself.
            is_cancelled: Asked between batches, and at least every 50 ms while waiting for one.
            held: What the statement needs until it ends.
            progress: How far it has read, where the engine tells.
            stores: Where files may lie.
        """
        self._progress = progress
        self._held = held or ExitStack()
        self.arrow_schema = arrow_schema
        self._stream: Any = stream
        self._tables = tables
        self._stores = stores
        self._is_steady = is_steady
        self._is_cancelled = is_cancelled
        self._stopped = threading.Event()
        self._pump: _Pump | None = None

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the batches that have rows, in the engine's order; called once.

        Raises:
            CancelledError: When it was cancelled before the last batch, so that a part of a
                result never passes for all of it.
            StorageError: When the statement fails at run time.
        """
        try:
            yield from self._pull() if self._is_steady else self._receive()
        finally:
            self.close()

    def parts(self) -> tuple[int, int] | None:
        """Return how many files it has read, of how many; None where nobody can tell."""
        return None if self._progress is None else self._progress.parts()

    def cancel(self) -> None:
        """Stop the engine's work for this statement; `batches` then raises. Never blocks."""
        self._stopped.set()
        pump = self._pump
        if pump is not None:
            pump.cancel()
        if self._progress is not None:
            self._progress.close()

    def close(self) -> None:
        """Give back all that the statement holds, finished or not. May be called again."""
        self.cancel()
        self._stream = None
        self._held.close()

    def _pull(self) -> Iterator[pa.RecordBatch]:
        stream = self._stream
        while True:
            self._check()
            try:
                batch = stream.next().to_pyarrow()
            except StopIteration:
                return
            except BaseException as error:  # noqa: BLE001  the engine's panics are no Exceptions
                fault = to_storage_error(error, self._tables, self._stores)
            else:
                if batch.num_rows:
                    yield batch
                continue
            raise fault

    def _receive(self) -> Iterator[pa.RecordBatch]:
        self._check()
        pump = self._pump = _Pump(self._stream)
        while True:
            self._check()
            try:
                received = pump.receive(_POLL_S)
            except queue.Empty:
                continue
            if received is _END:
                return
            if isinstance(received, BaseException):
                break
            batch = received.to_pyarrow()
            if batch.num_rows:
                yield batch
        if isinstance(received, asyncio.CancelledError):
            raise _cancelled()
        raise to_storage_error(received, self._tables, self._stores)

    def _check(self) -> None:
        if not self._stopped.is_set() and self._is_cancelled():
            self.cancel()
        if self._stopped.is_set():
            raise _cancelled()


class _Pump:
    """Pulls a stream in the event loop, at most a few batches ahead of the consumer."""

    def __init__(self, stream: Any) -> None:
        self._received: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._stream = stream
        self._loop = _event_loop()
        self._room = asyncio.Event()
        self._is_parked = False
        self._running: Future[None] = asyncio.run_coroutine_threadsafe(self._run(), self._loop)

    def receive(self, timeout_s: float) -> Any:
        """Return the next batch of the engine, its error, or `_END`.

        Raises:
            queue.Empty: When none came in that time.
        """
        received = self._received.get(timeout=timeout_s)
        # Waking the loop costs as much as a small batch: only when it waits for room.
        if self._is_parked:
            self._is_parked = False
            self._loop.call_soon_threadsafe(self._room.set)
        return received

    def cancel(self) -> None:
        """Stop pulling, and with it what the engine does for this stream."""
        self._running.cancel()

    async def _run(self) -> None:
        try:
            while True:
                self._received.put(await self._stream.__anext__())
                await self._wait_for_room()
        except StopAsyncIteration:
            self._received.put(_END)
        except BaseException as error:  # noqa: BLE001  whatever it is, the consumer raises it
            # Its frames would keep the stream, and with it the engine's work, alive.
            self._received.put(error.with_traceback(None))
        finally:
            # Dropping the stream is what stops the engine.
            self._stream = None

    async def _wait_for_room(self) -> None:
        while self._received.qsize() >= _AHEAD:
            self._room.clear()
            # Said before looking again: a consumer that takes a batch from here on wakes us.
            self._is_parked = True
            if self._received.qsize() >= _AHEAD:
                await self._room.wait()


_loop_lock = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None


def _event_loop() -> asyncio.AbstractEventLoop:
    """Return the process's loop for pulling streams, started when it is first needed."""
    global _loop  # noqa: PLW0603  there is one engine runtime per process, and one loop beside it
    with _loop_lock:
        if _loop is None:
            _loop = asyncio.new_event_loop()
            threading.Thread(target=_loop.run_forever, name="engine-streams", daemon=True).start()
        return _loop


def _cancelled() -> CancelledError:
    return CancelledError("the statement was stopped before its last row")
