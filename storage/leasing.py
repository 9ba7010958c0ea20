"""Opens the tables of one statement: where their files are read, and what keeps these there.

A view becomes what it is made of. A version of a managed table, and a part of any table, is read in
a folder of links that holds exactly its files. The files of all other tables must be those of their
snapshots, which is looked at for every statement.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace

from storage.deltasnapshots import Snapshots
from storage.enginefaults import is_current
from storage.errors import StaleMetastoreError, StorageError, unusable_view
from storage.metastore import Table, TableKind
from storage.objectstore import ObjectStores
from storage.sharding import Shard
from storage.views import Source, View

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Opened:
    """The tables of one statement, ready to be read.

    Attributes:
        sources: As they are read: their locations hold the files of their snapshots and no others.
        tables: Those of them that have files, views' included, as they were before: by these is
            judged whether a fault comes of files that changed.
        held: What keeps the files; given back when the statement ends.
    """

    sources: list[Source] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    held: ExitStack = field(default_factory=ExitStack)


class Leasing:
    """Opens the tables of one engine's statements. Used from many threads."""

    def __init__(
        self,
        snapshots: Snapshots,
        stores: ObjectStores,
        open_view: Callable[[Table], Source] | None,
    ) -> None:
        """Keep what it takes; without `open_view`, no view can be read."""
        self._snapshots = snapshots
        self._stores = stores
        self._open_view = open_view

    @contextmanager
    def opened(self, tables: Sequence[Source], shard: Shard | None = None) -> Iterator[Opened]:
        """Give tables, opened; what is held is given back with the block, unless it was taken.

        Raises:
            StaleMetastoreError: When the files of a table are not those of its snapshot.
            StorageError: When a view cannot be read.
        """
        with ExitStack() as held:
            opened = Opened(held=held)
            opened.sources = [self._lease(source, shard, opened) for source in tables]
            yield opened

    def _lease(self, source: Source, shard: Shard | None, opened: Opened) -> Source:
        if isinstance(source, Table) and source.kind is TableKind.VIEW:
            if self._open_view is None:
                raise unusable_view(source.name)
            source = self._open_view(source)
        if isinstance(source, View):
            if shard is not None:
                raise unusable_view(source.name)
            with told_of(source):
                reads = tuple(self._lease(one, None, opened) for one in source.reads)
            return replace(source, reads=reads)
        if source.location is None or not is_current(source, self._stores):
            # The engine lists the files itself, and would pass over those that are gone.
            raise StaleMetastoreError(f"the files of {source.name} have changed; execute it again")
        opened.tables.append(source)
        folder = self._snapshots.folder_of(source, shard)
        if folder is None:
            return source
        return replace(source, location=str(opened.held.enter_context(folder)))


@contextmanager
def told_of(view: View) -> Iterator[None]:
    """Have faults of what a view is made of told of the view alone."""
    try:
        yield
    except StaleMetastoreError:
        fault: StorageError = StaleMetastoreError(
            f"what {view.name} is made of has changed; execute it again"
        )
    except Exception as error:  # noqa: BLE001  whatever the engine or the tables say, is theirs
        _log.info("view_unusable", extra={"engine_text": str(error)})
        fault = unusable_view(view.name)
    else:
        return
    raise fault
