"""What a member's report changes at the MoM besides itself: tickets and grants of its users."""

from collections.abc import Mapping
from datetime import datetime

from auth import AuditRecord, Principal, Revocation
from auth.auditstore import AuditStore
from auth.grantstore import GrantStore
from auth.revocationstore import RevocationStore
from flight_member.protocol import ReportedUser
from flight_member.revocationlog import KEPT


class CarryThrough:
    """Carries one report through, in the transaction that keeps it."""

    def __init__(
        self, grants: GrantStore, revocations: RevocationStore, audit: AuditStore, now: datetime
    ) -> None:
        self._grants = grants
        self._revocations = revocations
        self._audit = audit
        self._now = now

    def users(
        self,
        cluster: str,
        before: Mapping[str, ReportedUser],
        after: Mapping[str, ReportedUser],
    ) -> None:
        """Revoke the tickets of users that changed, and what was allowed to those that are gone.

        Denials stay by name: whoever is called so later is denied too.
        """
        for name, known in before.items():
            user = after.get(name)
            if user is not None and user.changed_at == known.changed_at:
                continue
            principal = Principal("user", name, cluster)
            if user is None:
                self._remove_allows(principal)
            self._revocations.append(Revocation(self._grants.bump(), self._now, principal))
        self._revocations.forget_before(self._now - KEPT)

    def _remove_allows(self, principal: Principal) -> None:
        for grant in self._grants.remove_allows_to(principal):
            self._audit.append(
                AuditRecord(
                    at=self._now,
                    actor=str(principal.cluster),
                    source="report",
                    action="revoke",
                    object=str(grant.securable),
                    allowed=True,
                    rule=f"{grant}: the user was removed at home",
                    epoch=self._grants.epoch(),
                )
            )
