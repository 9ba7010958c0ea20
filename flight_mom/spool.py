"""Rows on their way into a table: on the disk before they are anywhere else, and until they are in.

Each write is a file of its own, whole and synchronised before `write` returns. Files are taken in
batches; a batch is written down with a mark before its rows go into the table, so that whoever
finds it after a `kill -9` can try it again under the same mark.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pyarrow as pa

from storage.partitionwriter import sync

_BATCH = "batch.json"
_SUFFIX = ".arrow"


@dataclass(frozen=True, slots=True)
class SpooledBatch:
    """Some files of a spool that go into the table together."""

    mark: str
    since: int
    """The newest version of the table when the batch was formed."""
    files: tuple[Path, ...]

    def read(self) -> pa.Table | None:
        """Return the rows; None when there are none, or no file any more."""
        tables = []
        for file in self.files:
            if file.exists():
                with pa.OSFile(str(file)) as source:
                    tables.append(pa.ipc.open_file(source).read_all())
        return pa.concat_tables(tables, promote_options="default") if tables else None


class Spool:
    """The files of one folder. One thread writes, one takes out."""

    def __init__(self, folder: Path) -> None:
        """Go on with what is there; what a killed process left half written is removed.

        Nobody writes into the folder meanwhile: it is new, or its process is gone.
        """
        self._folder = folder
        for partial in folder.glob(".*"):
            partial.unlink(missing_ok=True)
        self._number = max((int(file.stem) for file in self._files()), default=0)

    @property
    def file_count(self) -> int:
        """How many writes wait."""
        return len(self._files())

    def write(self, rows: pa.Table) -> None:
        """Keep rows; they survive whatever happens to this process once this has returned."""
        self._number += 1
        name = f"{self._number:020}{_SUFFIX}"
        partial = self._folder / f".{name}"
        try:
            with pa.OSFile(str(partial), "wb") as sink, pa.ipc.new_file(sink, rows.schema) as file:
                file.write_table(rows)
            _put(partial, self._folder / name)
        except BaseException:
            # On a full disk each that stays would take space from the next.
            partial.unlink(missing_ok=True)
            raise

    def form_batch(self, since: int, max_file_count: int) -> SpooledBatch | None:
        """Return the batch that was begun, or a new one of the oldest files; None without any.

        Args:
            since: The newest version of the table now.
            max_file_count: How many files a new one has at most.
        """
        note = self._folder / _BATCH
        if note.exists():
            kept = json.loads(note.read_text("utf-8"))
            files = tuple(self._folder / name for name in kept["files"])
            return SpooledBatch(kept["mark"], kept["since"], files)
        batch = SpooledBatch(uuid4().hex, since, tuple(self._files()[:max_file_count]))
        if not batch.files:
            return None
        names = [file.name for file in batch.files]
        partial = self._folder / f".{_BATCH}"
        partial.write_text(
            json.dumps({"mark": batch.mark, "since": since, "files": names}), "utf-8"
        )
        _put(partial, note)
        return batch

    def remove(self, batch: SpooledBatch) -> None:
        """Forget a batch whose rows are in the table."""
        for file in batch.files:
            file.unlink(missing_ok=True)
        sync(self._folder)
        # Last: without the note the files would be another batch.
        (self._folder / _BATCH).unlink(missing_ok=True)
        sync(self._folder)

    def _files(self) -> list[Path]:
        return sorted(self._folder.glob(f"[0-9]*{_SUFFIX}"))


def _put(partial: Path, file: Path) -> None:
    """Give a file its name once all of it is on the disk."""
    sync(partial)
    os.replace(partial, file)  # noqa: PTH105  in one step, also over another
    sync(file.parent)
