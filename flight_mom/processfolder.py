"""A folder of this process alone, among those of others over the same state directory.

It is locked as long as the process lives, however that ends; what a process left that is gone can
be taken over by one that lives.
"""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from uuid import uuid4

from storage.locking import locked


class ProcessFolder:
    """One folder below a parent, made and held until it is closed."""

    def __init__(self, parent: Path) -> None:
        """Make the folder, and the parent if it is missing."""
        parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path = parent / uuid4().hex
        self.path.mkdir(mode=0o700)
        self._holding = ExitStack()
        self._holding.enter_context(locked(self.path))

    @contextmanager
    def left(self) -> Iterator[list[Path]]:
        """Give the folders of processes that are gone, held for the time of a `with` block."""
        with ExitStack() as holding:
            yield [
                folder
                for folder in sorted(self.path.parent.iterdir())
                if folder != self.path and folder.is_dir() and holding.enter_context(locked(folder))
            ]

    def remove_left(self) -> None:
        """Remove what processes left that are gone."""
        with self.left() as folders:
            for folder in folders:
                shutil.rmtree(folder, ignore_errors=True)

    def close(self) -> None:
        """Let go of the folder, and remove it if nothing is in it. A second time does nothing."""
        if self.path.is_dir() and not any(self.path.iterdir()):
            self.path.rmdir()
        self._holding.close()
