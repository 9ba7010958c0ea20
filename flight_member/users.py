"""Changes of a cluster's own users, each one transaction with its audit rows.

For a member and for the MoM alike, at their own terminals: whoever may write the state directory
administers its users. A server that runs notices each change.
"""

from collections.abc import Callable, Iterable
from contextlib import closing
from datetime import datetime

from auth import Effect, Principal, Privilege, hash_password
from auth.userstore import User, UserStore
from flight_member.changing import Change, Home, changing
from flight_member.clock import Moment, utc_now
from flight_member.errors import ConfigurationError
from flight_member.userchanges import disown_user, forget_user
from storage.names import InvalidNameError, Level, ObjectName

_PRIVILEGES = {
    Level.CLUSTER: Privilege.CATALOG_READ,
    Level.CATALOG: Privilege.CATALOG_READ,
    Level.SCHEMA: Privilege.SCHEMA_READ,
    Level.TABLE: Privilege.TABLE_READ,
}


class UserDesk:
    """What `flight-member user` and `flight-mom user` do."""

    def __init__(self, home: Home, now: Moment = utc_now) -> None:
        self._home = home
        self._now = now
        self.cluster = home.settings.cluster.name

    def all(self) -> list[User]:
        """Return the users by name."""
        with closing(self._home.open_database()) as database, database.read() as connection:
            return UserStore(connection).all()

    def add(
        self,
        name: str,
        password: str,
        *,
        groups: Iterable[str] = (),
        is_admin: bool = False,
        readable: Iterable[str] = (),
    ) -> Principal:
        """Add a user with home rules that let them read.

        Args:
            name: Without the cluster.
            password: Kept as an Argon2id hash only.
            groups: Groups of this cluster.
            is_admin: Whether they administer this cluster.
            readable: Tables, schemas, catalogs, or `*` for all of this cluster.

        Raises:
            ConfigurationError: When something to read is not a name.
            AlreadyExistsError: When there is such a user.
        """
        securables = [self._securable(text) for text in readable]
        principal = self._principal(name)
        hashed = hash_password(password)
        with changing(self._home, self._now) as change:
            change.users.add(
                principal.name, hashed, is_admin=is_admin, groups=groups, now=change.at
            )
            change.record("add user", principal)
            grants = change.grants
            for securable in securables:
                grant = grants.add(
                    principal=principal,
                    effect=Effect.ALLOW,
                    privilege=_PRIVILEGES[securable.level],
                    securable=securable,
                    granted_by=change.actor,
                    granted_at=change.at,
                )
                change.record("allow", securable, rule=str(grant), epoch=grants.epoch())
        return principal

    def remove(self, name: str) -> Principal:
        """Forget a user, and what was allowed to them here; denials stay by name.

        Raises:
            NotFoundError: When there is no such user.
        """
        principal = self._principal(name)
        with changing(self._home, self._now) as change:
            forget_user(change, principal)
            self.note_departure(change, principal)
            self.note_change(change, principal)
        return principal

    def set_password(self, name: str, password: str) -> Principal:
        """Give a user another password.

        Raises:
            NotFoundError: When there is no such user.
            UnusablePasswordError: When the password is too long.
        """
        hashed = hash_password(password)
        return self._change_user(
            name, "set password", lambda users, user, at: users.set_password(user, hashed, now=at)
        )

    def set_locked(self, name: str, *, is_locked: bool) -> Principal:
        """Lock a user out, or let them in again.

        Raises:
            NotFoundError: When there is no such user.
        """
        return self._change_user(
            name,
            "lock user" if is_locked else "unlock user",
            lambda users, user, at: users.set_locked(user, is_locked, now=at),
        )

    def set_groups(self, name: str, groups: Iterable[str]) -> Principal:
        """Put a user into exactly these groups.

        Raises:
            NotFoundError: When there is no such user, or nothing can be called as a group is.
        """
        wanted = sorted(groups)
        return self._change_user(
            name,
            "set groups",
            lambda users, user, at: users.set_groups(user, wanted, now=at),
            rule=" ".join(wanted),
        )

    def note_change(self, change: Change, principal: Principal) -> None:
        """Do what else a change of a user needs, in its transaction.

        A member's change travels to the MoM with its next report; there is nothing to do here.
        """

    def note_departure(self, change: Change, principal: Principal) -> None:
        """Do what else a user who is gone leaves behind, in the transaction that forgets them."""
        disown_user(change, principal)

    def _change_user(
        self,
        name: str,
        action: str,
        apply: Callable[[UserStore, str, datetime], None],
        rule: str = "",
    ) -> Principal:
        principal = self._principal(name)
        with changing(self._home, self._now) as change:
            apply(change.users, principal.name, change.at)
            change.record(action, principal, rule=rule)
            self.note_change(change, principal)
        return principal

    def _principal(self, name: str) -> Principal:
        return Principal("user", name, self.cluster)

    def _securable(self, text: str) -> ObjectName:
        try:
            name = ObjectName.parse(text, cluster=self.cluster)
        except InvalidNameError as error:
            raise ConfigurationError([f"--read {text}: {error}"]) from None
        if name.cluster != self.cluster:
            raise ConfigurationError(
                [f"--read {text}: other clusters' tables are granted at the MoM"]
            )
        return name
