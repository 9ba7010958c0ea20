"""What was taken back, and which tokens and tickets die of it.

A revocation names a user, a group or a securable, and when it happened: as a time, for tokens,
and as a policy epoch, for tickets. A token dies when a revocation at or after its issue names its
user; a ticket dies when a revocation after its epoch touches its caller or one of its tables.

A `RevocationSet` is an immutable snapshot. Old revocations may be forgotten once everything that
they could kill has expired.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from auth.errors import RevokedTicketError, RevokedTokenError
from auth.principals import Identity, Principal, PrincipalKey
from auth.tickets import Ticket
from storage.names import ObjectName


@dataclass(frozen=True, slots=True)
class Revocation:
    """Something that was taken back: of a principal, of a securable, or of one on the other.

    With both, it is one principal's right to one securable (a REVOKE, a DENY); with a user alone,
    the user was removed, locked, regrouped or re-keyed; with a securable alone, it was dropped.

    Raises:
        ValueError: When it names neither.
    """

    epoch: int
    at: datetime
    principal: Principal | None = None
    securable: ObjectName | None = None

    def __post_init__(self) -> None:
        if self.principal is None and self.securable is None:
            raise ValueError("a revocation names a principal or a securable")

    def touches(self, ticket: Ticket, holders: frozenset[PrincipalKey]) -> bool:
        """Whether this concerns one of these principals and one of the ticket's tables."""
        if self.principal is not None and self.principal.key not in holders:
            return False
        securable = self.securable
        return securable is None or any(securable.covers(table.name) for table in ticket.tables)


class RevocationSet:
    """An immutable snapshot of the revocations that may still matter."""

    __slots__ = ("_all", "_users_at")

    def __init__(self, revocations: Iterable[Revocation] = ()) -> None:
        self._all = tuple(sorted(revocations, key=lambda each: (each.epoch, each.at)))
        self._users_at: dict[PrincipalKey, datetime] = {}
        for each in self._all:
            principal = each.principal
            if principal is not None and principal.kind == "user" and each.securable is None:
                known = self._users_at.get(principal.key, each.at)
                self._users_at[principal.key] = max(known, each.at)

    def check_identity(self, identity: Identity) -> None:
        """Refuse a caller whose token is older than a change of their user.

        Raises:
            RevokedTokenError: When the user was removed, locked or changed at or after the
                token's issue.
        """
        revoked_at = self._users_at.get(identity.home_keys[0])
        if revoked_at is not None and identity.issued_at <= revoked_at:
            raise RevokedTokenError(f"{identity.name} was changed at home since; sign in again")

    def check_ticket(self, ticket: Ticket) -> None:
        """Refuse a ticket, or end its stream, when something it rests on was taken back.

        Raises:
            RevokedTicketError: When a revocation after its epoch touches its caller or one of its
                tables.
        """
        holders = frozenset(ticket.identity.home_keys)
        holders |= {("group", group, None) for group in ticket.mom_groups}
        for each in reversed(self._all):
            if each.epoch <= ticket.epoch:
                return
            if each.touches(ticket, holders):
                raise RevokedTicketError(
                    "what this ticket rests on was taken back; execute the statement again"
                )

    def since(self, epoch: int) -> tuple[Revocation, ...]:
        """Return the revocations after an epoch, oldest first, as heartbeat replies carry them."""
        return tuple(each for each in self._all if each.epoch > epoch)

    def with_more(
        self, revocations: Iterable[Revocation], *, forget_before: datetime | None = None
    ) -> "RevocationSet":
        """Return a snapshot with more of them, each once.

        Args:
            revocations: What was taken back.
            forget_before: Everything that an older revocation could kill has expired.
        """
        kept = {*self._all, *revocations}
        if forget_before is not None:
            kept = {each for each in kept if each.at >= forget_before}
        return RevocationSet(kept)

    def __iter__(self) -> Iterator[Revocation]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)
