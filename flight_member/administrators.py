"""Who administers a cluster, and the record of those who only tried to."""

from dataclasses import replace

from auth import AuditRecord, Identity
from auth.auditstore import AuditStore
from flight_member.errors import PermissionDeniedError
from flight_member.statestore import Database
from flight_sql import Call


class Administrators:
    """Lets a cluster's own administrators through, and nobody else."""

    def __init__(self, cluster: str, database: Database) -> None:
        self._cluster = cluster
        self._database = database

    def include(self, caller: Identity) -> bool:
        """Whether the caller is one; administrators of other clusters are not."""
        return caller.administers(self._cluster)

    def require(self, caller: Identity) -> None:
        """Refuse anybody but the cluster's own administrators.

        Raises:
            PermissionDeniedError: For everybody else, other clusters' administrators included.
        """
        if not self.include(caller):
            raise PermissionDeniedError(
                f"only administrators of {self._cluster} may do this; ask one of them"
            )

    def admit(self, caller: Identity, record: AuditRecord) -> None:
        """Refuse like `require`; that somebody tried is written down before they are answered.

        Raises:
            PermissionDeniedError: For everybody else.
        """
        try:
            self.require(caller)
        except PermissionDeniedError as error:
            refusal = error
        else:
            return
        with self._database.change() as connection:
            AuditStore(connection).append(replace(record, allowed=False, rule=refusal.text))
        raise refusal


def signed_in(call: Call) -> Identity:
    """Return the user who calls; servers call too, and administer nothing.

    Raises:
        PermissionDeniedError: When it is no user.
    """
    if not isinstance(call.identity, Identity):
        raise PermissionDeniedError("sign in as an administrator")
    return call.identity
