"""What one controller of a member knows of the federation, shared with the others.

The leader alone hears from the MoM. What it hears is kept in the database, where the others look
for it: the membership and the MoM's keys, what was taken back, and which of their keys the MoM
knows by now. Each keeps a copy of the membership beside its own keys. Over a database that only
one process uses, nothing is shared and nothing is looked for.
"""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from datetime import timedelta
from pathlib import Path

from auth import PublicKey, RotatingKey
from flight_member.clock import Moment
from flight_member.membership import Membership
from flight_member.revocationlog import RevocationLog
from flight_member.sharedstore import MomWord, SharedStore
from flight_member.statestore import Database


def keep_membership(database: Database, directory: Path, joined: Membership) -> None:
    """Keep a membership, for this controller and for all others."""
    if database.is_shared:
        with database.change() as connection:
            SharedStore(connection).keep_membership(joined.model_dump_json())
    joined.save(directory)


def adopt_membership(database: Database, directory: Path) -> None:
    """Take over the membership that another controller kept, or hand on this one's own."""
    if not database.is_shared:
        return
    own = Membership.load(directory)
    with database.read() as connection:
        body = SharedStore(connection).membership()
    if body is None:
        if own is not None:
            keep_membership(database, directory, own)
        return
    shared = Membership.model_validate_json(body)
    if shared != own:
        shared.save(directory)


class Sharing:
    """One controller's part in it."""

    def __init__(
        self,
        database: Database,
        directory: Path,
        key: RotatingKey,
        revoked: RevocationLog,
        leading: Callable[[], AbstractContextManager[None]],
        now: Moment,
    ) -> None:
        """Keep what it takes; `leading` is what a leader's word is kept inside of."""
        self._database = database
        self._directory = directory
        self._key = key
        self._revoked = revoked
        self._leading = leading
        self._now = now

    def look(self) -> None:
        """Take over what the leader heard; called several times a second."""
        if not self._database.is_shared:
            return
        adopt_membership(self._database, self._directory)
        with self._database.read() as connection:
            word = SharedStore(connection).word()
        if word is not None:
            self._take_over(word)

    def hear(self, epoch: int, published: Iterable[PublicKey]) -> None:
        """Keep what the MoM just said, for the other controllers."""
        if self._database.is_shared:
            kids = frozenset(key.kid for key in published)
            with self._leading(), self._database.change() as connection:
                SharedStore(connection).hear(epoch, kids)

    def disown(self) -> None:
        """Keep that the MoM knows this member no more."""
        if self._database.is_shared:
            with self._leading(), self._database.change() as connection:
                SharedStore(connection).disown()

    def _take_over(self, word: MomWord) -> None:
        known = tuple(key for key in self._key.chain.published if key.kid in word.kids)
        self._key.acknowledge(known)
        if word.heard_s is not None:
            self._revoked.follow(word.epoch, self._now() - timedelta(seconds=word.heard_s))
        if word.disowned_s is not None:
            self._revoked.follow_disowning(self._now() - timedelta(seconds=word.disowned_s))
