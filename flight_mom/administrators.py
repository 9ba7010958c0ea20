"""Who administers the federation, and the record of those who only tried to."""

from dataclasses import replace

from auth import AuditRecord, Identity
from auth.auditstore import AuditStore
from flight_member.errors import PermissionDeniedError
from flight_member.statestore import Database


class Administrators:
    """Lets the MoM's own administrators through, and nobody else."""

    def __init__(self, cluster: str, database: Database) -> None:
        self._cluster = cluster
        self._database = database

    def include(self, caller: Identity) -> bool:
        """Whether the caller is one; members' administrators are not."""
        return caller.administers(self._cluster)

    def require(self, caller: Identity) -> None:
        """Refuse anybody but the MoM's own administrators.

        Raises:
            PermissionDeniedError: For everybody else, members' administrators included.
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
