"""When Python looks for garbage: not while a program is loaded, and never in what was loaded."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collecting_nothing() -> Iterator[None]:
    """Load modules without looking for garbage among them, now or later.

    A server's modules are some hundred thousand objects that live as long as it does: searching
    them costs a quarter of its start, and then a pause at each full collection.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
