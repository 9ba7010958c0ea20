"""Snapshots of grants, and the decision that follows from them.

The rules, which hold in every snapshot:

- a grant applies when its principal is the caller or one of their groups, its securable is the
  object or lies above it, its privilege gives the access that is asked for, and its `until` has
  not come;
- any DENY that applies: no; else any ALLOW that applies: yes; else no;
- the decision, and the grant it names, do not depend on the order in which grants were made.

A `GrantSet` holds one kind of rules: the federation's cross-cluster grants, or one cluster's home
rules. It knows nothing of the other kind, and nobody may put both into one set.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from functools import cache
from typing import Any

from auth.decisions import NO_GRANT, Allowed, Decision, Denied, Grant
from auth.errors import UnsupportedGrantError
from auth.principals import VISITORS, Identity, Principal, PrincipalKey, groups_by_member
from auth.privileges import Access, Effect
from storage.names import ObjectName

_SecurableKey = tuple[str, str | None, str | None, str | None]
_VISITORS = VISITORS.key
_Held = dict[_SecurableKey, tuple[Grant, ...]]


class GrantSet:
    """An immutable snapshot of grants of one kind, indexed by principal and securable.

    Args:
        grants: The grants, in any order.
        epoch: The policy epoch at which they were read.
        mom_groups: The federation's groups, each with the names of its members.
    """

    __slots__ = ("_groups", "_held", "_mom_groups", "epoch")

    def __init__(
        self,
        grants: Iterable[Grant] = (),
        epoch: int = 0,
        mom_groups: Mapping[str, frozenset[str]] | None = None,
    ) -> None:
        self.epoch = epoch
        self._mom_groups = dict(mom_groups or {})
        self._groups = _groups_of(self._mom_groups)
        # By cluster first, so that a change copies one cluster's principals and not all.
        self._held: dict[str | None, dict[PrincipalKey, _Held]] = {}
        shared = cache(_securable_key)
        for grant in grants:
            of_cluster = self._held.setdefault(grant.principal.cluster, {})
            held = of_cluster.setdefault(grant.principal.key, {})
            key = shared(grant.securable)
            held[key] = (*held.get(key, ()), grant)

    def decide(
        self,
        identity: Identity,
        table: ObjectName,
        now: datetime,
        access: Access = Access.READ,
    ) -> Decision:
        """Decide whether this caller may read this table now, or write it.

        Costs four lookups for each of the caller's principals that hold grants, however many
        grants there are.

        Args:
            identity: The caller.
            table: A table; for a schema or catalog the answer is whether all of it may be read,
                unless a narrower DENY takes something away.
            now: The time of the decision.
            access: What the caller wants to do; grants of another access do not count.

        Returns:
            Allowed with the narrowest ALLOW, or Denied with the widest DENY, if there is one.
        """
        allows: list[tuple[int, Grant]] = []
        denies: list[tuple[int, Grant]] = []
        keys = covering_keys(table)
        for held in self._held_by(self._keys_of(identity)):
            for depth, key in enumerate(keys):
                for grant in held.get(key, ()):
                    if grant.privilege.access is access and grant.holds_at(now):
                        found = denies if grant.effect is Effect.DENY else allows
                        found.append((depth, grant))
        if denies:
            return Denied(grant=_choose(min, denies))
        if allows:
            return Allowed(_choose(max, allows))
        return NO_GRANT

    def reader(self, identity: Identity, now: datetime) -> Callable[[ObjectName], bool]:
        """Return the test whether this caller may read a table now.

        The same answers as `decide`, for listings: the caller's grants are gathered once, and
        what lies above a table is decided once for all tables there.
        """
        effects = self._effects(identity, now)
        above: dict[_SecurableKey, set[Effect]] = {}

        def may_read(name: ObjectName) -> bool:
            parent = (name.cluster, name.catalog, name.schema, None)
            found = above.get(parent)
            if found is None:
                found = above[parent] = {
                    effects[key] for key in covering_keys(name) if key[3] is None and key in effects
                }
            own = effects.get((name.cluster, name.catalog, name.schema, name.table))
            if Effect.DENY in found or own is Effect.DENY:
                return False
            return own is Effect.ALLOW or Effect.ALLOW in found

        return may_read

    def places(self, identity: Identity, now: datetime) -> list[ObjectName]:
        """Return the widest places in which this caller may read anything now, ordered.

        None of them lies in another. Whatever may be read lies in one of them; what is denied
        there is left to `reader`.
        """
        allowed = {
            _securable_key(grant.securable): grant.securable
            for grant in self._of(identity)
            if grant.effect is Effect.ALLOW and _reads(grant) and grant.holds_at(now)
        }
        return sorted(
            place
            for place in allowed.values()
            if not any(wider in allowed for wider in covering_keys(place)[:-1])
        )

    def _effects(self, identity: Identity, now: datetime) -> dict[_SecurableKey, Effect]:
        """Return what holds of this caller's reading, by securable; a DENY wins over an ALLOW."""
        effects: dict[_SecurableKey, Effect] = {}
        for grant in self._of(identity):
            key = _securable_key(grant.securable)
            if _reads(grant) and grant.holds_at(now) and effects.get(key) is not Effect.DENY:
                effects[key] = grant.effect
        return effects

    def useless(
        self, grant: Grant, now: datetime, groups: Iterable[Principal] = ()
    ) -> Grant | None:
        """Return the DENY that makes this ALLOW useless, or None.

        Args:
            grant: An ALLOW that is being made; for a DENY the answer is None.
            now: The time of asking; a DENY that has ended does not count.
            groups: The groups at home of a user, where they are known. The federation's groups
                are known to this set.
        """
        if grant.effect is Effect.DENY:
            return None
        principals = [grant.principal.key, *(group.key for group in groups), VISITORS.key]
        if grant.principal.kind == "user":
            principals += self._groups.get(str(grant.principal), ())
        keys = covering_keys(grant.securable)
        denies = [
            found
            for held in self._held_by(principals)
            for found in _first_of(held, keys)
            if found.effect is Effect.DENY
            and found.privilege.access is grant.privilege.access
            and found.holds_at(now)
        ]
        return min(denies, key=_widest_first) if denies else None

    def updated(
        self,
        epoch: int,
        *,
        added: Iterable[Grant] = (),
        removed: Iterable[Grant] = (),
        mom_groups: Mapping[str, frozenset[str]] | None = None,
    ) -> "GrantSet":
        """Return a snapshot with some grants taken out, then some replaced; this one stays.

        A grant with the `key` of an existing one replaces it. Costs a copy of what is held by the
        clusters of the principals that changed, so that one change among a million grants is a
        matter of milliseconds.

        Args:
            epoch: The new snapshot's.
            added: Grants that are new or have changed.
            removed: Grants that are gone; of these only the `key` counts.
            mom_groups: The federation's groups, where they have changed.
        """
        changed = GrantSet(epoch=epoch, mom_groups=mom_groups)
        if mom_groups is None:
            changed._mom_groups, changed._groups = self._mom_groups, self._groups
        changed._held = dict(self._held)
        copied: dict[PrincipalKey, _Held] = {}
        for grant, stays in (*((g, False) for g in removed), *((g, True) for g in added)):
            held = changed._own_copy(grant.principal, copied)
            key = _securable_key(grant.securable)
            rest = tuple(other for other in held.pop(key, ()) if other.key != grant.key)
            if stays:
                rest = (*rest, grant)
            if rest:
                held[key] = rest
        for (kind, name, cluster), held in copied.items():
            if not held:
                del changed._held[cluster][kind, name, cluster]
        return changed

    def _own_copy(self, principal: Principal, copied: dict[PrincipalKey, _Held]) -> _Held:
        """Return what a principal holds, as a copy that no other snapshot has; made once."""
        key, cluster = principal.key, principal.cluster
        if key not in copied:
            if all(other[2] != cluster for other in copied):
                self._held[cluster] = dict(self._held.get(cluster, {}))
            copied[key] = self._held[cluster][key] = dict(self._held[cluster].get(key, {}))
        return copied[key]

    def for_principal(self, principal: Principal) -> list[Grant]:
        """Return the grants to exactly this principal, in a stable order."""
        found = (grant for held in self._held_by([principal.key]) for grant in _flatten(held))
        return sorted(found, key=_widest_first)

    def for_identity(self, identity: Identity) -> list[Grant]:
        """Return the grants to this caller and all their groups, in a stable order."""
        return sorted(self._of(identity), key=_widest_first)

    def on_securable(self, securable: ObjectName) -> list[Grant]:
        """Return the grants on exactly this securable, in a stable order."""
        key = _securable_key(securable)
        found = (
            grant
            for of_cluster in self._held.values()
            for held in of_cluster.values()
            for grant in held.get(key, ())
        )
        return sorted(found, key=_widest_first)

    def mom_groups_of(self, user: str) -> frozenset[str]:
        """Return the names of the federation's groups that `user1@shanghai` is in."""
        return frozenset(name for _, name, _ in self._groups.get(user, ()))

    @property
    def mom_groups(self) -> Mapping[str, frozenset[str]]:
        """The federation's groups, each with the names of its members."""
        return self._mom_groups

    def __iter__(self) -> Iterator[Grant]:
        for of_cluster in self._held.values():
            for held in of_cluster.values():
                yield from _flatten(held)

    def __bool__(self) -> bool:
        return any(self._held.values())

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def _of(self, identity: Identity) -> Iterator[Grant]:
        for held in self._held_by(self._keys_of(identity)):
            yield from _flatten(held)

    def _keys_of(self, identity: Identity) -> tuple[PrincipalKey, ...]:
        keys = identity.home_keys
        if self._groups:
            keys += self._groups.get(identity.name, ())
        of_none = self._held.get(None)
        return (*keys, _VISITORS) if of_none and _VISITORS in of_none else keys

    def _held_by(self, principals: Iterable[PrincipalKey]) -> list[_Held]:
        """Return what each of these principals holds, without those that hold nothing."""
        by_cluster = self._held
        return [
            held
            for key in principals
            if (of_cluster := by_cluster.get(key[2])) and (held := of_cluster.get(key))
        ]


def _groups_of(mom_groups: Mapping[str, frozenset[str]]) -> dict[str, tuple[PrincipalKey, ...]]:
    """Return the federation's groups that each user is in, as keys."""
    return {
        member: tuple(("group", group, None) for group in groups)
        for member, groups in groups_by_member(mom_groups).items()
    }


def check_cross_cluster(principal: Principal, securable: ObjectName) -> None:
    """Refuse a grant by which the federation would rule over a cluster's own users.

    Raises:
        UnsupportedGrantError: When the principal belongs to the cluster of the securable.
    """
    if principal.cluster == securable.cluster:
        raise UnsupportedGrantError(
            f"home rules apply: {principal} reads {securable} by the privileges of "
            f"{securable.cluster}; ask its administrator"
        )


def _reads(grant: Grant) -> bool:
    return grant.privilege.access is Access.READ


def _securable_key(name: ObjectName) -> _SecurableKey:
    return (name.cluster, name.catalog, name.schema, name.table)


def covering_keys(name: ObjectName) -> list[_SecurableKey]:
    """Return the keys of a name and of all above it. Tuples: making names would fold them."""
    cluster, catalog, schema, table = name.cluster, name.catalog, name.schema, name.table
    keys: list[_SecurableKey] = [(cluster, None, None, None)]
    if catalog is not None:
        keys.append((cluster, catalog, None, None))
    if schema is not None:
        keys.append((cluster, catalog, schema, None))
    if table is not None:
        keys.append((cluster, catalog, schema, table))
    return keys


def _first_of(held: _Held, keys: Iterable[_SecurableKey]) -> Iterator[Grant]:
    for key in keys:
        yield from held.get(key, ())


def _flatten(held: _Held) -> Iterator[Grant]:
    for grants in held.values():
        yield from grants


def _choose(best: Callable[..., Any], found: list[tuple[int, Grant]]) -> Grant:
    """Return the widest (`min`) or the narrowest (`max`) of grants that come with their depth.

    Those of one depth are on one object; which of them it is does not depend on their order.
    """
    if len(found) == 1:
        return found[0][1]
    chosen = best(depth for depth, _ in found)
    level = [grant for depth, grant in found if depth == chosen]
    grant: Grant = level[0] if len(level) == 1 else best(level, key=_by_holder)
    return grant


def _by_holder(grant: Grant) -> tuple[str, str, str, str, float, int]:
    """Order grants on one object, of one effect; without words, which take longer than deciding."""
    principal = grant.principal
    holder = (principal.kind, principal.name, principal.cluster or "")
    until = grant.until.timestamp() if grant.until is not None else float("inf")
    return (*holder, grant.privilege, until, grant.id)


def _widest_first(grant: Grant) -> tuple[int, str, str, str, str, str, int]:
    """Order grants by what they say, so that no answer depends on when they were made."""
    depth = sum(part is not None for part in _securable_key(grant.securable))
    until = grant.until.isoformat() if grant.until else "~"
    return (depth, *grant.key, until, grant.id)
