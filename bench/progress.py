"""How far a benchmark is, shown to who waits for it."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from flight_member.terminal import errors


class Steps:
    """The steps of one benchmark: what is done now, and how many are left."""

    def __init__(self, progress: Progress, total: int | None) -> None:
        self._progress = progress
        self._task = progress.add_task("preparing", total=total)

    def expect(self, total: int) -> None:
        """Set how many steps there are, once that is known."""
        self._progress.update(self._task, total=total)

    def describe(self, text: str) -> None:
        """Tell what is done now, which counts as no step."""
        self._progress.update(self._task, description=text)

    def advance(self, text: str) -> None:
        """Count one step."""
        self._progress.update(self._task, description=text, advance=1)


@contextmanager
def shown_steps(total: int | None = None) -> Iterator[Steps]:
    """Show steps for the time of a `with` block, where errors go."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=errors) as progress:
        yield Steps(progress, total)
