"""The statements on who may read what, at the MoM: one place that the front door asks.

Every change is one transaction with its audit row, and binds when the statement returns.
"""

from collections.abc import Callable, Mapping

import pyarrow as pa

from auth import Identity
from flight_member.errors import NotSupportedError
from flight_mom.accessdesk import AccessDesk
from flight_mom.declaring import DeclarationDesk
from flight_mom.grantdesk import GrantDesk
from flight_mom.groupdesk import GroupDesk
from flight_mom.office import Office
from flight_sql import Call
from planner import (
    Administrative,
    ExplainAccess,
    GrantStatement,
    GroupStatement,
    ShowGrants,
    ShowGroups,
    ShowReadable,
    ShowReaders,
    ShowUsers,
    UserStatement,
)


class Administration:
    """Carries out the administrative statements, each at its desk."""

    def __init__(self, office: Office) -> None:
        self._grants = GrantDesk(office)
        self._groups = GroupDesk(office)
        self._access = AccessDesk(office)
        self._declarations = DeclarationDesk(office)

    def actions(self) -> Mapping[str, Callable[[Call, bytes], bytes]]:
        """Return what administrators ask beside SQL: to apply and to export a declared state."""
        return self._declarations.actions()

    def answer(  # noqa: PLR0911  one line per statement is the table that it looks like
        self, statement: Administrative, caller: Identity, source: str
    ) -> pa.Table:
        """Carry out one statement; a change is durable when this returns.

        Args:
            statement: What was asked.
            caller: Who asks; the statement decides whether they may.
            source: The address it came from, for the audit.

        Raises:
            PermissionDeniedError: When it is for administrators only.
            NotFoundError: When it names somebody or something that does not exist.
            NotSupportedError: When it asks for what is not given.
        """
        match statement:
            case GrantStatement():
                return self._grants.change(statement, caller, source)
            case GroupStatement():
                return self._groups.change(statement, caller, source)
            case ShowGrants():
                return self._grants.show(statement, caller)
            case ShowGroups():
                return self._groups.show(caller)
            case ShowReaders():
                return self._access.readers(statement, caller, source)
            case ShowReadable():
                return self._access.readable(statement, caller, source)
            case ExplainAccess():
                return self._access.explain(statement, caller, source)
            case UserStatement() | ShowUsers():
                # Who asks is not looked at: the MoM keeps no cluster's users but its own.
                raise NotSupportedError(
                    "users are kept by their own cluster: type it there, as one of its "
                    "administrators; the MoM's own are changed with flight-mom user"
                )
