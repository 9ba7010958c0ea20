"""The statements on who is who and who may what at home: one place that the front door asks.

They hold here without any MoM. What the federation has to add to a listing is asked of it, and left
out when it does not answer; statements of the federation's own are passed on to it by the front
door.
"""

import pyarrow as pa

from auth import Identity
from flight_member.clock import Moment
from flight_member.errors import NotSupportedError
from flight_member.homeaccess import HomeAccessDesk, is_home_user
from flight_member.homegate import HomeGate
from flight_member.homeusers import HomeUserDesk
from flight_member.memberstate import MemberState
from flight_member.momlink import MomLink
from flight_member.ownerdesk import OwnerDesk
from flight_member.statestore import Database
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
    Statement,
    UserStatement,
)


class HomeAdministration:
    """Carries out the administrative statements that are this member's own."""

    def __init__(
        self,
        cluster: str,
        database: Database,
        state: MemberState,
        gate: HomeGate,
        mom: MomLink,
        now: Moment,
    ) -> None:
        self._cluster = cluster
        self._mom = mom
        self._owner = OwnerDesk(cluster, database, state, gate, now)
        self._users = HomeUserDesk(cluster, database, state, now)
        self._access = HomeAccessDesk(cluster, database, state, now)

    def is_answered_here(  # noqa: PLR0911  one line per statement is the table that it looks like
        self, statement: Statement
    ) -> bool:
        """Whether a statement is this member's own, and not the federation's."""
        match statement:
            case GrantStatement():
                return self._owner.is_answered_here(statement)
            case ShowGrants():
                return self._owner.is_shown_here(statement)
            case GroupStatement():
                return statement.cluster == self._cluster
            case UserStatement() | ShowUsers() | ShowGroups():
                return True
            case ExplainAccess():
                return self._access.is_explained_here(statement)
            case ShowReaders():
                return statement.table.cluster == self._cluster
            case ShowReadable():
                return is_home_user(statement.principal, self._cluster)
            case _:
                return False

    def answer(  # noqa: PLR0911  one line per statement is the table that it looks like
        self, call: Call, statement: Administrative, caller: Identity
    ) -> pa.Table:
        """Carry out one of the statements that are answered here.

        Raises:
            PermissionDeniedError: When it is for somebody else.
            NotFoundError: When it names somebody or something that does not exist.
            NotSupportedError: When it asks for what is not given.
        """
        match statement:
            case GrantStatement():
                return self._owner.change(statement, caller, call)
            case GroupStatement():
                return self._users.change_group(statement, caller, call.peer)
            case UserStatement():
                return self._users.change_user(statement, caller, call.peer)
            case ShowGrants():
                return self._owner.show(statement, caller, self._mom.granted(call, statement))
            case ShowGroups():
                return self._users.groups(caller, self._mom.told(call, "SHOW GROUPS"))
            case ShowUsers():
                return self._users.users(caller)
            case _:
                return self._explain(call, statement, caller)

    def _explain(self, call: Call, statement: Administrative, caller: Identity) -> pa.Table:
        match statement:
            case ExplainAccess():
                return self._access.explain(statement, caller, call.peer)
            case ShowReaders():
                told = self._mom.told(call, f"SHOW READERS OF {statement.table}")
                return self._access.readers(statement, caller, call.peer, told)
            case ShowReadable():
                told = self._mom.told(call, f"SHOW TABLES FOR {statement.principal}")
                return self._access.readable(statement, caller, call.peer, told)
            case _:
                raise NotSupportedError("ask the MoM: this statement is the federation's")
