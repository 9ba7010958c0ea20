"""Who reads the MoM's own tables: its administrators, and whoever it is granted to.

The MoM's grants decide on everybody here, its own users included: it keeps no other rules.
"""

from collections.abc import Callable
from datetime import datetime

from auth import Allowed, Decision, Effect, GrantSet, Identity
from storage.names import ObjectName


class OwnRules:
    """One state of the federation's grants, as it decides on users of the MoM. See `auth.Rules`."""

    def __init__(self, mom: str, grants: GrantSet, administrators: frozenset[str]) -> None:
        """Keep the grants, and the names of the MoM's users who administer it."""
        self._mom = mom
        self._grants = grants
        self._administrators = administrators

    def decide(self, identity: Identity, table: ObjectName, now: datetime) -> Decision:
        """Decide whether this caller may read this table now; a DENY holds for all."""
        decision = self._grants.decide(identity, table, now)
        if decision.grant is not None and decision.grant.effect is Effect.DENY:
            return decision
        if self._is_administrator(identity) and table.cluster == self._mom:
            return Allowed(reason=f"{identity.name} administers {self._mom}")
        return decision

    def reader(self, identity: Identity, now: datetime) -> Callable[[ObjectName], bool]:
        """Return the test whether this caller may read a table now."""
        return lambda name: self.decide(identity, name, now).is_allowed

    def places(self, identity: Identity, now: datetime) -> list[ObjectName]:
        """Return the widest places in which this caller may read anything now, ordered."""
        granted = self._grants.places(identity, now)
        if not self._is_administrator(identity):
            return granted
        return sorted(
            [ObjectName(self._mom), *(one for one in granted if one.cluster != self._mom)]
        )

    def _is_administrator(self, identity: Identity) -> bool:
        """Whether a caller is one now: tickets do not say it."""
        return identity.cluster == self._mom and identity.user in self._administrators
