"""A third member that comes and goes while the federation of the tests runs."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from flight_member import protocol
from flight_member.joining import join_federation
from flight_member.memberhome import MemberHome
from flight_member.tables import TableDesk
from flight_member.users import UserDesk
from flight_mom.demo.federation import MOM, DemoFederation
from flight_mom.membercommands import change_member
from flight_sql import Client, RemoteError
from tests.e2e.factories import batches_of, make_flights
from tests.e2e.federation import READER, kill
from tests.waiting import wait_until

TABLE = "transit.metro.rides"
USER = "rider"
_HOST = "127.0.0.1"


@dataclass
class Guest:
    """One member beside those of the demo, and the administrator who lets it in."""

    federation: DemoFederation
    admin: Client
    name: str

    @property
    def table(self) -> str:
        return f"{TABLE}@{self.name}"

    @property
    def home(self) -> MemberHome:
        return self.federation.member_home(self.name)

    @property
    def uri(self) -> str:
        return self.federation.uri(self.name)

    def create(self) -> None:
        """Make its directory, with one table and one user."""
        MemberHome.create(self.home.settings)
        TableDesk.open(self.home).load_batches(
            TABLE, batches_of(make_flights()), partition_by=("month",), progress=lambda _: None
        )
        UserDesk(self.home).add(USER, self.federation.password(USER), readable=("*",))

    def change(self, action: str, **changes: str) -> protocol.MembersReply:
        """Change its membership as `flight-mom member ACTION` does."""
        request = protocol.MembersRequest(action=action, cluster=self.name, **changes)
        return change_member(self.admin, request)

    def join_token(self) -> str:
        request = protocol.MembersRequest(action="add", cluster=self.name, hosts=(_HOST,))
        return str(change_member(self.admin, request).join_token)

    def join(self, route: str = "direct") -> None:
        join_federation(self.home, self.join_token())
        self.change("set", route=route)

    def start(self) -> None:
        address = {"FLIGHT_MEMBER_MOM__ADDRESS": self.federation.uri(MOM)}
        self.federation._start(self.name, "flight_member", ["--port", "0"], address)
        wait_until(self.is_granted, 20)

    def is_granted(self) -> bool:
        """Whether the MoM knows its table, which user1@shanghai may read then."""
        with contextlib.suppress(RemoteError):
            self.admin.update(f"GRANT TABLE_READ ON {self.table} TO {READER}")
            return True
        return False

    def stop(self) -> None:
        if self.name in self.federation.processes:
            kill(self.federation, self.name)
            del self.federation.processes[self.name]


@contextlib.contextmanager
def visiting(federation: DemoFederation, admin: Client, name: str) -> Iterator[Guest]:
    """Have a member that has been created; remove and stop it afterwards."""
    guest = Guest(federation, admin, name)
    guest.create()
    try:
        yield guest
    finally:
        guest.stop()
        with contextlib.suppress(RemoteError):
            guest.change("remove")
