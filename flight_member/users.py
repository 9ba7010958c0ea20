"""Changes of a member's own users, each one transaction with its audit row."""

import getpass
from contextlib import closing
from datetime import UTC, datetime

from auth import (
    AuditRecord,
    Effect,
    Principal,
    Privilege,
    hash_password,
)
from auth.auditstore import AuditStore
from auth.grantstore import GrantStore
from auth.userstore import UserStore
from flight_member.errors import ConfigurationError
from flight_member.memberhome import MemberHome
from storage.names import InvalidNameError, Level, ObjectName

_PRIVILEGES = {
    Level.CLUSTER: Privilege.CATALOG_READ,
    Level.CATALOG: Privilege.CATALOG_READ,
    Level.SCHEMA: Privilege.SCHEMA_READ,
    Level.TABLE: Privilege.TABLE_READ,
}


class UserDesk:
    """What `flight-member user` does, at the member's own terminal."""

    def __init__(self, home: MemberHome) -> None:
        self._home = home
        self._cluster = home.settings.cluster.name

    def add(
        self,
        name: str,
        password: str,
        *,
        groups: tuple[str, ...] = (),
        is_admin: bool = False,
        readable: tuple[str, ...] = (),
    ) -> Principal:
        """Add a user with home rules that let them read.

        Args:
            name: Without the cluster.
            password: Kept as an Argon2id hash only.
            groups: Groups of this cluster.
            is_admin: Whether they administer this member.
            readable: Tables, schemas, catalogs, or `*` for all of this member.

        Raises:
            ConfigurationError: When something to read is not a name.
            AlreadyExistsError: When there is such a user.
        """
        securables = [self._securable(text) for text in readable]
        principal = Principal("user", name, self._cluster)
        hashed = hash_password(password)
        now = datetime.now(UTC)
        actor = f"{getpass.getuser()} at the terminal"
        with closing(self._home.open_database()) as database, database.change() as connection:
            UserStore(connection).add(
                principal.name, hashed, is_admin=is_admin, groups=groups, now=now
            )
            grants, audit = GrantStore(connection), AuditStore(connection)
            audit.append(
                AuditRecord(
                    at=now,
                    actor=actor,
                    source="terminal",
                    action="add user",
                    object=str(principal),
                    allowed=True,
                )
            )
            for securable in securables:
                grant = grants.add(
                    principal=principal,
                    effect=Effect.ALLOW,
                    privilege=_PRIVILEGES[securable.level],
                    securable=securable,
                    granted_by=actor,
                    granted_at=now,
                )
                audit.append(
                    AuditRecord(
                        at=now,
                        actor=actor,
                        source="terminal",
                        action="allow",
                        object=str(securable),
                        allowed=True,
                        rule=str(grant),
                        epoch=grants.epoch(),
                    )
                )
        return principal

    def _securable(self, text: str) -> ObjectName:
        try:
            name = ObjectName.parse(text, cluster=self._cluster)
        except InvalidNameError as error:
            raise ConfigurationError([f"--read {text}: {error}"]) from None
        if name.cluster != self._cluster:
            raise ConfigurationError(
                [f"--read {text}: other clusters' tables are granted at the MoM"]
            )
        return name
