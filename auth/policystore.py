"""The grants and groups of the federation as one snapshot, renewed by what changed.

Whoever changed them, this process or another: every change bumped the epoch and is noted with it.
The epoch is read first, so that a snapshot is never newer than it says and the next renewal misses
nothing.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection

from auth.grants import GrantSet
from auth.grantstore import GrantStore
from auth.groupstore import GroupStore

# The epoch of a snapshot that is older than any state.
UNKNOWN_EPOCH = -(10**9)


class PolicyStore:
    """Reads snapshots in the caller's transaction."""

    def __init__(self, connection: Connection) -> None:
        self._grants = GrantStore(connection)
        self._groups = GroupStore(connection)

    def read(self) -> GrantSet:
        """Return everything as it is."""
        epoch = self._grants.epoch()
        with _without_collections():
            return GrantSet(self._grants.all(), epoch, self._groups.all())

    def renew(self, known: GrantSet) -> GrantSet:
        """Return everything as it is, by what changed since an older snapshot where possible."""
        epoch = self._grants.epoch()
        if epoch == known.epoch:
            return known
        changes = self._grants.changed_since(known.epoch)
        if changes is None:
            return self.read()
        has_new_groups = self._grants.groups_epoch() > known.epoch
        return known.updated(
            epoch,
            added=changes.added,
            removed=changes.removed,
            mom_groups=self._groups.all() if has_new_groups else None,
        )


@contextmanager
def _without_collections() -> Iterator[None]:
    """Make many objects that all stay, without looking again and again for some that do not."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
