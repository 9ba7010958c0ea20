"""The rules of one cluster for its own users: its grants, and who owns what.

An owner may do everything with what they own and with all that lies below it, as if it had been
allowed for ever; like every ALLOW, that loses against a DENY. Only users own things, and only what
belongs to their own cluster.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime

from auth.decisions import Allowed, Decision, Grant
from auth.grants import GrantSet, covering_keys
from auth.principals import Identity
from auth.privileges import Access, Effect
from storage.names import ObjectName

_Key = tuple[str, str | None, str | None, str | None]


class HomeRules:
    """One state of a cluster's home rules. Decides like a `GrantSet`.

    Args:
        grants: The cluster's grants to its own users and groups.
        owners: Objects, each with the name of its owner, as `user1@shanghai`.
    """

    __slots__ = ("_owned", "grants")

    def __init__(
        self,
        grants: GrantSet = GrantSet(),  # noqa: B008  immutable
        owners: Iterable[tuple[ObjectName, str]] = (),
    ) -> None:
        self.grants = grants
        owned: dict[str, dict[_Key, ObjectName]] = {}
        for name, owner in owners:
            if owner.rpartition("@")[2] != name.cluster:
                # Whoever says so: another cluster's users own nothing here.
                continue
            owned.setdefault(owner, {})[covering_keys(name)[-1]] = name
        self._owned: Mapping[str, Mapping[_Key, ObjectName]] = owned

    @property
    def epoch(self) -> int:
        """The policy epoch at which the grants were read."""
        return self.grants.epoch

    def __iter__(self) -> Iterator[Grant]:
        return iter(self.grants)

    def owned(self, identity: Identity, name: ObjectName) -> ObjectName | None:
        """Return what the caller owns of an object and what lies above it, the widest; or None."""
        owned = self._owned.get(identity.name)
        if not owned:
            return None
        return next((owned[key] for key in covering_keys(name) if key in owned), None)

    def decide(
        self,
        identity: Identity,
        table: ObjectName,
        now: datetime,
        access: Access = Access.READ,
    ) -> Decision:
        """Decide whether this caller may read, write or name an object now."""
        decision = self.grants.decide(identity, table, now, access)
        if decision.grant is not None and decision.grant.effect is Effect.DENY:
            return decision
        owned = self.owned(identity, table)
        # An ALLOW may end; what is owned does not.
        return decision if owned is None else Allowed(reason=f"{identity.name} owns {owned}")

    def reader(self, identity: Identity, now: datetime) -> Callable[[ObjectName], bool]:
        """Return the test whether this caller may read a table now, for listings."""
        if identity.name not in self._owned:
            return self.grants.reader(identity, now)
        return lambda name: self.decide(identity, name, now).is_allowed

    def places(self, identity: Identity, now: datetime) -> list[ObjectName]:
        """Return the widest places in which this caller may read anything now, ordered."""
        allowed = {covering_keys(name)[-1]: name for name in self.grants.places(identity, now)}
        allowed |= self._owned.get(identity.name, {})
        return sorted(
            place
            for place in allowed.values()
            if not any(wider in allowed for wider in covering_keys(place)[:-1])
        )

    def useless(self, grant: Grant, now: datetime) -> Grant | None:
        """Return the DENY that makes this ALLOW useless, or None; see `GrantSet.useless`."""
        return self.grants.useless(grant, now)
