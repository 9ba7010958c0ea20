"""A last look before a step that cannot be undone: a commit to a table's log, a file's removal.

Whoever has a statement carried out says what to look at; nothing by default. It is asked in the
thread that carries it out, right before each such step, and raises what keeps it from being done.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar


def _nothing() -> None:
    """Keep nothing from being done."""


_look: ContextVar[Callable[[], None]] = ContextVar("_look", default=_nothing)


@contextmanager
def guarded_steps(look: Callable[[], None]) -> Iterator[None]:
    """Have a function called before each such step in a `with` block."""
    token = _look.set(look)
    try:
        yield
    finally:
        _look.reset(token)


def take_last_look() -> None:
    """Raise what keeps the next step from being done, if anything does."""
    _look.get()()
