"""What exists in the federation, for administrators who name it: users, groups, tables."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from auth import Identity, Principal
from auth.userstore import UserStore
from flight_member.errors import NotFoundError, NotSupportedError
from flight_member.statestore import Database
from flight_mom.topology import Federation
from storage.names import ObjectName


class Directory:
    """Looks up who and what is named, in one state of the federation."""

    def __init__(self, cluster: str, database: Database) -> None:
        self._cluster = cluster
        self._database = database

    def require_principal(self, federation: Federation, principal: Principal) -> None:
        """Refuse a user or group that does not exist.

        Raises:
            NotFoundError: When it does not.
        """
        if principal.cluster is None:
            is_there = principal.name in federation.grants.mom_groups
        else:
            users = self.users_of(federation, principal.cluster)
            if principal.kind == "user":
                is_there = principal.name in users
            else:
                is_there = any(principal.name in groups for groups in users.values())
        if not is_there:
            raise NotFoundError(f"{principal} does not exist")

    def groups_of(self, federation: Federation, principal: Principal) -> frozenset[str]:
        """Return the groups at home of a user; none of anybody who is not known."""
        if principal.kind != "user" or principal.cluster is None:
            return frozenset()
        known = self.users_of(federation, principal.cluster)
        return frozenset(known.get(principal.name, ()))

    def users_of(self, federation: Federation, cluster: str) -> Mapping[str, Iterable[str]]:
        """Return the users of a cluster with their groups at home; none of one not known."""
        if cluster == self._cluster:
            with self._database.read() as connection:
                return {user.name: user.groups for user in UserStore(connection).all()}
        member = federation.members.get(cluster)
        return {} if member is None else {one.name: one.groups for one in member.users.values()}

    def everybody(self, federation: Federation, now: datetime) -> Iterator[Identity]:
        """Yield every user of the federation, by cluster and name."""
        for cluster in sorted({self._cluster, *federation.members}):
            for name, groups in sorted(self.users_of(federation, cluster).items()):
                yield subject(name, cluster, groups, now)

    def subject(self, federation: Federation, principal: Principal, now: datetime) -> Identity:
        """Return a user as decisions about them take them."""
        groups = self.groups_of(federation, principal)
        return subject(principal.name, str(principal.cluster), groups, now)


def subject(name: str, cluster: str, groups: Iterable[str], now: datetime) -> Identity:
    """Return somebody who is not calling, as decisions about them take them."""
    return Identity(
        user=name,
        cluster=cluster,
        groups=frozenset(groups),
        is_admin=False,
        token_id="",
        issued_at=now,
        expires_at=now,
    )


def require_securable(federation: Federation, securable: ObjectName) -> None:
    """Refuse an object that does not exist.

    Raises:
        NotFoundError: When it does not.
    """
    metastore = federation.metastore(securable.cluster)
    if metastore is None or not (
        securable.catalog is None
        or metastore.table(securable) is not None
        or metastore.place(securable) is not None
    ):
        raise NotFoundError(f"{securable} does not exist")


def require_foreign(federation: Federation, principal: Principal, securable: ObjectName) -> None:
    """Refuse a grant by which the federation would rule over a member's own users.

    Raises:
        NotSupportedError: When the principal belongs to the cluster of the securable, unless that
            is the MoM: there these grants are the home rules.
    """
    if principal.cluster == securable.cluster != federation.own.cluster:
        raise NotSupportedError(
            f"{principal} and {securable} are of one cluster: home rules apply, set them there"
        )
