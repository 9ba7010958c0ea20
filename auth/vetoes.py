"""What visitors of a cluster may read: what the federation granted, less what the owner denies."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from auth.decisions import Decision, Denied, Grant
from auth.errors import UnsupportedGrantError
from auth.grants import GrantSet
from auth.principals import Identity, Principal
from auth.privileges import Effect
from storage.names import ObjectName


@dataclass(frozen=True, slots=True)
class VisitorRules:
    """The federation's grants under the vetoes of one cluster; decides like a `GrantSet`."""

    grants: GrantSet
    vetoes: GrantSet

    def decide(self, identity: Identity, table: ObjectName, now: datetime) -> Decision:
        """Decide whether this visitor may read this table now; a veto is the last word."""
        veto = self.vetoes.decide(identity, table, now)
        if veto.grant is None:
            return self.grants.decide(identity, table, now)
        return Denied(f"the owner's {veto.grant}", veto.grant)

    def reader(self, identity: Identity, now: datetime) -> Callable[[ObjectName], bool]:
        """Return the test whether this visitor may read a table now, for listings."""
        is_granted = self.grants.reader(identity, now)

        def may_read(name: ObjectName) -> bool:
            return is_granted(name) and self.vetoes.decide(identity, name, now).grant is None

        return may_read

    def places(self, identity: Identity, now: datetime) -> list[ObjectName]:
        """Return the widest places in which the federation lets this visitor read anything now."""
        return self.grants.places(identity, now)

    def useless(self, grant: Grant, now: datetime, groups: Iterable[Principal] = ()) -> str | None:
        """Return the DENY that makes this ALLOW useless, the owner's first, or None."""
        groups = tuple(groups)
        veto = self.vetoes.useless(grant, now, groups)
        if veto is not None:
            return f"the owner's {veto}"
        deny = self.grants.useless(grant, now, groups)
        return None if deny is None else str(deny)


def check_veto(veto: Grant, cluster: str) -> None:
    """Refuse what no owner can say of visitors.

    Raises:
        UnsupportedGrantError: When it allows, when it is on another cluster's object, or when it
            is about a user or group of the cluster itself or of the federation, or about another
            access than reading.
    """
    is_foreign = veto.principal.cluster not in {None, cluster}
    is_about_visitors = veto.principal.kind == "visitors" or is_foreign
    if not veto.privilege.is_federated:
        raise UnsupportedGrantError(f"visitors write nothing: {veto} denies nothing")
    if veto.effect is not Effect.DENY or veto.securable.cluster != cluster or not is_about_visitors:
        raise UnsupportedGrantError(f"{veto} is not for {cluster} to say")
