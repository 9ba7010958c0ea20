"""What the MoM took back lately, as this member knows it: learned from heartbeats, kept on disk.

A ticket that rests on something taken back is refused, and a stream that runs on one is ended,
within one heartbeat. What is known outlives a restart, and a member that was started knows nothing
of what was taken back meanwhile: until the MoM answers its first heartbeat, it honours no ticket. A
member that the MoM removed is told by the refusal of its heartbeat. One that does not hear from the
MoM any more cannot know: it ends what runs on a ticket when that expires.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from auth import Principal, Revocation, RevocationSet, RevokedTicketError, Ticket
from auth.revocationstore import RevocationStore
from flight_member.clock import Moment
from flight_member.errors import ClusterUnavailableError
from flight_member.protocol import RevokedRight
from flight_member.statestore import Database
from storage.names import ObjectName

# Longer than any ticket lives (`auth.ticket_ttl_s` is an hour at most).
KEPT = timedelta(hours=2)


class Revocations:
    """The current snapshot of revocations. Read without a lock; one thread learns."""

    def __init__(self, now: Moment, *, silence_s: float = 15.0) -> None:
        """Begin with nothing known; `silence_s` after the last word the MoM counts as away."""
        self._now = now
        self._silence = timedelta(seconds=silence_s)
        self._heard_at: datetime | None = None
        self._disowned_at: datetime | None = None
        self._known = RevocationSet()
        self.epoch = 0

    @property
    def heard_at(self) -> datetime | None:
        """When the MoM last said what it took back; None before it first did."""
        return self._heard_at

    @property
    def disowned_at(self) -> datetime | None:
        """When the MoM was found to know this cluster no more."""
        return self._disowned_at

    @property
    def known(self) -> RevocationSet:
        """What was taken back."""
        return self._known

    def learn(
        self, rights: Sequence[RevokedRight], epoch: int, heard_at: datetime | None = None
    ) -> None:
        """Take over what a heartbeat's reply says.

        Args:
            rights: What was taken back since the epoch that the heartbeat named.
            epoch: The MoM's policy epoch.
            heard_at: When the MoM said so; None: just now.
        """
        at = heard_at or self._now()
        self._heard_at = at if self._heard_at is None else max(at, self._heard_at)
        known = set(self._known)
        fresh = [one for one in map(_read, rights) if one not in known]
        if fresh:
            oldest = self._now() - KEPT
            self._keep(fresh, oldest)
            self._known = self._known.with_more(fresh, forget_before=oldest)
        self.epoch = epoch

    def _keep(self, fresh: Sequence[Revocation], oldest: datetime) -> None:
        """Make news durable before it counts; here nothing is."""

    def disown(self, at: datetime | None = None) -> None:
        """Take over that the MoM knows this member no more: all that it signed so far ends."""
        self._disowned_at = at or self._now()

    def follow_disowning(self, disowned_at: datetime) -> None:
        """Take over that the MoM was found not to know this member any more."""
        if self._disowned_at is None or self._disowned_at < disowned_at:
            self._disowned_at = disowned_at

    def check(self, ticket: Ticket) -> None:
        """Refuse a ticket that rests on something taken back.

        Raises:
            RevokedTicketError: When it does, or may, and has expired.
            ClusterUnavailableError: Before the first heartbeat was answered.
        """
        if self._is_cut_off() and ticket.expires_at <= self._now():
            raise RevokedTicketError(
                "the ticket has expired, and whether you may read on cannot be asked while the "
                "MoM is away; execute the statement again"
            )
        if self._disowned_at is not None and ticket.issued_at <= self._disowned_at:
            raise RevokedTicketError(
                "the MoM knows this cluster no more; execute the statement again once it has joined"
            )
        self._known.check_ticket(ticket)
        if self._heard_at is None:
            raise ClusterUnavailableError(
                "this cluster was started, or joined, and has not heard from the MoM yet what was "
                "taken back; try again in a moment"
            )

    def _is_cut_off(self) -> bool:
        return self._heard_at is None or self._now() - self._heard_at > self._silence


class RevocationLog(Revocations):
    """The revocations of a member, which outlive its process."""

    def __init__(self, database: Database, now: Moment, *, silence_s: float = 15.0) -> None:
        """Read what was learned before.

        Args:
            database: Where it is kept.
            now: The clock.
            silence_s: How long after the last heartbeat the member counts as cut off.
        """
        super().__init__(now, silence_s=silence_s)
        self._database = database
        self.start_anew()

    def start_anew(self) -> None:
        """Begin with what is kept, hearing the MoM first: at a start, and after joining again."""
        self._heard_at = None
        with self._database.read() as connection:
            self._known = RevocationStore(connection).all()
        self.epoch = max((each.epoch for each in self._known), default=0)

    def follow(self, epoch: int, heard_at: datetime) -> None:
        """Take over what another process over the same database heard, and kept there.

        Args:
            epoch: The MoM's policy epoch as it was heard.
            heard_at: When, by the clock of here.
        """
        if epoch != self.epoch or self._heard_at is None:
            with self._database.read() as connection:
                self._known = RevocationStore(connection).all()
            self.epoch = epoch
        self._heard_at = heard_at if self._heard_at is None else max(heard_at, self._heard_at)

    def _keep(self, fresh: Sequence[Revocation], oldest: datetime) -> None:
        with self._database.change() as connection:
            store = RevocationStore(connection)
            for one in fresh:
                store.append(one)
            store.forget_before(oldest)


def written(known: RevocationSet, since: int) -> tuple[RevokedRight, ...]:
    """Return the revocations after an epoch as a heartbeat's reply carries them."""
    return tuple(
        RevokedRight(
            epoch=one.epoch,
            at=one.at.timestamp(),
            principal=None if one.principal is None else str(one.principal),
            securable=None if one.securable is None else str(one.securable),
        )
        for one in known.since(since)
    )


def _read(right: RevokedRight) -> Revocation:
    return Revocation(
        epoch=right.epoch,
        at=datetime.fromtimestamp(right.at, UTC),
        principal=None if right.principal is None else Principal.parse(right.principal),
        securable=None if right.securable is None else ObjectName.parse(right.securable),
    )
